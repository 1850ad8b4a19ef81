//! Sockets: addresses as the options spell them, listeners of workers and gateways and their queues, waiting for one
//! descriptor, who may give orders.

pub mod address;
pub mod allow;
pub mod closing;
pub mod connect;
pub mod exchange;
pub mod holder;
pub mod listener;
pub mod queue;
pub mod wait;
