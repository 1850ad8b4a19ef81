//! Alarms as C plugins see them.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use libc::time_t;
use std::ffi::{c_char, c_void};

/// Prepares an alarm of the kind; its `arg` is what followed the colon.
pub type UwsgiAlarmInit = unsafe extern "C" fn(*mut UwsgiAlarmInstance);
/// Carries one out.
pub type UwsgiAlarmRun = unsafe extern "C" fn(*mut UwsgiAlarmInstance, *mut c_char, usize);

/// `struct uwsgi_alarm`: a kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiAlarm {
    pub name: *mut c_char,
    pub init: Option<UwsgiAlarmInit>,
    pub func: Option<UwsgiAlarmRun>,
    pub next: *mut UwsgiAlarm,
}

/// `struct uwsgi_alarm_instance`: an alarm.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiAlarmInstance {
    pub name: *mut c_char,
    pub arg: *mut c_char,
    pub data_ptr: *mut c_void,
    pub data8: u8,
    pub data16: u16,
    pub data32: u32,
    pub data64: u64,
    pub last_run: time_t,
    pub last_msg: *mut c_char,
    pub last_msg_size: usize,
    pub alarm: *mut UwsgiAlarm,
    pub next: *mut UwsgiAlarmInstance,
}
