//! HTTP/1 request heads: strict parsing (RFC 9112) into reusable offsets, and the framing of the body behind them.
//! Called by worker and gateway connections with whatever has arrived so far; holds no bytes itself.

use crate::field::{Field, Name, Span, list_has, span_in};
use crate::{octet, target};

/// Header lines that fit in the small parse array, which is cheap to lay out; more of them take the large one.
const FEW_FIELDS: usize = 16;
/// Upper bound of `Limits::fields`.
pub const MAX_FIELDS: usize = 256;
/// Longest method of the registry is 17 bytes; beyond this it is noise.
const MAX_METHOD: usize = 32;
/// Empty lines tolerated before the request line (RFC 9112 2.2).
const MAX_BLANK_LINES: u32 = 2;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole head (`buffer-size`).
    pub head: usize,
    /// Bytes of the target.
    pub target: usize,
    /// Header lines, at most `MAX_FIELDS`.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 * 1024,
            target: 8190,
            fields: 200,
        }
    }
}

impl Limits {
    /// The limits for a configured `buffer-size`: who sets it means the request line too.
    #[must_use]
    pub fn with_buffer_size(size: usize) -> Self {
        Self {
            head: size,
            target: size,
            ..Self::default()
        }
    }
}

/// Why a head was refused. `status()` is the answer to send before closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {}: {cause}", reason(*.status))]
pub struct HttpError {
    status: u16,
    cause: &'static str,
}

impl HttpError {
    /// An error of this status; `cause` is for the log and the error page.
    #[must_use]
    pub const fn new(status: u16, cause: &'static str) -> Self {
        Self { status, cause }
    }

    /// The status code of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase of the status line.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        reason(self.status)
    }

    /// What was wrong.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        self.cause
    }
}

/// The reason phrase of a status (RFC 9110 15); of one that nobody knows, words for its class.
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        511 => "Network Authentication Required",
        _ => match status / 100 {
            1 => "Informational",
            2 => "OK",
            3 => "Redirection",
            4 => "Client Error",
            5 => "Server Error",
            _ => "Error",
        },
    }
}

/// What `parse_head` came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed; what came so far is fine.
    Partial,
    /// The head is whole and valid.
    Complete,
}

/// The version of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

impl Version {
    /// As it stands in a request or status line.
    #[must_use]
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Http10 => b"HTTP/1.0",
            Self::Http11 => b"HTTP/1.1",
        }
    }
}

/// How the body behind a request head is framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// No body.
    #[default]
    None,
    /// This many bytes; `Content-Length: 0` counts as a length that was sent.
    Fixed(u64),
    /// Chunked transfer coding.
    Chunked,
}

/// A parsed head: offsets into the buffer, and what the server needs to know about them.
/// Make one per connection and reuse it; nothing is allocated after the first requests.
/// Before it serves another connection, `clear()` it: it may remember a half-read head.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The method token.
    pub method: Span,
    /// The target as sent.
    pub target: Span,
    /// The path as sent; empty for an absolute-form target without one.
    pub path: Span,
    /// The query as sent, without the question mark.
    pub query: Span,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The header lines in their order.
    pub fields: Vec<Field>,
    /// The host the request is for: the target's authority, else the Host field.
    pub host: Option<Span>,
    /// The framing of the body.
    pub body: BodyLength,
    /// Whether the client wants the connection kept.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// The Upgrade field's value, when Connection names it too.
    pub upgrade: Option<Span>,
    /// Bytes of the head; the body begins there.
    pub len: usize,
    /// Names that occur more than once.
    pub(crate) repeated: u64,
    scan: Scan,
}

/// How far the search for the end of a head has come.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// Where the search goes on.
    at: usize,
    /// Where the line under the cursor begins.
    line: usize,
    /// Where the request line begins, behind tolerated blank lines.
    begin: usize,
    /// Blank lines before the request line.
    blank: u32,
    /// Whole lines seen, the request line included.
    lines: usize,
}

