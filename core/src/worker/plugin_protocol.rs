//! Protocols that plugins bring (`--protocol NAME`): what one has read of a request, and how an answer takes its form.
//!
//! The master sets the sockets up before the first fork; workers call the functions. A connection has one request.

use super::connection::{Connection, Received};
use super::serve::{self, Parsed};
use crate::net::wait;
use crate::plugin::inside::{Brought, Inside, Place};
use crate::plugin::offered::Offered;
use crate::request::Core;
use crate::request::response::ResponseError;
use crate::server::{server, socket_limit};
use libc::iovec;
use rsgi_plugin_api::abi::{
    UWSGI_AGAIN, UWSGI_OK, UwsgiBuffer, UwsgiProtoHeader, UwsgiProtoReadBody, UwsgiProtoStatus, UwsgiProtoWrite,
    UwsgiSocket, WsgiRequest,
};
use rsgi_protocol::http1::BodyLength;
use rsgi_protocol::uwsgi::parse_vars;
use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::null_mut;

/// Sets the functions of a socket.
pub type Setup = unsafe extern "C" fn(*mut UwsgiSocket);

/// Those that plugins bring.
pub static PROTOCOLS: Offered<Brought<Setup>> = Offered::none();

/// The functions of a protocol, as the header states them.
#[derive(Debug, Clone, Copy)]
pub struct Functions {
    /// In whose name they run.
    place: Place,
    parse: unsafe extern "C" fn(*mut WsgiRequest) -> c_int,
    status: Option<UwsgiProtoStatus>,
    header: Option<UwsgiProtoHeader>,
    end_of_head: Option<unsafe extern "C" fn(*mut WsgiRequest) -> c_int>,
    write: Option<UwsgiProtoWrite>,
    write_head: Option<UwsgiProtoWrite>,
    read_body: Option<UwsgiProtoReadBody>,
    close: Option<unsafe extern "C" fn(*mut WsgiRequest)>,
}

/// Lets a plugin set up a socket that speaks its protocol.
///
/// # Errors
/// One line: nobody brings the protocol, or nothing reads its requests.
pub fn set_up(name: &str, socket: &mut UwsgiSocket) -> Result<Functions, String> {
    let setup = PROTOCOLS
        .find(name)
        .ok_or_else(|| format!("no plugin brings the protocol {name}"))?;
    // SAFETY: a record that stays; the function is called as the header states.
    setup.call(|setup| unsafe { setup(socket) });
    let Some(parse) = socket.proto else {
        return Err(format!(
            "protocol {name}: its plugin sets no function that reads requests (uwsgi_socket.proto)"
        ));
    };
    Ok(Functions {
        place: setup.place(),
        parse,
        status: socket.proto_prepare_headers,
        header: socket.proto_add_header,
        end_of_head: socket.proto_fix_headers,
        write: socket.proto_write,
        write_head: socket.proto_write_headers.or(socket.proto_write),
        read_body: socket.proto_read_body,
        close: socket.proto_close,
    })
}

/// What a plugin has read on a connection.
pub struct Intake {
    functions: Functions,
    /// Where it writes the variables: `wsgi_request.buffer`.
    packet: Vec<u8>,
    /// How much of that they take, between the modifiers.
    header: (u8, u16, u8),
    /// The request as it was left at the last call; of it only the parser's own fields count.
    parser: WsgiRequest,
    /// The request that is served, once it was parsed.
    request: *mut WsgiRequest,
    /// It was called since something came.
    was_called: bool,
    /// The next bytes that leave are the head.
    head_is_due: bool,
}

// SAFETY: used by the thread that has the connection; what a plugin hangs on it is used in the plugin's calls only.
unsafe impl Send for Intake {}

impl Intake {
    /// Of a new connection.
    pub fn new(functions: Functions, fd: c_int, socket: *mut UwsgiSocket, modifiers: (u8, u8)) -> Self {
        // SAFETY: all fields are pointers and integers: zero is valid.
        let mut parser: WsgiRequest = unsafe { std::mem::zeroed() };
        (parser.fd, parser.socket) = (fd, socket);
        Self {
            functions,
            packet: vec![0; server().settings.limits.buffer_size],
            header: (modifiers.0, 0, modifiers.1),
            parser,
            request: null_mut(),
            was_called: false,
            head_is_due: false,
        }
    }

