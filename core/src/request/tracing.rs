//! Who asked, through all services: the W3C trace context (`traceparent`) and the id of a request. Read for log lines, made
//! for requests that have none (`--request-id`, `--traceparent`); in the worker, before rules and plugins see the request.

use super::vars;
use rsgi_plugin_api::abi::WsgiRequest;

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

/// Whether an id may go into logs and answers as it came.
pub fn is_fine_id(id: &[u8]) -> bool {
    let is_fine = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(b);
    (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(is_fine)
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

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(read) = TraceContext::parse(&bytes) {
                prop_assert_eq!(read.trace_id.len(), 32);
            }
        }
    }
}
