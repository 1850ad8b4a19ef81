//! `uwsgi.*`: caches. These functions are called very often, so they take their arguments as an array, copy nothing
//! that they only look at, and keep the GIL unless another instance is asked.

use crate::gil;
use crate::py::{self, Fast, Py, PyResult};
use pyo3_ffi::{PyBytes_AsString, PyBytes_FromStringAndSize, PyMethodDef, PyObject};
use rsgi_plugin_api::sys;
use std::ffi::{c_char, c_int, c_void};
use std::mem::MaybeUninit;

/// Values up to this length are read in one go.
const AT_ONCE: usize = 1024;

// As uwsgi.h has them.
const UPDATE: u64 = 1 << 1;
const MATH: u64 = 1 << 4;
const INC: u64 = 1 << 5;
const DEC: u64 = 1 << 6;
const MUL: u64 = 1 << 7;
const DIV: u64 = 1 << 8;
const ABSEXPIRE: u64 = 1 << 3;
const FIXEXPIRE: u64 = 1 << 9;

/// The rows of this file.
pub fn rows() -> Vec<PyMethodDef> {
    macro_rules! rows {
        ($($name:ident)*) => { vec![$({
            unsafe extern "C" fn enter(_: *mut PyObject, args: *const *mut PyObject, count: isize) -> *mut PyObject {
                // SAFETY: called by Python with that many arguments.
                let args = unsafe { Fast::new(args, count, stringify!($name)) };
                py::give($name(&args))
            }
            // SAFETY: the literal ends with the NUL added here.
            let name = unsafe { std::ffi::CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes()) };
            py::fast_method(name, enter)
        }),*] };
    }
    rows![cache_get cache_set cache_update cache_del cache_exists cache_clear cache_inc cache_dec cache_mul cache_div
          cache_num cache_keys]
}

/// Which cache is meant.
#[derive(Clone, Copy)]
struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    fn of(args: &'a Fast, i: usize) -> PyResult<Self> {
        Ok(Self(args.text_opt(i)?.unwrap_or_default()))
    }

    /// For the host: NULL is the first one. Texts of Python end with a NUL.
    fn as_ptr(self) -> *mut c_char {
        match self.0.is_empty() {
            true => std::ptr::null_mut(),
            false => self.0.as_ptr().cast_mut().cast(),
        }
    }

    /// Calls the host, without the GIL if that asks another instance.
    fn ask<T>(self, body: impl FnOnce() -> T) -> T {
        match self.0.contains(&b'@') {
            true => gil::released(body),
            false => body(),
        }
    }
}

/// A key, as the host takes its length; a longer one is in no cache.
fn key<'a>(args: &'a Fast, i: usize) -> PyResult<Option<(*mut c_char, u16)>> {
    let key: &'a [u8] = args.text(i)?;
    let len = u16::try_from(key.len()).ok();
    Ok(len.map(|len| (key.as_ptr().cast_mut().cast(), len)))
}

/// `cache_get(key[, cache])`: bytes or None.
fn cache_get(args: &Fast) -> PyResult<Py> {
    args.count(1, 2)?;
    let name = Name::of(args, 1)?;
    let text = args.text(0)?;
    if name.0.contains(&b'@') {
        return get_elsewhere(args, name);
    }
    let read = |to: *mut c_char, size: usize| {
        // SAFETY: key and name live during the call; the host writes at most so many bytes.
        let len = unsafe { sys::rsgi_cache_get(text.as_ptr().cast(), text.len(), to, size, name.as_ptr()) };
        usize::try_from(len).ok()
    };
    let mut buffer = [MaybeUninit::<u8>::uninit(); AT_ONCE];
    let Some(mut len) = read(buffer.as_mut_ptr().cast(), AT_ONCE) else {
        return Ok(py::none());
    };
    if len <= AT_ONCE {
        // SAFETY: the host has written that many.
        return py::bytes(unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast(), len) });
    }
    loop {
        // SAFETY: a new object of that size, filled before anybody sees it.
        let value = unsafe { Py::new(PyBytes_FromStringAndSize(std::ptr::null(), len as isize))? };
        // SAFETY: as above.
        match read(unsafe { PyBytes_AsString(value.as_ptr()) }, len) {
            None => return Ok(py::none()),
            Some(now) if now == len => return Ok(value),
            // it was replaced meanwhile
            Some(now) => len = now,
        }
    }
}

fn get_elsewhere(args: &Fast, name: Name) -> PyResult<Py> {
    let Some((key, key_len)) = key(args, 0)? else {
        return Ok(py::none());
    };
    let mut len = 0;
    // SAFETY: key and name live during the call.
    let value =
        name.ask(|| unsafe { sys::uwsgi_cache_magic_get(key, key_len, &mut len, std::ptr::null_mut(), name.as_ptr()) });
    if value.is_null() {
        return Ok(py::none());
    }
    // SAFETY: the host's answer of so many bytes, ours to free.
    unsafe {
        let answer = py::bytes(std::slice::from_raw_parts(value.cast(), len as usize));
        libc::free(value.cast());
        answer
    }
}

