//! Static files (`--static-map`, `--static-map2`, `--check-static`), answered before any plugin is asked.
//!
//! The kernel resolves the rest of the path beneath the mapped folder and nowhere else (`openat2` with
//! `RESOLVE_BENEATH`): no `..`, no symlink and no race leads out of it.

use crate::request::Core;
use crate::request::response::{self, ResponseError};
use crate::request::vars;
use crate::server::server;
use crate::shared::counter;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

/// Answers a request for a static file; `false`: it is not one.
pub fn serve(core: &mut Core) -> bool {
    let statics = &server().settings.statics;
    if statics.maps.is_empty() && statics.check_static.is_empty() {
        return false;
    }
    let raw = core.raw();
    if raw.path_info.is_null() || raw.path_info_len == 0 {
        return false;
    }
    // SAFETY: fields of the current request, which outlives this call.
    let (path, method): (&[u8], &[u8]) = unsafe {
        (
            std::slice::from_raw_parts(raw.path_info.cast(), usize::from(raw.path_info_len)),
            match raw.method_len {
                0 => &[],
                n => std::slice::from_raw_parts(raw.method.cast(), usize::from(n)),
            },
        )
    };
    if method != b"GET" && method != b"HEAD" {
        return false;
    }
    for map in &statics.maps {
        let Some(rest) = path.strip_prefix(map.prefix.as_bytes()) else {
            continue;
        };
        if !map.prefix.ends_with('/') && !rest.is_empty() && rest[0] != b'/' {
            continue;
        }
        let rest = if map.append_prefix { path } else { rest };
        if let Some(file) = open(&map.target, rest) {
            return send(core, file, path);
        }
    }
    for folder in &statics.check_static {
        if let Some(file) = open(folder, path) {
            return send(core, file, path);
        }
    }
    false
}

/// A regular file beneath a folder, or the folder's target itself when it is a file.
fn open(folder: &str, rest: &[u8]) -> Option<File> {
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    if skipped(rest) {
        return None;
    }
    let root = File::open(folder).ok()?;
    if rest.is_empty() {
        return root.metadata().ok()?.is_file().then_some(root);
    }
    let name = CString::new(rest).ok()?;
    // SAFETY: all fields are integers: zero is valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: descriptor, name and struct are valid, the size is the struct's.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            name.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    if fd < 0 {
        return None;
    }
    // SAFETY: the kernel just gave us this descriptor.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    let kind = file.metadata().ok()?;
    if kind.is_dir() {
        return index(&file);
    }
    kind.is_file().then_some(file)
}

/// `--static-index`
fn index(folder: &File) -> Option<File> {
    server().settings.statics.index.iter().find_map(|name| {
        let name = CString::new(name.as_str()).ok()?;
        // SAFETY: descriptor and name are valid.
        let fd = unsafe {
            libc::openat(
                folder.as_raw_fd(),
                name.as_ptr(),
                libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOFOLLOW,
            )
        };
        if fd < 0 {
            return None;
        }
        // SAFETY: the kernel just gave us this descriptor.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        file.metadata().ok()?.is_file().then_some(file)
    })
}

fn skipped(rest: &[u8]) -> bool {
    server()
        .settings
        .statics
        .skip_ext
        .iter()
        .any(|ext| rest.ends_with(ext.as_bytes()))
}

/// Answers with a file; the path names its type.
pub fn send(core: &mut Core, file: File, path: &[u8]) -> bool {
    // SAFETY: the record of this core in shared memory.
    unsafe { counter(&raw mut (*core.counters).static_requests) }.fetch_add(1, Ordering::Relaxed);
    if try_send(core, file, path).is_err() {
        core.response.close_after();
    }
    true
}

fn try_send(core: &mut Core, file: File, path: &[u8]) -> Result<(), ResponseError> {
    let metadata = file.metadata().map_err(ResponseError::Gone)?;
    let modified = metadata
        .modified()
        .ok()
        .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |d| d.as_secs());
    let unchanged = vars::find(core.raw(), b"HTTP_IF_MODIFIED_SINCE")
        .and_then(|v| std::str::from_utf8(v).ok())
        .and_then(|v| httpdate::parse_http_date(v).ok())
        .is_some_and(|since| since >= UNIX_EPOCH + Duration::from_secs(modified));
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(modified));
    if unchanged {
        response::start(core, b"304 Not Modified")?;
        response::header(core, b"Last-Modified", date.as_bytes())?;
        return response::write(core, &[], true);
    }
    response::start(core, b"200 OK")?;
    if let Some(kind) = mime_type(path) {
        response::header(core, b"Content-Type", kind.as_bytes())?;
    }
    response::header(core, b"Content-Length", metadata.len().to_string().as_bytes())?;
    response::header(core, b"Last-Modified", date.as_bytes())?;
    response::send_file(core, file.into_raw_fd(), 0, metadata.len())
}

/// The type of the common extensions; a browser needs it for scripts and styles.
pub fn mime_type(path: &[u8]) -> Option<&'static str> {
    let dot = path.iter().rposition(|b| *b == b'.')?;
    let extension = path[dot + 1..].to_ascii_lowercase();
    Some(match extension.as_slice() {
        b"html" | b"htm" => "text/html",
        b"css" => "text/css",
        b"js" | b"mjs" => "text/javascript",
        b"json" | b"map" => "application/json",
        b"txt" | b"md" => "text/plain",
        b"xml" => "text/xml",
        b"csv" => "text/csv",
        b"svg" => "image/svg+xml",
        b"png" => "image/png",
        b"jpg" | b"jpeg" => "image/jpeg",
        b"gif" => "image/gif",
        b"webp" => "image/webp",
        b"avif" => "image/avif",
        b"ico" => "image/x-icon",
        b"woff" => "font/woff",
        b"woff2" => "font/woff2",
        b"ttf" => "font/ttf",
        b"otf" => "font/otf",
        b"pdf" => "application/pdf",
        b"zip" => "application/zip",
        b"gz" => "application/gzip",
        b"wasm" => "application/wasm",
        b"mp4" => "video/mp4",
        b"webm" => "video/webm",
        b"mp3" => "audio/mpeg",
        b"ogg" => "audio/ogg",
        _ => return None,
    })
}
