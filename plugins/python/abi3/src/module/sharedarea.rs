//! `uwsgi.*`: areas of raw memory that all processes share.

use crate::gil;
use crate::py::{self, Args, Py, PyResult};
use crate::settings;
use pyo3_ffi::{PyMemoryView_FromMemory, PyObject};
use rsgi_plugin_api::sys;
use std::ffi::{c_char, c_int};

super::functions! {
    sharedarea_read;
    sharedarea_write;
    sharedarea_readbyte;
    sharedarea_writebyte;
    sharedarea_readlong;
    sharedarea_writelong;
    sharedarea_inclong;
    sharedarea_read8;
    sharedarea_write8;
    sharedarea_read16;
    sharedarea_write16;
    sharedarea_read32;
    sharedarea_write32;
    sharedarea_read64;
    sharedarea_write64;
    sharedarea_inc32;
    sharedarea_inc64;
    sharedarea_dec32;
    sharedarea_dec64;
    sharedarea_rlock;
    sharedarea_wlock;
    sharedarea_unlock;
    sharedarea_memoryview;
    sharedarea_object;
}

/// `PyBUF_WRITE`
const WRITABLE: c_int = 0x200;

/// Area and position of a call.
struct Place {
    id: c_int,
    pos: u64,
}

impl Place {
    fn of(args: &Args, function: &str) -> PyResult<Self> {
        let id = area(args, function)?;
        args.need(1, function)?;
        let pos = u64::try_from(args.int(1, 0)?).map_err(|_| failed(function))?;
        Ok(Self { id, pos })
    }
}

fn failed(function: &str) -> py::Raised {
    py::value_error(&format!(
        "error calling uwsgi_{function}(): no such area, or not so many bytes in it"
    ))
}

/// The number of an area.
fn area(args: &Args, function: &str) -> PyResult<c_int> {
    args.need(0, function)?;
    c_int::try_from(args.int(0, 0)?).map_err(|_| failed(function))
}

fn done(rc: c_int, function: &str) -> PyResult<Py> {
    if rc == 0 { Ok(py::none()) } else { Err(failed(function)) }
}

/// The first byte of an area, and how many there are.
fn whole(id: c_int, function: &str) -> PyResult<(*mut c_char, u64)> {
    let mut size = 0;
    // SAFETY: the host writes the size.
    let base = unsafe { sys::rsgi_sharedarea(id, &mut size) };
    if base.is_null() {
        Err(failed(function))
    } else {
        Ok((base, size))
    }
}

/// `sharedarea_read(id, pos[, len])`; without a length, up to the end.
fn sharedarea_read(args: &Args) -> PyResult<Py> {
    let name = "sharedarea_read";
    let place = Place::of(args, name)?;
    let (_, size) = whole(place.id, name)?;
    let len = match args.int(2, 0)? {
        0 => size.checked_sub(place.pos),
        len => u64::try_from(len)
            .ok()
            .filter(|len| len.saturating_add(place.pos) <= size),
    };
    let len = len.ok_or_else(|| failed(name))?;
    if len == 0 {
        return py::bytes(b"");
    }
    let mut bytes = vec![0u8; len as usize];
    // SAFETY: the host writes so many bytes.
    let n = unsafe { sys::uwsgi_sharedarea_read(place.id, place.pos, bytes.as_mut_ptr().cast(), len) };
    if n < 0 { Err(failed(name)) } else { py::bytes(&bytes) }
}

/// `sharedarea_write(id, pos, bytes)`
fn sharedarea_write(args: &Args) -> PyResult<Py> {
    let name = "sharedarea_write";
    let place = Place::of(args, name)?;
    let bytes = py::text_bytes(&args.need(2, name)?)?;
    let (text, len) = (bytes.as_ptr().cast_mut().cast(), bytes.len() as u64);
    // SAFETY: the host copies so many bytes.
    done(
        unsafe { sys::uwsgi_sharedarea_write(place.id, place.pos, text, len) },
        name,
    )
}

/// Reading and writing numbers: a value that fits neither signed nor unsigned is an OverflowError.
macro_rules! numbers {
    ($($type:ty, $unsigned:ty, $shown:ty: $read:ident $host_read:ident, $write:ident $host_write:ident;)*) => { $(
        fn $read(args: &Args) -> PyResult<Py> {
            let place = Place::of(args, stringify!($read))?;
            let mut value: $type = 0;
            // SAFETY: the host writes the number.
            done(unsafe { sys::$host_read(place.id, place.pos, &mut value) }, stringify!($read))?;
            py::int((value as $shown).into())
        }

        fn $write(args: &Args) -> PyResult<Py> {
            let place = Place::of(args, stringify!($write))?;
            args.need(2, stringify!($write))?;
            let given = args.int(2, 0)?;
            let fits = <$type>::try_from(given).ok();
            let fits = fits.or_else(|| <$unsigned>::try_from(given).ok().map(|n| n as $type));
            let mut value = fits.ok_or_else(|| {
                py::overflow_error(concat!(stringify!($write), "(): the number does not fit"))
            })?;
            // SAFETY: the host reads the number.
            done(unsafe { sys::$host_write(place.id, place.pos, &mut value) }, stringify!($write))
        }
    )* };
}

