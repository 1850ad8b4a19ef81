//! Remote procedures: functions that plugins register under a name, called in this process, in another instance
//! ([`remote`]), and for others who ask through a socket (`worker::builtin`). Each process has its own table: what was
//! registered before the fork is in all workers.

pub mod remote;

use crate::plugin::inside::{Inside, Place};
use rsgi_plugin_api::abi::UwsgiPlugin;
use std::ffi::{c_char, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The plugin's way to call what it registered.
type Hook = unsafe extern "C" fn(*mut c_void, u8, *mut *mut c_char, *mut u16, *mut *mut c_char) -> u64;

/// A name is shorter than this.
pub const LONGEST_NAME: usize = 255;

/// A registered function.
#[derive(Clone)]
struct Procedure {
    name: Vec<u8>,
    place: Place,
    hook: Hook,
    function: *mut c_void,
}

// SAFETY: the address is the plugin's affair; we only hand it back.
unsafe impl Send for Procedure {}

static TABLE: Mutex<Vec<Procedure>> = Mutex::new(Vec::new());

/// Why a function was not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name has 255 bytes or more, or none.
    #[error("the name of a remote procedure has 1 to 254 bytes")]
    Name,
    /// `--rpc-max`
    #[error("the table of remote procedures is full: raise rpc-max")]
    Full,
    /// The plugin has no `rpc` hook.
    #[error("the plugin cannot call remote procedures: it has no rpc hook")]
    NoHook,
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody registered it here.
    #[error("no remote procedure of this name")]
    Unknown,
    /// Name or arguments are too many or too long.
    #[error("a remote procedure takes up to 255 arguments of up to 65535 bytes, to another instance 65535 in all")]
    Arguments,
    /// The other instance.
    #[error("{0}: {1}")]
    Remote(String, std::io::Error),
}

fn table() -> MutexGuard<'static, Vec<Procedure>> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a function in this process; one of the same name is replaced.
///
/// # Errors
/// See [`RegisterError`].
pub fn register(
    name: &[u8],
    plugin: &'static UwsgiPlugin,
    function: *mut c_void,
    most: usize,
) -> Result<(), RegisterError> {
    if name.is_empty() || name.len() >= LONGEST_NAME {
        return Err(RegisterError::Name);
    }
    let procedure = Procedure {
        name: name.to_vec(),
        place: Place::new(plugin, c"hook rpc"),
        hook: plugin.rpc.ok_or(RegisterError::NoHook)?,
        function,
    };
    let mut table = table();
    match table.iter().position(|p| p.name == name) {
        Some(known) => table[known] = procedure,
        None if table.len() >= most => return Err(RegisterError::Full),
        None => table.push(procedure),
    }
    Ok(())
}

/// The names of this process's functions, in the order of their registration.
pub fn names() -> Vec<Vec<u8>> {
    table().iter().map(|p| p.name.clone()).collect()
}

/// What a function answered: memory of `malloc`.
#[derive(Debug)]
pub struct Response {
    text: *mut c_char,
    len: usize,
}

impl Response {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the plugin's answer of so many bytes, ours until it is dropped.
        unsafe { std::slice::from_raw_parts(self.text.cast(), self.len) }
    }

    /// Gives the memory away: its address and length; the taker frees it.
    pub fn into_raw(self) -> (*mut c_char, usize) {
        let raw = (self.text, self.len);
        std::mem::forget(self);
        raw
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        // SAFETY: the header asks plugins for memory of malloc.
        unsafe { libc::free(self.text.cast()) };
    }
}

/// Calls a function of this process; `Ok(None)`: it answered nothing.
///
/// # Errors
/// There is no such function, or the arguments are too long.
pub fn call(name: &[u8], arguments: &[&[u8]]) -> Result<Option<Response>, CallError> {
    let count = u8::try_from(arguments.len()).map_err(|_| CallError::Arguments)?;
    let lengths: Result<Vec<u16>, _> = arguments.iter().map(|a| u16::try_from(a.len())).collect();
    let mut lengths = lengths.map_err(|_| CallError::Arguments)?;
    // functions of C read texts: each argument ends with a NUL that is not counted
    let mut copies: Vec<Vec<u8>> = arguments.iter().map(|a| [a, &b"\0"[..]].concat()).collect();
    let mut places: Vec<*mut c_char> = copies.iter_mut().map(|c| c.as_mut_ptr().cast()).collect();
    let procedure = table().iter().find(|p| p.name == name).cloned();
    let procedure = procedure.ok_or(CallError::Unknown)?;
    let mut text: *mut c_char = std::ptr::null_mut();
    let _inside = Inside::enter(procedure.place);
    // SAFETY: the hook of the plugin that registered the function, with arguments that live during the call; no lock
    // of ours is held.
    let len = unsafe {
        (procedure.hook)(
            procedure.function,
            count,
            places.as_mut_ptr(),
            lengths.as_mut_ptr(),
            &mut text,
        )
    };
    if text.is_null() {
        return Ok(None);
    }
    let response = Response {
        text,
        len: len as usize,
    };
    Ok((len > 0).then_some(response))
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn hook(
        function: *mut c_void,
        argc: u8,
        argv: *mut *mut c_char,
        lens: *mut u16,
        out: *mut *mut c_char,
    ) -> u64 {
        if argc == 0 {
            return 0;
        }
        // SAFETY: as `call` promises.
        unsafe {
            let first = std::slice::from_raw_parts((*argv).cast::<u8>(), usize::from(*lens));
            let text = format!("{}:{argc}:{}\0", function as usize, String::from_utf8_lossy(first));
            *out = libc::strdup(text.as_ptr().cast());
            text.len() as u64 - 1
        }
    }

    #[test]
    fn functions_are_found_by_name_replaced_and_limited() {
        // SAFETY: all fields are pointers, integers and optional functions.
        let empty: UwsgiPlugin = unsafe { std::mem::zeroed() };
        let without: &'static UwsgiPlugin = Box::leak(Box::new(empty));
        assert_eq!(register(b"f", without, 1 as _, 2), Err(RegisterError::NoHook));
        let plugin: &'static UwsgiPlugin = Box::leak(Box::new(UwsgiPlugin {
            rpc: Some(hook),
            ..empty
        }));
        assert_eq!(register(&[b'x'; 255], plugin, 1 as _, 2), Err(RegisterError::Name));
        register(b"f", plugin, 1 as _, 2).unwrap();
        register(b"f", plugin, 2 as _, 2).unwrap();
        register(b"g", plugin, 3 as _, 2).unwrap();
        assert_eq!(register(b"h", plugin, 4 as _, 2), Err(RegisterError::Full));
        assert_eq!(names(), [b"f", b"g"]);
        let said = |name: &[u8], arguments: &[&[u8]]| {
            let answer = call(name, arguments).unwrap();
            answer.map(|r| String::from_utf8_lossy(r.bytes()).into_owned())
        };
        assert_eq!(said(b"f", &[b"a", b"b"]), Some("2:2:a".into()));
        assert_eq!(said(b"f", &[]), None);
        assert!(matches!(call(b"nobody", &[]), Err(CallError::Unknown)));
        assert!(matches!(call(b"f", &[&b""[..]; 256]), Err(CallError::Arguments)));
        assert!(matches!(call(b"f", &[&[0; 70_000]]), Err(CallError::Arguments)));
    }
}
