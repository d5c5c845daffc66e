//! `muster dev` as a process of its own, and what no misfortune may take from its devices: a kill, a full disk, a
//! restart, ten thousand idle connections, hostile bytes.

mod bad_input;
mod disk;
mod endurance;
mod harness;
mod idle_clients;
mod restart;
mod slow_clients;
mod storm;
