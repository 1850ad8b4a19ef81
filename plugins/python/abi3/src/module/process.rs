//! `uwsgi.*`: who am I, how are the others, and orders to the master.

use crate::exchange;
use crate::gil;
use crate::interpreter;
use crate::py::{self, Args, Py, PyResult, told};
use pyo3_ffi::{PyDict_New, PyDict_SetItemString};
use rsgi_plugin_api::abi::{UwsgiApp, UwsgiWorker};
use rsgi_plugin_api::process as host;
use rsgi_plugin_api::{log as host_log, sys};
use std::ffi::{CStr, CString};

super::functions! {
    worker_id;
    mule_id;
    masterpid;
    i_am_the_spooler;
    total_requests;
    mem;
    workers;
    micros;
    ready;
    accepting;
    notify_alive;
    setprocname;
    listen_queue;
    reload;
    stop;
    log;
    logsize;
    parsefile;
    embedded_data;
    extract;
    set_warning_message;
    i_am_the_lord;
    lord_scroll;
    scrolls;
}

/// This worker's own record, NULL elsewhere.
pub fn own_record() -> *mut UwsgiWorker {
    // SAFETY: plain reads of the published view; the index is a worker's number.
    unsafe {
        match sys::uwsgi.workers.is_null() {
            true => std::ptr::null_mut(),
            false => sys::uwsgi.workers.add(sys::uwsgi.mywid.max(0) as usize),
        }
    }
}

fn worker_id(_: &Args) -> PyResult<Py> {
    py::int(host::worker_id().into())
}

fn mule_id(_: &Args) -> PyResult<Py> {
    py::int(host::mule_id().into())
}

fn masterpid(_: &Args) -> PyResult<Py> {
    py::int(host::master_pid().unwrap_or(0).into())
}

fn i_am_the_spooler(_: &Args) -> PyResult<Py> {
    Ok(py::true_or_none(host::is_spooler()))
}

fn total_requests(_: &Args) -> PyResult<Py> {
    py::uint(host::records().iter().skip(1).map(|w| w.requests).sum())
}

/// (rss, vsz) in bytes.
fn mem(_: &Args) -> PyResult<Py> {
    let (rss, vsz) = host::memory();
    py::tuple(&[&py::uint(rss)?, &py::uint(vsz)?])
}

fn micros(_: &Args) -> PyResult<Py> {
    py::uint(host::micros())
}

/// `logsize()`: bytes of the log file; 0 when the log goes elsewhere.
fn logsize(_: &Args) -> PyResult<Py> {
    // SAFETY: all fields are integers; fstat fills them in, or says that it has not.
    let size = unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        let is_file = libc::fstat(2, &mut status) == 0 && status.st_mode & libc::S_IFMT == libc::S_IFREG;
        if is_file { status.st_size } else { 0 }
    };
    py::int(size)
}

fn ready(_: &Args) -> PyResult<Py> {
    let any = host::records().iter().skip(1).any(|w| w.accepting != 0);
    Ok(py::true_or_none(any))
}

/// `accepting([flag])`: a worker with a loop of its own says that it serves (or no longer does).
fn accepting(args: &Args) -> PyResult<Py> {
    let flag = args.int(0, 1)?;
    // SAFETY: our own record in shared memory, one writer.
    if let Some(me) = unsafe { own_record().as_mut() } {
        me.accepting = i32::from(flag != 0);
    }
    Ok(py::none())
}

/// `notify_alive()`: a worker with a loop of its own says that it turns (`--worker-heartbeat`).
fn notify_alive(_: &Args) -> PyResult<Py> {
    // SAFETY: callable anywhere.
    unsafe { sys::rsgi_notify_alive() };
    Ok(py::none())
}

fn setprocname(args: &Args) -> PyResult<Py> {
    let name = py::text_bytes(&args.need(0, "setprocname")?)?;
    told(host::set_name(&name)).map(|()| py::none())
}

fn listen_queue(args: &Args) -> PyResult<Py> {
    let wanted = args.int(0, 0)?;
    // SAFETY: the host's list of sockets, which does not change while a hook runs.
    unsafe {
        let mut socket = sys::uwsgi.sockets;
        for _ in 0..wanted.max(0) {
            socket = socket.as_ref().map_or(std::ptr::null_mut(), |s| s.next);
        }
        match socket.as_ref() {
            Some(s) if wanted >= 0 => py::uint(s.queue),
            _ => Err(py::value_error("unable to find the requested socket")),
        }
    }
}

fn reload(_: &Args) -> PyResult<Py> {
    Ok(py::true_or_none(host::tell_master(libc::SIGHUP)))
}

