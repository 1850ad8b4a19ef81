//! Serving one connection: bytes to requests, requests to the plugin, until the connection has nothing more to say.

use super::builtin;
use super::connection::{Connection, Received};
use super::offload::{self, Job};
use super::plugin_protocol;
use super::poll::Poll;
use crate::plugin::hooks;
use crate::plugin::inside::ran;
use crate::request::outlet::FilePart;
use crate::request::response::{self, ResponseError};
use crate::request::{Core, Places, bytes_of, place, vars};
use crate::routing;
use crate::server::{SocketProtocol, server, view};
use crate::shared::{CoreSlot, add, add_int, counter, int};
use crate::startup::procname::{self, State};
use crate::{log, say, static_files};
use rsgi_plugin_api::abi::{UWSGI_AGAIN, UWSGI_OK, UwsgiPlugin};
use rsgi_protocol::cgi::{Origin, push_vars};
use rsgi_protocol::fastcgi::{self, Step};
use rsgi_protocol::http1::{self, BodyLength, HttpError, Progress, Version};
use rsgi_protocol::uwsgi::{HEADER_LEN, PacketHeader, parse_vars};
use rsgi_protocol::{proxy, scgi};
use std::sync::atomic::Ordering;

/// A body that nobody read is skipped up to this size to keep the connection.
pub(super) const SKIP: usize = 256 * 1024;
/// `via` of an answer whose end another thread sends, in the request's log line.
const VIA_OFFLOAD: u16 = 3;
/// How often a plugin may ask to be called again for one request.
const MOST_SWITCHES: i32 = 1_000_000;

/// What became of a connection.
enum Next {
    /// Nothing complete is buffered: wait for more.
    Park,
    /// It is over.
    Close,
    /// It is over, and the client must first get the chance to read the answer.
    Linger,
    /// The rest of a file is for another thread to send; whether the connection is parked after that.
    Offload(FilePart, bool),
}

/// What the buffer holds.
pub(super) enum Parsed {
    Partial,
    Request,
    Refused(HttpError),
    /// Nothing sensible can be answered in this protocol.
    Broken(String),
    /// A plugin whose protocol it is ends it.
    Over,
}

/// Serves a connection that has (or may have) bytes: parks it, or closes it, at the end. Whether it was closed.
pub fn connection(
    core: &mut Core,
    poll: &Poll,
    mut conn: Box<Connection>,
    spare: &mut Vec<Vec<u8>>,
    leaving: bool,
) -> bool {
    if conn.socket.protocol == SocketProtocol::Raw {
        raw(core, &mut conn);
        return true;
    }
    conn.borrow_buffer(spare);
    let next = match conn.receive(server().settings.limits.buffer_size + HEADER_LEN) {
        Received::Closed => Next::Close,
        Received::Nothing => Next::Park,
        Received::Some => requests(core, &mut conn, leaving),
    };
    let is_over = matches!(next, Next::Close | Next::Linger);
    match next {
        Next::Park => {
            conn.release_buffer(spare);
            poll.park(conn, super::monotonic());
        }
        Next::Close => {
            if core.response.is_held() {
                // a close may throw away what is held, if the client has sent more than it should
                // SAFETY: the descriptor is open.
                unsafe { libc::shutdown(conn.fd(), libc::SHUT_WR) };
            }
            poll.forget(conn);
        }
        Next::Offload(rest, keeps) => {
            conn.release_buffer(spare);
            poll.let_go(&mut conn);
            offload::give(Job {
                connection: conn,
                rest,
                keeps,
            });
        }
        Next::Linger => {
            poll.release(&mut conn);
            conn.linger();
        }
    }
    is_over
}

