//! What plugins bring to rules: actions, conditions and variables, each a C function that gets the rule's record.

use super::action::Run;
use super::condition::Holds;
use super::rule::Verdict;
use crate::plugin::inside::Brought;
use crate::request::Core;
use crate::settings::RouteSubject;
use rsgi_plugin_api::abi::{
    UWSGI_ROUTE_BREAK, UWSGI_ROUTE_CONTINUE, UwsgiRoute, UwsgiRouteCondition, UwsgiRouteVar, UwsgiRouter, WsgiRequest,
};
use std::ffi::{CString, c_char, c_int};
use std::mem::offset_of;
use std::sync::{Mutex, PoisonError};

/// Prepares a rule of an action: sets its function and data. Not 0: the arguments are wrong.
pub type RouterFn = unsafe extern "C" fn(*mut UwsgiRoute, *mut c_char) -> c_int;
/// Whether a condition holds: 1 or 0; negative: the request ends.
pub type ConditionFn = unsafe extern "C" fn(*mut WsgiRequest, *mut UwsgiRoute) -> c_int;
/// The value for a key; its length in the last argument.
pub type VariableFn = unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, u16, *mut u16) -> *mut c_char;

/// What a plugin registered, by its name; the newest counts.
struct Registry<T>(Mutex<Vec<(String, T)>>);

impl<T: Copy> Registry<T> {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn add(&self, name: String, what: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, what));
    }

    fn find(&self, name: &str) -> Option<T> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().find(|(known, _)| known == name).map(|(_, what)| *what)
    }
}

static ACTIONS: Registry<Brought<RouterFn>> = Registry::new();
static CONDITIONS: Registry<Brought<ConditionFn>> = Registry::new();
static VARIABLES: Registry<Variable> = Registry::new();

/// A kind of variable, `${name[key]}`.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    record: *mut UwsgiRouteVar,
    func: Brought<VariableFn>,
}

// SAFETY: the record lives as long as the process and is written by its plugin before the first fork only.
unsafe impl Send for Variable {}
// SAFETY: as above.
unsafe impl Sync for Variable {}

fn c_text(text: &str) -> *mut c_char {
    CString::new(text).unwrap_or_default().into_raw()
}

/// A plugin offers an action; the record is the caller's to look at, for ever.
pub fn register_action(name: &str, func: RouterFn) -> *mut UwsgiRouter {
    ACTIONS.add(name.to_owned(), Brought::new("route action", name, func));
    Box::into_raw(Box::new(UwsgiRouter {
        name: c_text(name),
        func: Some(func),
        next: std::ptr::null_mut(),
    }))
}

/// A plugin offers a condition.
pub fn register_condition(name: &str, func: ConditionFn) -> *mut UwsgiRouteCondition {
    CONDITIONS.add(name.to_owned(), Brought::new("route condition", name, func));
    Box::into_raw(Box::new(UwsgiRouteCondition {
        name: c_text(name),
        func: Some(func),
        next: std::ptr::null_mut(),
    }))
}

/// A plugin offers a kind of variable; it may set the record's `need_free`.
pub fn register_variable(name: &str, func: VariableFn) -> *mut UwsgiRouteVar {
    let record = Box::into_raw(Box::new(UwsgiRouteVar {
        name: c_text(name),
        name_len: name.len() as u16,
        func: Some(func),
        need_free: 0,
        next: std::ptr::null_mut(),
    }));
    let func = Brought::new("route variable", name, func);
    VARIABLES.add(name.to_owned(), Variable { record, func });
    record
}

/// The kind of variable of that name.
pub fn variable(name: &str) -> Option<Variable> {
    VARIABLES.find(name)
}

impl Variable {
    /// Writes the value for a key.
    pub fn compute(self, core: &mut Core, key: &[u8], out: &mut Vec<u8>) {
        let mut key = key.to_vec();
        let mut len: u16 = 0;
        let request = core.expose();
        // SAFETY: the plugin's function with a request of this core and a key of ours; what it gives back is read at
        // once, and freed if it said so.
        unsafe {
            let (key, key_len) = (key.as_mut_ptr().cast(), key.len() as u16);
            let value = self.func.call(|func| func(request, key, key_len, &raw mut len));
            if value.is_null() {
                return;
            }
            out.extend_from_slice(std::slice::from_raw_parts(value.cast::<u8>(), usize::from(len)));
            if (*self.record).need_free != 0 {
                libc::free(value.cast());
            }
        }
    }
}

