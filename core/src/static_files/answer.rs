//! The answer to a request for a file (RFC 9110): its type, age and validators, whether the client has it already, the
//! part of it that is asked for, its compressed neighbour, or a word to the web server in front to send it.

use super::{Found, mime, rules};
use crate::request::response::{self, ResponseError};
use crate::request::{Core, vars};
use crate::server::server;
use crate::shared::counter;
use rsgi_protocol::coding::takes_gzip;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Counts a file for the statistics.
pub(super) fn count(core: &mut Core) {
    // SAFETY: the record of this core in shared memory.
    unsafe { counter(&raw mut (*core.counters).static_requests) }.fetch_add(1, Ordering::Relaxed);
}

/// Answers with a file.
pub fn send(core: &mut Core, found: Found) {
    if try_send(core, found).is_err() {
        core.response.close_after();
    }
}

/// A request header.
fn header<'a>(core: &mut Core, name: &[u8]) -> Option<&'a [u8]> {
    let value = vars::find(core.raw(), name)?;
    // SAFETY: variables lie in memory that the request keeps until it ends, after this answer.
    Some(unsafe { std::slice::from_raw_parts(value.as_ptr(), value.len()) })
}

/// What identifies this state of a file, and when it was made.
struct Validators {
    tag: String,
    date: String,
    modified: SystemTime,
}

impl Validators {
    fn of(metadata: &Metadata) -> Self {
        let modified = UNIX_EPOCH + Duration::from_secs(metadata.mtime().max(0).unsigned_abs());
        Self {
            tag: format!("\"{:x}-{:x}\"", metadata.mtime(), metadata.len()),
            date: httpdate::fmt_http_date(modified),
            modified,
        }
    }

    /// Whether a list of tags names this one; weak ones count (RFC 9110 13.1.2).
    fn is_in(&self, list: &[u8]) -> bool {
        let mut tags = list.split(|b| *b == b',').map(<[u8]>::trim_ascii);
        tags.any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == self.tag.as_bytes())
    }

    /// Whether the client has this state already.
    fn is_known(&self, core: &mut Core) -> bool {
        if let Some(list) = header(core, b"HTTP_IF_NONE_MATCH") {
            return self.is_in(list);
        }
        header(core, b"HTTP_IF_MODIFIED_SINCE")
            .and_then(|v| std::str::from_utf8(v).ok())
            .and_then(|v| httpdate::parse_http_date(v).ok())
            .is_some_and(|since| since >= self.modified)
    }

    /// Whether a part of this state fits to what the client has (RFC 9110 13.1.5: strong tags, exact dates).
    fn fits_range(&self, core: &mut Core) -> bool {
        match header(core, b"HTTP_IF_RANGE") {
            None => true,
            Some(condition) => condition == self.tag.as_bytes() || condition == self.date.as_bytes(),
        }
    }
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// No range, or one that is no range: all.
    Whole,
    /// First and last byte.
    Bytes(u64, u64),
    /// Nothing of the file.
    Outside,
}

/// Reads a `Range` header; several ranges are answered by the whole file.
fn part_of(range: &[u8], size: u64) -> Part {
    let number =
        |text: &str| (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u64>());
    let Some((first, last)) = std::str::from_utf8(range)
        .ok()
        .and_then(|r| r.trim().strip_prefix("bytes="))
        .filter(|r| !r.contains(','))
        .and_then(|r| r.trim().split_once('-'))
    else {
        return Part::Whole;
    };
    match (number(first), number(last)) {
        (Some(Ok(first)), None) if last.is_empty() && first < size => Part::Bytes(first, size - 1),
        (Some(Ok(first)), Some(Ok(last))) if first <= last && first < size => Part::Bytes(first, last.min(size - 1)),
        (Some(Ok(first)), Some(Ok(last))) if first > last => Part::Whole,
        (None, Some(Ok(count))) if first.is_empty() && count > 0 && size > 0 => {
            Part::Bytes(size.saturating_sub(count), size - 1)
        }
        (Some(_), None) if last.is_empty() => Part::Outside,
        (Some(_), Some(_)) => Part::Outside,
        (None, Some(_)) if first.is_empty() => Part::Outside,
        _ => Part::Whole,
    }
}

