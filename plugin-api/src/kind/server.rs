//! What the master, the emperor and workers ask plugins for: alarms, actions of hooks, the number of workers, the time,
//! gateways, loop engines, sources of vassals.

use super::{bytes, kept, text};
use crate::abi::{UwsgiAlarmInstance, UwsgiClock, UwsgiEmperorScanner};
use crate::{HookError, guard, sys};
use std::ffi::{CStr, c_char, c_int, c_void};

/// A kind of alarm: `--alarm "ANY NAME:ARGUMENT"`.
pub trait Alarm {
    /// Carries one out; in the master, which it must not hold up.
    ///
    /// # Errors
    /// Said in the log.
    fn raise(argument: &str, message: &[u8]) -> Result<(), HookError>;
}

/// Offers a kind of alarm.
pub fn alarm<T: Alarm>(name: &'static CStr) {
    unsafe extern "C" fn init(_: *mut UwsgiAlarmInstance) {}
    unsafe extern "C" fn call<T: Alarm>(alarm: *mut UwsgiAlarmInstance, message: *mut c_char, len: usize) {
        // SAFETY: the host hands its record and a message with its length.
        guard::hook("alarm", std::any::type_name::<T>(), (), || unsafe {
            T::raise(&text((*alarm).arg), bytes(message, len))
        });
    }
    // SAFETY: a constant name, and functions that stay.
    unsafe { sys::uwsgi_register_alarm(name.as_ptr().cast_mut(), Some(init), Some(call::<T>)) };
}

/// An action of operators' hooks: `--hook-PHASE NAME:ARGUMENT`.
pub trait HookAction {
    /// Does it, in the process of the phase.
    ///
    /// # Errors
    /// Said in the log; that process ends.
    fn run(argument: &str) -> Result<(), HookError>;
}

/// Offers an action of hooks.
pub fn hook_action<T: HookAction>(name: &'static CStr) {
    unsafe extern "C" fn call<T: HookAction>(argument: *mut c_char) -> c_int {
        // SAFETY: the host hands a text.
        guard::hook("hook action", std::any::type_name::<T>(), -1, || unsafe {
            T::run(&text(argument)).map(|()| 0)
        })
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_hook(name.as_ptr().cast_mut(), Some(call::<T>)) };
}

/// How many workers there should be: `--cheaper-algo NAME`.
pub trait CheaperAlgorithm {
    /// So many more, or, negative, one less; in the master, once a second. `can_spawn`: memory allows more.
    ///
    /// # Errors
    /// Said in the log; nothing is changed.
    fn decide(can_spawn: bool) -> Result<i32, HookError>;
}

/// Offers an algorithm.
pub fn cheaper<T: CheaperAlgorithm>(name: &'static CStr) {
    unsafe extern "C" fn call<T: CheaperAlgorithm>(can_spawn: c_int) -> c_int {
        guard::hook("cheaper algorithm", std::any::type_name::<T>(), 0, || {
            T::decide(can_spawn != 0)
        })
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_cheaper_algo(name.as_ptr().cast_mut(), Some(call::<T>)) };
}

/// A source of time: `--clock NAME`.
pub trait Clock {
    /// Microseconds since the epoch; in any process and thread.
    fn micros() -> u64;
}

/// Offers a clock.
pub fn clock<T: Clock>(name: &'static CStr) {
    unsafe extern "C" fn micros<T: Clock>() -> u64 {
        guard::hook("clock", std::any::type_name::<T>(), 0, || Ok(T::micros()))
    }
    unsafe extern "C" fn seconds<T: Clock>() -> libc::time_t {
        // SAFETY: it may be called anywhere.
        (unsafe { micros::<T>() } / 1_000_000) as libc::time_t
    }
    let clock = Box::new(UwsgiClock {
        name: name.as_ptr().cast_mut(),
        seconds: Some(seconds::<T>),
        microseconds: Some(micros::<T>),
        next: std::ptr::null_mut(),
    });
    // SAFETY: a record that stays.
    unsafe { sys::uwsgi_register_clock(Box::into_raw(clock)) };
}

/// A process of its own in front of the workers.
pub trait Gateway {
    /// Its life; SIGTERM and SIGHUP mean: come to an end.
    ///
    /// # Errors
    /// Said in the log; the process begins again.
    fn run(number: i32) -> Result<(), HookError>;
}

/// Asks for a gateway's process; in `init`.
pub fn gateway<T: Gateway>(name: &'static CStr) {
    unsafe extern "C" fn call<T: Gateway>(number: c_int, _: *mut c_void) {
        guard::hook("gateway", std::any::type_name::<T>(), (), || T::run(number));
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::register_gateway(name.as_ptr().cast_mut(), Some(call::<T>), std::ptr::null_mut()) };
}

/// What runs in place of a worker's request loop: `--loop NAME`. Requests are taken with the functions of [`crate::sys`].
pub trait LoopEngine {
    /// The worker's life, until `manage_next_request` of its record is 0.
    ///
    /// # Errors
    /// Said in the log; the worker ends.
    fn run() -> Result<(), HookError>;
}

/// Offers an engine.
pub fn loop_engine<T: LoopEngine>(name: &'static CStr) {
    unsafe extern "C" fn call<T: LoopEngine>() {
        guard::hook("loop engine", std::any::type_name::<T>(), (), T::run);
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_loop(name.as_ptr().cast_mut(), Some(call::<T>)) };
}

/// The vassals of a source, for [`EmperorMonitor::look`].
pub struct Vassals {
    scanner: *mut UwsgiEmperorScanner,
}

impl Vassals {
    /// Asks for a vassal of this name and configuration (ini), or for its reload if `modified` is later than before.
    pub fn want(&mut self, name: &str, config: &str, modified: i64) {
        let (name, config) = (kept(name), kept(config));
        // SAFETY: the host's record, and texts that stay.
        unsafe {
            sys::uwsgi_emperor_simple_do(self.scanner, name, config, modified, 0, 0, std::ptr::null_mut());
        }
    }

    /// This vassal is not wanted any more.
    pub fn stop(&mut self, name: &str) {
        let name = std::ffi::CString::new(name).unwrap_or_default();
        // SAFETY: a text, and what the host gives for it.
        unsafe { sys::emperor_stop(sys::emperor_get(name.as_ptr().cast_mut())) };
    }
}

/// A source of vassals: `--emperor SCHEME://...`.
pub trait EmperorMonitor {
    /// Looks which vassals there are to be; in the emperor, every `--emperor-freq` seconds. `source` is the whole text.
    ///
    /// # Errors
    /// Said in the log; the vassals stay as they are.
    fn look(source: &str, vassals: &mut Vassals) -> Result<(), HookError>;
}

/// Offers a kind of sources.
pub fn emperor_monitor<T: EmperorMonitor>(scheme: &'static CStr) {
    unsafe extern "C" fn look<T: EmperorMonitor>(scanner: *mut UwsgiEmperorScanner) {
        // SAFETY: the host hands its record.
        guard::hook("emperor monitor", std::any::type_name::<T>(), (), || unsafe {
            T::look(&text((*scanner).arg), &mut Vassals { scanner })
        });
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_imperial_monitor(scheme.as_ptr().cast_mut(), None, Some(look::<T>)) };
}
