//! Where log lines end: standard error, or the loggers that `--logger` and `--req-logger` name.
//!
//! Loggers come from plugins (`uwsgi_register_logger`) and from [`super::builtin`]. With any logger configured, standard
//! output and error of all processes are a pipe into the master, so that also what applications print reaches the loggers.

use super::builtin;
use super::encoder::{Encoder, Rule};
use super::queue::{self, Held, Sink};
use super::routes::{Routes, Way};
use super::{batch, pipe, standard};
use crate::plugin::inside::Brought;
use crate::plugin::registry;
use crate::settings::{LogSink, Logging};
use rsgi_plugin_api::abi::UwsgiLogger;
use std::ffi::{CString, c_char};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The function of a logger.
pub type LoggerFn = unsafe extern "C" fn(*mut UwsgiLogger, *mut c_char, usize) -> isize;

/// How long the end waits for loggers that have not taken their lines.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// Kinds of loggers whose plugin has another name.
const PLUGINS: &[(&str, &str)] = &[
    ("redis", "redislog"),
    ("systemd", "systemd_logger"),
    ("gelf", "graylog2"),
    ("graylog", "graylog2"),
];

/// The way of one kind of lines.
struct Stream {
    routes: Routes,
    /// The loggers of lines that no rule leads anywhere.
    defaults: Vec<usize>,
    /// The steps for each logger.
    encoders: Vec<Vec<Encoder>>,
}

/// All that is configured.
struct Delivery {
    sinks: Vec<Sink>,
    lines: Stream,
    requests: Stream,
}

static KNOWN: Mutex<Vec<(Vec<u8>, Brought<LoggerFn>)>> = Mutex::new(Vec::new());
static DELIVERY: OnceLock<Delivery> = OnceLock::new();
/// What `--worker-logger` and its like say.
static OF_WORKERS: OnceLock<Delivery> = OnceLock::new();
/// Which of them counts in this process.
static IS_WORKER: AtomicBool = AtomicBool::new(false);
/// This process hands lines of requests to loggers, all others go where they went.
static REQUESTS_ONLY: AtomicBool = AtomicBool::new(false);
/// This process hands lines to the loggers itself (the master); all others write to the pipe.
static DELIVERS: AtomicBool = AtomicBool::new(false);
/// Where a worker writes request lines when they take a way of their own; −1: where all else goes.
static REQUESTS: AtomicI32 = AtomicI32::new(-1);

/// A plugin offers a kind of logger.
pub fn register(name: &[u8], func: LoggerFn) {
    KNOWN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((name.to_vec(), Brought::new("logger", name, func)));
}

/// The kinds of loggers there are.
pub fn kinds() -> Vec<String> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let own = builtin::names().map(str::to_owned);
    let offered = known.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned());
    let mut all: Vec<String> = own.collect();
    all.extend(offered.filter(|name| builtin::find(name).is_none()));
    all
}

fn offered(kind: &str) -> Option<Brought<LoggerFn>> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known.iter().find(|(name, _)| name == kind.as_bytes());
    found.map(|(_, func)| *func)
}

/// The function of a kind, and whether it is one of our own; a plugin that brings the kind is loaded if it lies in its
/// folder.
fn function(kind: &str) -> Result<(Brought<LoggerFn>, bool), String> {
    if let Some(func) = offered(kind) {
        return Ok((func, false));
    }
    if let Some(func) = builtin::find(kind) {
        return Ok((Brought::new("logger", kind, func), true));
    }
    let plugin = PLUGINS
        .iter()
        .find(|(name, _)| *name == kind)
        .map_or(kind, |(_, plugin)| *plugin);
    let is_name = plugin
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let loaded = is_name && registry::load(plugin).is_ok();
    loaded
        .then(|| offered(kind))
        .flatten()
        .map(|func| (func, false))
        .ok_or_else(|| {
            format!(
                "unable to find logger {kind} (loaded loggers: {}; load its plugin with --plugin)",
                kinds().join(", ")
            )
        })
}

fn open(sink: &LogSink, encoders: Vec<Encoder>) -> Result<Sink, String> {
    let (func, is_own) = function(&sink.kind)?;
    let text = |t: &str| CString::new(t).unwrap_or_default().into_raw();
    if is_own {
        builtin::check(&sink.kind, &sink.argument).map_err(|e| format!("logger {sink}: {e}"))?;
    }
    // SAFETY: all fields are pointers, integers and plain structs: zero is valid.
    let mut record: UwsgiLogger = unsafe { std::mem::zeroed() };
    record.name = text(&sink.kind);
    record.id = sink.name.as_deref().map_or(std::ptr::null_mut(), text);
    record.arg = text(&sink.argument);
    record.func = Some(func.function());
    record.fd = -1;
    let record = Box::into_raw(Box::new(record));
    let takes_streams = is_own && builtin::takes_streams(&sink.kind);
    Ok(Sink::new(sink.to_string(), record, func, takes_streams, encoders))
}

