//! The commands that find out what a device met, or would meet, against a real server.

mod inbox;
mod rehearsals;