/// What a rule's record says of its test, before an action of a plugin gets it.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    subject: usize,
    subject_len: usize,
}

impl Default for Record {
    fn default() -> Self {
        let mut record = Self {
            subject: 0,
            subject_len: 0,
        };
        record.look_at(RouteSubject::PathInfo);
        record
    }
}

impl Record {
    /// The rule looks at this part of the request: where it lies in the C view.
    pub fn look_at(&mut self, subject: RouteSubject) {
        macro_rules! at {
            ($field:ident, $length:ident) => {
                (offset_of!(WsgiRequest, $field), offset_of!(WsgiRequest, $length))
            };
        }
        (self.subject, self.subject_len) = match subject {
            RouteSubject::PathInfo => at!(path_info, path_info_len),
            RouteSubject::Uri => at!(uri, uri_len),
            RouteSubject::QueryString => at!(query_string, query_string_len),
            RouteSubject::Host => at!(host, host_len),
            RouteSubject::RemoteAddr => at!(remote_addr, remote_addr_len),
            RouteSubject::UserAgent => at!(user_agent, user_agent_len),
            RouteSubject::RemoteUser => at!(remote_user, remote_user_len),
            RouteSubject::Referer => at!(referer, referer_len),
        };
    }

    /// The record in C; it lives as long as the process.
    fn make(self) -> Shared {
        // SAFETY: pointers, numbers and optional functions: all-zero is valid.
        let mut route: UwsgiRoute = unsafe { std::mem::zeroed() };
        route.subject = self.subject;
        route.subject_len = self.subject_len;
        Shared(Box::into_raw(Box::new(route)))
    }
}

/// A record that is written before the first fork, and read in workers.
#[derive(Clone, Copy)]
struct Shared(*mut UwsgiRoute);

// SAFETY: the record is the plugin's after the start, as uWSGI shares it between its threads.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn get(self) -> *mut UwsgiRoute {
        self.0
    }
}

/// An action of a plugin; `None`: nobody offers it.
pub fn action(name: &str, arguments: &str, record: &Record) -> Option<Result<Run, String>> {
    let prepare = ACTIONS.find(name)?;
    let route = record.make();
    // SAFETY: the plugin's function, before the first fork; record and arguments live as long as the process.
    let rc = unsafe {
        (*route.get()).action = c_text(&format!("{name}:{arguments}"));
        prepare.call(|prepare| prepare(route.get(), c_text(arguments)))
    };
    if rc != 0 {
        return Some(Err(format!("action {name}: its plugin refused \"{arguments}\"")));
    }
    // SAFETY: as above.
    let Some(func) = (unsafe { (*route.get()).func }) else {
        return Some(Err(format!("action {name}: its plugin set no function")));
    };
    let func = Brought::new("route action", name, func);
    Some(Ok(Box::new(move |core| {
        let request = core.expose();
        // SAFETY: the plugin's function with a request of this core and its own record.
        match func.call(|func| unsafe { func(request, route.get()) }) {
            UWSGI_ROUTE_BREAK => Verdict::Break,
            UWSGI_ROUTE_CONTINUE => Verdict::Continue,
            _ => Verdict::Next,
        }
    })))
}

/// A condition of a plugin; `None`: nobody offers it.
pub fn condition(name: &str, arguments: &str) -> Option<Result<Holds, String>> {
    let func = CONDITIONS.find(name)?;
    let route = Record::default().make();
    // SAFETY: before the first fork; the text lives as long as the process.
    unsafe {
        (*route.get()).subject_str = c_text(arguments);
        (*route.get()).subject_str_len = arguments.len();
    }
    Some(Ok(Box::new(move |core| {
        let request = core.expose();
        // SAFETY: the plugin's function with a request of this core and the rule's record.
        func.call(|func| unsafe { func(request, route.get()) > 0 })
    })))
}