/// Serves what is buffered, request by request (pipelining), in order.
fn requests(core: &mut Core, conn: &mut Connection, leaving: bool) -> Next {
    loop {
        match parse(core, conn) {
            Parsed::Partial => {
                if conn.is_idle() {
                    conn.head_since = 0;
                    return Next::Park;
                }
                // more may be there already: a head is often split by the client's writes
                match conn.receive(server().settings.limits.buffer_size + HEADER_LEN) {
                    Received::Some => continue,
                    Received::Closed => return Next::Close,
                    Received::Nothing => {
                        let now = super::monotonic().max(1);
                        if conn.head_since == 0 {
                            conn.head_since = now;
                        }
                        // one that dribbles is never found among the parked when those are looked at
                        if now - conn.head_since >= head_limit() {
                            if conn.socket.protocol == SocketProtocol::Http {
                                refuse(conn, &HttpError::new(408, "the request head took too long"));
                            }
                            return Next::Close;
                        }
                        return Next::Park;
                    }
                }
            }
            Parsed::Refused(error) => {
                say!("{}: {error}", peer_name(conn));
                refuse(conn, &error);
                return Next::Linger;
            }
            Parsed::Broken(why) => {
                say!("{}: {why}", peer_name(conn));
                return Next::Close;
            }
            Parsed::Over => return Next::Close,
            Parsed::Request => {
                conn.head_since = 0;
                if leaving || crate::unix_signal::order() != crate::unix_signal::Order::Serve {
                    core.response.close_after();
                }
                match one(core) {
                    Next::Park if !conn.buffered().is_empty() => {}
                    next => return next,
                }
            }
        }
    }
}

/// Seconds that a head may take: it may come slowly, but not for ever: three of the pauses that are allowed.
pub(super) fn head_limit() -> u64 {
    let settings = &server().settings;
    settings.http.headers_timeout.min(3 * settings.sockets.socket_timeout)
}

pub(super) fn peer_name(conn: &Connection) -> &str {
    if conn.peer.text.is_empty() {
        &conn.socket.listener.name
    } else {
        &conn.peer.text
    }
}

/// Answers a client whose request cannot be served, and closes.
pub(super) fn refuse(conn: &Connection, error: &HttpError) {
    if conn.plugin_intake.is_some() {
        // how it would be said, only the plugin knows, and it can say it in an answer alone
        return;
    }
    let body = format!("{}\n", error.cause());
    let before = match conn.socket.protocol.has_status_header() {
        true => "Status:",
        false => "HTTP/1.1",
    };
    let answer = format!(
        "{before} {} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        error.status(),
        error.reason(),
        body.len()
    );
    let mut answer = answer.into_bytes();
    if let Some(intake) = &conn.intake {
        let header = fastcgi::stdout_header(intake.id(), answer.len() as u16);
        answer.splice(..0, header);
        answer.extend(fastcgi::end_of_answer(intake.id()));
    }
    let _ = crate::net::wait::write_all(conn.fd(), &answer, crate::server::socket_limit());
}

/// Looks for a whole request head at the front of the buffer and begins the request.
pub(super) fn parse(core: &mut Core, conn: &mut Connection) -> Parsed {
    match conn.socket.protocol {
        SocketProtocol::Http => parse_http(core, conn),
        SocketProtocol::Uwsgi | SocketProtocol::Puwsgi | SocketProtocol::Link => parse_uwsgi(core, conn),
        SocketProtocol::FastCgi | SocketProtocol::FastCgiNph => parse_fastcgi(core, conn),
        SocketProtocol::Scgi | SocketProtocol::ScgiNph => parse_scgi(core, conn),
        SocketProtocol::Raw => Parsed::Broken("a raw connection has no requests".into()),
        SocketProtocol::Plugin(_) => plugin_protocol::parse(core, conn),
    }
}

/// What a balancer says about the client; whether the request follows.
fn read_proxy(conn: &mut Connection) -> Result<bool, HttpError> {
    match proxy::parse(conn.buffered()) {
        Ok(proxy::Header::Partial) => return Ok(false),
        Ok(proxy::Header::Absent) => {}
        Ok(proxy::Header::Whole { len, client }) => {
            conn.take_buffered(len);
            if let Some(client) = client {
                conn.peer = client.into();
            }
        }
        Err(_) => return Err(HttpError::new(400, "malformed PROXY header")),
    }
    conn.awaits_proxy = false;
    Ok(true)
}

