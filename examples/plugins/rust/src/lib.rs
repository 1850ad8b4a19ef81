//! A plugin of each kind in Rust, all in one file to load; each module is what a plugin of that kind alone would have.
//!
//! ```text
//! cargo build -p rsgi-example-kinds
//! rsgi --plugin target/debug/libkinds_plugin.so --http-socket :9090 --http-socket-modifier1 251
//! ```

mod alarm;
mod cheaper;
mod clock;
mod emperor;
mod exception_handler;
mod gateway;
mod hook_action;
mod log_chunk;
mod log_encoder;
mod logger;
mod loop_engine;
mod metric_collector;
mod mule;
mod protocol;
mod route_action;
mod route_condition;
mod route_variable;
mod rpc;
mod signal;
mod spooler;
mod stats_pusher;
mod transformation;
mod worker;

use rsgi_plugin_api::{HookError, Outcome, Plugin, Request, export_plugin, kind};
use std::ffi::CStr;

/// The number of the uwsgi protocol that selects this plugin.
const MODIFIER: u8 = 251;

struct Kinds;

impl Plugin for Kinds {
    fn on_load() -> Result<(), HookError> {
        rsgi_plugin_api::logger::register::<logger::Lines>(c"lines");
        kind::alarm::<alarm::Bell>(c"bell");
        kind::cheaper::<cheaper::Always>(c"always");
        kind::clock::<clock::Epoch>(c"epoch");
        kind::emperor_monitor::<emperor::One>(c"one");
        kind::exception_handler::<exception_handler::Note>(c"note");
        kind::hook_action::<hook_action::Say>(c"say");
        kind::log_chunk::<log_chunk::Length>(c"path_length");
        kind::log_encoder::<log_encoder::Quote>(c"quote");
        kind::loop_engine::<loop_engine::Turns>(c"turns");
        kind::metric_collector::<metric_collector::Answer>(c"answer");
        kind::protocol::<protocol::Path>(c"path");
        kind::route_action::<route_action::Reply>(c"reply");
        kind::route_action::<transformation::Upper>(c"upper");
        kind::route_condition::<route_condition::Ends>(c"ends");
        kind::route_variable::<route_variable::Length>(c"length");
        kind::stats_pusher::<stats_pusher::Count>(c"count");
        Ok(())
    }

    fn init() -> Result<(), HookError> {
        if std::env::var_os("KINDS_GATEWAY").is_some() {
            kind::gateway::<gateway::Clerk>(c"clerk");
        }
        rpc::register()
    }

    fn post_init() -> Result<(), HookError> {
        signal::register()
    }

    fn request(req: &mut Request<'_>) -> Result<Outcome, HookError> {
        req.parse()?;
        let answer = match req.path_info() {
            b"/alarm" => alarm::ring(),
            b"/mule" => mule::send(),
            b"/rpc" => rpc::call(),
            b"/signal" => signal::send(),
            b"/spool" => spooler::write(),
            path => Ok(format!("Hello {}", String::from_utf8_lossy(path))),
        }?;
        req.start("200 OK")?;
        req.write_last(&[answer.as_bytes()])?;
        Ok(Outcome::Done)
    }

    fn worker() -> Result<bool, HookError> {
        worker::run()
    }

    fn mule(script: &CStr) -> Result<bool, HookError> {
        Ok(mule::run(script))
    }

    fn rpc(function: usize, arguments: &[&[u8]]) -> Result<Option<Vec<u8>>, HookError> {
        rpc::answer(function, arguments)
    }

    fn signal_handler(number: u8, handler: usize) -> Result<(), HookError> {
        signal::handle(number, handler);
        Ok(())
    }

    fn spooler(file: &CStr, packet: &[u8], body: &[u8]) -> Result<i32, HookError> {
        spooler::run(file, packet, body)
    }
}

export_plugin! {
    kinds_plugin: Kinds, name: c"kinds", modifier1: MODIFIER,
    hooks: [on_load, init, post_init, request, worker, mule, rpc, signal_handler, spooler],
}
