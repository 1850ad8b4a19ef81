//! Who asked, through all services: the W3C trace context (`traceparent`) and the id of a request. Read for log lines, made
//! for requests that have none (`--request-id`, `--traceparent`); in the worker, before rules and plugins see the request.

use super::{Core, vars};
use crate::log::request::text;
use crate::server::server;
use rsgi_plugin_api::abi::WsgiRequest;
use std::cell::Cell;

/// The longest id that is taken from a client.
const LONGEST_ID: usize = 128;

/// A trace context, in the letters in which it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext<'r> {
    /// 32 hexadecimal digits: the whole.
    pub trace_id: &'r [u8],
    /// 16: the step that called us.
    pub parent_id: &'r [u8],
    /// 2: whether it is recorded.
    pub flags: &'r [u8],
}

impl<'r> TraceContext<'r> {
    /// Reads a `traceparent`; `None`: it is not valid, and is to be taken as absent.
    pub fn parse(text: &'r [u8]) -> Option<Self> {
        let is_hex = |t: &[u8]| t.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_zero = |t: &[u8]| t.iter().all(|b| *b == b'0');
        let mut parts = text.split(|b| *b == b'-');
        let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = [version.len(), trace_id.len(), parent_id.len(), flags.len()] == [2, 32, 16, 2];
        let is_known = version == b"00" && parts.next().is_none();
        // later versions may add to the end
        let is_later = version != b"00" && version != b"ff";
        let is_fine = lengths
            && [version, trace_id, parent_id, flags].into_iter().all(is_hex)
            && !is_zero(trace_id)
            && !is_zero(parent_id)
            && (is_known || is_later);
        is_fine.then_some(Self {
            trace_id,
            parent_id,
            flags,
        })
    }
}

/// The trace context of a request.
pub fn trace(req: &WsgiRequest) -> Option<TraceContext<'_>> {
    vars::find(req, b"HTTP_TRACEPARENT").and_then(TraceContext::parse)
}

/// The id of a request; empty: it has none.
pub fn request_id(req: &WsgiRequest) -> &[u8] {
    vars::find(req, b"HTTP_X_REQUEST_ID").unwrap_or_default()
}

/// Whether the lines of an answer's head name an id already.
pub fn has_id(head: &[u8]) -> bool {
    const NAME: &[u8] = b"x-request-id:";
    let is_it = |line: &[u8]| {
        line.get(..NAME.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    };
    head.split(|b| *b == b'\n').any(is_it)
}

/// Whether an id may go into logs and answers as it came.
pub fn is_fine_id(id: &[u8]) -> bool {
    let is_fine = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(b);
    (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(is_fine)
}

/// Gives a request what it lacks: an id, a trace context; and the parts of the context as variables.
pub fn complete(core: &mut Core) {
    let settings = &server().settings;
    if settings.logging.request_id {
        let raw = core.raw();
        let peer = String::from_utf8_lossy(text(raw.remote_addr, raw.remote_addr_len));
        let is_trusted = settings.sockets.trusted_proxies.lets_speak(&peer);
        if !(is_trusted && is_fine_id(request_id(raw))) {
            let id = format!("{:016x}{:016x}", random(), random());
            vars::set(core, b"HTTP_X_REQUEST_ID", id.as_bytes());
        }
    }
    if settings.logging.traceparent {
        if trace(core.raw()).is_none() {
            // recorded: whoever asked for it wants to see it
            let context = format!("00-{:016x}{:016x}-{:016x}-01", random(), random() | 1, random() | 1);
            vars::set(core, b"HTTP_TRACEPARENT", context.as_bytes());
        }
        let parts = trace(core.raw()).map(|t| [t.trace_id.to_vec(), t.parent_id.to_vec()]);
        if let Some([trace_id, span_id]) = parts {
            vars::set(core, b"TRACE_ID", &trace_id);
            vars::set(core, b"SPAN_ID", &span_id);
        }
    }
}

/// A number that no other request has; not for secrets.
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    let mut state = STATE.get();
    if state == 0 {
        // SAFETY: a place of that size; when the system has nothing random yet, the clock and the thread must do.
        let got = unsafe { libc::getrandom((&raw mut state).cast(), size_of::<u64>(), libc::GRND_NONBLOCK) };
        if got != size_of::<u64>() as isize {
            state = crate::exports::micros() ^ u64::from(std::process::id()) << 40 ^ (&raw const state).addr() as u64;
        }
    }
    // SplitMix64: all 2^64 numbers in an order that depends on the first
    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn contexts_are_read_strictly() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let text = format!("00-{trace}-{parent}-01");
        let read = TraceContext::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (read.trace_id, read.parent_id, read.flags),
            (trace.as_bytes(), parent.as_bytes(), &b"01"[..])
        );
        assert!(TraceContext::parse(format!("cc-{trace}-{parent}-01-what-comes").as_bytes()).is_some());
        for wrong in [
            String::new(),
            format!("00-{trace}-{parent}-01-more"),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}-{parent}-1"),
            format!("00-{trace}{parent}-01"),
        ] {
            assert_eq!(TraceContext::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn ids_are_short_and_plain() {
        assert!(is_fine_id(b"req-1:a/b+c=") && is_fine_id(&[b'x'; 128]));
        for wrong in [&b""[..], &[b'x'; 129], b"a b", b"a\"b", b"a\nb", "\u{fc}".as_bytes()] {
            assert!(!is_fine_id(wrong));
        }
    }

    #[test]
    fn numbers_do_not_repeat() {
        let mut all: Vec<u64> = (0..10_000).map(|_| random()).collect();
        all.extend(
            std::thread::spawn(|| (0..10_000).map(|_| random()).collect::<Vec<_>>())
                .join()
                .unwrap(),
        );
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20_000);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(read) = TraceContext::parse(&bytes) {
                prop_assert_eq!(read.trace_id.len(), 32);
            }
        }
    }
}