fn parse_http(core: &mut Core, conn: &mut Connection) -> Parsed {
    if conn.awaits_proxy {
        match read_proxy(conn) {
            Ok(true) => {}
            Ok(false) => return Parsed::Partial,
            Err(error) => return Parsed::Refused(error),
        }
    }
    let limits = &server().http_limits;
    let mut head = std::mem::take(&mut conn.head);
    let parsed = http1::parse_head(conn.buffered(), limits, &mut head);
    conn.head = head;
    match parsed {
        Ok(Progress::Partial) => return Parsed::Partial,
        Ok(Progress::Complete) => {}
        Err(error) => return Parsed::Refused(error),
    }
    core.begin(conn);
    let settings = &server().settings;
    let limit_post = settings.limits.limit_post;
    if let BodyLength::Fixed(length) = conn.head.body
        && limit_post > 0
        && length > limit_post
    {
        return Parsed::Refused(HttpError::new(413, "the body is over limit-post"));
    }
    let (body, expects) = (conn.head.body, conn.head.expect_continue);
    let is_http10 = conn.head.version == Version::Http10;
    let keep_alive = conn.head.keep_alive && settings.http.keep_alive;
    let length = conn.head.len;
    let conn_ptr: *mut Connection = conn;
    // SAFETY: the buffer, the peer's texts and the server's names stay where they are until the request has ended;
    // consuming the head below only moves the buffer's start.
    let conn_view = unsafe { &*conn_ptr };
    let origin = Origin {
        server_name: &server().server_name,
        server_port: server().port_of(conn_view.socket),
        remote_addr: (!conn_view.peer.text.is_empty()).then_some(conn_view.peer.text.as_bytes()),
        remote_port: (!conn_view.peer.port.is_empty()).then_some(conn_view.peer.port.as_bytes()),
        https: false,
        name_from_host: settings.http.server_name_from_host,
        path_rules: server().path_rules,
    };
    let is_head = conn_view.head.method.of(conn_view.buffered()) == b"HEAD";
    let (mut scratch, mut hvec) = (std::mem::take(&mut core.scratch), std::mem::take(&mut core.hvec));
    let mut places = Places {
        hvec: &mut hvec,
        raw: core.raw(),
    };
    push_vars(
        &conn_view.head,
        conn_view.buffered(),
        &origin,
        &mut scratch,
        &mut places,
    );
    (core.scratch, core.hvec) = (scratch, hvec);
    core.raw().buffer = conn.take_buffered(length).as_ptr().cast_mut().cast();
    core.raw().post_cl = match body {
        BodyLength::Fixed(n) => n as usize,
        _ => 0,
    };
    core.raw().body_is_chunked = i32::from(body == BodyLength::Chunked);
    core.body.begin(body, expects);
    core.response
        .begin(SocketProtocol::Http, is_http10, is_head, keep_alive);
    let (modifier1, modifier2) = (conn.socket.modifier1, conn.socket.modifier2);
    core.set_header(modifier1, length.min(0xffff) as u16, modifier2);
    vars::settle(core);
    Parsed::Request
}

