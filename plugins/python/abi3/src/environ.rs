//! The environ of a request. Requests of one front and one kind of client carry the same variables in the same order,
//! so each core keeps a few *shapes*: the keys as Python strings and a dict with the values of the last such request.
//! A new request updates the values that differ and copies the dict: no decoding and no hashing of what is unchanged.

use crate::py::{self, Py, PyResult};
use crate::{exchange, file_wrapper, interpreter, settings};
use libc::iovec;
use pyo3_ffi::*;
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_plugin_api::sys;
use std::cell::RefCell;
use std::ffi::CStr;
use std::mem::ManuallyDrop;

/// Shapes kept per core; the oldest makes room.
const SHAPES: usize = 4;

/// One variable of a shape.
struct Slot {
    name: Vec<u8>,
    key: Py,
    value: Vec<u8>,
    /// A later variable of the same name wins: this one is never put into the dict.
    shadowed: bool,
}

struct Shape {
    slots: Vec<Slot>,
    template: Py,
    https: bool,
    /// Slots that say something about the scheme that the client used.
    forwarded_proto: Option<usize>,
    forwarded_ssl: Option<usize>,
    used: u64,
}

/// Strings that every request needs.
struct Strings {
    input: Py,
    scheme: Py,
    http: Py,
    https: Py,
}

/// One thread's part.
struct Core {
    /// The keys that never change.
    base: Py,
    strings: Strings,
    shapes: Vec<Shape>,
    clock: u64,
}

