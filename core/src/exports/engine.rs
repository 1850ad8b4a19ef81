//! What loop engines of plugins call: accept, parse, route, close.

use super::event_queue::{event_queue_add_fd_read, event_queue_wait};
use crate::plugin::inside::Brought;
use crate::server::view;
use crate::worker::engine;
use rsgi_plugin_api::abi::{UWSGI_AGAIN, UWSGI_OK, UWSGI_ROUTE_BREAK, UWSGI_ROUTE_NEXT, UwsgiSocket, WsgiRequest};
use std::ffi::{c_char, c_int, c_long, c_void};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_loop(name: *mut c_char, func: Option<engine::Engine>) {
    if let Some(func) = func {
        // SAFETY: the header asks for a NUL-terminated name.
        engine::ENGINES.bring("loop engine", unsafe { super::text(name) }, func);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn find_first_available_wsgi_req() -> *mut WsgiRequest {
    engine::free_request().unwrap_or(std::ptr::null_mut())
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_async_queue_is_full(now: libc::time_t) {
    engine::say_full(now);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsgi_req_setup(req: *mut WsgiRequest, id: c_int, socket: *mut UwsgiSocket) {
    // SAFETY: the header asks for a request of ours.
    if let Some(req) = unsafe { req.as_mut() } {
        req.async_id = id;
        req.socket = socket;
        req.async_status = UWSGI_OK;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsgi_req_simple_accept(req: *mut WsgiRequest, fd: c_int) -> c_int {
    // SAFETY: the header asks for a request of ours.
    if unsafe { engine::accept(req, fd) } { 0 } else { -1 }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsgi_req_accept(queue: c_int, req: *mut WsgiRequest) -> c_int {
    let mut fd = -1;
    // SAFETY: a place of ours, and the header asks for a request of ours.
    unsafe {
        if event_queue_wait(queue, -1, &mut fd) <= 0 {
            return -1;
        }
        wsgi_req_simple_accept(req, fd)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsgi_req_recv(_queue: c_int, req: *mut WsgiRequest) -> c_int {
    // SAFETY: the header asks for a request of ours that was accepted; the hooks are the host's or an engine's.
    unsafe {
        match engine::parse(req) {
            0 => {}
            UWSGI_AGAIN => {
                // others must not wait for this client: it comes back with more of its head
                engine::set_aside(req);
                return -1;
            }
            _ => return -1,
        }
        if engine::apply_routes(req) || engine::hand_over(req) {
            0
        } else {
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_add_sockets_to_queue(queue: c_int, _id: c_int) {
    // SAFETY: records of the start, which stay; the list ends with NULL.
    unsafe {
        let mut socket = (*view()).sockets;
        while let Some(known) = socket.as_ref() {
            event_queue_add_fd_read(queue, known.fd);
            socket = known.next;
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_count_sockets(first: *mut UwsgiSocket) -> c_int {
    let (mut count, mut socket) = (0, first);
    // SAFETY: the header asks for a list of ours, which ends with NULL.
    while let Some(known) = unsafe { socket.as_ref() } {
        count += 1;
        socket = known.next;
    }
    count
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_apply_routes(req: *mut WsgiRequest) -> c_int {
    // SAFETY: the header asks for a request of ours that has begun.
    match unsafe { engine::apply_routes(req) } {
        true => UWSGI_ROUTE_BREAK,
        false => UWSGI_ROUTE_NEXT,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_close_request(req: *mut WsgiRequest) {
    engine::close(req, true);
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_destroy_request(req: *mut WsgiRequest) {
    engine::close(req, false);
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_loop_cores_run(func: Option<unsafe extern "C" fn(*mut c_void) -> *mut c_void>) {
    let Some(func) = func.map(|func| Brought::of(c"thread of a loop engine", func)) else {
        return;
    };
    for core in 1..engine::core_count() {
        let builder = std::thread::Builder::new().name(format!("core {core}"));
        // SAFETY: the header says what the function gets: the number of a core.
        let spawned = builder.spawn(move || func.call(|func| unsafe { func(core as *mut c_void) as usize }));
        if let Err(e) = spawned {
            crate::say!("cannot start the thread of core {core}: {e}");
            crate::process::exit(1)
        }
    }
    // SAFETY: as above.
    func.call(|func| unsafe { func(std::ptr::null_mut()) });
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_setup_thread_req(_core: c_long, req: *mut WsgiRequest) {
    engine::begin_thread(req);
}
