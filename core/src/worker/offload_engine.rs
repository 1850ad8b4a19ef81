//! Tasks that plugins hand over to a thread of the worker (`uwsgi_offload_run()`): the thread waits for their descriptors
//! and calls their engine, long after the request has ended.

use crate::exports::{buffer_destroy, thread_with_queue, wait_in_queue};
use crate::plugin::inside::{Brought, Inside};
use crate::say;
use crate::server::server;
use rsgi_plugin_api::abi::{
    UwsgiOffloadEngine, UwsgiOffloadEvent, UwsgiOffloadPrepare, UwsgiOffloadRequest, UwsgiThread,
};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// An engine of a plugin; what it has is its address.
pub struct Engine {
    name: String,
    prepare: Option<Brought<UwsgiOffloadPrepare>>,
    event: Brought<UwsgiOffloadEvent>,
}

/// An address that goes from one thread to another.
#[derive(Clone, Copy)]
struct Address<T>(*mut T);

// SAFETY: what is behind it stays, and is used by one thread at a time.
unsafe impl<T> Send for Address<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Address<T> {}

static ENGINES: Mutex<Vec<Address<Engine>>> = Mutex::new(Vec::new());
/// The threads of this worker, once they are needed.
static THREADS: OnceLock<Vec<Address<UwsgiThread>>> = OnceLock::new();
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// One more engine.
pub fn register(
    name: String,
    prepare: Option<UwsgiOffloadPrepare>,
    event: UwsgiOffloadEvent,
) -> *mut UwsgiOffloadEngine {
    let engine = Box::into_raw(Box::new(Engine {
        prepare: prepare.map(|prepare| Brought::new("offload engine", &name, prepare)),
        event: Brought::new("offload engine", &name, event),
        name,
    }));
    let mut all = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(Address(engine));
    engine.cast()
}

/// Whether any plugin may take over what follows a head.
pub fn is_used() -> bool {
    is_allowed() && !ENGINES.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
}

/// `--offload-threads`
pub fn is_allowed() -> bool {
    server().settings.statics.offload_threads > 0
}

/// The engine behind a record.
fn engine(record: *mut UwsgiOffloadEngine) -> Option<&'static Engine> {
    let all = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = all.iter().find(|known| std::ptr::eq(known.0.cast(), record));
    // SAFETY: engines are never freed.
    known.map(|known| unsafe { &*known.0 })
}

/// What prepares a task of this engine.
pub fn prepare_of(record: *mut UwsgiOffloadEngine) -> Option<Brought<UwsgiOffloadPrepare>> {
    engine(record)?.prepare
}

/// Hands a task to a thread; whether one took it.
pub fn give(task: UwsgiOffloadRequest) -> bool {
    if engine(task.engine).is_none() {
        say!("offload: a plugin handed over a task of no engine");
        return false;
    }
    let threads = THREADS.get_or_init(|| {
        let count = server().settings.statics.offload_threads.max(1);
        let made = (0..count).map(|_| Address(thread_with_queue(run)));
        made.filter(|thread| !thread.0.is_null()).collect()
    });
    let Some(thread) = threads.get(NEXT.fetch_add(1, Ordering::Relaxed) % threads.len().max(1)) else {
        return false;
    };
    let address = Box::into_raw(Box::new(task)) as usize;
    // SAFETY: the thread's own end of the pair stays open; an address is eight bytes, written as a whole.
    let sent = unsafe { libc::write((*thread.0).pipe[0], (&raw const address).cast(), size_of::<usize>()) };
    if sent != size_of::<usize>() as isize {
        // SAFETY: the task that was just boxed, which nobody has.
        drop(unsafe { Box::from_raw(address as *mut UwsgiOffloadRequest) });
        return false;
    }
    true
}

/// The thread's life.
unsafe extern "C" fn run(thread: *mut UwsgiThread) {
    let _ours = Inside::outside();
    let mut tasks: Vec<Address<UwsgiOffloadRequest>> = Vec::new();
    // SAFETY: the record of this thread; tasks are boxed and this thread's alone.
    unsafe {
        loop {
            let Some(fd) = wait_in_queue((*thread).queue) else {
                continue;
            };
            if fd == (*thread).pipe[1] {
                let mut address = 0usize;
                let read = libc::read(fd, (&raw mut address).cast(), size_of::<usize>());
                if read == size_of::<usize>() as isize {
                    let task = address as *mut UwsgiOffloadRequest;
                    if goes_on(thread, task, -1) {
                        tasks.push(Address(task));
                    }
                }
                continue;
            }
            let is_it = |task: &Address<UwsgiOffloadRequest>| [(*task.0).s, (*task.0).fd, (*task.0).fd2].contains(&fd);
            match tasks.iter().position(is_it) {
                Some(at) => {
                    if !goes_on(thread, tasks[at].0, fd) {
                        tasks.swap_remove(at);
                    }
                }
                // nobody's any more
                None => drop(libc::epoll_ctl(
                    (*thread).queue,
                    libc::EPOLL_CTL_DEL,
                    fd,
                    std::ptr::null_mut(),
                )),
            }
        }
    }
}

/// Calls the engine of a task; `false`: it has ended, and is gone.
///
/// # Safety
/// Both are alive and this thread's.
unsafe fn goes_on(thread: *mut UwsgiThread, task: *mut UwsgiOffloadRequest, fd: RawFd) -> bool {
    // SAFETY: by the contract; the engine was looked at when the task was handed over.
    unsafe {
        let Some(engine) = engine((*task).engine) else {
            return false;
        };
        let outcome = engine.event.call(|event| event(thread, task, fd));
        if outcome != 0 {
            log::debug!("offload {}: a task ended ({outcome})", engine.name);
            end(task);
        }
        outcome == 0
    }
}

/// Gives back all that a task has.
///
/// # Safety
/// It was boxed by [`give`], and nobody uses it any more.
unsafe fn end(task: *mut UwsgiOffloadRequest) {
    // SAFETY: by the contract; the header says what of it is given back.
    unsafe {
        if let Some(free) = (*task).free {
            Brought::of(c"offload engine", free).call(|free| free(task));
        }
        let mut task = Box::from_raw(task);
        let client = if task.takeover != 0 { task.s } else { -1 };
        for fd in [client, task.fd, task.fd2, task.pipe[1]] {
            if fd >= 0 {
                libc::close(fd);
            }
        }
        libc::free(task.buf.cast());
        buffer_destroy(task.ubuf);
        for buffer in &mut task.ubufs {
            buffer_destroy(*buffer);
        }
    }
}
