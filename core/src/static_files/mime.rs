//! The type of a file by the ending of its name: those of `--mime-file` first, then the common ones.

use super::rules;

/// The type; `None`: the ending is not known.
pub fn type_of(path: &[u8]) -> Option<&'static str> {
    let dot = path.iter().rposition(|b| *b == b'.')?;
    let extension = path[dot + 1..].to_ascii_lowercase();
    rules::mime_type(&extension).or_else(|| common(&extension))
}

/// A browser needs it for scripts and styles.
fn common(extension: &[u8]) -> Option<&'static str> {
    Some(match extension {
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