fn parse_uwsgi(core: &mut Core, conn: &mut Connection) -> Parsed {
    let Some(first) = conn.buffered().first_chunk::<HEADER_LEN>() else {
        return Parsed::Partial;
    };
    let packet = PacketHeader::parse(*first);
    let size = usize::from(packet.size);
    let limit = server().settings.limits.buffer_size;
    if size > limit {
        return Parsed::Broken(format!(
            "uwsgi packet of {size} bytes is over the limit of {limit}; raise it with --buffer-size"
        ));
    }
    if conn.buffered().len() < HEADER_LEN + size {
        return Parsed::Partial;
    }
    core.begin(conn);
    core.set_header(packet.modifier1, packet.size, packet.modifier2);
    let conn_ptr: *mut Connection = conn;
    // SAFETY: the buffer stays where it is until the request has ended.
    let body = unsafe { &(&*conn_ptr).buffered()[HEADER_LEN..HEADER_LEN + size] };
    core.packet = place(body);
    core.raw().buffer = body.as_ptr().cast_mut().cast();
    let link = conn.socket.protocol == SocketProtocol::Link;
    let length_variable = builtin::length_variable(packet);
    let vars = if builtin::reads_packet(packet) { &[] } else { body };
    let (mut length, mut chunked, mut is_head, mut http10) = (BodyLength::None, false, false, true);
    for pair in parse_vars(vars) {
        let (key, value) = match pair {
            Ok(pair) => pair,
            Err(e) => return Parsed::Broken(format!("invalid uwsgi request: {e}")),
        };
        match key {
            key if key == length_variable && !value.is_empty() => match http1::parse_length(value) {
                Ok(n) => length = BodyLength::Fixed(n),
                Err(e) => return Parsed::Broken(format!("invalid uwsgi request: {e}")),
            },
            b"HTTP_TRANSFER_ENCODING" if link => chunked = true,
            b"REQUEST_METHOD" => is_head = value == b"HEAD",
            b"SERVER_PROTOCOL" => http10 = value != b"HTTP/1.1" && value != b"HTTP/2.0",
            _ => {}
        }
        core.hvec.extend([place(key), place(value)]);
    }
    if chunked {
        length = BodyLength::Chunked;
    }
    let limit_post = server().settings.limits.limit_post;
    conn.take_buffered(HEADER_LEN + size);
    core.raw().post_cl = match length {
        BodyLength::Fixed(n) => n as usize,
        _ => 0,
    };
    core.raw().body_is_chunked = i32::from(chunked);
    core.body.begin(length, false);
    core.response.begin(
        conn.socket.protocol,
        http10 && !link,
        is_head,
        link || conn.socket.protocol == SocketProtocol::Puwsgi,
    );
    vars::digest(core);
    if let BodyLength::Fixed(n) = length
        && limit_post > 0
        && n > limit_post
    {
        return Parsed::Refused(HttpError::new(413, "the body is over limit-post"));
    }
    Parsed::Request
}

fn parse_fastcgi(core: &mut Core, conn: &mut Connection) -> Parsed {
    let limit = server().settings.limits.buffer_size;
    let Some(mut intake) = conn.intake.take() else {
        return Parsed::Broken("no FastCGI connection".into());
    };
    let outcome = loop {
        let (used, step) = match intake.take(conn.buffered(), limit) {
            Ok(taken) => taken,
            Err(e) => break Parsed::Broken(e.to_string()),
        };
        conn.take_buffered(used);
        match step {
            Step::More => break Parsed::Partial,
            Step::Request => break Parsed::Request,
            Step::Reply(bytes) => {
                if let Err(e) = crate::net::wait::write_all(conn.fd(), &bytes, crate::server::socket_limit()) {
                    break Parsed::Broken(e.to_string());
                }
            }
        }
    };
    let (id, keeps) = (intake.id(), intake.keeps_connection());
    // SAFETY: the intake changes with the next request's bytes only, and stays where it is: it is boxed.
    let params: &'static [u8] = unsafe { &*std::ptr::from_ref(intake.params()) };
    conn.intake = Some(intake);
    if !matches!(outcome, Parsed::Request) {
        return outcome;
    }
    core.begin(conn);
    let found = match collect(core, fastcgi::parse_params(params)) {
        Ok(found) => found,
        Err(why) => return Parsed::Broken(why),
    };
    let keeps = keeps && server().settings.http.keep_alive;
    core.response
        .begin(conn.socket.protocol, found.is_http10, found.is_head, keeps);
    core.response.wrap_for(id);
    core.body.begin_records(id, found.length.unwrap_or(0));
    begin_cgi(core, params, found.length)
}