/// The steps for one logger, in their order.
fn encoders(settings: &Logging, requests: bool, logger: &LogSink) -> Result<Vec<Encoder>, String> {
    let (option, rules) = match requests {
        false => ("log-encoder", &settings.log_encoder),
        true => ("log-req-encoder", &settings.log_req_encoder),
    };
    let mut all = Vec::new();
    if settings.log_json.is_some() {
        all.push(Encoder::object());
    }
    for text in rules {
        let rule = Rule::parse(text).map_err(|e| format!("{option} \"{text}\": {e}"))?;
        if rule.logger.is_none() || rule.logger == logger.name {
            all.push(rule.encoder);
        }
    }
    Ok(all)
}

/// Whether request lines go another way than all others, so that they need a pipe of their own.
fn tells_requests_apart(settings: &Logging) -> bool {
    let lists = [
        &settings.log_req_route,
        &settings.log_req_encoder,
        &settings.log_req_drain,
        &settings.log_req_filter,
    ];
    !settings.req_logger.is_empty() || lists.into_iter().any(|list| !list.is_empty())
}

fn routes(settings: &Logging, requests: bool, loggers: &[LogSink]) -> Result<Routes, String> {
    let find = |name: &str| {
        let named = |n: &usize| loggers[*n].name.as_deref() == Some(name);
        (0..loggers.len()).filter(named).collect()
    };
    let mut all = Routes::default();
    let s = settings;
    let (drain, filter, route) = match requests {
        false => (&s.log_drain, &s.log_filter, &s.log_route),
        true => (&s.log_req_drain, &s.log_req_filter, &s.log_req_route),
    };
    let infix = if requests { "log-req-" } else { "log-" };
    for text in drain {
        all.drain(&format!("{infix}drain"), text)?;
    }
    for text in filter {
        all.filter(&format!("{infix}filter"), text)?;
    }
    for text in route {
        all.route(&format!("{infix}route"), text, find)?;
    }
    Ok(all)
}

/// Makes the loggers that are configured.
///
/// # Errors
/// A kind, a name, a pattern or an encoder is not known; one line.
pub fn install(settings: &Logging) -> Result<(), String> {
    let _ = DELIVERY.set(build(settings)?);
    if let Some(own) = super::worker::settings_of(settings) {
        let named = own
            .logger
            .iter()
            .chain(&own.req_logger)
            .find(|logger| logger.name.is_some());
        if let Some(logger) = named {
            return Err(format!(
                "worker-logger {logger}: no rule leads to the name of such a logger; leave it out"
            ));
        }
        let _ = OF_WORKERS.set(build(&own).map_err(|e| format!("in workers: {e}"))?);
    }
    Ok(())
}

fn delivery() -> Option<&'static Delivery> {
    match IS_WORKER.load(Ordering::Acquire) {
        true => OF_WORKERS.get(),
        false => DELIVERY.get(),
    }
}

fn build(settings: &Logging) -> Result<Delivery, String> {
    let mut loggers: Vec<LogSink> = settings.logger.iter().chain(&settings.req_logger).cloned().collect();
    let own = settings.logger.len();
    let unnamed = |range: std::ops::Range<usize>, loggers: &[LogSink]| -> Vec<usize> {
        range.filter(|n| loggers[*n].name.is_none()).collect()
    };
    let mut lines = unnamed(0..own, &loggers);
    let mut requests = unnamed(own..loggers.len(), &loggers);
    if lines.is_empty() {
        // what no rule leads to a named logger is not lost
        lines.push(loggers.len());
        loggers.push(LogSink::parse("stdio"));
    }
    if requests.is_empty() {
        requests.clone_from(&lines);
    }
    for (option, rules) in [
        ("log-encoder", &settings.log_encoder),
        ("log-req-encoder", &settings.log_req_encoder),
    ] {
        for text in rules {
            let name = Rule::parse(text).ok().and_then(|rule| rule.logger);
            if let Some(name) = name.filter(|name| loggers.iter().all(|l| l.name.as_ref() != Some(name))) {
                return Err(format!("unable to find logger {name} ({option} \"{text}\")"));
            }
        }
    }
    let all = |is_request: bool| -> Result<Vec<Vec<Encoder>>, String> {
        let each = loggers.iter().map(|logger| encoders(settings, is_request, logger));
        each.collect()
    };
    let (of_lines, of_requests) = (all(false)?, all(true)?);
    let sinks = loggers.iter().enumerate().map(|(n, logger)| {
        // what is said of lost lines is said in the form of the others
        let notice = encoders(settings, n >= own && n < own + settings.req_logger.len(), logger)?;
        open(logger, notice)
    });
    Ok(Delivery {
        sinks: sinks.collect::<Result<_, _>>()?,
        lines: Stream {
            routes: routes(settings, false, &loggers)?,
            defaults: lines,
            encoders: of_lines,
        },
        requests: Stream {
            routes: routes(settings, true, &loggers)?,
            defaults: requests,
            encoders: of_requests,
        },
    })
}

