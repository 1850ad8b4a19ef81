//! `--py-autoreload`: each worker watches the files of its modules. One that Python understands asks for a reload; one
//! that it does not is shown in place of every answer until it is mended, since a developer looks there and not into the
//! log. The watching itself is in `occasions.py`.

use crate::py::{self, Args, Function, Py, PyResult};
use crate::{interpreter, settings};
use libc::{IN_CLOEXEC, IN_CLOSE_WRITE, IN_MOVED_TO, IN_NONBLOCK};
use pyo3_ffi::*;
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_plugin_api::{log, sys};
use std::ffi::CString;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

const STATUS: &[u8] = b"500 Internal Server Error";
const HEADERS: [(&[u8], &[u8]); 2] = [
    (b"Content-Type", b"text/html; charset=utf-8"),
    (b"Cache-Control", b"no-store"),
];

/// Whether there is a page, for a look before each request.
static IS_SHOWN: AtomicBool = AtomicBool::new(false);
static PAGE: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static WATCH: Function = Function::new(py::method(c"watch_folder", watch_folder, METH_VARARGS));
static SHOW: Function = Function::new(py::method(c"show", show, METH_VARARGS));

/// Begins to watch, in a worker; worker 1 asks for the reloads, for all.
pub fn start(worker: i32, log: &Py, reload: Py) -> PyResult<()> {
    let settings = settings::get();
    if settings.autoreload == 0 || worker == 0 {
        return Ok(());
    }
    // SAFETY: takes no pointer.
    let events = unsafe { libc::inotify_init1(IN_CLOEXEC | IN_NONBLOCK) };
    if events < 0 {
        log::line(
            "[python-reloader] the kernel has no more inotify descriptors (fs.inotify.max_user_instances): \
                   changes are found each --py-autoreload seconds only",
        );
    }
    let ignored = interpreter::list(settings.autoreload_ignore.iter().map(Vec::as_slice))?;
    let reload = if worker == 1 { reload } else { py::none() };
    interpreter::support(
        c"watch_modules",
        &[
            &py::int(settings.autoreload.into())?,
            &ignored,
            log,
            &reload,
            &py::int(events.into())?,
            &WATCH.object()?,
            &SHOW.object()?,
        ],
    )
    .map(drop)
}

/// `watch_folder(fd, path)`: the number that events of the folder bear; -1: it cannot be watched.
unsafe extern "C" fn watch_folder(_: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: the tuple of a call.
    let args = unsafe { Args::new(args) };
    py::give((|| {
        let fd = i32::try_from(args.int(0, -1)?).unwrap_or(-1);
        let path = CString::new(py::text_bytes(&args.need(1, "watch_folder")?)?).unwrap_or_default();
        // SAFETY: a NUL-terminated path.
        let number = unsafe { libc::inotify_add_watch(fd, path.as_ptr(), IN_CLOSE_WRITE | IN_MOVED_TO) };
        py::int(number.into())
    })())
}

/// `show(page)`: what is answered from now on, in UTF-8; nothing: what the application answers.
unsafe extern "C" fn show(_: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: the tuple of a call.
    let args = unsafe { Args::new(args) };
    py::give((|| {
        let page = py::text_bytes(&args.need(0, "show")?)?;
        IS_SHOWN.store(!page.is_empty(), Ordering::Release);
        *PAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = page;
        Ok(py::none())
    })())
}

/// Answers with the page, if there is one; whether the request is done with that.
#[inline]
pub fn stands_in(req: *mut WsgiRequest) -> bool {
    IS_SHOWN.load(Ordering::Relaxed) && answer(req)
}

#[cold]
fn answer(req: *mut WsgiRequest) -> bool {
    let page = PAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    if page.is_empty() {
        return false;
    }
    let text = |bytes: &[u8]| (bytes.as_ptr().cast_mut().cast(), bytes.len() as u16);
    let (status, len) = text(STATUS);
    // SAFETY: the host's request; texts and lengths are in step, and copied.
    unsafe {
        let mut failed = sys::uwsgi_response_prepare_headers(req, status, len);
        for (name, value) in HEADERS {
            let ((name, name_len), (value, value_len)) = (text(name), text(value));
            failed |= sys::uwsgi_response_add_header(req, name, name_len, value, value_len);
        }
        failed |= sys::uwsgi_response_add_content_length(req, page.len() as u64);
        if failed == 0 {
            sys::uwsgi_response_write_body_do(req, page.as_ptr().cast_mut().cast(), page.len());
        }
    }
    true
}