thread_local! {
    /// Never dropped with the thread, which has no GIL when it ends.
    static CORE: RefCell<ManuallyDrop<Option<Core>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

/// Names worth interning: lookups in the application compare pointers. Others are left out, since an interned string
/// may live for ever and header names are the client's choice.
const WELL_KNOWN: &[&str] = &[
    "REQUEST_METHOD",
    "REQUEST_URI",
    "PATH_INFO",
    "QUERY_STRING",
    "SERVER_PROTOCOL",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "HTTPS",
    "REQUEST_SCHEME",
    "DOCUMENT_ROOT",
    "UWSGI_ROUTER",
    "HTTP_HOST",
    "HTTP_USER_AGENT",
    "HTTP_ACCEPT",
    "HTTP_ACCEPT_ENCODING",
    "HTTP_ACCEPT_LANGUAGE",
    "HTTP_CONNECTION",
    "HTTP_COOKIE",
    "HTTP_REFERER",
    "HTTP_AUTHORIZATION",
    "HTTP_ORIGIN",
    "HTTP_CACHE_CONTROL",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_RANGE",
    "HTTP_UPGRADE",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_REAL_IP",
    "HTTP_X_REQUESTED_WITH",
    "HTTP_X_REQUEST_ID",
];

/// The environ of this request, with `wsgi.input` set.
pub fn build(req: &WsgiRequest, input: &Py) -> PyResult<Py> {
    CORE.with_borrow_mut(|core| {
        let core = match &mut **core {
            Some(core) => core,
            empty => empty.insert(Core::new()?),
        };
        let index = core.shape(variables(req))?;
        let (shape, strings) = (&mut core.shapes[index], &core.strings);
        shape.scheme(req, strings)?;
        // SAFETY: a dict; the copy is new.
        let environ = unsafe { Py::new(PyDict_Copy(shape.template.as_ptr()))? };
        // SAFETY: live objects.
        py::check(unsafe { PyDict_SetItem(environ.as_ptr(), strings.input.as_ptr(), input.as_ptr()) })?;
        Ok(environ)
    })
}

/// Forgets everything: after a fork the ids of process and worker are others.
pub fn forget() {
    CORE.with_borrow_mut(|core| **core = None);
}

/// The request's variables: name, value, name, value ...
pub fn variables(req: &WsgiRequest) -> &[iovec] {
    if req.var_cnt == 0 {
        return &[];
    }
    // SAFETY: the host keeps `var_cnt` entries valid in `hvec`.
    unsafe { std::slice::from_raw_parts(req.hvec, usize::from(req.var_cnt)) }
}

/// Whether two values are the same. Empty ones, of which a request has several, are never handed to `memcmp`: their
/// pointers lead nowhere, and the vector instructions of today's C libraries are slow to find out that they need not.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}

/// The bytes of a name or a value.
pub fn bytes(part: &iovec) -> &[u8] {
    if part.iov_len == 0 {
        return &[];
    }
    // SAFETY: the host keeps pointers and lengths of the variables in step.
    unsafe { std::slice::from_raw_parts(part.iov_base.cast(), part.iov_len) }
}

impl Core {
    fn new() -> PyResult<Core> {
        Ok(Core {
            base: base()?,
            strings: Strings {
                input: intern(b"wsgi.input")?,
                scheme: intern(b"wsgi.url_scheme")?,
                http: intern(b"http")?,
                https: intern(b"https")?,
            },
            shapes: Vec::with_capacity(SHAPES),
            clock: 0,
        })
    }

    /// The index of the shape with exactly these names, its dict brought up to date.
    fn shape(&mut self, vars: &[iovec]) -> PyResult<usize> {
        self.clock += 1;
        let found = self.shapes.iter().position(|s| s.fits(vars));
        let index = match found {
            Some(index) => {
                self.shapes[index].update(vars)?;
                index
            }
            None => {
                let shape = Shape::new(vars, &self.base)?;
                if self.shapes.len() == SHAPES {
                    let oldest = (0..SHAPES).min_by_key(|i| self.shapes[*i].used).unwrap_or(0);
                    self.shapes.swap_remove(oldest);
                }
                self.shapes.push(shape);
                self.shapes.len() - 1
            }
        };
        // the shape in use is the first to be tried next time
        self.shapes.swap(0, index);
        self.shapes[0].used = self.clock;
        Ok(0)
    }
}

impl Shape {
    fn new(vars: &[iovec], base: &Py) -> PyResult<Shape> {
        // SAFETY: a dict; the copy is new.
        let template = unsafe { Py::new(PyDict_Copy(base.as_ptr()))? };
        let mut slots = Vec::with_capacity(vars.len() / 2);
        for pair in vars.chunks_exact(2) {
            let (name, value) = (bytes(&pair[0]), bytes(&pair[1]));
            let known = WELL_KNOWN.iter().any(|k| k.as_bytes() == name);
            let key = if known { intern(name)? } else { py::latin1(name)? };
            slots.push(Slot {
                name: name.to_vec(),
                key,
                value: value.to_vec(),
                shadowed: false,
            });
        }
        for i in 0..slots.len() {
            slots[i].shadowed = slots[i + 1..].iter().any(|later| later.name == slots[i].name);
        }
        let position = |name: &[u8]| slots.iter().position(|s| s.name == name && !s.shadowed);
        let shape = Shape {
            forwarded_proto: position(b"HTTP_X_FORWARDED_PROTO"),
            forwarded_ssl: position(b"HTTP_X_FORWARDED_SSL"),
            slots,
            template,
            https: false,
            used: 0,
        };
        for slot in &shape.slots {
            shape.put(slot)?;
        }
        Ok(shape)
    }

    fn fits(&self, vars: &[iovec]) -> bool {
        self.slots.len() * 2 == vars.len()
            && self
                .slots
                .iter()
                .zip(vars.chunks_exact(2))
                .all(|(slot, pair)| slot.name == bytes(&pair[0]))
    }

    fn update(&mut self, vars: &[iovec]) -> PyResult<()> {
        for i in 0..self.slots.len() {
            let value = bytes(&vars[2 * i + 1]);
            if !same(&self.slots[i].value, value) {
                self.slots[i].value.clear();
                self.slots[i].value.extend_from_slice(value);
                self.put(&self.slots[i])?;
            }
        }
        Ok(())
    }

    fn put(&self, slot: &Slot) -> PyResult<()> {
        if slot.shadowed {
            return Ok(());
        }
        let value = py::latin1(&slot.value)?;
        // SAFETY: a dict, live key and value.
        py::check(unsafe { PyDict_SetItem(self.template.as_ptr(), slot.key.as_ptr(), value.as_ptr()) })
    }

    /// `wsgi.url_scheme`: the front's word, HTTPS, or a trusted proxy's headers.
    fn scheme(&mut self, req: &WsgiRequest, strings: &Strings) -> PyResult<()> {
        let secure = self.is_https(req);
        if secure == self.https {
            return Ok(());
        }
        self.https = secure;
        let value = if secure { &strings.https } else { &strings.http };
        // SAFETY: a dict, live key and value.
        py::check(unsafe { PyDict_SetItem(self.template.as_ptr(), strings.scheme.as_ptr(), value.as_ptr()) })
    }

    fn is_https(&self, req: &WsgiRequest) -> bool {
        let said = |slot: Option<usize>| slot.map(|i| self.slots[i].value.as_slice());
        is_https(req, said(self.forwarded_proto), said(self.forwarded_ssl))
    }
}

/// Whether the client used https: the front's word, HTTPS, or what these two headers of a trusted proxy say.
pub fn is_https(req: &WsgiRequest, forwarded_proto: Option<&[u8]>, forwarded_ssl: Option<&[u8]>) -> bool {
    // SAFETY: the host keeps pointers and lengths of its request in step.
    let field = |p: *const std::ffi::c_char, len: u16| unsafe {
        if p.is_null() {
            &[][..]
        } else {
            std::slice::from_raw_parts(p.cast::<u8>(), len.into())
        }
    };
    let scheme = field(req.scheme, req.scheme_len);
    if !scheme.is_empty() {
        return scheme.eq_ignore_ascii_case(b"https");
    }
    let https = field(req.https, req.https_len);
    if https.eq_ignore_ascii_case(b"on") || https == b"1" {
        return true;
    }
    let claims = forwarded_proto.is_some_and(|v| v.eq_ignore_ascii_case(b"https"))
        || forwarded_ssl.is_some_and(|v| v.eq_ignore_ascii_case(b"on") || v == b"1");
    claims && is_trusted(field(req.remote_addr, req.remote_addr_len))
}

/// A peer whose word about the client counts: this machine (a unix socket has no address).
fn is_trusted(peer: &[u8]) -> bool {
    peer.is_empty() || peer.starts_with(b"127.") || peer == b"::1" || peer.starts_with(b"::ffff:127.")
}

/// A str that equal ones of other modules are the same object as.
pub fn intern(text: &[u8]) -> PyResult<Py> {
    let mut object = py::latin1(text)?.into_ptr();
    // SAFETY: replaces our reference by one to the interned twin.
    unsafe {
        PyUnicode_InternInPlace(&mut object);
        Py::new(object)
    }
}

const TIMEOUT: &CStr = c"x-wsgiorg.fdevent.timeout";

/// Whether there is an async mode, whose environ has what waits for descriptors.
pub fn has_events() -> bool {
    // SAFETY: a plain read of the published view.
    unsafe { sys::uwsgi.r#async > 1 }
}

/// The last wait has ended by its time, or by a descriptor.
pub fn note_timeout(environ: &Py, is_over: bool) -> PyResult<()> {
    let value = if is_over { py::boolean(true) } else { py::none() };
    py::set_item(environ, TIMEOUT, &value)
}

/// The keys that are the same for every request of this process.
fn base() -> PyResult<Py> {
    // SAFETY: plain reads of the published view; strings are NUL-terminated.
    let (threads, processes, cores, version, node) = unsafe {
        let view = &raw const sys::uwsgi;
        let node = std::ffi::CStr::from_ptr((&raw const (*view).hostname).cast());
        (
            (*view).threads,
            (*view).numproc,
            (*view).cores,
            py::c_bytes((*view).version)?,
            py::bytes(node.to_bytes())?,
        )
    };
    // SAFETY: a new dict; borrowed singletons become owned references.
    let (dict, errors) = unsafe {
        (
            Py::new(PyDict_New())?,
            Py::borrowed(PySys_GetObject(c"stderr".as_ptr())).unwrap_or_else(|_| py::none()),
        )
    };
    let set = |key: &str, value: &Py| {
        let key = intern(key.as_bytes())?;
        // SAFETY: a dict, live key and value.
        py::check(unsafe { PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) })
    };
    set("wsgi.version", &py::tuple(&[&py::int(1)?, &py::int(0)?])?)?;
    set("wsgi.url_scheme", &intern(b"http")?)?;
    set("wsgi.input", &py::none())?; // its place is taken here, so that the copy need not grow
    set("wsgi.errors", &errors)?;
    set("wsgi.multithread", &py::boolean(threads > 1))?;
    set("wsgi.multiprocess", &py::boolean(processes > 1))?;
    set("wsgi.run_once", &py::boolean(false))?;
    set("wsgi.input_terminated", &py::boolean(true))?;
    if settings::get().file_wrapper {
        set("wsgi.file_wrapper", &file_wrapper::class()?)?;
    }
    if has_events() {
        let module = interpreter::import(c"uwsgi")?;
        set("x-wsgiorg.fdevent.readable", &module.attr(c"wait_fd_read")?)?;
        set("x-wsgiorg.fdevent.writable", &module.attr(c"wait_fd_write")?)?;
        note_timeout(&dict, false)?;
    }
    set("uwsgi.version", &version)?;
    set("uwsgi.node", &node)?;
    if cores > 1 {
        // SAFETY: the host's request, valid while its exchange lives.
        let core = exchange::current().map_or(0, |x| unsafe { (*x.req()).async_id });
        set("uwsgi.core", &py::int(core.into())?)?;
    }
    Ok(dict)
}
