//! The scope of a request. Requests of one client look alike, so a few *shapes* are kept: the names that a request came
//! with, and a dict with the values of the last such request. A new one updates what differs and copies the dict; header
//! pairs that are the same are the same tuples.

use crate::environ;
use crate::py::{self, Py, PyResult};
use libc::iovec;
use pyo3_ffi::*;
use rsgi_plugin_api::abi::WsgiRequest;
use std::cell::RefCell;
use std::mem::ManuallyDrop;

/// Shapes kept; the oldest makes room.
const SHAPES: usize = 8;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An answer.
    Http,
    /// A conversation.
    Websocket,
}

struct Slot {
    name: Vec<u8>,
    value: Vec<u8>,
    /// Where it stands in the list of headers.
    header: Option<Py_ssize_t>,
    /// A header that some fronts send empty when there is none.
    is_absent: bool,
}

struct Shape {
    slots: Vec<Slot>,
    /// The value of each slot that a key of the scope is made of.
    template: Py,
    headers: Py,
    kind: Kind,
    https: bool,
    /// Slots that say something about the scheme that the client used.
    forwarded_proto: Option<usize>,
    forwarded_ssl: Option<usize>,
    used: u64,
}

/// Keys and values that every scope has.
struct Strings {
    http: Py,
    https: Py,
    ws: Py,
    wss: Py,
    scheme: Py,
    headers: Py,
    state: Py,
}

struct Scopes {
    strings: Strings,
    shapes: Vec<Shape>,
    clock: u64,
}

thread_local! {
    /// Never dropped with the thread, which has no GIL when it ends.
    static SCOPES: RefCell<ManuallyDrop<Option<Scopes>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

/// The scope of this request; `state`: the dict of the lifespan.
pub fn build(req: &WsgiRequest, state: Option<&Py>) -> PyResult<(Py, Kind)> {
    SCOPES.with_borrow_mut(|scopes| {
        let scopes = match &mut **scopes {
            Some(scopes) => scopes,
            empty => empty.insert(Scopes::new()?),
        };
        let shape = scopes.shape(environ::variables(req))?;
        let said = |at: Option<usize>| at.map(|at| shape.0.slots[at].value.as_slice());
        let secure = environ::is_https(req, said(shape.0.forwarded_proto), said(shape.0.forwarded_ssl));
        if secure != shape.0.https {
            shape.0.https = secure;
            shape.0.set_scheme(shape.1)?;
        }
        let (shape, strings) = shape;
        // SAFETY: dicts and lists; the copies are new, and nobody else has seen them.
        unsafe {
            let scope = Py::new(PyDict_Copy(shape.template.as_ptr()))?;
            let headers = Py::new(PyList_GetSlice(shape.headers.as_ptr(), 0, Py_ssize_t::MAX))?;
            put(&scope, &strings.headers, &headers)?;
            if let Some(state) = state {
                put(&scope, &strings.state, &Py::new(PyDict_Copy(state.as_ptr()))?)?;
            }
            Ok((scope, shape.kind))
        }
    })
}

/// # Safety
/// A dict and live objects.
unsafe fn put(dict: &Py, key: &Py, value: &Py) -> PyResult<()> {
    // SAFETY: by the contract.
    py::check(unsafe { PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) })
}

impl Scopes {
    fn new() -> PyResult<Self> {
        Ok(Self {
            strings: Strings {
                http: environ::intern(b"http")?,
                https: environ::intern(b"https")?,
                ws: environ::intern(b"ws")?,
                wss: environ::intern(b"wss")?,
                scheme: environ::intern(b"scheme")?,
                headers: environ::intern(b"headers")?,
                state: environ::intern(b"state")?,
            },
            shapes: Vec::with_capacity(SHAPES),
            clock: 0,
        })
    }

