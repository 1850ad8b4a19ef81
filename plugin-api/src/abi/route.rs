//! Rules of internal routing as C plugins see them.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use super::{UwsgiBuffer, WsgiRequest};
use std::ffi::{c_char, c_int, c_void};

/// What a rule's function answers: go on with the next rule.
pub const UWSGI_ROUTE_NEXT: c_int = 0;
/// No more rules.
pub const UWSGI_ROUTE_CONTINUE: c_int = 1;
/// The request is answered.
pub const UWSGI_ROUTE_BREAK: c_int = 2;

/// `struct uwsgi_route`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiRoute {
    pub pattern: *mut c_void,
    pub pattern_extra: *mut c_void,
    pub orig_route: *mut c_char,
    pub ovn: *mut c_int,
    pub ovector: *mut *mut c_int,
    pub condition_ub: *mut *mut UwsgiBuffer,
    pub subject_str: *mut c_char,
    pub subject_str_len: usize,
    pub subject: usize,
    pub subject_len: usize,
    pub if_func: Option<unsafe extern "C" fn(*mut WsgiRequest, *mut UwsgiRoute) -> c_int>,
    pub if_negate: c_int,
    pub if_status: c_int,
    pub func: Option<unsafe extern "C" fn(*mut WsgiRequest, *mut UwsgiRoute) -> c_int>,
    pub data: *mut c_void,
    pub data_len: usize,
    pub data2: *mut c_void,
    pub data2_len: usize,
    pub data3: *mut c_void,
    pub data3_len: usize,
    pub data4: *mut c_void,
    pub data4_len: usize,
    pub custom: u64,
    pub pos: u64,
    pub label: *mut c_char,
    pub label_len: usize,
    pub regexp: *mut c_char,
    pub action: *mut c_char,
    pub free: Option<unsafe extern "C" fn(*mut UwsgiRoute)>,
    pub next: *mut UwsgiRoute,
}

/// `struct uwsgi_router`: an action.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiRouter {
    pub name: *mut c_char,
    pub func: Option<unsafe extern "C" fn(*mut UwsgiRoute, *mut c_char) -> c_int>,
    pub next: *mut UwsgiRouter,
}

/// `struct uwsgi_route_condition`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiRouteCondition {
    pub name: *mut c_char,
    pub func: Option<unsafe extern "C" fn(*mut WsgiRequest, *mut UwsgiRoute) -> c_int>,
    pub next: *mut UwsgiRouteCondition,
}

/// `struct uwsgi_route_var`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiRouteVar {
    pub name: *mut c_char,
    pub name_len: u16,
    pub func: Option<unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, u16, *mut u16) -> *mut c_char>,
    pub need_free: c_int,
    pub next: *mut UwsgiRouteVar,
}

const _: () = assert!(size_of::<UwsgiRoute>() == 232 && size_of::<UwsgiRouteVar>() == 40);
