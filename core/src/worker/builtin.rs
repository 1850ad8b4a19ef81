//! Requests that the server answers itself, by their modifier1 and unless a plugin sits there: a sign of life, uWSGI
//! signals, remote procedures, caches, tasks for the spooler. Those that do something are for this machine and for
//! hosts that the operator names.

use super::cache_packet;
use super::serve::peer_name;
use crate::cache::anywhere::{CACHE, COMMAND};
use crate::request::{Core, bytes_of, place, response};
use crate::rpc::{self, CallError, Response, remote};
use crate::say;
use crate::server::{server, view};
use crate::signal::route;
use crate::spooler;
use rsgi_protocol::uwsgi::{PacketHeader, Writer, parse_array, put_string};

/// Asks for a sign of life (`--ping`).
const PING: u8 = 100;
/// Raises a uWSGI signal.
const SIGNAL: u8 = 110;
/// Is a task for the spooler.
const SPOOL: u8 = spooler::file::MODIFIER;
/// Calls a remote procedure.
const RPC: u8 = remote::RPC;

/// modifier2 of [`RPC`]: the answer is a packet.
const RPC_PACKET: u8 = 0;
/// It is asked for by a path, `/function/argument/argument`, and answered in HTTP.
const RPC_PATH: u8 = 2;
/// It is asked for and answered in XML.
const RPC_XML: u8 = 3;

/// Whether the packet's body is no list of variables.
pub fn reads_packet(packet: PacketHeader) -> bool {
    // SAFETY: slots are never NULL and never change after the start.
    let is_free = || unsafe {
        (*(*view()).p[usize::from(server().remapped(packet.modifier1))])
            .request
            .is_none()
    };
    let is_raw = match packet.modifier1 {
        RPC => !matches!(packet.modifier2, RPC_PATH | RPC_XML),
        CACHE => matches!(packet.modifier2, cache_packet::KEY | cache_packet::KEY_OR_NOT),
        _ => false,
    };
    is_raw && is_free()
}

/// The variable that says how long the body is.
pub fn length_variable(packet: PacketHeader) -> &'static [u8] {
    match (packet.modifier1, packet.modifier2) {
        (CACHE, COMMAND) => b"size",
        _ => b"CONTENT_LENGTH",
    }
}

/// Answers; whether the answer is whole, `None`: the server knows no such request.
pub fn answer(core: &mut Core) -> Option<bool> {
    // SAFETY: the header of the request in work.
    let modifier2 = unsafe { (*core.raw().uh).modifier2 };
    match core.modifier1() {
        PING => response::alone(core, &[PING, 0, 0, 1]),
        SIGNAL => {
            let taken = is_for(core, "raise signals") && raise(modifier2);
            response::alone(core, &[255, 0, 0, u8::from(taken)]);
        }
        SPOOL => {
            let taken = is_for(core, "spool tasks") && spool(core);
            response::alone(core, &[255, 0, 0, u8::from(taken)]);
        }
        RPC if modifier2 == RPC_XML => {
            say!("XML-RPC is not in this version: ask with modifier2 2, by a path");
            return Some(false);
        }
        RPC if !is_for(core, "call remote procedures") => match modifier2 {
            RPC_PATH => response::plain(core, "403 Forbidden", "Forbidden"),
            _ => response::alone(core, &[]),
        },
        CACHE if !is_for(core, "use caches") => response::alone(core, &[]),
        CACHE => cache_packet::answer(core, modifier2),
        RPC if modifier2 == RPC_PATH => by_path(core),
        RPC => by_packet(core, modifier2),
        _ => return None,
    }
    Some(true)
}

/// Whether the other side may have this done, said when not: a packet proves nothing about its sender.
fn is_for(core: &Core, what: &str) -> bool {
    // SAFETY: the connection outlives the request.
    let conn = unsafe { &*core.conn };
    let may = server().settings.sockets.remote_allow.contains(&conn.peer.text);
    if !may {
        say!(
            "a request of {} refused: to {what}, other hosts need the option remote-allow",
            peer_name(conn)
        );
    }
    may
}

