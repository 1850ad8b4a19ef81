//! Remote procedures for plugins written in Rust. A function is a number of the plugin's own, which the host hands back
//! to [`crate::Plugin::rpc`].

use crate::{HookError, sys, text};
use std::ffi::{c_char, c_int, c_void};

/// Registers a function of this process, and of those forked from it, with the plugin in slot `modifier1`.
///
/// # Errors
/// The name is too long, or the table is full; the host's log says which.
pub fn register(name: &[u8], argc: u8, function: usize, modifier1: u8) -> Result<(), HookError> {
    let name = text::to_host(name, "the function's name")?;
    // SAFETY: the host copies the name and never looks behind the function.
    let rc = unsafe {
        let plugin = sys::uwsgi.p[usize::from(modifier1)];
        sys::uwsgi_register_rpc(name.as_ptr().cast_mut(), plugin, argc, function as *mut c_void)
    };
    match rc {
        0.. => Ok(()),
        _ => Err(HookError::new("unable to register rpc function: see the log")),
    }
}

/// Calls a function here, or in the instance at `node`; `None`: nothing came back, which the host's log explains.
///
/// # Errors
/// The call is not one that can be made: too many arguments, or too long ones.
pub fn call<A: AsRef<[u8]>>(node: Option<&[u8]>, name: &[u8], arguments: &[A]) -> Result<Option<Vec<u8>>, HookError> {
    let refused = |why: &str| HookError::new(format!("unable to call rpc function: {why}"));
    let name = text::to_host(name, "the function's name")?;
    let node = node.filter(|node| !node.is_empty());
    let node = node.map(|node| text::to_host(node, "the node's address")).transpose()?;
    let argc = u8::try_from(arguments.len()).map_err(|_| refused("it takes at most 255 arguments"))?;
    let lengths: Result<Vec<u16>, _> = arguments.iter().map(|a| u16::try_from(a.as_ref().len())).collect();
    let mut lengths = lengths.map_err(|_| refused("an argument has at most 65535 bytes"))?;
    let mut places: Vec<*mut c_char> = arguments
        .iter()
        .map(|a| a.as_ref().as_ptr().cast_mut().cast())
        .collect();
    let mut len = 0;
    // SAFETY: node, name and arguments live during the call and are not written to; the answer is ours.
    unsafe {
        let node = node.as_ref().map_or(std::ptr::null_mut(), |n| n.as_ptr().cast_mut());
        let (argv, argvs) = (places.as_mut_ptr(), lengths.as_mut_ptr());
        let answer = sys::uwsgi_do_rpc(node, name.as_ptr().cast_mut(), argc, argv, argvs, &mut len);
        Ok(text::from_host(answer, len))
    }
}

/// The names of this process's functions.
pub fn names() -> Vec<Vec<u8>> {
    let mut buffer = [0u8; 256];
    let mut names = Vec::new();
    loop {
        // SAFETY: the host writes at most so many bytes.
        let len = unsafe { sys::rsgi_rpc_name(names.len() as c_int, buffer.as_mut_ptr().cast(), buffer.len()) };
        match usize::try_from(len) {
            Ok(len) => names.push(buffer[..len.min(buffer.len())].to_vec()),
            Err(_) => return names,
        }
    }
}

/// What the host passed to the rpc hook; not for direct use.
///
/// # Safety
/// `argv` and `argvs` have `argc` entries, each text its length; they live as long as the result is used.
#[doc(hidden)]
pub unsafe fn arguments<'a>(argc: u8, argv: *mut *mut c_char, argvs: *mut u16) -> Vec<&'a [u8]> {
    (0..usize::from(argc))
        // SAFETY: by the contract.
        .map(|n| unsafe {
            match *argvs.add(n) {
                0 => &[][..],
                len => std::slice::from_raw_parts((*argv.add(n)).cast::<u8>(), len.into()),
            }
        })
        .collect()
}

/// Gives an answer to the host: its length; not for direct use.
///
/// # Safety
/// `response` may be written.
#[doc(hidden)]
pub unsafe fn give(answer: Option<Vec<u8>>, response: *mut *mut c_char) -> u64 {
    let Some(answer) = answer.filter(|a| !a.is_empty()) else {
        return 0;
    };
    // SAFETY: new memory of that length, which goes to the host; the place by the contract.
    unsafe {
        let copy = sys::uwsgi_malloc(answer.len());
        std::ptr::copy_nonoverlapping(answer.as_ptr(), copy.cast(), answer.len());
        *response = copy.cast();
    }
    answer.len() as u64
}