fn parse_scgi(core: &mut Core, conn: &mut Connection) -> Parsed {
    let limit = server().settings.limits.buffer_size;
    let place = match scgi::parse_head(conn.buffered(), limit) {
        Ok(None) => return Parsed::Partial,
        Ok(Some(place)) => place,
        Err(e) => return Parsed::Broken(e.to_string()),
    };
    core.begin(conn);
    let conn_ptr: *mut Connection = conn;
    // SAFETY: the buffer stays where it is until the request has ended.
    let head = unsafe { &(&*conn_ptr).buffered()[place.clone()] };
    let found = match collect(core, scgi::parse_vars(head)) {
        Ok(found) => found,
        Err(why) => return Parsed::Broken(why),
    };
    conn.take_buffered(place.end + 1);
    core.response
        .begin(conn.socket.protocol, found.is_http10, found.is_head, false);
    core.body
        .begin(found.length.map_or(BodyLength::None, BodyLength::Fixed), false);
    begin_cgi(core, head, found.length)
}

/// What of a request's variables the server itself needs.
pub(super) struct Found {
    pub length: Option<u64>,
    pub is_head: bool,
    pub is_http10: bool,
}

/// Takes the variables of a CGI-like protocol; or why they make no request.
pub(super) fn collect<'a, E: std::fmt::Display>(
    core: &mut Core,
    vars: impl Iterator<Item = Result<(&'a [u8], &'a [u8]), E>>,
) -> Result<Found, String> {
    let mut found = Found {
        length: None,
        is_head: false,
        is_http10: true,
    };
    for pair in vars {
        let (key, value) = pair.map_err(|e| e.to_string())?;
        match key {
            b"CONTENT_LENGTH" if !value.is_empty() => {
                let length = http1::parse_length(value).map_err(|e| format!("invalid request: {e}"))?;
                if found.length.replace(length).is_some_and(|other| other != length) {
                    return Err("invalid request: two different CONTENT_LENGTH".into());
                }
            }
            b"REQUEST_METHOD" => found.is_head = value == b"HEAD",
            b"SERVER_PROTOCOL" => found.is_http10 = value != b"HTTP/1.1" && value != b"HTTP/2.0",
            _ => {}
        }
        if core.hvec.len() + 2 > usize::from(u16::MAX) {
            return Err("invalid request: too many variables".into());
        }
        core.hvec.extend([place(key), place(value)]);
    }
    Ok(found)
}

/// The rest of what begins a request of a CGI-like protocol.
pub(super) fn begin_cgi(core: &mut Core, vars: &[u8], length: Option<u64>) -> Parsed {
    core.raw().post_cl = length.unwrap_or(0) as usize;
    let size = vars.len().min(0xffff) as u16;
    core.set_size(size);
    core.raw().buffer = vars.as_ptr().cast_mut().cast();
    vars::digest(core);
    let limit_post = server().settings.limits.limit_post;
    match length {
        Some(n) if limit_post > 0 && n > limit_post => {
            Parsed::Refused(HttpError::new(413, "the body is over limit-post"))
        }
        _ => Parsed::Request,
    }
}

/// Hands a connection of a raw socket to its plugin; it ends when the plugin returns.
pub(super) fn raw(core: &mut Core, conn: &mut Connection) {
    core.begin(conn);
    core.body.begin(BodyLength::None, false);
    core.response.begin(SocketProtocol::Raw, true, false, false);
    vars::digest(core);
    begin_counters(core);
    hand_over(core);
    response::cut(core);
    after(core);
    core.body.end(conn);
}

