//! The exception at hand: taken out of Python's error indicator, so that Python can be called to describe it; printed
//! once, and shown to the host's `uwsgi_manage_exception`, which asks back through the exception hooks.

use crate::bridge::ExceptionText;
use crate::exchange::Exchange;
use crate::interpreter;
use crate::py::{self, Py};
use pyo3_ffi::*;
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_plugin_api::{export, log, sys};
use std::cell::Cell;

/// A caught exception.
pub struct Exception {
    /// Its class.
    pub class: Py,
    /// The instance.
    pub value: Py,
    /// Its traceback or None.
    pub traceback: Py,
}

thread_local! {
    /// What the host's hooks are asked about, while [`report`] runs on this thread.
    static CURRENT: Cell<*const Exception> = const { Cell::new(std::ptr::null()) };
    /// Whether the current one was printed.
    static PRINTED: Cell<bool> = const { Cell::new(false) };
}

/// Takes the current exception out of Python.
pub fn take() -> Option<Exception> {
    let mut parts = [std::ptr::null_mut(); 3];
    let [class, value, traceback] = &mut parts;
    // SAFETY: the three are filled with references that are ours.
    unsafe {
        PyErr_Fetch(class, value, traceback);
        if class.is_null() {
            return None;
        }
        PyErr_NormalizeException(class, value, traceback);
        let [class, value, traceback] = parts.map(|p| Py::new(p).unwrap_or_else(|_| py::none()));
        if !traceback.is_none() {
            PyException_SetTraceback(value.as_ptr(), traceback.as_ptr());
        }
        Some(Exception {
            class,
            value,
            traceback,
        })
    }
}

impl Exception {
    /// Whether it is an instance of this class.
    ///
    /// # Safety
    /// `class` is a live exception class.
    pub unsafe fn is(&self, class: *mut PyObject) -> bool {
        // SAFETY: live objects.
        unsafe { PyErr_GivenExceptionMatches(self.class.as_ptr(), class) != 0 }
    }

    /// The traceback as Python prints it, newline at the end.
    pub fn text(&self) -> String {
        let text = interpreter::support(c"format_exception", &[&self.class, &self.value, &self.traceback]);
        match text {
            Ok(text) => lossy(&text),
            Err(_) => {
                py::clear();
                format!(
                    "{}\n",
                    self.describe(ExceptionText::Repr)
                        .unwrap_or_else(|| "an exception".into())
                )
            }
        }
    }

    /// One of the texts that the host asks for.
    pub fn describe(&self, which: ExceptionText) -> Option<String> {
        let text = match which {
            ExceptionText::Class => self.class.attr(c"__name__"),
            // SAFETY: a live object.
            ExceptionText::Message => unsafe { Py::new(PyObject_Str(self.value.as_ptr())) },
            // SAFETY: a live object.
            ExceptionText::Repr => unsafe { Py::new(PyObject_Repr(self.value.as_ptr())) },
            ExceptionText::Backtrace => interpreter::support(c"format_stack", &[&self.traceback]),
        };
        text.map(|t| lossy(&t)).map_err(|_| py::clear()).ok()
    }

    /// Prints it to the log, in one piece.
    pub fn print(&self) {
        log::line(self.text().trim_end_matches('\n'));
    }
}

/// Any str as text for the log.
pub fn lossy(text: &Py) -> String {
    py::text_bytes(text).map_or_else(
        |_| {
            py::clear();
            String::new()
        },
        |b| String::from_utf8_lossy(&b).into_owned(),
    )
}

/// Prints the current exception, if there is one, and drops it.
pub fn print_current() {
    if let Some(e) = take() {
        e.print();
    }
}

/// The same, but not an OSError of a request whose client has gone.
pub fn print_unless_gone(gone: bool) {
    if let Some(e) = take()
        // SAFETY: the class lives for ever.
        && !(gone && unsafe { e.is(PyExc_OSError) })
    {
        e.print();
    }
}

/// Prints the current exception of a failed load and one line that says what to do; the line is left out when the
/// traceback says it all. `wanted` is the module that the user named.
pub fn explain_current(wanted: &str) {
    let Some(e) = take() else { return };
    e.print();
    let hint = py::string(wanted).and_then(|wanted| interpreter::support(c"hint", &[&e.value, &wanted]));
    match hint.map(|h| lossy(&h)) {
        Ok(line) if !line.is_empty() => log::line(&line),
        Ok(_) => {}
        Err(_) => py::clear(),
    }
}

/// Hands the current exception of a request to the host: it is counted, printed once, and the client gets the
/// exception's text (catch-exceptions), a plain 500, or, when an answer has begun, a cut connection. What the request
/// hook then returns.
pub fn report(exchange: &Exchange) -> i32 {
    report_of(exchange.req(), exchange.gone.get())
}

/// The same for a request of the host's; `gone`: its client is.
pub fn report_of(req: *mut WsgiRequest, gone: bool) -> i32 {
    let Some(e) = take() else { return -1 };
    // SAFETY: the class lives for ever.
    let write_error = gone && unsafe { e.is(PyExc_OSError) };
    // SAFETY: a plain read of the published view.
    if write_error && unsafe { sys::uwsgi.disable_write_exception } != 0 {
        return -1;
    }
    let outer = CURRENT.replace(&e);
    PRINTED.set(false);
    // SAFETY: the host's request of this core; its questions come back on this thread, with the GIL held.
    let answered = unsafe {
        let catch = i32::from(sys::uwsgi.catch_exceptions != 0 && (*req).headers_sent == 0);
        sys::uwsgi_manage_exception(req, catch) == 0 && catch != 0
    };
    if !PRINTED.get() {
        e.print();
    }
    CURRENT.set(outer);
    // SAFETY: as above.
    unsafe {
        if answered {
            return 0;
        }
        if (*req).headers_sent != 0 || gone {
            return -1;
        }
        sys::uwsgi_500(req);
    }
    0
}

/// The host asks for a text of the exception that [`report`] shows it.
pub fn text_for_host(which: ExceptionText) -> *mut rsgi_plugin_api::abi::UwsgiBuffer {
    // SAFETY: set by `report` for the time of the host's call.
    let Some(e) = (unsafe { CURRENT.get().as_ref() }) else {
        return std::ptr::null_mut();
    };
    crate::gil::with(|| export::new_buffer(e.describe(which).map(String::into_bytes)))
}

/// The host asks to print the exception that [`report`] shows it.
pub fn print_for_host() {
    // SAFETY: set by `report` for the time of the host's call.
    if let Some(e) = unsafe { CURRENT.get().as_ref() } {
        PRINTED.set(true);
        crate::gil::with(|| e.print());
    }
}
