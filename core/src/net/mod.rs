//! Sockets: addresses as the options spell them, listeners of workers and gateways, waiting for one descriptor.

pub mod address;
pub mod holder;
pub mod listener;
pub mod wait;
