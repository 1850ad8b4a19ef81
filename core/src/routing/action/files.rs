//! Files as answers, and when caches may forget them.

use super::flow::answer_with;
use super::{Row, Run, Verdict, keys, with_text};
use crate::request::response::{self, ResponseError};
use crate::request::{Core, place};
use crate::routing::template::Template;
use crate::say;
use crate::static_files::{self, Found};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

pub static ACTIONS: &[Row] = &[
    (&["static"], |a| {
        with_text(a, |core, path| {
            match open(path) {
                Some((file, metadata)) => static_files::send(core, Found::alone(file, metadata, path)),
                None => answer_with(core, b"404"),
            }
            Verdict::Break
        })
    }),
    (&["file", "sendfile", "fastfile"], file),
    (&["expires"], expires),
];

/// A regular file. A path with a `..` in it is none: a part of it may be a client's.
fn open(path: &[u8]) -> Option<(File, Metadata)> {
    let path = Path::new(OsStr::from_bytes(path));
    if path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    metadata.is_file().then_some((file, metadata))
}

/// `filename=PATH,status=200 OK,content_type=TYPE,mime=1,no_content_length=1`, or the path alone.
fn file(arguments: &str) -> Result<Run, String> {
    let alone = format!("filename={arguments}");
    let arguments = if arguments.contains('=') { arguments } else { &alone };
    let known = ["filename", "status", "content_type", "mime", "no_content_length"];
    let (mut name, mut status, mut kind) = (None, Template::parse("200 OK")?, None);
    let mut by_name = false;
    for (key, value) in keys(arguments, &known)? {
        match key {
            "filename" => name = Some(Template::parse(&value)?),
            "status" => status = Template::parse(&value)?,
            "content_type" => kind = Some(Template::parse(&value)?),
            "mime" => by_name = value != "0",
            _ => {}
        }
    }
    let name = name.ok_or("filename is missing")?;
    Ok(Box::new(move |core| {
        let (path, status) = (name.fill(core), status.fill(core));
        let kind = match &kind {
            Some(kind) => Some(kind.fill(core)),
            None => static_files::mime_type(&path)
                .filter(|_| by_name)
                .map(|t| t.as_bytes().to_vec()),
        };
        match open(&path) {
            Some((file, metadata)) => {
                let length = metadata.len();
                if let Err(e @ ResponseError::Malformed(_)) = send(core, file, length, &status, kind.as_deref()) {
                    say!("route: {e}");
                    core.response.close_after();
                }
            }
            None => answer_with(core, b"404"),
        }
        Verdict::Break
    }))
}

fn send(core: &mut Core, file: File, length: u64, status: &[u8], kind: Option<&[u8]>) -> Result<(), ResponseError> {
    let mut line = status.to_vec();
    if line.len() == 3 {
        line.extend_from_slice(b" Routed");
    }
    response::start(core, &line)?;
    if let Some(kind) = kind {
        response::header(core, b"Content-Type", kind)?;
    }
    response::header(core, b"Content-Length", length.to_string().as_bytes())?;
    if length == 0 {
        return response::write(core, &[place(&[])], true);
    }
    response::send_part(core, file, 0, length)
}

/// `filename=PATH` or `unix=SECONDS` since the epoch, `value=SECONDS` more: an `Expires` header.
fn expires(arguments: &str) -> Result<Run, String> {
    let (mut file, mut unix, mut more) = (None, None, Template::parse("0")?);
    for (key, value) in keys(arguments, &["filename", "unix", "value"])? {
        match key {
            "filename" => file = Some(Template::parse(&value)?),
            "unix" => unix = Some(Template::parse(&value)?),
            _ => more = Template::parse(&value)?,
        }
    }
    Ok(Box::new(move |core| {
        use std::time::{Duration, SystemTime, UNIX_EPOCH};
        let number = |text: Vec<u8>| String::from_utf8_lossy(&text).trim().parse::<u64>().unwrap_or(0);
        let base = if let Some(file) = &file {
            let path = PathBuf::from(OsStr::from_bytes(&file.fill(core)));
            path.metadata().and_then(|m| m.modified()).unwrap_or(UNIX_EPOCH)
        } else if let Some(unix) = &unix {
            UNIX_EPOCH + Duration::from_secs(number(unix.fill(core)).min(1 << 36))
        } else {
            SystemTime::now()
        };
        let at = base + Duration::from_secs(number(more.fill(core)).min(1 << 36));
        let date = httpdate::fmt_http_date(at).into_bytes();
        core.routing.added.push((b"Expires".to_vec(), date));
        Verdict::Next
    }))
}
