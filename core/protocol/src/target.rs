//! Request targets: which form a target has, where path and query stand in it, and PATH_INFO from the path.
//! Called by the head parser and the CGI mapping; no state.

use crate::field::Span;
use crate::octet;

/// The parts of a request target, as offsets into the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Host and port of an absolute-form target.
    pub authority: Option<Span>,
    /// The path as sent; empty when an absolute-form target has none.
    pub path: Span,
    /// The query as sent, without the question mark.
    pub query: Span,
}

/// Splits a target in origin form, absolute form (`http`, `https`) or, for OPTIONS, asterisk form.
/// `None` for anything else. A fragment, which no client should send, belongs to neither path nor query.
#[must_use]
pub fn split(method: &[u8], target: &[u8]) -> Option<Parts> {
    if target == b"*" {
        return (method == b"OPTIONS").then(|| Parts {
            path: Span::new(0, 1),
            ..Parts::default()
        });
    }
    let (authority, path_at) = if target.first() == Some(&b'/') {
        (None, 0)
    } else {
        let start = scheme_len(target)?;
        let rest = target.get(start..)?;
        let end = start + memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
        let authority = target.get(start..end)?;
        if authority.is_empty() || !octet::is_host(authority) {
            return None;
        }
        (Some(Span::new(start, end)), end)
    };
    let rest = target.get(path_at..)?;
    let end = path_at + memchr::memchr(b'#', rest).unwrap_or(rest.len());
    let question = memchr::memchr(b'?', target.get(path_at..end)?).map(|i| path_at + i);
    Some(Parts {
        authority,
        path: Span::new(path_at, question.unwrap_or(end)),
        query: Span::new(question.map_or(end, |q| q + 1), end),
    })
}

fn scheme_len(target: &[u8]) -> Option<usize> {
    [&b"http://"[..], b"https://"]
        .iter()
        .find(|scheme| target.len() >= scheme.len() && target[..scheme.len()].eq_ignore_ascii_case(scheme))
        .map(|scheme| scheme.len())
}

/// How PATH_INFO is made from a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// Leave `%2F` as it is (`http-path-info-no-decode-slashes`).
    pub keep_encoded_slashes: bool,
}

/// Whether PATH_INFO would differ from the path as sent; most paths stay, and need no copy.
#[must_use]
pub fn needs_rewrite(path: &[u8]) -> bool {
    path.is_empty()
        || !octet::is_plain_path(path)
            && (memchr::memchr(b'%', path).is_some() || memchr::memmem::find(path, b"/.").is_some())
}

/// Writes PATH_INFO for `path` into `out`, which must be at least one byte and as long as the path; answers its length.
/// Literal `.` and `..` segments go first, then percent-escapes are decoded once: `%2e%2e`, `//` and broken escapes stay.
pub fn write_path_info(path: &[u8], rules: PathRules, out: &mut [u8]) -> usize {
    if path.is_empty() {
        out[0] = b'/';
        return 1;
    }
    let n = remove_dot_segments(path, out);
    decode_in_place(&mut out[..n], rules)
}

/// RFC 3986 5.2.4 on the raw bytes; never longer than the input.
fn remove_dot_segments(path: &[u8], out: &mut [u8]) -> usize {
    let (mut read, mut written) = (0, 0);
    while read < path.len() {
        // One segment with its leading slash (a path in asterisk form has none).
        let body = read + usize::from(path[read] == b'/');
        let end = memchr::memchr(b'/', &path[body..]).map_or(path.len(), |i| body + i);
        let last = end == path.len();
        match &path[body..end] {
            b"." if body > read => {}
            b".." if body > read => {
                written = memchr::memrchr(b'/', &out[..written]).unwrap_or(0);
            }
            _ => {
                out[written..written + end - read].copy_from_slice(&path[read..end]);
                written += end - read;
                read = end;
                continue;
            }
        }
        if last {
            out[written] = b'/';
            written += 1;
        }
        read = end;
    }
    written
}

fn decode_in_place(bytes: &mut [u8], rules: PathRules) -> usize {
    let Some(first) = memchr::memchr(b'%', bytes) else {
        return bytes.len();
    };
    let (mut read, mut written) = (first, first);
    while read < bytes.len() {
        let mut byte = bytes[read];
        let mut step = 1;
        if byte == b'%'
            && let (Some(high), Some(low)) = (hex(bytes.get(read + 1)), hex(bytes.get(read + 2)))
        {
            let value = high << 4 | low;
            if !(rules.keep_encoded_slashes && value == b'/') {
                (byte, step) = (value, 3);
            }
        }
        bytes[written] = byte;
        written += 1;
        read += step;
    }
    written
}

fn hex(byte: Option<&u8>) -> Option<u8> {
    char::from(*byte?).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(method: &str, target: &'a str) -> Option<(Option<&'a str>, &'a str, &'a str)> {
        let p = split(method.as_bytes(), target.as_bytes())?;
        let text = |s: Span| &target[s.range()];
        Some((p.authority.map(text), text(p.path), text(p.query)))
    }

    #[test]
    fn forms() {
        assert_eq!(parts("GET", "/a?b?c"), Some((None, "/a", "b?c")));
        assert_eq!(parts("GET", "/?"), Some((None, "/", "")));
        assert_eq!(parts("GET", "/a#f?x"), Some((None, "/a", "")));
        assert_eq!(parts("GET", "/a?q#f"), Some((None, "/a", "q")));
        assert_eq!(parts("OPTIONS", "*"), Some((None, "*", "")));
        assert_eq!(parts("GET", "http://h:1/x?y"), Some((Some("h:1"), "/x", "y")));
        assert_eq!(parts("GET", "HTTPS://h?q"), Some((Some("h"), "", "q")));
        assert_eq!(parts("GET", "http://h"), Some((Some("h"), "", "")));
        for bad in [
            "*",
            "x/y",
            "h:80",
            "http:///x",
            "http://u@h/",
            "ftp://h/",
            "",
            "?q",
            "**",
        ] {
            assert_eq!(parts("GET", bad), None, "{bad}");
        }
    }

    fn path_info(path: &str, keep: bool) -> String {
        let mut out = vec![0; path.len().max(1)];
        let n = write_path_info(
            path.as_bytes(),
            PathRules {
                keep_encoded_slashes: keep,
            },
            &mut out,
        );
        String::from_utf8(out[..n].to_vec()).expect("ascii in, ascii out")
    }

    #[test]
    fn path_info_of_paths() {
        for (path, want) in [
            ("/", "/"),
            ("", "/"),
            ("*", "*"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/..", "/"),
            ("/../../x", "/x"),
            ("/.", "/"),
            ("//a//b", "//a//b"),
            ("/a//../b", "/a/b"),
            ("/...", "/..."),
            ("/.hidden/x", "/.hidden/x"),
            ("/%2e%2e/x", "/../x"),
            ("/a%20b%2Fc", "/a b/c"),
            ("/%zz%4", "/%zz%4"),
            ("/%2541", "/%41"),
            ("/%+1", "/%+1"),
        ] {
            assert_eq!(path_info(path, false), want, "{path}");
        }
        assert_eq!(path_info("/a%2Fb%20c%2f", true), "/a%2Fb c%2f");
    }

    #[test]
    fn only_paths_that_change_are_rewritten() {
        for path in ["/", "/a/b.c", "//", "*"] {
            assert!(!needs_rewrite(path.as_bytes()), "{path}");
        }
        for path in ["", "/a%20", "/./", "/..", "/.x"] {
            assert!(needs_rewrite(path.as_bytes()), "{path}");
        }
    }
}