fn try_send(core: &mut Core, found: Found) -> Result<(), ResponseError> {
    let path = found.path();
    let path = path.as_os_str().as_bytes();
    let kind = mime::type_of(path);
    let may_be_gzip = rules::prefers_gzip(path);
    let zipped = (may_be_gzip && header(core, b"HTTP_ACCEPT_ENCODING").is_some_and(takes_gzip))
        .then(|| found.neighbour(".gz"))
        .flatten();
    let zipped = zipped
        .and_then(|file| Some((file.metadata().ok()?, file)))
        .filter(|(metadata, _)| metadata.is_file());
    let is_zipped = zipped.is_some();
    let (metadata, file) = zipped.unwrap_or((found.metadata, found.file));
    let (size, validators) = (metadata.len(), Validators::of(&metadata));
    if let Some(name) = redirect_header() {
        response::start(core, b"200 OK")?;
        if let Some(kind) = kind {
            response::header(core, b"Content-Type", kind.as_bytes())?;
        }
        response::header(core, name, path)?;
        return response::write(core, &[], true);
    }
    let range = header(core, b"HTTP_RANGE").filter(|_| server().settings.statics.honour_range);
    let part = match range {
        Some(range) if validators.fits_range(core) => part_of(range, size),
        _ => Part::Whole,
    };
    let is_known = validators.is_known(core);
    let status: &[u8] = match part {
        _ if is_known => b"304 Not Modified",
        Part::Whole => b"200 OK",
        Part::Bytes(..) => b"206 Partial Content",
        Part::Outside => b"416 Range Not Satisfiable",
    };
    response::start(core, status)?;
    if let Some(kind) = kind.filter(|_| !is_known && part != Part::Outside) {
        response::header(core, b"Content-Type", kind.as_bytes())?;
    }
    if is_zipped && !is_known {
        response::header(core, b"Content-Encoding", b"gzip")?;
    }
    if may_be_gzip {
        response::header(core, b"Vary", b"Accept-Encoding")?;
    }
    response::header(core, b"Last-Modified", validators.date.as_bytes())?;
    response::header(core, b"ETag", validators.tag.as_bytes())?;
    let uri = crate::log::request::text(core.raw().uri, core.raw().uri_len);
    if let Some(seconds) = rules::expiry(path, uri, kind) {
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds.min(1 << 32)));
        response::header(core, b"Expires", date.as_bytes())?;
    }
    if is_known {
        return response::write(core, &[], true);
    }
    if server().settings.statics.honour_range {
        response::header(core, b"Accept-Ranges", b"bytes")?;
    }
    let (first, length) = match part {
        Part::Outside => {
            response::header(core, b"Content-Range", format!("bytes */{size}").as_bytes())?;
            return response::write(core, &[], true);
        }
        Part::Whole => (0, size),
        Part::Bytes(first, last) => {
            response::header(
                core,
                b"Content-Range",
                format!("bytes {first}-{last}/{size}").as_bytes(),
            )?;
            (first, last - first + 1)
        }
    };
    response::header(core, b"Content-Length", length.to_string().as_bytes())?;
    if length == 0 {
        return response::write(core, &[], true);
    }
    response::send_part(core, file, first, length)
}

/// The header by which the web server in front is told to send the file (`--file-serve-mode`).
fn redirect_header() -> Option<&'static [u8]> {
    match server().settings.statics.file_serve_mode.as_deref()? {
        "nginx" | "x-accel-redirect" | "x-accel" => Some(b"X-Accel-Redirect"),
        "x-sendfile" | "xsendfile" => Some(b"X-Sendfile"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        for (range, expected) in [
            ("bytes=0-9", Part::Bytes(0, 9)),
            ("bytes=90-", Part::Bytes(90, 99)),
            ("bytes=-5", Part::Bytes(95, 99)),
            ("bytes=-500", Part::Bytes(0, 99)),
            ("bytes=50-500", Part::Bytes(50, 99)),
            ("bytes=100-", Part::Outside),
            ("bytes=100-200", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=99999999999999999999-", Part::Outside),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=x-y", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("lines=0-5", Part::Whole),
            ("0-5", Part::Whole),
        ] {
            assert_eq!(part_of(range.as_bytes(), 100), expected, "{range}");
        }
        assert_eq!(part_of(b"bytes=0-", 0), Part::Outside);
    }

    proptest! {
        #[test]
        fn a_part_lies_inside_the_file(range in "(bytes=)?[0-9]{0,21}-?[0-9]{0,21}", size: u64) {
            if let Part::Bytes(first, last) = part_of(range.as_bytes(), size) {
                prop_assert!(first <= last && last < size);
            }
        }
    }
}