    /// As a read would say it: there may be something for the plugin to read, until it has said that there is not.
    pub fn receive(&mut self) -> Received {
        match std::mem::take(&mut self.was_called) {
            true => Received::Nothing,
            false => Received::Some,
        }
    }

    /// Reads a part of the body, as read(2) does.
    ///
    /// # Safety
    /// `place` has room for so many bytes.
    pub unsafe fn read_body(&self, fd: c_int, place: *mut u8, most: usize) -> isize {
        // SAFETY: by the contract; the request is the one of this connection.
        unsafe {
            let Some(read) = self.functions.read_body else {
                return libc::read(fd, place.cast(), most);
            };
            let _inside = Inside::enter(self.functions.place);
            read(self.request, place.cast(), most)
        }
    }

    /// Room for variables behind those that are there.
    pub fn room(&mut self, taken: u16) -> &mut [u8] {
        let end = self.packet.len().min(usize::from(u16::MAX));
        self.packet.get_mut(usize::from(taken)..end).unwrap_or_default()
    }

    fn lend(&mut self, core: &mut Core) {
        let (modifier1, size, modifier2) = self.header;
        core.set_header(modifier1, size, modifier2);
        let raw = core.raw();
        raw.buffer = self.packet.as_mut_ptr().cast();
        copy_parser(&self.parser, raw);
    }

    fn keep(&mut self, core: &mut Core) {
        // SAFETY: the header of the request in work.
        let header = unsafe { *core.raw().uh };
        self.header = (header.modifier1, header.pktsize, header.modifier2);
        copy_parser(core.raw(), &mut self.parser);
    }
}

fn copy_parser(from: &WsgiRequest, to: &mut WsgiRequest) {
    to.proto_parser_pos = from.proto_parser_pos;
    to.proto_parser_move = from.proto_parser_move;
    to.proto_parser_status = from.proto_parser_status;
    to.proto_parser_buf = from.proto_parser_buf;
    to.proto_parser_buf_size = from.proto_parser_buf_size;
    to.proto_parser_eof = from.proto_parser_eof;
    to.proto_parser_remains = from.proto_parser_remains;
    to.proto_parser_remains_buf = from.proto_parser_remains_buf;
}

impl Drop for Intake {
    fn drop(&mut self) {
        // SAFETY: the connection is still open; the plugin's buffer is from malloc(), by the header.
        unsafe {
            if let Some(close) = self.functions.close {
                let _inside = Inside::enter(self.functions.place);
                close(&mut self.parser);
            }
            libc::free(self.parser.proto_parser_buf.cast::<c_void>());
        }
    }
}

/// Lets the plugin read on, and begins the request when it is there.
pub(super) fn parse(core: &mut Core, conn: &mut Connection) -> Parsed {
    core.begin(conn);
    core.body.begin(BodyLength::None, false);
    core.response.begin(conn.socket.protocol, true, false, false);
    let Some(intake) = conn.plugin_intake.as_deref_mut() else {
        return Parsed::Over;
    };
    let intake: *mut Intake = intake;
    // SAFETY: boxed, and nothing else uses it but what the plugin calls in this thread.
    let (outcome, packet, rest) = unsafe {
        (*intake).was_called = true;
        (*intake).request = core.expose();
        (*intake).lend(core);
        let functions = (*intake).functions;
        let inside = Inside::enter(functions.place);
        let outcome = (functions.parse)(core.expose());
        drop(inside);
        (*intake).keep(core);
        let size = usize::from((*intake).header.1);
        // the bytes stay where they are until the connection ends
        let packet: Option<&'static [u8]> = (&*std::ptr::from_ref(&(*intake).packet)).get(..size);
        let parser = &(*intake).parser;
        let rest = crate::exports::bytes_of(parser.proto_parser_remains_buf.cast(), parser.proto_parser_remains);
        (outcome, packet, rest)
    };
    match outcome {
        UWSGI_OK => {}
        UWSGI_AGAIN => return Parsed::Partial,
        _ => return Parsed::Over,
    }
    let Some(packet) = packet else {
        return Parsed::Broken("the protocol's plugin has written more variables than buffer-size allows".into());
    };
    let found = match serve::collect(core, parse_vars(packet)) {
        Ok(found) => found,
        Err(why) => return Parsed::Broken(why),
    };
    conn.unread(rest);
    core.response
        .begin(conn.socket.protocol, found.is_http10, found.is_head, false);
    core.body
        .begin(found.length.map_or(BodyLength::None, BodyLength::Fixed), false);
    let begun = serve::begin_cgi(core, packet, found.length);
    let (peer, raw) = (&conn.peer.text, core.raw());
    if raw.remote_addr_len == 0 {
        // a protocol that knows nothing of proxies need not know of this either
        (raw.remote_addr, raw.remote_addr_len) = (peer.as_ptr().cast_mut().cast(), peer.len() as u16);
    }
    begun
}

