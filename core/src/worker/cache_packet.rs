//! Requests about caches of this instance that come over the uwsgi protocol (modifier1 111): those of other instances,
//! and a plain key.

use crate::cache::anywhere::{self, CACHE, COMMAND, Lasts, Place, Put};
use crate::request::{Core, bytes_of, response};
use rsgi_protocol::uwsgi::{PacketHeader, Writer, parse_vars};

/// modifier2: the packet is a key, the answer its value behind a header.
pub const KEY: u8 = 0;
/// modifier2: the packet has the key in the variable `key`, the answer is the bare value.
const KEY_IN_VARIABLE: u8 = 3;
/// modifier2: the packet is a key, and the header of the answer says whether there is one.
pub const KEY_OR_NOT: u8 = 5;

/// Answers; who asks for what is not there gets nothing.
pub fn answer(core: &mut Core, modifier2: u8) {
    let out = match modifier2 {
        KEY => value_of_key(core, KEY),
        KEY_OR_NOT => Some(value_of_key(core, 1).unwrap_or_else(|| vec![CACHE, 0, 0, 0])),
        KEY_IN_VARIABLE => anywhere::get(b"", variable(core, b"key")).map(|(value, _)| value),
        COMMAND => command(core),
        other => {
            crate::say!("modifier1 111 with modifier2 {other} is not in this version: ask with 0, 3, 5 or 17");
            None
        }
    };
    response::alone(core, &out.unwrap_or_default());
}

/// The value whose key is the packet, behind a header.
fn value_of_key(core: &Core, modifier2: u8) -> Option<Vec<u8>> {
    // SAFETY: an entry of the request in work, which stays in the connection's buffer.
    let key = unsafe { bytes_of(&core.packet) };
    let (value, _) = anywhere::get(b"", key)?;
    let header = PacketHeader {
        modifier1: CACHE,
        // one that a header cannot say ends with the connection, as all do whose header is the answer
        size: match modifier2 {
            KEY => u16::try_from(value.len()).unwrap_or(0),
            _ => 0,
        },
        modifier2,
    };
    Some([&header.to_bytes()[..], &value].concat())
}

/// A variable of the packet; empty: there is none.
fn variable<'a>(core: &Core, name: &[u8]) -> &'a [u8] {
    // SAFETY: as above; the buffer outlives the request that is answered here.
    let packet: &'a [u8] = unsafe { &*std::ptr::from_ref(bytes_of(&core.packet)) };
    let mut pairs = parse_vars(packet).filter_map(Result::ok);
    pairs.find(|(key, _)| *key == name).map_or(&[][..], |(_, value)| value)
}

fn command(core: &mut Core) -> Option<Vec<u8>> {
    let var = |name: &[u8]| variable(core, name);
    let number = |name: &[u8]| std::str::from_utf8(var(name)).ok().and_then(|n| n.parse::<u64>().ok());
    let (cache, key) = (var(b"cache"), var(b"key"));
    // a cache elsewhere is asked by whoever wants it
    let Place::Own(_) = anywhere::place(cache) else {
        return None;
    };
    let mut found = (Vec::new(), 0);
    let is_done = match var(b"cmd") {
        b"get" => {
            found = anywhere::get(cache, key)?;
            true
        }
        b"exists" => anywhere::contains(cache, key),
        b"del" => anywhere::remove(cache, key),
        b"clear" => anywhere::clear(cache),
        word => {
            let put = Put::of_command(word)?;
            let lasts = Lasts::Seconds(number(b"expires").unwrap_or(0));
            anywhere::put(cache, key, &body(core)?, lasts, put)
        }
    };
    if !is_done {
        return None;
    }
    let mut out = Vec::with_capacity(64 + found.0.len());
    let mut writer = Writer::new(&mut out, CACHE, COMMAND);
    writer.push(b"status", b"ok");
    if !found.0.is_empty() {
        writer.push(b"size", found.0.len().to_string().as_bytes());
        if found.1 > 0 {
            writer.push(b"expires", found.1.to_string().as_bytes());
        }
    }
    writer.finish().ok()?;
    out.extend_from_slice(&found.0);
    Some(out)
}

/// What follows the packet.
fn body(core: &mut Core) -> Option<Vec<u8>> {
    // SAFETY: the connection outlives the request; the body does not hold on to it.
    let conn = unsafe { &mut *core.conn };
    let wanted = core.raw().post_cl;
    let mut out = Vec::new();
    while out.len() < wanted {
        let piece = core.body.read(conn, wanted - out.len()).ok()?;
        if piece.is_empty() {
            return None;
        }
        out.extend_from_slice(piece);
    }
    Some(out)
}
