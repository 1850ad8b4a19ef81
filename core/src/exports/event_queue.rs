//! Queues of descriptors to wait for, over epoll.

use std::ffi::{c_int, c_void};
use std::sync::{Mutex, PoisonError};

const READ: c_int = libc::EPOLLIN;
const WRITE: c_int = libc::EPOLLOUT;

/// The queues of this process.
static QUEUES: Mutex<Vec<c_int>> = Mutex::new(Vec::new());

#[unsafe(no_mangle)]
pub extern "C" fn event_queue_init() -> c_int {
    // SAFETY: makes a descriptor, touches no memory.
    let queue = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if queue >= 0 {
        let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|known| *known != queue);
        queues.push(queue);
    }
    queue
}

/// Takes a descriptor out of all queues, as its close would.
pub fn forget_everywhere(fd: c_int) {
    for queue in QUEUES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        // SAFETY: the kernel judges the descriptors; most queues do not have it.
        unsafe { libc::epoll_ctl(*queue, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn event_queue_read() -> c_int {
    READ
}

#[unsafe(no_mangle)]
pub extern "C" fn event_queue_write() -> c_int {
    WRITE
}

fn control(queue: c_int, operation: c_int, fd: c_int, events: c_int) -> c_int {
    let mut event = libc::epoll_event {
        events: events as u32,
        u64: fd as u64,
    };
    // SAFETY: one valid event; the kernel judges the descriptors.
    let done = unsafe { libc::epoll_ctl(queue, operation, fd, &mut event) };
    if done != 0 {
        crate::say!("event queue {queue}, descriptor {fd}: {}", nix::Error::last().desc());
    }
    done
}

#[unsafe(no_mangle)]
pub extern "C" fn event_queue_del_fd(queue: c_int, fd: c_int, _event: c_int) -> c_int {
    control(queue, libc::EPOLL_CTL_DEL, fd, 0)
}

macro_rules! changes {
    ($($name:ident $operation:ident $events:expr;)*) => { $(
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(queue: c_int, fd: c_int) -> c_int {
            control(queue, libc::$operation, fd, $events)
        }
    )* };
}

changes! {
    event_queue_add_fd_read EPOLL_CTL_ADD READ;
    event_queue_add_fd_write EPOLL_CTL_ADD WRITE;
    event_queue_fd_read_to_write EPOLL_CTL_MOD WRITE;
    event_queue_fd_write_to_read EPOLL_CTL_MOD READ;
    event_queue_fd_read_to_readwrite EPOLL_CTL_MOD READ | WRITE;
    event_queue_fd_write_to_readwrite EPOLL_CTL_MOD READ | WRITE;
    event_queue_fd_readwrite_to_read EPOLL_CTL_MOD READ;
    event_queue_fd_readwrite_to_write EPOLL_CTL_MOD WRITE;
}

fn millis(seconds: c_int) -> c_int {
    if seconds < 0 { -1 } else { seconds.saturating_mul(1000) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_queue_wait(queue: c_int, timeout: c_int, fd: *mut c_int) -> c_int {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: room for one event, as stated; the header asks for a place for the descriptor.
    unsafe {
        let count = libc::epoll_wait(queue, &mut event, 1, millis(timeout));
        if count > 0 && !fd.is_null() {
            *fd = { event.u64 } as c_int;
        }
        count
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn event_queue_alloc(count: c_int) -> *mut c_void {
    let count = usize::try_from(count).unwrap_or(0).max(1);
    super::memory::uwsgi_malloc(count.saturating_mul(size_of::<libc::epoll_event>()))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_queue_wait_multi(
    queue: c_int,
    timeout: c_int,
    events: *mut c_void,
    count: c_int,
) -> c_int {
    // SAFETY: the header asks for room for so many events.
    unsafe { libc::epoll_wait(queue, events.cast(), count, millis(timeout)) }
}

/// One of the events that came.
///
/// # Safety
/// `events` holds more than `at` events.
unsafe fn event(events: *mut c_void, at: c_int) -> libc::epoll_event {
    // SAFETY: by the contract; the record may be packed.
    unsafe { events.cast::<libc::epoll_event>().offset(at as isize).read_unaligned() }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_queue_interesting_fd(events: *mut c_void, at: c_int) -> c_int {
    // SAFETY: the header asks for an event that came.
    unsafe { event(events, at).u64 as c_int }
}

/// Whether an event has one of these marks.
macro_rules! marks {
    ($($name:ident $marks:expr;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(events: *mut c_void, at: c_int) -> c_int {
            // SAFETY: the header asks for an event that came.
            c_int::from(unsafe { event(events, at).events } & ($marks) as u32 != 0)
        }
    )* };
}

marks! {
    event_queue_interesting_fd_is_read READ;
    event_queue_interesting_fd_is_write WRITE;
    event_queue_interesting_fd_has_error libc::EPOLLERR | libc::EPOLLHUP;
}
