//! Threads of plugins, each with a queue and a pair of sockets.

use super::event_queue::{event_queue_add_fd_read, event_queue_init};
use super::memory::uwsgi_calloc;
use crate::plugin::inside::{Brought, end};
use rsgi_plugin_api::abi::UwsgiThread;
use std::ffi::c_void;
use std::ptr::null_mut;

type Run = unsafe extern "C" fn(*mut UwsgiThread);

extern "C" fn begin(thread: *mut c_void) -> *mut c_void {
    let thread = thread.cast::<UwsgiThread>();
    // SAFETY: the record that the thread was made with; the signals of the process are for its main thread.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        // those of a crash must find their handler
        for signal in end::CRASHES {
            libc::sigdelset(&mut all, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, null_mut());
        if let Some(func) = (*thread).func {
            Brought::of(c"thread", func).call(|func| func(thread));
        }
    }
    null_mut()
}

/// The parts of a thread; `None`: the system has no more of them.
fn make(func: Run, data: *mut c_void) -> Option<*mut UwsgiThread> {
    let thread = uwsgi_calloc(size_of::<UwsgiThread>()).cast::<UwsgiThread>();
    // SAFETY: new, zeroed, and ours; it stays for the life of the process.
    unsafe {
        (*thread).func = Some(func);
        (*thread).data = data;
        libc::pthread_mutex_init(&raw mut (*thread).lock, std::ptr::null());
        let flags = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        if libc::socketpair(libc::AF_UNIX, flags, 0, (&raw mut (*thread).pipe).cast()) != 0 {
            return None;
        }
        (*thread).queue = event_queue_init();
        let is_made = (*thread).queue >= 0
            && event_queue_add_fd_read((*thread).queue, (*thread).pipe[1]) == 0
            && libc::pthread_create(&raw mut (*thread).tid, std::ptr::null(), begin, thread.cast()) == 0;
        is_made.then_some(thread)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_thread_new_with_data(func: Option<Run>, data: *mut c_void) -> *mut UwsgiThread {
    let made = func.and_then(|func| make(func, data));
    made.unwrap_or_else(|| {
        crate::say!("no thread for a plugin: {}", nix::Error::last().desc());
        null_mut()
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_thread_new(func: Option<Run>) -> *mut UwsgiThread {
    uwsgi_thread_new_with_data(func, null_mut())
}
