//! Tasks that a plugin hands over to a thread of the worker.

use crate::request::{Core, response};
use crate::shared::counter;
use crate::worker::offload_engine;
use rsgi_plugin_api::abi::{
    UwsgiOffloadEngine, UwsgiOffloadEvent, UwsgiOffloadPrepare, UwsgiOffloadRequest, WsgiRequest,
};
use std::ffi::{c_char, c_int};
use std::sync::atomic::Ordering;

/// `via` of an answer whose end another thread sends, in the request's log line.
const VIA_OFFLOAD: u16 = 3;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_offload_register_engine(
    name: *mut c_char,
    prepare: Option<UwsgiOffloadPrepare>,
    event: Option<UwsgiOffloadEvent>,
) -> *mut UwsgiOffloadEngine {
    // SAFETY: the header asks for a NUL-terminated name.
    let name = String::from_utf8_lossy(unsafe { super::text(name) }).into_owned();
    event.map_or(std::ptr::null_mut(), |event| {
        offload_engine::register(name, prepare, event)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_offload_setup(
    engine: *mut UwsgiOffloadEngine,
    task: *mut UwsgiOffloadRequest,
    req: *mut WsgiRequest,
    takeover: u8,
) {
    // SAFETY: the header asks for room for a task and a request of ours; zero is valid for what is not set.
    unsafe {
        task.write(std::mem::zeroed());
        (*task).engine = engine;
        (*task).takeover = takeover;
        (*task).s = (*req).fd;
        ((*task).fd, (*task).fd2) = (-1, -1);
        (*task).pipe = [-1, -1];
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_offload_run(
    req: *mut WsgiRequest,
    task: *mut UwsgiOffloadRequest,
    wait: *mut c_int,
) -> c_int {
    // SAFETY: the header asks for a request of ours that is being served, a task, and NULL or a place.
    unsafe {
        if !offload_engine::is_allowed() {
            return -1;
        }
        if let Some(prepare) = offload_engine::prepare_of((*task).engine)
            && prepare.call(|prepare| prepare(req, task)) != 0
        {
            return -1;
        }
        let mut given = *task;
        if !wait.is_null() && libc::pipe2((&raw mut given.pipe).cast(), libc::O_CLOEXEC) != 0 {
            return -1;
        }
        if given.takeover != 0 {
            // the request's own descriptor is closed when it ends
            given.s = libc::fcntl(given.s, libc::F_DUPFD_CLOEXEC, 3);
        }
        let notice = given.pipe[0];
        let own = [given.pipe[1], if given.takeover != 0 { given.s } else { -1 }];
        if !offload_engine::give(given) {
            for fd in own.into_iter().chain([notice]).filter(|fd| *fd >= 0) {
                libc::close(fd);
            }
            return -1;
        }
        if !wait.is_null() {
            *wait = notice;
        }
        if given.takeover != 0 {
            let core = Core::of(req);
            response::cut(core);
            core.raw().via = VIA_OFFLOAD;
            counter(&raw mut (*core.counters).offloaded_requests).fetch_add(1, Ordering::Relaxed);
        }
        0
    }
}
