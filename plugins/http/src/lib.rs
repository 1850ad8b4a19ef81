//! The http plugin: a gateway process that takes HTTP clients off the workers' hands. It keeps their connections, reads
//! their requests strictly, refuses what is malformed, and hands whole requests to workers or to foreign uwsgi servers.
//!
//! `plugin` (options, start) runs in the master; `gateway` and all below it in the gateway process, single-threaded over
//! mio. Below `gateway`: `session` is a client, `backend` the other side, `packet` translates requests, `reply` answers.

mod backend;
mod buffer;
mod channel;
mod gateway;
mod gzip;
mod http2;
mod packet;
mod reply;
mod session;
#[cfg_attr(test, allow(dead_code))] // read by `plugin`, which needs a host to link against
mod settings;
mod stats;
mod stream;
mod tls;

#[cfg(not(test))]
mod options;
#[cfg(not(test))]
mod plugin;
#[cfg(test)]
mod tests;
