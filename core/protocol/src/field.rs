//! Header fields as places in a buffer, and the table of field names that are met every day.
//! Used by the request and response parsers and by the CGI mapping; pure data.

use std::ops::Range;

/// A place in the buffer that was parsed; stays right when the buffer's bytes move, as it holds offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// A span over `start..end`.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        // Heads are bounded far below 4 GiB by `Limits`, so that the casts never cut.
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    /// The bytes at this place; empty if `buf` is not the buffer that was parsed.
    #[must_use]
    #[inline]
    pub fn of<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        buf.get(self.range()).unwrap_or_default()
    }

    /// The offsets as a range.
    #[must_use]
    #[inline]
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.end.saturating_sub(self.start)) as usize
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }
}

/// The place of `part` inside `whole`, of which it must be a subslice.
pub(crate) fn span_in(whole: &[u8], part: &[u8]) -> Span {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    Span::new(start, start.wrapping_add(part.len()))
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name if it is a common one.
    pub known: Name,
    /// Where the name stands.
    pub name: Span,
    /// Where the value stands, without the white space around it.
    pub value: Span,
}

macro_rules! names {
    ($($id:ident $wire:literal $cgi:literal)*) => {
        /// Field names that have a row in the table; everything else is `Other`.
        #[allow(missing_docs)] // the variants are the field names themselves
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Name { $($id,)* Other }

        /// Wire name in lower case, CGI variable, id.
        const TABLE: &[(&[u8], &[u8], Name)] = &[$(($wire, $cgi, Name::$id),)*];
    };
}