/// A request that stops the server is still answered: the order goes out when it is over.
fn stop(_: &Args) -> PyResult<Py> {
    match exchange::current() {
        Some(exchange) if host::master_pid().is_some() => {
            exchange.stop.set(true);
            Ok(py::boolean(true))
        }
        _ => Ok(py::true_or_none(host::tell_master(libc::SIGQUIT))),
    }
}

/// Sends the order that [`stop`] kept back.
pub fn stop_now() {
    host::tell_master(libc::SIGQUIT);
}

fn log(args: &Args) -> PyResult<Py> {
    let text = py::text_bytes(&args.need(0, "log")?)?;
    host_log::line(&String::from_utf8_lossy(&text));
    Ok(py::boolean(true))
}

/// A file that holds a uwsgi packet, as a dict; None when it cannot be read or is none.
fn parsefile(args: &Args) -> PyResult<Py> {
    use std::os::unix::ffi::OsStrExt;
    let path = py::text_bytes(&args.need(0, "parsefile")?)?;
    let Ok(packet) = std::fs::read(std::ffi::OsStr::from_bytes(&path)) else {
        return Ok(py::none());
    };
    let Some(pairs) = parse_packet(&packet).filter(|pairs| !pairs.is_empty()) else {
        return Ok(py::none());
    };
    // SAFETY: a new dict.
    let dict = unsafe { Py::new(PyDict_New())? };
    for (key, value) in pairs {
        let (key, value) = (py::bytes(key)?, py::bytes(value)?);
        // SAFETY: a dict, live key and value.
        py::check(unsafe { pyo3_ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) })?;
    }
    Ok(dict)
}

/// The pairs of a uwsgi packet (4 bytes of head, then length-prefixed keys and values); `None`: malformed.
fn parse_packet(packet: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let size = usize::from(u16::from_le_bytes([*packet.get(1)?, *packet.get(2)?]));
    parse_pairs(packet.get(4..4 + size)?)
}

/// The pairs of a packet without its head.
pub fn parse_pairs(mut rest: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let mut part = || {
            let len = usize::from(u16::from_le_bytes([*rest.first()?, *rest.get(1)?]));
            let text = rest.get(2..2 + len)?;
            rest = &rest[2 + len..];
            Some(text)
        };
        pairs.push((part()?, part()?));
    }
    Some(pairs)
}

/// Data linked into the binary: there is none.
fn embedded_data(args: &Args) -> PyResult<Py> {
    let name = py::text_bytes(&args.need(0, "embedded_data")?)?;
    Err(py::value_error(&format!(
        "unable to find symbol {}",
        String::from_utf8_lossy(&name)
    )))
}

/// `extract(source)`: what a file, `exec://`, `fd://`, `data://` or `http://` holds; None when it cannot be read.
fn extract(args: &Args) -> PyResult<Py> {
    let source = py::text_bytes(&args.need(0, "extract")?)?;
    let source = CString::new(source).map_err(|_| py::value_error("a source has no NUL"))?;
    let mut len = 0usize;
    let place = gil::released(|| {
        // SAFETY: the host reads the name during the call; the memory that it gives is ours.
        unsafe { sys::uwsgi_open_and_read(source.as_ptr().cast_mut(), &mut len, 0, std::ptr::null_mut()) as usize }
    });
    if place == 0 {
        return Ok(py::none());
    }
    // SAFETY: the host's memory of so many bytes, from malloc.
    unsafe {
        let content = py::bytes(std::slice::from_raw_parts(place as *const u8, len));
        libc::free(place as *mut std::ffi::c_void);
        content
    }
}

/// `set_warning_message(text)`: the first 80 bytes stand in the log.
fn set_warning_message(args: &Args) -> PyResult<Py> {
    let mut text = py::text_bytes(&args.need(0, "set_warning_message")?)?;
    text.truncate(80);
    host_log::line(&format!("*** WARNING: {} ***", String::from_utf8_lossy(&text)));
    Ok(py::boolean(true))
}

/// `i_am_the_lord(legion)`: rsgi has no legions, so nobody leads one.
fn i_am_the_lord(args: &Args) -> PyResult<Py> {
    args.need(0, "i_am_the_lord")?;
    Ok(py::boolean(false))
}

/// `lord_scroll(legion)`: nobody's.
fn lord_scroll(args: &Args) -> PyResult<Py> {
    args.need(0, "lord_scroll")?;
    Ok(py::none())
}

/// `scrolls(legion)`: nobody's.
fn scrolls(args: &Args) -> PyResult<Py> {
    args.need(0, "scrolls")?;
    Ok(py::none())
}

