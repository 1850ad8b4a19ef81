//! Where a configuration text comes from: a path, `-`, `exec://`, `fd://`, `data://`, `http://`.
//! The same names may stand inside a value as `@(name)`.

use super::error::{ConfigError, system_message};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long an `http://` source may keep the start waiting.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// A configuration beyond this is a mistake (a device, an endless stream).
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A name without its `:section`; the section belongs to the configuration, not to the source.
pub fn split_section(name: &str) -> (&str, Option<&str>) {
    if ["exec://", "data://"].iter().any(|s| name.starts_with(s)) {
        return (name, None);
    }
    let after_path = name.rfind('/').map_or(0, |i| i + 1);
    match name[after_path..].rfind(':') {
        Some(colon) => {
            let colon = after_path + colon;
            let section = &name[colon + 1..];
            // http://host:8080 has a port, not a section
            if name.contains("://") && section.bytes().all(|b| b.is_ascii_digit()) {
                return (name, None);
            }
            (&name[..colon], Some(section).filter(|s| !s.is_empty()))
        }
        None => (name, None),
    }
}

/// Reads the whole text; bytes that are not UTF-8 are replaced, the flag says so.
pub fn read(name: &str) -> Result<(String, bool), ConfigError> {
    let bytes = read_bytes(name).map_err(|e| ConfigError::Read {
        name: name.to_owned(),
        reason: system_message(&e) + &hint(name, &e),
    })?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => (text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text), false),
        Err(e) => (String::from_utf8_lossy(e.as_bytes()).into_owned(), true),
    })
}

/// What may be wrong with a file's name or its permissions.
fn hint(name: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if !name.starts_with('/') && !name.contains("://") => {
            let here = std::env::current_dir().unwrap_or_default();
            format!(
                " (a name without a slash at its start is looked for in {})",
                here.display()
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!(" (user {} may not read it)", nix::unistd::Uid::effective())
        }
        _ => String::new(),
    }
}

/// Reads all of it, whatever it is.
///
/// # Errors
/// It is not there, or rsgi does not read from such a place.
pub fn read_bytes(name: &str) -> io::Result<Vec<u8>> {
    match name.split_once("://") {
        _ if name == "-" => limited(io::stdin().lock()),
        Some(("exec", command)) => exec(command),
        Some(("fd", number)) => fd(number),
        Some(("data", slot)) if !slot.is_empty() && slot.bytes().all(|b| b.is_ascii_digit()) => Err(unsupported(
            "rsgi's program has no data appended; use a file or exec://",
        )),
        Some(("data", text)) => Ok(text.as_bytes().to_vec()),
        Some(("file", path)) => limited(File::open(path)?),
        Some(("http", rest)) => http(rest),
        Some(("sym" | "section", _)) => Err(unsupported(
            "rsgi's program carries no configuration inside; use a file or exec://",
        )),
        Some(("call" | "callint", _)) => Err(unsupported(
            "a function cannot be called before plugins are loaded; use exec://",
        )),
        Some(("emperor", _)) => Err(unsupported(
            "the emperor passes configurations as files; use a file of the vassals' folder",
        )),
        Some(("https", rest)) => Err(unsupported(&format!(
            "rsgi reads no configuration over TLS; use exec://curl -fsS https://{rest}"
        ))),
        Some((scheme @ ("ftp" | "amqp" | "zmq" | "zerg" | "fifo" | "pipe"), _)) => Err(unsupported(&format!(
            "rsgi has no {scheme}:// source; use a file or exec://"
        ))),
        _ => limited(File::open(name)?),
    }
}

fn unsupported(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}

fn limited(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other("larger than 16 MB")),
        false => Ok(bytes),
    }
}

fn exec(command: &str) -> io::Result<Vec<u8>> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let text = child.stdout.take().map_or(Ok(Vec::new()), limited);
    let status = child.wait()?;
    match status.success() {
        true => text,
        false => Err(io::Error::other(format!("the command failed ({status})"))),
    }
}

fn fd(number: &str) -> io::Result<Vec<u8>> {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, "not a descriptor number");
    let number: i32 = number.parse().map_err(|_| bad())?;
    if number < 0 {
        return Err(bad());
    }
    // SAFETY: dup has no memory preconditions; an unknown descriptor gives EBADF.
    let copy = unsafe { libc::dup(number) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `copy` was just made by dup and belongs to nobody else.
    limited(File::from(unsafe { OwnedFd::from_raw_fd(copy) }))
}

fn http(rest: &str) -> io::Result<Vec<u8>> {
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let address = match authority.contains(':') {
        true => authority.to_owned(),
        false => format!("{authority}:80"),
    };
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(HTTP_TIMEOUT))?;
    stream.set_write_timeout(Some(HTTP_TIMEOUT))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let answer = limited(stream)?;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("no HTTP answer"))?;
    let status = String::from_utf8_lossy(&answer[..end]);
    let status = status.lines().next().unwrap_or("").to_owned();
    match status.split(' ').nth(1) {
        Some("200") => Ok(answer[end + 4..].to_vec()),
        _ => Err(io::Error::other(format!("the server answered {status:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_split_off_paths_and_not_off_commands_or_ports() {
        assert_eq!(split_section("/a/b.ini:x"), ("/a/b.ini", Some("x")));
        assert_eq!(split_section(":x"), ("", Some("x")));
        assert_eq!(split_section("/a:b/c.ini"), ("/a:b/c.ini", None));
        assert_eq!(split_section("exec://cat a:b"), ("exec://cat a:b", None));
        assert_eq!(split_section("http://h:80/c.ini:x"), ("http://h:80/c.ini", Some("x")));
        assert_eq!(split_section("http://h:80"), ("http://h:80", None));
        assert_eq!(split_section("a.ini:"), ("a.ini", None));
    }

    #[test]
    fn texts_come_from_commands_data_and_http() {
        assert_eq!(read("exec://echo hi").unwrap(), ("hi\n".into(), false));
        assert_eq!(read("data://x").unwrap().0, "x");
        assert!(read("exec://exit 3").unwrap_err().to_string().contains("failed"));
        for (name, instead) in [
            ("sym://x", "exec://"),
            ("section://x", "exec://"),
            ("data://0", "exec://"),
            ("https://h/x.ini", "curl"),
            ("emperor://0", "vassals"),
            ("callint://f", "exec://"),
            ("amqp://h", "exec://"),
        ] {
            let error = read(name).unwrap_err().to_string();
            assert!(error.contains(instead), "{error}");
        }
        assert!(read("fd://x").is_err());
        let missing = read("/no/none.ini").unwrap_err().to_string();
        assert!(missing.ends_with("none.ini: No such file or directory"), "{missing}");

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nbody").unwrap();
        });
        assert_eq!(read(&format!("http://{address}/c.ini")).unwrap().0, "body");
        server.join().unwrap();
    }
}