names! {
    Accept b"accept" b"HTTP_ACCEPT"
    AcceptCharset b"accept-charset" b"HTTP_ACCEPT_CHARSET"
    AcceptEncoding b"accept-encoding" b"HTTP_ACCEPT_ENCODING"
    AcceptLanguage b"accept-language" b"HTTP_ACCEPT_LANGUAGE"
    Authorization b"authorization" b"HTTP_AUTHORIZATION"
    CacheControl b"cache-control" b"HTTP_CACHE_CONTROL"
    Connection b"connection" b"HTTP_CONNECTION"
    ContentEncoding b"content-encoding" b"HTTP_CONTENT_ENCODING"
    ContentLength b"content-length" b"CONTENT_LENGTH"
    ContentType b"content-type" b"CONTENT_TYPE"
    Cookie b"cookie" b"HTTP_COOKIE"
    Date b"date" b"HTTP_DATE"
    Dnt b"dnt" b"HTTP_DNT"
    Expect b"expect" b"HTTP_EXPECT"
    Forwarded b"forwarded" b"HTTP_FORWARDED"
    Host b"host" b"HTTP_HOST"
    Http2Settings b"http2-settings" b"HTTP_HTTP2_SETTINGS"
    IfMatch b"if-match" b"HTTP_IF_MATCH"
    IfModifiedSince b"if-modified-since" b"HTTP_IF_MODIFIED_SINCE"
    IfNoneMatch b"if-none-match" b"HTTP_IF_NONE_MATCH"
    IfRange b"if-range" b"HTTP_IF_RANGE"
    IfUnmodifiedSince b"if-unmodified-since" b"HTTP_IF_UNMODIFIED_SINCE"
    KeepAlive b"keep-alive" b"HTTP_KEEP_ALIVE"
    Origin b"origin" b"HTTP_ORIGIN"
    Pragma b"pragma" b"HTTP_PRAGMA"
    Priority b"priority" b"HTTP_PRIORITY"
    Proxy b"proxy" b"HTTP_PROXY"
    ProxyAuthorization b"proxy-authorization" b"HTTP_PROXY_AUTHORIZATION"
    ProxyConnection b"proxy-connection" b"HTTP_PROXY_CONNECTION"
    Range b"range" b"HTTP_RANGE"
    Referer b"referer" b"HTTP_REFERER"
    SecChUa b"sec-ch-ua" b"HTTP_SEC_CH_UA"
    SecChUaMobile b"sec-ch-ua-mobile" b"HTTP_SEC_CH_UA_MOBILE"
    SecChUaPlatform b"sec-ch-ua-platform" b"HTTP_SEC_CH_UA_PLATFORM"
    SecFetchDest b"sec-fetch-dest" b"HTTP_SEC_FETCH_DEST"
    SecFetchMode b"sec-fetch-mode" b"HTTP_SEC_FETCH_MODE"
    SecFetchSite b"sec-fetch-site" b"HTTP_SEC_FETCH_SITE"
    SecFetchUser b"sec-fetch-user" b"HTTP_SEC_FETCH_USER"
    SecWebsocketExtensions b"sec-websocket-extensions" b"HTTP_SEC_WEBSOCKET_EXTENSIONS"
    SecWebsocketKey b"sec-websocket-key" b"HTTP_SEC_WEBSOCKET_KEY"
    SecWebsocketProtocol b"sec-websocket-protocol" b"HTTP_SEC_WEBSOCKET_PROTOCOL"
    SecWebsocketVersion b"sec-websocket-version" b"HTTP_SEC_WEBSOCKET_VERSION"
    Te b"te" b"HTTP_TE"
    Traceparent b"traceparent" b"HTTP_TRACEPARENT"
    Trailer b"trailer" b"HTTP_TRAILER"
    TransferEncoding b"transfer-encoding" b"HTTP_TRANSFER_ENCODING"
    Upgrade b"upgrade" b"HTTP_UPGRADE"
    UpgradeInsecureRequests b"upgrade-insecure-requests" b"HTTP_UPGRADE_INSECURE_REQUESTS"
    UserAgent b"user-agent" b"HTTP_USER_AGENT"
    Via b"via" b"HTTP_VIA"
    XForwardedFor b"x-forwarded-for" b"HTTP_X_FORWARDED_FOR"
    XForwardedHost b"x-forwarded-host" b"HTTP_X_FORWARDED_HOST"
    XForwardedPort b"x-forwarded-port" b"HTTP_X_FORWARDED_PORT"
    XForwardedProto b"x-forwarded-proto" b"HTTP_X_FORWARDED_PROTO"
    XForwardedSsl b"x-forwarded-ssl" b"HTTP_X_FORWARDED_SSL"
    XRealIp b"x-real-ip" b"HTTP_X_REAL_IP"
    XRequestId b"x-request-id" b"HTTP_X_REQUEST_ID"
    XRequestedWith b"x-requested-with" b"HTTP_X_REQUESTED_WITH"
}

/// Longest wire name of the table, plus one.
const LENGTHS: usize = 32;

/// Rows ordered by the length of their name, and where each length begins.
struct Index {
    rows: [u8; TABLE.len()],
    starts: [u8; LENGTHS + 1],
}

/// The ends of a name, by which it is compared at once: its first and its last eight bytes, which overlap in a short one.
#[derive(Clone, Copy)]
struct Ends {
    first: u64,
    last: u64,
}

/// The lower-case ends of each row, and the bit that a capital differs by, where the byte is a letter.
struct Row {
    ends: Ends,
    case: Ends,
}

/// The ends of a name of less than [`LENGTHS`] bytes.
#[inline]
const fn ends(name: &[u8]) -> Ends {
    match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => Ends {
            first: u64::from_le_bytes(*first),
            last: u64::from_le_bytes(*last),
        },
        _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            (Some(first), Some(last)) => Ends {
                first: u32::from_le_bytes(*first) as u64,
                last: u32::from_le_bytes(*last) as u64,
            },
            _ => {
                let (mut packed, mut n) = (0, 0);
                while n < name.len() {
                    packed |= (name[n] as u64) << (8 * n);
                    n += 1;
                }
                Ends {
                    first: packed,
                    last: packed,
                }
            }
        },
    }
}