    /// The shape with exactly these names, brought up to date.
    fn shape(&mut self, vars: &[iovec]) -> PyResult<(&mut Shape, &Strings)> {
        self.clock += 1;
        let found = self.shapes.iter().position(|shape| shape.fits(vars));
        let index = match found {
            Some(index) => index,
            None => {
                let shape = Shape::new(vars)?;
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
        let (shape, strings) = (&mut self.shapes[0], &self.strings);
        shape.used = self.clock;
        if shape.update(vars, found.is_none())? {
            shape.set_scheme(strings)?;
        }
        Ok((shape, strings))
    }
}

impl Shape {
    fn new(vars: &[iovec]) -> PyResult<Self> {
        let mut count = 0;
        let mut slots = Vec::with_capacity(vars.len() / 2);
        for pair in vars.chunks_exact(2) {
            let name = environ::bytes(&pair[0]);
            let is_absent = is_absent(name, environ::bytes(&pair[1]));
            let is_header = name.starts_with(b"HTTP_") || (is_content(name) && !is_absent);
            let header = is_header.then_some(count);
            count += Py_ssize_t::from(is_header);
            slots.push(Slot {
                name: name.to_vec(),
                value: Vec::new(),
                header,
                is_absent,
            });
        }
        // SAFETY: new objects; the list's places are filled by `update`, before anybody sees them.
        let (template, headers) = unsafe { (Py::new(PyDict_New())?, Py::new(PyList_New(0))?) };
        let asgi = py::dict(&[(c"version", py::string("3.0")?), (c"spec_version", py::string("2.4")?)])?;
        py::set_item(&template, c"type", &py::string("http")?)?;
        py::set_item(&template, c"asgi", &asgi)?;
        py::set_item(&template, c"http_version", &py::string("1.1")?)?;
        py::set_item(&template, c"root_path", &py::string("")?)?;
        py::set_item(&template, c"query_string", &py::bytes(b"")?)?;
        py::set_item(&template, c"client", &py::none())?;
        py::set_item(&template, c"server", &py::none())?;
        py::set_item(&template, c"raw_path", &py::none())?;
        py::set_item(&template, c"headers", &py::none())?; // its place is taken here, so that the copy need not grow
        for _ in 0..count {
            // SAFETY: a list.
            py::check(unsafe { PyList_Append(headers.as_ptr(), Py_None()) })?;
        }
        let position = |name: &[u8]| slots.iter().position(|slot: &Slot| slot.name == name);
        Ok(Self {
            forwarded_proto: position(b"HTTP_X_FORWARDED_PROTO"),
            forwarded_ssl: position(b"HTTP_X_FORWARDED_SSL"),
            slots,
            template,
            headers,
            kind: Kind::Http,
            https: false,
            used: 0,
        })
    }

    fn fits(&self, vars: &[iovec]) -> bool {
        self.slots.len() * 2 == vars.len()
            && self.slots.iter().zip(vars.chunks_exact(2)).all(|(slot, pair)| {
                slot.name == environ::bytes(&pair[0])
                    && slot.is_absent == is_absent(&slot.name, environ::bytes(&pair[1]))
            })
    }

    fn value(&self, name: &[u8]) -> &[u8] {
        let found = self.slots.iter().rev().find(|slot| slot.name == name);
        found.map_or(&[][..], |slot| &slot.value)
    }

    /// Takes over the values that differ; whether the kind of request has changed.
    fn update(&mut self, vars: &[iovec], all: bool) -> PyResult<bool> {
        let (mut path, mut client, mut server, mut kind) = (all, all, all, all);
        for i in 0..self.slots.len() {
            let value = environ::bytes(&vars[2 * i + 1]);
            let slot = &mut self.slots[i];
            if !all && slot.value == value {
                continue;
            }
            slot.value.clear();
            slot.value.extend_from_slice(value);
            let slot = &self.slots[i];
            if let Some(at) = slot.header {
                let pair = py::tuple(&[&header_name(&slot.name)?, &py::bytes(value)?])?;
                // SAFETY: a list of ours that nobody else has, with that many places; the pair's reference is given.
                py::check(unsafe { PyList_SetItem(self.headers.as_ptr(), at, pair.into_ptr()) })?;
                kind |= slot.name == b"HTTP_UPGRADE" || slot.name.starts_with(b"HTTP_SEC_WEBSOCKET");
                continue;
            }
            match slot.name.as_slice() {
                b"REQUEST_METHOD" => {
                    kind = true;
                    py::set_item(&self.template, c"method", &py::latin1(value)?)?;
                }
                b"PATH_INFO" | b"SCRIPT_NAME" | b"REQUEST_URI" => path = true,
                b"QUERY_STRING" => py::set_item(&self.template, c"query_string", &py::bytes(value)?)?,
                b"SERVER_PROTOCOL" => {
                    let version = value.strip_prefix(b"HTTP/").unwrap_or(value);
                    let version = if version == b"2.0" { b"2" } else { version };
                    py::set_item(&self.template, c"http_version", &py::latin1(version)?)?;
                }
                b"REMOTE_ADDR" | b"REMOTE_PORT" => client = true,
                b"SERVER_NAME" | b"SERVER_PORT" => server = true,
                _ => {}
            }
        }
        if path {
            self.set_path()?;
        }
        if client {
            let pair = address(self.value(b"REMOTE_ADDR"), self.value(b"REMOTE_PORT"))?;
            py::set_item(&self.template, c"client", &pair)?;
        }
        if server {
            let pair = address(self.value(b"SERVER_NAME"), self.value(b"SERVER_PORT"))?;
            py::set_item(&self.template, c"server", &pair)?;
        }
        if kind {
            self.set_kind()?;
        }
        Ok(kind)
    }

    /// The path with the mountpoint in front, decoded; and as the client spelled it.
    fn set_path(&self) -> PyResult<()> {
        let (root, rest) = (self.value(b"SCRIPT_NAME"), self.value(b"PATH_INFO"));
        let path = match root {
            [] => utf8(rest)?,
            _ => utf8(&[root, rest].concat())?,
        };
        py::set_item(&self.template, c"path", &path)?;
        py::set_item(&self.template, c"root_path", &utf8(root)?)?;
        let uri = self.value(b"REQUEST_URI");
        let raw = uri.split(|b| *b == b'?').next().unwrap_or_default();
        py::set_item(&self.template, c"raw_path", &py::bytes(raw)?)
    }

    fn set_kind(&mut self) -> PyResult<()> {
        let is_websocket = self.value(b"REQUEST_METHOD") == b"GET"
            && self.value(b"HTTP_UPGRADE").eq_ignore_ascii_case(b"websocket")
            && !self.value(b"HTTP_SEC_WEBSOCKET_KEY").is_empty();
        self.kind = if is_websocket { Kind::Websocket } else { Kind::Http };
        let template = &self.template;
        if !is_websocket {
            py::set_item(template, c"type", &py::string("http")?)?;
            py::set_item(template, c"method", &py::latin1(self.value(b"REQUEST_METHOD"))?)?;
            // SAFETY: a dict and a text; a missing key is no trouble.
            if unsafe { PyDict_DelItemString(template.as_ptr(), c"subprotocols".as_ptr()) } < 0 {
                py::clear();
            }
            let extensions = py::dict(&[(c"http.response.pathsend", py::dict(&[])?)])?;
            return py::set_item(template, c"extensions", &extensions);
        }
        py::set_item(template, c"type", &py::string("websocket")?)?;
        // SAFETY: as above.
        if unsafe { PyDict_DelItemString(template.as_ptr(), c"method".as_ptr()) } < 0 {
            py::clear();
        }
        // SAFETY: a new list.
        let protocols = unsafe { Py::new(PyList_New(0))? };
        let asked = self.value(b"HTTP_SEC_WEBSOCKET_PROTOCOL").split(|b| *b == b',');
        for name in asked.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()) {
            // SAFETY: a list and a live object.
            py::check(unsafe { PyList_Append(protocols.as_ptr(), py::latin1(name)?.as_ptr()) })?;
        }
        py::set_item(template, c"subprotocols", &protocols)?;
        let extensions = py::dict(&[(c"websocket.http.response", py::dict(&[])?)])?;
        py::set_item(template, c"extensions", &extensions)
    }

    fn set_scheme(&self, strings: &Strings) -> PyResult<()> {
        let scheme = match (self.kind, self.https) {
            (Kind::Http, false) => &strings.http,
            (Kind::Http, true) => &strings.https,
            (Kind::Websocket, false) => &strings.ws,
            (Kind::Websocket, true) => &strings.wss,
        };
        // SAFETY: a dict, live key and value.
        unsafe { put(&self.template, &strings.scheme, scheme) }
    }
}

/// Headers whose variables have no `HTTP_` in front.
fn is_content(name: &[u8]) -> bool {
    name == b"CONTENT_TYPE" || name == b"CONTENT_LENGTH"
}

fn is_absent(name: &[u8], value: &[u8]) -> bool {
    value.is_empty() && is_content(name)
}

/// `HTTP_ACCEPT_ENCODING` as `b"accept-encoding"`.
fn header_name(variable: &[u8]) -> PyResult<Py> {
    let name = variable.strip_prefix(b"HTTP_").unwrap_or(variable);
    let spelled = |byte: &u8| match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    py::bytes(&name.iter().map(spelled).collect::<Vec<u8>>())
}

/// Percent-decoded bytes as text; what is no UTF-8 is replaced.
fn utf8(bytes: &[u8]) -> PyResult<Py> {
    // SAFETY: pointer and length describe `bytes`, which are copied.
    unsafe {
        Py::new(PyUnicode_DecodeUTF8(
            bytes.as_ptr().cast(),
            bytes.len() as Py_ssize_t,
            c"replace".as_ptr(),
        ))
    }
}

/// `(host, port)`; None without a host.
fn address(host: &[u8], port: &[u8]) -> PyResult<Py> {
    if host.is_empty() {
        return Ok(py::none());
    }
    let port = std::str::from_utf8(port).ok().and_then(|port| port.parse::<u16>().ok());
    let port = port.map_or_else(|| Ok(py::none()), |port| py::int(port.into()))?;
    py::tuple(&[&py::latin1(host)?, &port])
}
