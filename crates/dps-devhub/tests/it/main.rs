//! The development hub from outside: its REST, its MQTT side, and the hub port in process and over a real socket.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // helpers of tests fail like tests

mod abandoned;
mod amqp;
mod fixture;
mod hub_suite;
mod mqtt;
mod rest;
mod socket;