const fn row(wire: &[u8]) -> Row {
    let mut case = [0; LENGTHS];
    let mut n = 0;
    while n < wire.len() {
        if wire[n].is_ascii_lowercase() {
            case[n] = 0x20;
        }
        n += 1;
    }
    Row {
        ends: ends(wire),
        case: ends(case.split_at(wire.len()).0),
    }
}

static ROWS: [Row; TABLE.len()] = {
    let mut rows = [const { row(b"") }; TABLE.len()];
    let mut n = 0;
    while n < TABLE.len() {
        rows[n] = row(TABLE[n].0);
        n += 1;
    }
    rows
};

impl Row {
    /// Whether a name of the same length ends the same way at both sides, in any case.
    #[inline]
    fn fits(&self, name: Ends) -> bool {
        (self.ends.first ^ name.first) & !self.case.first == 0 && (self.ends.last ^ name.last) & !self.case.last == 0
    }
}

const fn index() -> Index {
    let mut out = Index {
        rows: [0; TABLE.len()],
        starts: [0; LENGTHS + 1],
    };
    let (mut len, mut n) = (0, 0);
    while len < LENGTHS {
        out.starts[len] = n as u8;
        let mut row = 0;
        while row < TABLE.len() {
            if TABLE[row].0.len() == len {
                out.rows[n] = row as u8;
                n += 1;
            }
            row += 1;
        }
        len += 1;
    }
    out.starts[LENGTHS] = n as u8;
    assert!(n == TABLE.len(), "a name is longer than LENGTHS");
    assert!(TABLE.len() < 64, "Name::bit() needs a bit per row");
    out
}

static INDEX: Index = index();

impl Name {
    /// The row of a name as it came over the wire, in any case.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        if name.len() >= LENGTHS {
            return Self::Other;
        }
        let range = INDEX.starts[name.len()] as usize..INDEX.starts[name.len() + 1] as usize;
        let ends = ends(name);
        INDEX.rows[range]
            .iter()
            .map(|&row| row as usize)
            .find(|&row| ROWS[row].fits(ends) && (name.len() <= 16 || TABLE[row].0.eq_ignore_ascii_case(name)))
            .map_or(Self::Other, |row| TABLE[row].2)
    }

    /// The CGI variable, for every name but `Other`.
    #[must_use]
    #[inline]
    pub fn cgi(self) -> Option<&'static [u8]> {
        TABLE.get(self as usize).map(|row| row.1)
    }

    /// One bit per name, to remember which ones were met.
    #[inline]
    pub(crate) fn bit(self) -> u64 {
        1 << (self as u8)
    }
}

/// Whether a comma-separated list holds `token`, in any case.
pub(crate) fn list_has(value: &[u8], token: &[u8]) -> bool {
    value
        .split(|&b| b == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_in_any_case_and_maps_by_the_cgi_rule() {
        for (wire, cgi, id) in TABLE {
            assert_eq!(Name::of(wire), *id);
            assert_eq!(Name::of(&wire.to_ascii_uppercase()), *id);
            assert_eq!(id.cgi(), Some(*cgi));
            let mut want = wire.to_ascii_uppercase();
            want.iter_mut().filter(|b| **b == b'-').for_each(|b| *b = b'_');
            if !matches!(id, Name::ContentLength | Name::ContentType) {
                want.splice(0..0, *b"HTTP_");
            }
            assert_eq!(want, *cgi);
        }
    }

    #[test]
    fn others_are_other() {
        for name in [
            &b""[..],
            b"x",
            b"hosts",
            b"content_length",
            b"user\rgent",
            b"hos\x14",
            b"http\x12-settings",
            b"x-forwarded\x0dfor",
            b"if-unmodifiet-since",
            &[b'a'; 300],
        ] {
            assert_eq!(Name::of(name), Name::Other);
        }
        assert_eq!(Name::Other.cgi(), None);
    }

    #[test]
    fn lists_are_split_at_commas() {
        assert!(list_has(b"a, Close ,b", b"close"));
        assert!(!list_has(b"closed, not-close", b"close"));
    }
}