impl Head {
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

/// Parses the request head at the start of `buf`, which grows between calls until the answer is not `Partial`.
/// A repeated call goes on where the last one stopped. After `Complete` or an error the next call begins a new head.
pub fn parse_head(buf: &[u8], limits: &Limits, head: &mut Head) -> Result<Progress, HttpError> {
    match find_end(buf, limits, &mut head.scan) {
        Ok(None) => return Ok(Progress::Partial),
        Ok(Some(end)) => {
            let scan = head.scan;
            head.clear();
            head.len = end;
            parse_whole(buf, end, scan, limits, head)?;
        }
        Err(error) => {
            head.clear();
            return Err(error);
        }
    }
    Ok(Progress::Complete)
}

const fn bad(cause: &'static str) -> HttpError {
    HttpError::new(400, cause)
}

/// Finds the empty line, line by line; noise is refused at its first bytes, without waiting for an end.
fn find_end(buf: &[u8], limits: &Limits, scan: &mut Scan) -> Result<Option<usize>, HttpError> {
    while let Some(found) = buf.get(scan.at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let lf = scan.at + found;
        if lf == scan.line || buf[lf - 1] != b'\r' {
            return Err(bad("a line does not end with CR LF"));
        }
        let empty = lf - 1 == scan.line;
        scan.at = lf + 1;
        scan.line = lf + 1;
        if !empty {
            // the same bound as below: a long line is refused however many bytes came at once
            if scan.lines == 0 && lf - scan.begin > longest_request_line(limits) {
                return Err(too_large(scan));
            }
            scan.lines += 1;
        } else if scan.lines > 0 {
            return match lf + 1 > limits.head {
                true => Err(too_large(scan)),
                false => Ok(Some(lf + 1)),
            };
        } else {
            scan.blank += 1;
            scan.begin = lf + 1;
            if scan.blank > MAX_BLANK_LINES {
                return Err(bad("empty lines before the request line"));
            }
        }
        if scan.lines > limits.fields.min(MAX_FIELDS) + 1 {
            return Err(HttpError::new(431, "too many header fields"));
        }
    }
    scan.at = buf.len();
    if buf.len() > limits.head {
        return Err(too_large(scan));
    }
    let rest = buf.get(scan.begin..).unwrap_or_default();
    if rest.first().is_some_and(|&b| !octet::is_token_byte(b) && b != b'\r') {
        return Err(bad("not an HTTP request"));
    }
    if scan.lines == 0 && rest.len() > longest_request_line(limits) {
        return Err(too_large(scan));
    }
    Ok(None)
}

/// Room for the method, the target, two spaces and the version.
fn longest_request_line(limits: &Limits) -> usize {
    limits.target.saturating_add(MAX_METHOD + 16)
}

fn too_large(scan: &Scan) -> HttpError {
    match scan.lines {
        0 => HttpError::new(414, "the request line is too long"),
        _ => HttpError::new(431, "the head is larger than buffer-size"),
    }
}

fn parse_whole(buf: &[u8], end: usize, scan: Scan, limits: &Limits, head: &mut Head) -> Result<(), HttpError> {
    let whole = &buf[..end];
    let fields_at = request_line(whole, scan.begin, limits, head)?;
    let block = &whole[fields_at..];
    if scan.lines <= FEW_FIELDS + 1 {
        read_fields::<FEW_FIELDS>(whole, block, head)?;
    } else {
        read_fields::<MAX_FIELDS>(whole, block, head)?;
    }
    digest(buf, head)
}

/// `method SP target SP version CR LF`, exactly; answers where the header lines begin.
fn request_line(buf: &[u8], begin: usize, limits: &Limits, head: &mut Head) -> Result<usize, HttpError> {
    let line_end = memchr::memchr(b'\r', &buf[begin..]).map_or(buf.len(), |i| begin + i);
    if buf.get(line_end + 1) != Some(&b'\n') {
        return Err(bad("CR in the request line"));
    }
    let line = &buf[begin..line_end];
    let (Some(first), Some(last)) = (memchr::memchr(b' ', line), memchr::memrchr(b' ', line)) else {
        return Err(bad("malformed request line"));
    };
    if first == last {
        return Err(bad("no version in the request line"));
    }
    let (method, target, version) = (&line[..first], &line[first + 1..last], &line[last + 1..]);
    if target.contains(&b' ') {
        return Err(bad("malformed request line"));
    }
    if !octet::is_token(method) {
        return Err(bad("malformed method"));
    }
    head.version = parse_version(version)?;
    if method.len() > MAX_METHOD || method == b"CONNECT" {
        return Err(HttpError::new(501, "method not supported"));
    }
    if target.len() > limits.target {
        return Err(HttpError::new(414, "the target is too long"));
    }
    if !octet::is_target(target) {
        return Err(bad("control character in the target"));
    }
    let parts = target::split(method, target).ok_or(bad("malformed target"))?;
    head.method = span_in(buf, method);
    head.target = span_in(buf, target);
    let at = head.target.start as usize;
    let absolute = |s: Span| Span::new(s.start as usize + at, s.end as usize + at);
    head.path = absolute(parts.path);
    head.query = absolute(parts.query);
    head.host = parts.authority.map(absolute);
    Ok(line_end + 2)
}

fn parse_version(version: &[u8]) -> Result<Version, HttpError> {
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        _ => Err(match version {
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
                HttpError::new(505, "HTTP version not supported")
            }
            _ => bad("malformed HTTP version"),
        }),
    }
}

