//! rsgi (the server): the host of uWSGI-compatible plugins. Data flows one way: config, host, master, worker,
//! request; `docs/architecture.md` shows the rooms.

pub mod alarm;
pub mod apps;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod decimal;
pub mod emperor;
pub mod exceptions;
pub mod exports;
pub mod locks;
pub mod log;
pub mod metrics;
pub mod mule;
pub mod net;
pub mod options;
pub mod plugin;
pub mod process;
pub mod queue;
pub mod request;
pub mod routing;
pub mod rpc;
pub mod server;
pub mod settings;
pub mod shared;
pub mod sharedarea;
pub mod signal;
pub mod spooler;
pub mod startup;
pub mod static_files;
pub mod stats;
pub mod top;
pub mod unix_signal;
pub mod worker;
