//! Actions, conditions and variables of routing rules, and transformations of answers.

use super::{bytes, given, text};
use crate::abi::{
    UWSGI_ROUTE_BREAK, UWSGI_ROUTE_CONTINUE, UWSGI_ROUTE_NEXT, UwsgiRoute, UwsgiTransformation, WsgiRequest,
};
use crate::{HookError, Request, guard, sys};
use std::ffi::{CStr, c_char, c_int, c_void};

/// What follows an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The next rule.
    Next,
    /// No more rules.
    Continue,
    /// No more rules: the request is answered.
    Break,
}

/// An action: `--route "PATTERN NAME:ARGUMENT"`.
pub trait RouteAction: Sized + Sync + 'static {
    /// Reads the argument of a rule; in the master, once for each.
    ///
    /// # Errors
    /// It is wrong: the start ends with this line.
    fn parse(argument: &str) -> Result<Self, HookError>;

    /// Does it.
    ///
    /// # Errors
    /// Said in the log; the request ends there.
    fn run(&self, req: &mut Request<'_>) -> Result<Verdict, HookError>;
}

/// Offers an action.
pub fn route_action<T: RouteAction>(name: &'static CStr) {
    unsafe extern "C" fn run<T: RouteAction>(req: *mut WsgiRequest, route: *mut UwsgiRoute) -> c_int {
        let run = || {
            // SAFETY: the host hands its request and the record that `configure` has filled in.
            let (action, mut req) = unsafe { (&*(*route).data.cast::<T>(), Request::from_raw(req)) };
            Ok(match action.run(&mut req)? {
                Verdict::Next => UWSGI_ROUTE_NEXT,
                Verdict::Continue => UWSGI_ROUTE_CONTINUE,
                Verdict::Break => UWSGI_ROUTE_BREAK,
            })
        };
        guard::hook("route action", std::any::type_name::<T>(), UWSGI_ROUTE_BREAK, run)
    }
    unsafe extern "C" fn configure<T: RouteAction>(route: *mut UwsgiRoute, argument: *mut c_char) -> c_int {
        // SAFETY: the host hands a record, which stays, and a text.
        guard::hook("route action", std::any::type_name::<T>(), -1, || unsafe {
            let action = Box::new(T::parse(&text(argument))?);
            (*route).data = Box::into_raw(action).cast();
            (*route).func = Some(run::<T>);
            Ok(0)
        })
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_router(name.as_ptr().cast_mut(), Some(configure::<T>)) };
}

/// A condition: `--route-if "NAME:ARGUMENT ACTION"`.
pub trait RouteCondition {
    /// Whether it holds.
    ///
    /// # Errors
    /// Said in the log; it does not hold.
    fn holds(req: &mut Request<'_>, argument: &str) -> Result<bool, HookError>;
}

/// Offers a condition.
pub fn route_condition<T: RouteCondition>(name: &'static CStr) {
    unsafe extern "C" fn call<T: RouteCondition>(req: *mut WsgiRequest, route: *mut UwsgiRoute) -> c_int {
        // SAFETY: the host hands its request and a record with a text and its length.
        guard::hook("route condition", std::any::type_name::<T>(), 0, || unsafe {
            let argument = bytes((*route).subject_str, (*route).subject_str_len);
            let holds = T::holds(&mut Request::from_raw(req), &String::from_utf8_lossy(argument))?;
            Ok(c_int::from(holds))
        })
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_route_condition(name.as_ptr().cast_mut(), Some(call::<T>)) };
}

/// A variable: `${NAME[KEY]}` in the texts of rules.
pub trait RouteVariable {
    /// Its value.
    ///
    /// # Errors
    /// Said in the log; it has none.
    fn value(req: &mut Request<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, HookError>;
}

/// Offers a variable.
pub fn route_variable<T: RouteVariable>(name: &'static CStr) {
    unsafe extern "C" fn call<T: RouteVariable>(
        req: *mut WsgiRequest,
        key: *mut c_char,
        len: u16,
        size: *mut u16,
    ) -> *mut c_char {
        let none = std::ptr::null_mut();
        // SAFETY: the host hands its request, a text with its length, and a place.
        guard::hook("route variable", std::any::type_name::<T>(), none, || unsafe {
            let Some(value) = T::value(&mut Request::from_raw(req), bytes(key, len.into()))? else {
                return Ok(none);
            };
            let value = &value[..value.len().min(usize::from(u16::MAX))];
            *size = value.len() as u16;
            Ok(given(value))
        })
    }
    // SAFETY: a constant name, and a function that stays; the record is the host's and stays, too.
    unsafe {
        let record = sys::uwsgi_register_route_var(name.as_ptr().cast_mut(), Some(call::<T>));
        if let Some(record) = record.as_mut() {
            record.need_free = 1;
        }
    }
}

/// A part of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Bytes that the application wrote.
    Bytes(&'a [u8]),
    /// The body has ended: what is left?
    End,
}

/// What is made of an answer's body on its way; one value for each request.
pub trait Transformation: 'static {
    /// What a part becomes. Headers may be added until the first part has left.
    ///
    /// # Errors
    /// Said in the log; the answer is cut off.
    fn change(&mut self, req: &mut Request<'_>, part: Part<'_>) -> Result<Vec<u8>, HookError>;
}

/// Puts a transformation in the way of a request's answer; mostly by an action of routing, always before the body.
pub fn transform<T: Transformation>(req: &mut Request<'_>, transformation: T) {
    unsafe extern "C" fn call<T: Transformation>(req: *mut WsgiRequest, step: *mut UwsgiTransformation) -> c_int {
        // SAFETY: the host hands its request, and a record whose data is that of `transform` below.
        guard::hook("transformation", std::any::type_name::<T>(), -1, || unsafe {
            let chunk = (*step).chunk;
            let body = bytes((*chunk).buf, (*chunk).pos).to_vec();
            let is_end = (*step).is_final != 0;
            let state = (*step).data.cast::<T>();
            let part = if is_end { Part::End } else { Part::Bytes(&body) };
            let mut made = (*state).change(&mut Request::from_raw(req), part)?;
            if is_end {
                // what others have left goes first
                made.splice(..0, body);
                drop(Box::from_raw(state));
            }
            (*chunk).pos = 0;
            match sys::uwsgi_buffer_append(chunk, made.as_ptr().cast_mut().cast(), made.len()) {
                0 => Ok(0),
                _ => Err(HookError::new("the buffer is full")),
            }
        })
    }
    let state: *mut c_void = Box::into_raw(Box::new(transformation)).cast();
    // SAFETY: the host's request; the records stay until it has ended.
    unsafe {
        (*sys::uwsgi_add_transformation(req.as_ptr(), Some(call::<T>), state)).can_stream = 1;
        (*sys::uwsgi_add_transformation(req.as_ptr(), Some(call::<T>), state)).is_final = 1;
    }
}
