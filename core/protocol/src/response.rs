//! HTTP/1 response heads as a backend sends them, and the framing of the body behind them.
//! Called by the gateway with what has arrived so far; the same strictness as for requests, and no state.

use crate::field::{Field, Name, Span, list_has, span_in};
use crate::http1::{MAX_FIELDS, Progress, Version, parse_length};

/// Why a response head is unusable; the gateway answers 502.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// Not an HTTP/1 status line, or broken header lines.
    #[error("the backend's answer is not HTTP/1: {0}")]
    Malformed(&'static str),
    /// Lengths or codings that could be read in two ways.
    #[error("the backend's answer has a body of unclear length: {0}")]
    Framing(&'static str),
    /// More than the buffer holds.
    #[error("the backend's response headers exceed {0} bytes")]
    TooLarge(usize),
}

/// How a response body is framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseBody {
    /// No body: HEAD, 1xx, 204, 304, whatever the header fields say.
    #[default]
    None,
    /// This many bytes.
    Fixed(u64),
    /// Chunked transfer coding.
    Chunked,
    /// All bytes until the connection ends; after 101 too.
    UntilClose,
}

/// A parsed response head, reusable like the request's.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// Three digits.
    pub status: u16,
    /// The reason phrase, maybe empty.
    pub reason: Span,
    /// The header lines in their order.
    pub fields: Vec<Field>,
    /// Where the header lines begin, behind the status line.
    pub fields_at: usize,
    /// The framing of the body.
    pub body: ResponseBody,
    /// Whether the backend keeps the connection.
    pub keep_alive: bool,
    /// Whether Connection, Keep-Alive, Transfer-Encoding or Proxy-Connection stand among the fields.
    pub has_hop_fields: bool,
    /// Bytes of the head; the body begins there.
    pub len: usize,
    scanned: usize,
}

impl ResponseHead {
    /// An empty head.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, a half-read head included; keeps the memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self {
            fields,
            ..Self::default()
        };
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn value<'a>(&self, buf: &'a [u8], name: Name) -> Option<&'a [u8]> {
        self.fields.iter().find(|f| f.known == name).map(|f| f.value.of(buf))
    }
}

/// Fields that speak of one connection only and are never passed on.
#[must_use]
pub fn is_hop_field(name: Name) -> bool {
    matches!(
        name,
        Name::Connection | Name::KeepAlive | Name::TransferEncoding | Name::ProxyConnection
    )
}

/// Parses the response head at the start of `buf`, which grows until the answer is not `Partial`.
/// `to_head` says that the request was a HEAD; `limit` bounds the head's bytes.
pub fn parse_response(
    buf: &[u8],
    limit: usize,
    to_head: bool,
    head: &mut ResponseHead,
) -> Result<Progress, ResponseError> {
    // Three bytes back: the end may have been cut in the middle.
    let from = head.scanned.saturating_sub(3);
    let found = buf.get(from..).and_then(|rest| memchr::memmem::find(rest, b"\r\n\r\n"));
    let Some(end) = found.map(|i| from + i + 4) else {
        head.scanned = buf.len();
        return match () {
            () if buf.len() > limit => Err(ResponseError::TooLarge(limit)),
            () if !b"HTTP/1.".iter().zip(buf).all(|(want, got)| want == got) => {
                Err(ResponseError::Malformed("no status line"))
            }
            () => Ok(Progress::Partial),
        };
    };
    head.clear();
    if end > limit {
        return Err(ResponseError::TooLarge(limit));
    }
    let whole = &buf[..end];
    if memchr::memchr_iter(b'\n', whole).any(|lf| lf == 0 || whole[lf - 1] != b'\r') {
        return Err(ResponseError::Malformed("a line does not end with CR LF"));
    }
    read(whole, head)?;
    digest(whole, to_head, head)?;
    Ok(Progress::Complete)
}

fn read(whole: &[u8], head: &mut ResponseHead) -> Result<(), ResponseError> {
    let line_end = memchr::memchr(b'\r', whole).unwrap_or(whole.len());
    let line = &whole[..line_end];
    let malformed = ResponseError::Malformed("no status line");
    let (version, rest) = line.split_at_checked(b"HTTP/1.1 ".len()).ok_or(malformed)?;
    head.version = match version {
        b"HTTP/1.1 " => Version::Http11,
        b"HTTP/1.0 " => Version::Http10,
        _ => return Err(malformed),
    };
    let (digits, rest) = rest.split_at_checked(3).ok_or(malformed)?;
    head.status = digits
        .iter()
        .try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + u16::from(d - b'0')))
        .ok_or(malformed)?;
    if head.status < 100 || rest.first().is_some_and(|&b| b != b' ') {
        return Err(malformed);
    }
    let reason = rest.get(1..).unwrap_or_default();
    if reason.iter().any(|&b| b != b'\t' && (b < b' ' || b == 0x7f)) {
        return Err(ResponseError::Malformed("control character in the status line"));
    }
    head.reason = span_in(whole, reason);
    head.fields_at = line_end + 2;
    let mut slots = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let block = whole.get(head.fields_at..).unwrap_or_default();
    let Ok(httparse::Status::Complete((_, parsed))) = httparse::parse_headers(block, &mut slots) else {
        return Err(ResponseError::Malformed("broken header lines"));
    };
    head.fields.extend(parsed.iter().map(|header| Field {
        known: Name::of(header.name.as_bytes()),
        name: span_in(whole, header.name.as_bytes()),
        value: span_in(whole, header.value),
    }));
    head.len = whole.len();
    Ok(())
}

fn digest(buf: &[u8], to_head: bool, head: &mut ResponseHead) -> Result<(), ResponseError> {
    let (mut length, mut coding): (Option<u64>, Option<&[u8]>) = (None, None);
    let (mut close, mut keep) = (false, false);
    for field in &head.fields {
        let value = field.value.of(buf);
        head.has_hop_fields |= is_hop_field(field.known);
        match field.known {
            Name::ContentLength => {
                let n = parse_length(value).map_err(|_| ResponseError::Framing("malformed Content-Length"))?;
                if length.is_some() {
                    return Err(ResponseError::Framing("several Content-Length fields"));
                }
                length = Some(n);
            }
            Name::TransferEncoding if coding.is_some() => {
                return Err(ResponseError::Framing("several Transfer-Encoding fields"));
            }
            Name::TransferEncoding => coding = Some(value),
            Name::Connection => {
                close |= list_has(value, b"close");
                keep |= list_has(value, b"keep-alive");
            }
            _ => {}
        }
    }
    let http11 = head.version == Version::Http11;
    let bodyless = to_head || matches!(head.status, 100..=199 | 204 | 304);
    head.body = match (length, coding) {
        _ if head.status == 101 => ResponseBody::UntilClose,
        _ if bodyless => ResponseBody::None,
        (Some(_), Some(_)) => {
            return Err(ResponseError::Framing("Content-Length and Transfer-Encoding"));
        }
        (Some(n), None) => ResponseBody::Fixed(n),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") && http11 => ResponseBody::Chunked,
        (None, Some(_)) => return Err(ResponseError::Framing("unknown transfer coding")),
        (None, None) => ResponseBody::UntilClose,
    };
    head.keep_alive = !close && (http11 || keep) && head.body != ResponseBody::UntilClose;
    Ok(())
}
