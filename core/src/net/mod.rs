//! Sockets: addresses as the options spell them, listeners of workers and gateways and their queues, waiting for one
//! descriptor.

pub mod address;
pub mod closing;
pub mod connect;
pub mod exchange;
pub mod holder;
pub mod listener;
pub mod of_plugins;
pub mod queue;
pub mod wait;