/// Serves the request that was just begun.
fn one(core: &mut Core) -> Next {
    begin_counters(core);
    if hooks::has_pre_request() {
        let raw = core.expose();
        // SAFETY: the request of this core.
        unsafe { hooks::pre_request(raw) };
    }
    let answered = answer(core);
    let mut keep = response::finish(core, answered);
    let conn = core.conn;
    // SAFETY: the connection outlives the request.
    let conn = unsafe { &mut *conn };
    let mut skipped = true;
    if !core.body.is_consumed() || core.body.has_failed() {
        skipped = match (keep, conn.socket.protocol.is_fastcgi()) {
            (true, _) => core.body.discard(conn, SKIP),
            // the end of its body is a record, mostly there already: left unread it would make the close a reset
            (false, true) => core.body.discard_now(conn, SKIP),
            (false, false) => false,
        };
        keep &= skipped;
    }
    let rest = core.outlet.take_rest();
    if rest.is_some() {
        core.raw().via = VIA_OFFLOAD;
        // SAFETY: the record of this core in shared memory.
        unsafe { counter(&raw mut (*core.counters).offloaded_requests) }.fetch_add(1, Ordering::Relaxed);
    }
    after(core);
    // only now: what is given back lands where the request's variables lie
    core.body.end(conn);
    if let Some(rest) = rest {
        return Next::Offload(rest, keep);
    }
    match (keep, skipped) {
        (true, _) => Next::Park,
        (false, false) if !core.response.is_gone() => Next::Linger,
        _ => Next::Close,
    }
}

/// Hands the request to whoever answers it; whether the answer is whole.
fn answer(core: &mut Core) -> bool {
    let settings = &server().settings;
    if settings.limits.post_buffering > 0 && !core.body.is_consumed() {
        let (conn, memory) = (core.conn, settings.limits.post_buffering as usize);
        // SAFETY: the connection outlives the request; the body does not hold on to it.
        match core.body.spill(unsafe { &mut *conn }, memory) {
            Ok(length) => core.raw().post_cl = length as usize,
            Err(e) => {
                say!("request refused: {e}");
                response::plain(core, "400 Bad Request", "Bad Request");
                core.response.close_after();
                return true;
            }
        }
    }
    answer_here(core) || hand_over(core)
}

/// Whether a file or a routing rule has answered the request.
pub(super) fn answer_here(core: &mut Core) -> bool {
    static_files::serve(core) || routing::request(core)
}

/// Lets the plugin answer that the request is for; whether the answer is whole.
pub(super) fn hand_over(core: &mut Core) -> bool {
    let modifier1 = core.modifier1();
    // SAFETY: slots are never NULL and never change after the start.
    let plugin: &UwsgiPlugin = unsafe { &*(*view()).p[usize::from(server().remapped(modifier1))] };
    let Some(request) = plugin.request.filter(|_| server().allows(modifier1)) else {
        if plugin.request.is_none()
            && server().allows(modifier1)
            && let Some(whole) = builtin::answer(core)
        {
            return whole;
        }
        if plugin.request.is_some() {
            say!("-- modifier {modifier1} is not allowed here (--allowed-modifiers) --");
        } else {
            say!("-- unavailable modifier requested: {modifier1} --");
        }
        return false;
    };
    crate::request::set_current(core);
    ran::note(plugin.name);
    core.slot.in_hook.store(u32::from(modifier1) + 1, Ordering::Relaxed);
    let raw = core.expose();
    let rc = loop {
        // SAFETY: the request is ours, on its core; the core is not touched through another reference meanwhile,
        // and exports reach it through `raw`.
        let rc = unsafe {
            (*raw).switches += 1;
            request(raw)
        };
        core.raw().async_status = rc;
        if rc != UWSGI_AGAIN || core.response.is_gone() || core.raw().switches >= MOST_SWITCHES {
            break rc;
        }
    };
    core.slot.in_hook.store(0, Ordering::Relaxed);
    rc == UWSGI_OK || rc == UWSGI_AGAIN
}