fn raise(signal: u8) -> bool {
    route::raise(signal).map_err(|e| say!("{e}")).is_ok()
}

/// A packet that is a task, with what follows it up to its `CONTENT_LENGTH`: whether it was written.
fn spool(core: &mut Core) -> bool {
    let mut packet = Vec::new();
    for part in &core.hvec {
        // SAFETY: the variables of the request in work.
        put_string(&mut packet, unsafe { bytes_of(part) });
    }
    let wanted = core.raw().post_cl;
    let conn = core.conn;
    // SAFETY: the connection outlives the request; the body does not hold on to it.
    let body = match core.body.read(unsafe { &mut *conn }, wanted) {
        _ if wanted == 0 => Vec::new(),
        Ok(body) if body.len() == wanted => body.to_vec(),
        // half a task is none
        _ => {
            say!("[spooler] a task of {wanted} bytes broke off");
            return false;
        }
    };
    let spooled = spooler::spoolers()
        .ok_or(spooler::SpoolError::NoSpooler)
        .and_then(|all| all.spool(&packet, &body));
    if let Err(e) = &spooled {
        say!("[spooler] unable to spool the request: {e}");
    }
    spooled.is_ok()
}

fn called(name: &[u8], arguments: &[&[u8]]) -> Option<Response> {
    let said = |e: CallError| say!("unable to call rpc function \"{}\": {e}", String::from_utf8_lossy(name));
    rpc::call(name, arguments).map_err(said).ok().flatten()
}

/// Name and arguments are the strings of the packet; who asks for what is not there gets nothing.
fn by_packet(core: &mut Core, modifier2: u8) {
    // SAFETY: an entry of the request in work, which stays in the connection's buffer.
    let packet = unsafe { bytes_of(&core.packet) };
    let strings: Result<Vec<&[u8]>, _> = parse_array(packet).collect();
    let answer = match strings.as_deref() {
        Ok([name, arguments @ ..]) => called(name, arguments),
        Ok([]) => None,
        Err(e) => {
            say!("invalid RPC request: {e}");
            None
        }
    };
    let text = answer.as_ref().map_or(&[][..], Response::bytes);
    if modifier2 != RPC_PACKET || text.is_empty() {
        return response::alone(core, text);
    }
    let mut out = Vec::with_capacity(text.len() + 32);
    match u16::try_from(text.len()) {
        Ok(size) => {
            let header = PacketHeader {
                modifier1: RPC,
                size,
                modifier2: RPC_PACKET,
            };
            out.extend_from_slice(&header.to_bytes());
        }
        Err(_) => {
            let mut head = Writer::new(&mut out, RPC, remote::LONG);
            head.push(b"CONTENT_LENGTH", text.len().to_string().as_bytes());
            let _ = head.finish();
        }
    }
    out.extend_from_slice(text);
    response::alone(core, &out);
}

/// `/function/argument/argument`
fn by_path(core: &mut Core) {
    let raw = core.raw();
    let place_of_path = libc::iovec {
        iov_base: raw.path_info.cast(),
        iov_len: raw.path_info_len.into(),
    };
    // SAFETY: a variable of the request in work.
    let path = unsafe { bytes_of(&place_of_path) };
    let mut parts = path.strip_prefix(b"/").unwrap_or(path).split(|b| *b == b'/');
    let name = parts.next().unwrap_or_default();
    let arguments: Vec<&[u8]> = parts.collect();
    let Some(answer) = called(name, &arguments) else {
        return response::plain(core, "404 Not Found", "Not Found");
    };
    let length = answer.bytes().len().to_string();
    let sent = response::start(core, b"200 OK")
        .and_then(|()| response::header(core, b"Content-Length", length.as_bytes()))
        .and_then(|()| response::header(core, b"Content-Type", b"application/binary"))
        .and_then(|()| response::write(core, &[place(answer.bytes())], true));
    // a client that has gone is counted where the answer is written
    drop(sent);
}