numbers! {
    i8, u8, u8: sharedarea_read8 uwsgi_sharedarea_read8, sharedarea_write8 uwsgi_sharedarea_write8;
    i8, u8, u8: sharedarea_readbyte uwsgi_sharedarea_read8, sharedarea_writebyte uwsgi_sharedarea_write8;
    i16, u16, i16: sharedarea_read16 uwsgi_sharedarea_read16, sharedarea_write16 uwsgi_sharedarea_write16;
    i32, u32, i32: sharedarea_read32 uwsgi_sharedarea_read32, sharedarea_write32 uwsgi_sharedarea_write32;
    i64, u64, i64: sharedarea_read64 uwsgi_sharedarea_read64, sharedarea_write64 uwsgi_sharedarea_write64;
    i64, u64, i64: sharedarea_readlong uwsgi_sharedarea_read64, sharedarea_writelong uwsgi_sharedarea_write64;
}

/// `…(id, pos[, by])`
macro_rules! changes {
    ($($type:ty: $name:ident $host:ident;)*) => { $(
        fn $name(args: &Args) -> PyResult<Py> {
            let place = Place::of(args, stringify!($name))?;
            let by = <$type>::try_from(args.int(2, 1)?).map_err(|_| {
                py::overflow_error(concat!(stringify!($name), "(): the number does not fit"))
            })?;
            // SAFETY: the host checks area and position.
            done(unsafe { sys::$host(place.id, place.pos, by) }, stringify!($name))
        }
    )* };
}

changes! {
    i32: sharedarea_inc32 uwsgi_sharedarea_inc32;
    i64: sharedarea_inc64 uwsgi_sharedarea_inc64;
    i64: sharedarea_inclong uwsgi_sharedarea_inc64;
    i32: sharedarea_dec32 uwsgi_sharedarea_dec32;
    i64: sharedarea_dec64 uwsgi_sharedarea_dec64;
}

fn lock(args: &Args, function: &str) -> PyResult<Py> {
    let id = area(args, function)?;
    // SAFETY: the host checks the number; it may wait, so the GIL is free meanwhile.
    match gil::released(|| unsafe { sys::uwsgi_sharedarea_wlock(id) }) {
        -2 => Err(py::runtime_error(
            "this thread holds the lock of the area already: sharedarea_unlock() it before it is asked for again",
        )),
        rc => done(rc, function),
    }
}

/// `sharedarea_rlock(id)`
fn sharedarea_rlock(args: &Args) -> PyResult<Py> {
    lock(args, "sharedarea_rlock")
}

/// `sharedarea_wlock(id)`
fn sharedarea_wlock(args: &Args) -> PyResult<Py> {
    lock(args, "sharedarea_wlock")
}

/// `sharedarea_unlock(id)`
fn sharedarea_unlock(args: &Args) -> PyResult<Py> {
    let id = area(args, "sharedarea_unlock")?;
    // SAFETY: the host checks the number.
    done(unsafe { sys::uwsgi_sharedarea_unlock(id) }, "sharedarea_unlock")
}

/// `sharedarea_memoryview(id)`: the area itself, readable and writable, without its lock.
fn sharedarea_memoryview(args: &Args) -> PyResult<Py> {
    let (base, size) = whole(area(args, "sharedarea_memoryview")?, "sharedarea_memoryview")?;
    let size = isize::try_from(size).map_err(|_| failed("sharedarea_memoryview"))?;
    // SAFETY: the area stays mapped for the life of the process.
    let view: *mut PyObject = unsafe { PyMemoryView_FromMemory(base, size, WRITABLE) };
    // SAFETY: a new reference, or NULL with an exception.
    unsafe { Py::new(view) }
}

/// `sharedarea_object(id)`: with `--py-sharedarea` something to write to, as a bytearray is; else there is none.
fn sharedarea_object(args: &Args) -> PyResult<Py> {
    if settings::get().shared_areas {
        return sharedarea_memoryview(args);
    }
    whole(area(args, "sharedarea_object")?, "sharedarea_object")?;
    Err(py::value_error(
        "the area belongs to no object: ask for sharedarea_memoryview()",
    ))
}