/// Puts a value in with these flags.
fn put(args: &Fast, flags: u64) -> PyResult<Py> {
    args.count(2, 4)?;
    let name = Name::of(args, 3)?;
    let value = args.text(1)?;
    let (expires, flags) = match args.int(2, 0)? {
        // what has ended already is in no cache, and what was there before neither
        n if n < 0 => (1, flags | ABSEXPIRE),
        n => (n as u64, flags),
    };
    let Some((key, key_len)) = key(args, 0)? else {
        return Ok(py::none());
    };
    // SAFETY: key, value and name live during the call.
    let rc = name.ask(|| unsafe {
        let text = value.as_ptr().cast_mut().cast();
        sys::uwsgi_cache_magic_set(key, key_len, text, value.len() as u64, expires, flags, name.as_ptr())
    });
    Ok(py::true_or_none(rc == 0))
}

/// How long a number lasts; nothing and less: as long as before.
fn seconds(args: &Fast, i: usize) -> PyResult<u64> {
    Ok(u64::try_from(args.int(i, 0)?).unwrap_or(0))
}

/// `cache_set(key, value[, expires[, cache]])`: True, or None when the key is there or the value does not fit.
fn cache_set(args: &Fast) -> PyResult<Py> {
    put(args, 0)
}

/// `cache_update(key, value[, expires[, cache]])`
fn cache_update(args: &Fast) -> PyResult<Py> {
    put(args, UPDATE)
}

/// `cache_del(key[, cache])`
fn cache_del(args: &Fast) -> PyResult<Py> {
    args.count(1, 2)?;
    let name = Name::of(args, 1)?;
    let Some((key, len)) = key(args, 0)? else {
        return Ok(py::none());
    };
    // SAFETY: key and name live during the call.
    let rc = name.ask(|| unsafe { sys::uwsgi_cache_magic_del(key, len, name.as_ptr()) });
    Ok(py::true_or_none(rc == 0))
}

/// `cache_exists(key[, cache])`
fn cache_exists(args: &Fast) -> PyResult<Py> {
    args.count(1, 2)?;
    let name = Name::of(args, 1)?;
    let Some((key, len)) = key(args, 0)? else {
        return Ok(py::none());
    };
    // SAFETY: key and name live during the call.
    let rc = name.ask(|| unsafe { sys::uwsgi_cache_magic_exists(key, len, name.as_ptr()) });
    Ok(py::true_or_none(rc != 0))
}

/// `cache_clear([cache])`
fn cache_clear(args: &Fast) -> PyResult<Py> {
    args.count(0, 1)?;
    let name = Name::of(args, 0)?;
    // SAFETY: the name lives during the call.
    let rc = name.ask(|| unsafe { sys::uwsgi_cache_magic_clear(name.as_ptr()) });
    Ok(py::true_or_none(rc == 0))
}

/// Changes a number: key, by what, expires, cache.
fn change(args: &Fast, flag: u64, default: i64) -> PyResult<Py> {
    args.count(1, 4)?;
    let name = Name::of(args, 3)?;
    let mut by = args.int(1, default)?.to_le_bytes();
    let expires = seconds(args, 2)?;
    let Some((key, len)) = key(args, 0)? else {
        return Ok(py::none());
    };
    let flags = UPDATE | FIXEXPIRE | MATH | flag;
    // SAFETY: key, value and name live during the call.
    let rc = name.ask(|| unsafe {
        sys::uwsgi_cache_magic_set(key, len, by.as_mut_ptr().cast(), 8, expires, flags, name.as_ptr())
    });
    Ok(py::true_or_none(rc == 0))
}

/// `cache_inc(key[, value[, expires[, cache]]])`
fn cache_inc(args: &Fast) -> PyResult<Py> {
    change(args, INC, 1)
}

/// `cache_dec(key[, value[, expires[, cache]]])`
fn cache_dec(args: &Fast) -> PyResult<Py> {
    change(args, DEC, 1)
}

/// `cache_mul(key[, value[, expires[, cache]]])`
fn cache_mul(args: &Fast) -> PyResult<Py> {
    change(args, MUL, 2)
}

/// `cache_div(key[, value[, expires[, cache]]])`
fn cache_div(args: &Fast) -> PyResult<Py> {
    change(args, DIV, 2)
}

/// `cache_num(key[, cache])`: the number, 0 when there is none.
fn cache_num(args: &Fast) -> PyResult<Py> {
    let value = cache_get(args)?;
    // SAFETY: a live object; copied at once.
    let bytes = unsafe { py::bytes_of(value.as_ptr()) };
    let number = bytes.and_then(|b| b.try_into().ok()).map_or(0, i64::from_le_bytes);
    py::int(number)
}

/// `cache_keys([cache])`: a list, of a cache of this instance.
fn cache_keys(args: &Fast) -> PyResult<Py> {
    args.count(0, 1)?;
    let name = Name::of(args, 0)?;
    unsafe extern "C" fn take(key: *const c_char, len: usize, keys: *mut c_void) {
        // SAFETY: the host's key of so many bytes, and the vector below.
        unsafe {
            let key = std::slice::from_raw_parts(key.cast::<u8>(), len);
            (*keys.cast::<Vec<Vec<u8>>>()).push(key.to_vec());
        }
    }
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let place: *mut Vec<Vec<u8>> = &mut keys;
    // SAFETY: name and vector live during the call.
    let rc: c_int = unsafe { sys::rsgi_cache_keys(name.as_ptr(), Some(take), place.cast()) };
    if rc < 0 {
        return Err(py::value_error("no local uWSGI cache available"));
    }
    py::list(&keys.iter().map(|k| py::bytes(k)).collect::<PyResult<Vec<_>>>()?)
}