/// The worker is busy from now on.
pub(super) fn begin_counters(core: &mut Core) {
    let raw = core.raw();
    let now = raw.start_of_request_in_sec as i64;
    let deadline = crate::request::deadline(now);
    // SAFETY: fields of the current request.
    let (peer, method, uri) = unsafe {
        let part = |p: *const std::ffi::c_char, n: u16| match n {
            0 => &[][..],
            n => std::slice::from_raw_parts(p.cast::<u8>(), usize::from(n)),
        };
        (
            part(raw.remote_addr, raw.remote_addr_len),
            part(raw.method, raw.method_len),
            part(raw.uri, raw.uri_len),
        )
    };
    core.slot.describe([peer, b" - ", method, b" ", uri]);
    if let Some(slot) = core.vars_slot {
        slot.write(core.hvec.chunks_exact(2).map(|pair| {
            // SAFETY: the entries belong to the request that begins.
            unsafe { (bytes_of(&pair[0]), bytes_of(&pair[1])) }
        }));
    }
    core.slot.deadline.store(deadline, Ordering::Relaxed);
    core.slot.since.store(now, Ordering::Release);
    // SAFETY: records in shared memory.
    unsafe {
        int(&raw mut (*core.counters).in_request).store(1, Ordering::Relaxed);
        if add_int(int(&raw mut (*core.worker).busy), 1, core.alone) == 0 {
            procname::state(State::Busy);
        }
        if deadline > 0 {
            (*core.worker).harakiri = deadline;
        }
    }
}

/// Counts, logs, and tells the plugin.
pub(super) fn after(core: &mut Core) {
    core.raw().end_of_request = crate::exports::micros();
    let (core_counters, worker, alone) = (core.counters, core.worker, core.alone);
    let raw = core.raw();
    let sent = (raw.headers_size + raw.response_size) as u64;
    let took = raw.end_of_request.saturating_sub(raw.start_of_request);
    let (write_errors, read_errors, app, status) = (raw.write_errors, raw.read_errors, raw.app_id, raw.status);
    // SAFETY: records in shared memory; the core's own are written by this thread only.
    unsafe {
        (*core_counters).requests += 1;
        (*core_counters).write_errors += write_errors;
        (*core_counters).read_errors += read_errors;
        int(&raw mut (*core_counters).in_request).store(0, Ordering::Relaxed);
        add(counter(&raw mut (*worker).requests), 1, alone);
        add(counter(&raw mut (*worker).delta_requests), 1, alone);
        add(counter(&raw mut (*worker).tx), sent, alone);
        add(counter(&raw mut (*worker).running_time), took, alone);
        let average = counter(&raw mut (*worker).avg_response_time);
        average.store((average.load(Ordering::Relaxed) + took) / 2, Ordering::Relaxed);
        if add_int(int(&raw mut (*worker).busy), -1, alone) == 1 {
            procname::state(State::Idle);
        }
    }
    crate::stats::histogram::count(crate::server::worker_id(), status, took, alone);
    crate::apps::count_request(app, alone);
    routing::finish(core);
    let (id, slot) = (core.id, core.slot);
    if server().settings.limits.harakiri_no_arh {
        end_deadline(id, slot);
    }
    // SAFETY: slots are never NULL.
    let plugin = unsafe { &*(*view()).p[usize::from(server().remapped(core.modifier1()))] };
    let raw = core.expose();
    // SAFETY: the request of this core, its answer complete.
    unsafe {
        if hooks::has_post_request() {
            hooks::post_request(raw);
        }
        if !hooks::after_request(plugin, raw) {
            end_deadline(id, slot);
            if log::request::wanted(&*raw) {
                log::request::write_line(&mut *raw);
            }
        }
    }
    if server().settings.processes.reaper {
        // children of the application that nobody waits for
        // SAFETY: no status is asked for.
        while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
    }
    end_deadline(id, slot);
}

/// The core is idle for the master. The loop of core 0 did not turn meanwhile: it beats before it looks idle.
fn end_deadline(id: usize, slot: &CoreSlot) {
    if id == 0 && server().settings.limits.worker_heartbeat > 0 {
        super::beat();
    }
    slot.since.store(0, Ordering::Release);
    slot.deadline.store(0, Ordering::Relaxed);
}

/// Says why an answer could not be sent, unless it is the client's everyday going away.
pub fn say_unless_gone(error: &ResponseError) {
    if !matches!(error, ResponseError::Gone(_)) {
        say!("{error}");
    }
}