/// What a plugin makes of a part of the head; `None`: it leaves that to us.
type Made = Option<Result<Vec<u8>, ResponseError>>;

fn functions(core: &mut Core) -> Option<Functions> {
    core.conn().plugin_intake.as_ref().map(|intake| intake.functions)
}

/// The bytes of a buffer that a plugin has made, which is destroyed.
fn bytes_made(buffer: *mut UwsgiBuffer) -> Result<Vec<u8>, ResponseError> {
    if buffer.is_null() {
        return Err(ResponseError::Malformed("the protocol's plugin refused the head"));
    }
    // SAFETY: a new buffer of the C API, which is ours.
    unsafe {
        let bytes = crate::exports::bytes_of((*buffer).buf, (*buffer).pos).to_vec();
        crate::exports::buffer_destroy(buffer);
        Ok(bytes)
    }
}

/// The form of a status.
pub fn status(core: &mut Core, status: &[u8]) -> Made {
    let functions = functions(core)?;
    let make = functions.status?;
    let _inside = Inside::enter(functions.place);
    // SAFETY: called as the header states, with a text that lives during the call.
    let made = unsafe {
        make(
            core.expose(),
            status.as_ptr().cast_mut().cast(),
            status.len().min(0xffff) as u16,
        )
    };
    Some(bytes_made(made))
}

/// The form of a header.
pub fn header(core: &mut Core, name: &[u8], value: &[u8]) -> Made {
    let functions = functions(core)?;
    let make = functions.header?;
    let text = |text: &[u8]| (text.as_ptr().cast_mut().cast(), text.len().min(0xffff) as u16);
    let ((name, name_len), (value, value_len)) = (text(name), text(value));
    let _inside = Inside::enter(functions.place);
    // SAFETY: as above.
    let made = unsafe { make(core.expose(), name, name_len, value, value_len) };
    Some(bytes_made(made))
}

/// A head with its end, out of the head so far.
pub fn end_of_head(core: &mut Core, head: &[u8]) -> Made {
    core.conn().plugin_intake.as_mut()?.head_is_due = true;
    let functions = functions(core)?;
    let end = functions.end_of_head?;
    let buffer = crate::exports::buffer_of(head);
    core.raw().headers = buffer;
    let inside = Inside::enter(functions.place);
    // SAFETY: as above.
    let outcome = unsafe { end(core.expose()) };
    drop(inside);
    let buffer = std::mem::replace(&mut core.raw().headers, null_mut());
    let made = bytes_made(buffer);
    Some(match outcome {
        0 => made,
        _ => Err(ResponseError::Malformed("the protocol's plugin refused the head")),
    })
}

/// Whether the plugin sends the bytes of answers.
pub fn writes(core: &mut Core) -> bool {
    functions(core).is_some_and(|functions| functions.write.is_some() || functions.write_head.is_some())
}

/// Lets it send them.
///
/// # Errors
/// The client has gone, or takes nothing for too long.
pub fn write(core: &mut Core, parts: &[iovec]) -> io::Result<()> {
    let Some(functions) = functions(core) else {
        return Ok(());
    };
    let fd = core.conn().fd();
    for part in parts {
        let is_head = core
            .conn()
            .plugin_intake
            .as_mut()
            .is_some_and(|intake| std::mem::take(&mut intake.head_is_due));
        let write = if is_head { functions.write_head } else { functions.write };
        let Some(write) = write else {
            core.outlet.send(fd, &mut [*part])?;
            continue;
        };
        if part.iov_len == 0 {
            continue;
        }
        core.raw().write_pos = 0;
        loop {
            let inside = Inside::enter(functions.place);
            // SAFETY: as above; the part is the caller's memory, which lives during the call.
            let outcome = unsafe { write(core.expose(), part.iov_base.cast(), part.iov_len) };
            drop(inside);
            match outcome {
                UWSGI_OK => break,
                UWSGI_AGAIN => wait::writable(fd, socket_limit())?,
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }
    Ok(())
}
