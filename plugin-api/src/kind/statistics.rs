//! Statistics that go out, metrics that are computed, exceptions that somebody wants to know of.

use super::{bytes, text};
use crate::abi::{UwsgiExceptionHandlerInstance, UwsgiMetric, UwsgiStatsPusherInstance};
use crate::{HookError, guard, sys};
use std::ffi::{CStr, c_char, c_int, c_void};

/// Statistics that go out by themselves: `--stats-push NAME[:ARGUMENT]`.
pub trait StatsPusher {
    /// Seconds between two calls; 0: as the operator says.
    const EVERY: i32 = 0;

    /// Sends the document of the statistics server, or [`metrics`]; in a thread of the master's process.
    ///
    /// # Errors
    /// Said in the log.
    fn push(argument: &str, document: &[u8]) -> Result<(), HookError>;
}

/// Offers a kind of pushers.
pub fn stats_pusher<T: StatsPusher>(name: &'static CStr) {
    unsafe extern "C" fn call<T: StatsPusher>(
        pusher: *mut UwsgiStatsPusherInstance,
        _: libc::time_t,
        json: *mut c_char,
        len: usize,
    ) {
        // SAFETY: the host hands its record and a document with its length.
        guard::hook("stats pusher", std::any::type_name::<T>(), (), || unsafe {
            (*pusher).freq = T::EVERY;
            T::push(&text((*pusher).arg), bytes(json, len))
        });
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_stats_pusher(name.as_ptr().cast_mut(), Some(call::<T>)) };
}

/// A metric at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: i64,
}

/// All metrics now: those of the server (with `--enable-metrics` or a pusher), of the operator and of plugins.
pub fn metrics() -> Vec<Metric> {
    let mut all = Vec::new();
    // SAFETY: records of the start, which stay; values are whole numbers in shared memory.
    unsafe {
        let mut next = sys::uwsgi.metrics;
        while let Some(metric) = next.as_ref() {
            all.push(Metric {
                name: text(metric.name).into_owned(),
                value: metric.value.read_volatile(),
            });
            next = metric.next;
        }
    }
    all
}

/// A way to compute metrics: `--metric name=ANY,collector=NAME`.
pub trait MetricCollector {
    /// The value of a metric now; in the master, which it must not hold up.
    ///
    /// # Errors
    /// Said in the log; the value becomes 0.
    fn collect(metric: &str) -> Result<i64, HookError>;
}

/// Offers a way to compute metrics.
pub fn metric_collector<T: MetricCollector>(name: &'static CStr) {
    unsafe extern "C" fn call<T: MetricCollector>(metric: *mut UwsgiMetric) -> i64 {
        // SAFETY: the host hands its record.
        guard::hook("metric collector", std::any::type_name::<T>(), 0, || unsafe {
            T::collect(&text((*metric).name))
        })
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_metric_collector(name.as_ptr().cast_mut(), Some(call::<T>)) };
}

/// What is known of an exception.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exception {
    /// Its class.
    pub class: String,
    /// Its message.
    pub message: String,
    /// As its language shows it.
    pub repr: String,
    /// The variables of the request.
    pub vars: Vec<(String, String)>,
}

/// Told of uncaught exceptions: `--exception-handler NAME[:ARGUMENT]`.
pub trait ExceptionHandler {
    /// Takes one; in a thread of the worker beside its requests.
    ///
    /// # Errors
    /// Said in the log.
    fn handle(argument: &str, exception: &Exception) -> Result<(), HookError>;
}

/// Collects the pairs of a packet.
unsafe extern "C" fn pair(key: *mut c_char, key_len: u16, value: *mut c_char, len: u16, data: *mut c_void) {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // SAFETY: the host hands texts with their lengths, and the exception of the caller.
    unsafe {
        let (key, value) = (bytes(key, key_len.into()), bytes(value, len.into()));
        let exception = &mut *data.cast::<Exception>();
        match key {
            b"class" => exception.class = lossy(value),
            b"msg" => exception.message = lossy(value),
            b"repr" => exception.repr = lossy(value),
            b"vars" => {
                let vars: *mut Vec<(String, String)> = &mut exception.vars;
                let packet = value.as_ptr().cast_mut().cast();
                sys::uwsgi_hooked_parse(packet, value.len(), Some(variable), vars.cast());
            }
            _ => {}
        }
    }
}

unsafe extern "C" fn variable(key: *mut c_char, key_len: u16, value: *mut c_char, len: u16, data: *mut c_void) {
    // SAFETY: the host hands texts with their lengths, and the list of the caller.
    unsafe {
        let lossy = |place, len: u16| String::from_utf8_lossy(bytes(place, len.into())).into_owned();
        (*data.cast::<Vec<(String, String)>>()).push((lossy(key, key_len), lossy(value, len)));
    }
}

/// Offers a handler.
pub fn exception_handler<T: ExceptionHandler>(name: &'static CStr) {
    unsafe extern "C" fn call<T: ExceptionHandler>(
        handler: *mut UwsgiExceptionHandlerInstance,
        packet: *mut c_char,
        len: usize,
    ) -> c_int {
        // SAFETY: the host hands its record and a packet with its length.
        guard::hook("exception handler", std::any::type_name::<T>(), -1, || unsafe {
            let mut exception = Exception::default();
            sys::uwsgi_hooked_parse(packet, len, Some(pair), (&raw mut exception).cast());
            T::handle(&text((*handler).arg), &exception).map(|()| 0)
        })
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_exception_handler(name.as_ptr().cast_mut(), Some(call::<T>)) };
}