/// This process delivers lines to the loggers from now on (`true`), or leaves that to the master.
pub fn deliver_here(on: bool) {
    DELIVERS.store(on, Ordering::Release);
}

/// Whether this process hands lines to loggers itself.
pub fn delivers() -> bool {
    DELIVERS.load(Ordering::Acquire)
}

/// This process is a worker that hands its lines to loggers of its own; `requests_only`: those of requests alone.
pub(super) fn deliver_in_worker(requests_only: bool) {
    IS_WORKER.store(true, Ordering::Release);
    REQUESTS_ONLY.store(requests_only, Ordering::Release);
    deliver_here(true);
}

/// Writes a message to where this process's messages go.
pub fn write(message: &[u8]) {
    if DELIVERS.load(Ordering::Acquire) && !REQUESTS_ONLY.load(Ordering::Acquire) {
        // what was printed before this line stands before it
        pipe::drain();
        deliver(message, false);
    } else {
        batch::flush();
        standard::stderr(message);
    }
}

/// Whether request lines take a way of their own (`--req-logger`, `--log-req-route` ...).
pub fn has_request_pipe(settings: &Logging) -> bool {
    tells_requests_apart(settings)
}

/// Request lines go into this pipe from now on.
pub fn set_request_pipe(writer: std::io::PipeWriter) {
    REQUESTS.store(std::os::fd::IntoRawFd::into_raw_fd(writer), Ordering::Release);
}

/// Writes lines of requests that [`batch`] has gathered.
pub(super) fn write_request_now(line: &[u8]) {
    match REQUESTS.load(Ordering::Acquire) {
        _ if DELIVERS.load(Ordering::Acquire) => deliver(line, true),
        fd if fd >= 0 => standard::write_all(fd, line),
        _ => standard::stderr(line),
    }
}

/// Hands whole lines to their loggers. What a logger itself has to say, mostly that it cannot log, goes to the original
/// standard error.
pub fn deliver(lines: &[u8], are_requests: bool) {
    match delivery() {
        Some(delivery) if !queue::is_inside() => delivery.take(lines, are_requests),
        _ => standard::original(lines),
    }
}

impl Delivery {
    fn take(&'static self, lines: &[u8], are_requests: bool) {
        let stream = if are_requests { &self.requests } else { &self.lines };
        if stream.routes.is_empty() {
            for n in &stream.defaults {
                self.give(stream, *n, lines);
            }
            return;
        }
        for line in lines.split_inclusive(|b| *b == b'\n') {
            match stream.routes.way(line) {
                Way::Dropped => {}
                Way::To(loggers) => loggers.for_each(|n| self.give(stream, n, line)),
                Way::Unrouted => stream.defaults.iter().for_each(|n| self.give(stream, *n, line)),
            }
        }
    }

    /// Lines for one logger, in its form.
    fn give(&'static self, stream: &Stream, n: usize, lines: &[u8]) {
        let (sink, encoders) = (&self.sinks[n], &stream.encoders[n]);
        if encoders.is_empty() && sink.takes_streams {
            return sink.push(lines);
        }
        for line in lines.split_inclusive(|b| *b == b'\n') {
            if encoders.is_empty() {
                sink.push(line);
            } else {
                sink.push(&encoders.iter().fold(line.to_vec(), |line, e| e.encode(line)));
            }
        }
    }
}

fn own_sinks() -> &'static [Sink] {
    let delivers = DELIVERS.load(Ordering::Acquire);
    delivery().filter(|_| delivers).map_or(&[], |d| &d.sinks)
}

/// For a fork: no lock of a logger is taken in the child. The parent drops what it gets, the child forgets it.
pub fn hold() -> Held {
    queue::hold(own_sinks())
}

/// Waits a moment until the loggers have taken all that was written.
pub fn settle() {
    let end = Instant::now() + LAST_WAIT / 3;
    for sink in own_sinks() {
        sink.settle(end);
    }
}

/// The process ends or becomes another image: waits, not for ever, until the loggers have taken all lines.
pub fn finish() {
    if DELIVERS.load(Ordering::Acquire) {
        pipe::drain();
    }
    let end = Instant::now() + LAST_WAIT;
    own_sinks().iter().for_each(|sink| sink.finish(end));
}