fn read_fields<const N: usize>(whole: &[u8], block: &[u8], head: &mut Head) -> Result<(), HttpError> {
    let mut slots = [httparse::EMPTY_HEADER; N];
    let parsed = match httparse::parse_headers(block, &mut slots) {
        Ok(httparse::Status::Complete((_, parsed))) => parsed,
        Ok(httparse::Status::Partial) => return Err(bad("malformed header")),
        Err(httparse::Error::HeaderName) => return Err(bad("malformed header name")),
        Err(httparse::Error::HeaderValue) => return Err(bad("malformed header value")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(HttpError::new(431, "too many header fields"));
        }
        Err(_) => return Err(bad("malformed header")),
    };
    let mut seen = 0u64;
    for header in parsed.iter() {
        let known = Name::of(header.name.as_bytes());
        if known == Name::Other {
            // Not worth a bit: the CGI mapping compares such names one by one.
        } else if seen & known.bit() != 0 {
            head.repeated |= known.bit();
        } else {
            seen |= known.bit();
        }
        head.fields.push(Field {
            known,
            name: span_in(whole, header.name.as_bytes()),
            value: span_in(whole, header.value),
        });
    }
    Ok(())
}

/// What the fields mean for the connection; everything that could be read in two ways is refused.
fn digest(buf: &[u8], head: &mut Head) -> Result<(), HttpError> {
    let (mut host, mut length, mut coding, mut expect, mut upgrade) = (None, None, None, None, None);
    let (mut close, mut keep, mut names_upgrade) = (false, false, false);
    for field in &head.fields {
        let value = field.value.of(buf);
        match field.known {
            Name::Host => host = Some(field.value),
            Name::ContentLength => length = Some(value),
            Name::TransferEncoding => coding = Some(value),
            Name::Expect => expect = Some(value),
            Name::Upgrade => upgrade = Some(field.value),
            Name::Connection => {
                close |= list_has(value, b"close");
                keep |= list_has(value, b"keep-alive");
                names_upgrade |= list_has(value, b"upgrade");
            }
            _ => {}
        }
    }
    let http11 = head.version == Version::Http11;
    let twice = |name: Name| head.repeated & name.bit() != 0;

    match host {
        _ if twice(Name::Host) => return Err(bad("several Host fields")),
        Some(host) if !octet::is_host(host.of(buf)) => return Err(bad("malformed Host")),
        None if http11 => return Err(bad("no Host field")),
        _ => {}
    }
    head.body = match (length, coding) {
        (None, None) => BodyLength::None,
        (Some(_), Some(_)) => return Err(bad("both Content-Length and Transfer-Encoding")),
        (Some(_), None) if twice(Name::ContentLength) => {
            return Err(bad("several Content-Length fields"));
        }
        (Some(digits), None) => BodyLength::Fixed(parse_length(digits)?),
        (None, Some(_)) if !http11 => return Err(bad("Transfer-Encoding in HTTP/1.0")),
        (None, Some(coding)) if twice(Name::TransferEncoding) || !coding.eq_ignore_ascii_case(b"chunked") => {
            return Err(HttpError::new(501, "transfer coding not supported"));
        }
        (None, Some(_)) => BodyLength::Chunked,
    };
    if let (Some(expect), true) = (expect, http11) {
        if !expect.eq_ignore_ascii_case(b"100-continue") || twice(Name::Expect) {
            return Err(HttpError::new(417, "expectation not supported"));
        }
        // A client that announces an empty body waits for nothing.
        head.expect_continue = !matches!(head.body, BodyLength::None | BodyLength::Fixed(0));
    }
    head.host = head.host.or(host);
    head.keep_alive = !close && (http11 || keep);
    head.upgrade = upgrade.filter(|_| names_upgrade && http11);
    Ok(())
}

/// The digits of a Content-Length, and nothing but digits.
pub fn parse_length(digits: &[u8]) -> Result<u64, HttpError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad("malformed Content-Length"));
    }
    digits
        .iter()
        .try_fold(0i64, |n, &d| n.checked_mul(10)?.checked_add(i64::from(d - b'0')))
        .map(i64::cast_unsigned)
        .ok_or(HttpError::new(413, "Content-Length is beyond all measure"))
}
