//! Options of a Rust plugin: constant rows, so that the host can read them from the file without loading it.

use crate::abi::{NO_ARGUMENT, OPTIONAL_ARGUMENT, REQUIRED_ARGUMENT, UWSGI_OPT_MASTER, UwsgiOption};
use crate::{HookError, guard, sys};
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;

/// What a setter gets: the value as given, `None` without one.
pub type Setter = fn(value: Option<&OsStr>) -> Result<(), HookError>;

/// One row under construction.
#[derive(Clone, Copy)]
pub struct OptionRow(UwsgiOption);

impl OptionRow {
    const fn new(name: &'static CStr, kind: c_int, help: &'static CStr, setter: Setter) -> Self {
        Self(UwsgiOption {
            name: name.as_ptr().cast_mut(),
            kind,
            shortcut: 0,
            help: help.as_ptr().cast_mut(),
            func: Some(set),
            data: setter as *const c_void as *mut c_void,
            flags: 0,
        })
    }
    /// `--name`
    pub const fn flag(name: &'static CStr, help: &'static CStr, setter: Setter) -> Self {
        Self::new(name, NO_ARGUMENT, help, setter)
    }
    /// `--name VALUE`
    pub const fn value(name: &'static CStr, help: &'static CStr, setter: Setter) -> Self {
        Self::new(name, REQUIRED_ARGUMENT, help, setter)
    }
    /// `--name` or `--name=VALUE`
    pub const fn optional(name: &'static CStr, help: &'static CStr, setter: Setter) -> Self {
        Self::new(name, OPTIONAL_ARGUMENT, help, setter)
    }
    /// Also known by a letter.
    pub const fn short(mut self, letter: u8) -> Self {
        self.0.shortcut = letter as c_int;
        self
    }
    /// Turns the master on.
    pub const fn needs_master(mut self) -> Self {
        self.0.flags |= UWSGI_OPT_MASTER;
        self
    }
}

/// A table of `N - 1` rows and the end mark; what `export_plugin!` points at.
#[repr(transparent)]
pub struct OptionTable<const N: usize>([UwsgiOption; N]);

// SAFETY: the rows point at constants only and are never written.
unsafe impl<const N: usize> Sync for OptionTable<N> {}

impl<const N: usize> OptionTable<N> {
    /// Builds the table; `N` must be one more than the number of rows.
    pub const fn new(rows: &[OptionRow]) -> Self {
        assert!(rows.len() + 1 == N, "N is the number of rows plus one");
        let end = UwsgiOption {
            name: std::ptr::null_mut(),
            kind: 0,
            shortcut: 0,
            help: std::ptr::null_mut(),
            func: None,
            data: std::ptr::null_mut(),
            flags: 0,
        };
        let mut table = [end; N];
        let mut i = 0;
        while i < rows.len() {
            table[i] = rows[i].0;
            i += 1;
        }
        Self(table)
    }
}

/// The C setter of every row: calls the Rust one behind `data`; an error ends the start with one line.
unsafe extern "C" fn set(name: *mut c_char, value: *mut c_char, data: *mut c_void) {
    // SAFETY: the host passes the row's own name and data, and a NUL-terminated value or NULL.
    let (name, value, setter) = unsafe {
        let text = |p: *mut c_char| (!p.is_null()).then(|| CStr::from_ptr(p));
        (
            text(name),
            text(value),
            std::mem::transmute::<*mut c_void, Setter>(data),
        )
    };
    let name = name.map_or(std::borrow::Cow::Borrowed("option"), CStr::to_string_lossy);
    let ok = guard::hook("option", &name, false, || {
        setter(value.map(|v| OsStr::from_bytes(v.to_bytes()))).map(|()| true)
    });
    if !ok {
        // SAFETY: ends the process in an orderly way; called in the master before anything was started.
        unsafe { sys::uwsgi_exit(1) }
    }
}