/// A tuple of one dict per worker.
fn workers(_: &Args) -> PyResult<Py> {
    let workers = host::records()
        .iter()
        .skip(1)
        .map(describe)
        .collect::<PyResult<Vec<_>>>()?;
    py::tuple(&workers.iter().collect::<Vec<_>>())
}

fn status(w: &UwsgiWorker) -> String {
    // SAFETY: reads the worker's record in shared memory.
    let busy = unsafe { sys::uwsgi_worker_is_busy(w.id) } != 0;
    match w {
        w if w.cheaped != 0 => "cheap".into(),
        w if w.suspended != 0 && !busy => "pause".into(),
        w if w.sig != 0 => format!("sig{}", w.signum),
        _ if busy => "busy".into(),
        _ => "idle".into(),
    }
}

fn describe(w: &UwsgiWorker) -> PyResult<Py> {
    // SAFETY: a new dict.
    let dict = unsafe { Py::new(PyDict_New())? };
    let set = |key: &CStr, value: PyResult<Py>| {
        let value = value?;
        // SAFETY: a dict, a NUL-terminated key, a live value.
        py::check(unsafe { PyDict_SetItemString(dict.as_ptr(), key.as_ptr(), value.as_ptr()) })
    };
    set(c"id", py::int(w.id.into()))?;
    set(c"pid", py::int(w.pid.into()))?;
    set(c"requests", py::uint(w.requests))?;
    set(c"delta_requests", py::uint(w.delta_requests))?;
    set(c"signals", py::uint(w.signals))?;
    set(c"exceptions", py::uint(w.exceptions))?;
    set(c"status", py::bytes(status(w).as_bytes()))?;
    set(c"rss", py::uint(w.rss_size))?;
    set(c"vsz", py::uint(w.vsz_size))?;
    set(c"running_time", py::uint(w.running_time))?;
    set(c"last_spawn", py::int(w.last_spawn))?;
    set(c"respawn_count", py::uint(w.respawn_count))?;
    set(c"tx", py::uint(w.tx))?;
    set(c"avg_rt", py::uint(w.avg_response_time))?;
    set(c"apps", apps(w))?;
    Ok(dict)
}

/// The apps of a worker and their counters.
fn apps(w: &UwsgiWorker) -> PyResult<Py> {
    // SAFETY: the worker's rows in shared memory and their number.
    let apps: &[UwsgiApp] = unsafe {
        if w.apps.is_null() || w.apps_cnt <= 0 {
            &[]
        } else {
            std::slice::from_raw_parts(w.apps, w.apps_cnt as usize)
        }
    };
    let list = apps
        .iter()
        .enumerate()
        .map(|(id, app)| describe_app(id, app))
        .collect::<PyResult<Vec<_>>>()?;
    py::tuple(&list.iter().collect::<Vec<_>>())
}

fn callable(id: usize) -> *mut std::ffi::c_void {
    // SAFETY: the host's array of this process and its length.
    unsafe {
        let (first, count) = (sys::uwsgi_apps_of_process(), *sys::uwsgi_apps_cnt_of_process());
        if first.is_null() || id >= count.max(0) as usize {
            return std::ptr::null_mut();
        }
        (*first.add(id)).callable
    }
}

fn describe_app(id: usize, app: &UwsgiApp) -> PyResult<Py> {
    // SAFETY: a new dict.
    let dict = unsafe { Py::new(PyDict_New())? };
    let set = |key: &CStr, value: PyResult<Py>| {
        let value = value?;
        // SAFETY: a dict, a NUL-terminated key, a live value.
        py::check(unsafe { PyDict_SetItemString(dict.as_ptr(), key.as_ptr(), value.as_ptr()) })
    };
    let text = |field: &[std::ffi::c_char]| {
        let bytes: Vec<u8> = field.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
        py::bytes(&bytes)
    };
    set(c"id", py::int(id as i64))?;
    set(c"modifier1", py::int(app.modifier1.into()))?;
    set(c"mountpoint", text(&app.mountpoint[..usize::from(app.mountpoint_len)]))?;
    set(c"startup_time", py::int(app.startup_time))?;
    set(c"interpreter", py::uint(interpreter::main() as u64))?;
    // the address that this process knows; another worker's may differ and would mean nothing here
    set(c"callable", py::uint(callable(id) as u64))?;
    set(c"requests", py::uint(app.requests))?;
    set(c"exceptions", py::uint(app.exceptions))?;
    set(c"chdir", text(&app.chdir))?;
    Ok(dict)
}
