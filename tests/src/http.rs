//! A small HTTP client that hides nothing: bytes out, parsed answers in.

use crate::PATIENCE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The status line without its end.
    pub line: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the server says that it will close.
    pub fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|c| c.eq_ignore_ascii_case("close"))
    }
}

/// Connects with time limits.
///
/// # Panics
/// The port is closed.
pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit above zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("a limit above zero");
    stream
}

/// Reads one answer; `None` when the server has closed without one.
///
/// # Errors
/// The connection broke in the middle, or what came is no HTTP.
pub fn read_response(reader: &mut BufReader<TcpStream>, to_head: bool) -> std::io::Result<Option<Response>> {
    let bad = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let line = line.trim_end().to_owned();
    let status: u16 = line
        .split(' ')
        .nth(1)
        .and_then(|c| c.parse().ok())
        .ok_or_else(|| bad(format!("no status line: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let mut field = String::new();
        if reader.read_line(&mut field)? == 0 {
            return Err(bad("the head is cut off".into()));
        }
        let field = field.trim_end();
        if field.is_empty() {
            break;
        }
        let (name, value) = field
            .split_once(':')
            .ok_or_else(|| bad(format!("no header: {field:?}")))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut response = Response {
        status,
        line,
        headers,
        body: Vec::new(),
    };
    if to_head || status < 200 || status == 204 || status == 304 {
        return Ok(Some(response));
    }
    if response
        .header("transfer-encoding")
        .is_some_and(|t| t.eq_ignore_ascii_case("chunked"))
    {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| bad(format!("bad chunk size {size:?}")))?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            response.body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = response.header("content-length") {
        let length = length.parse().map_err(|_| bad(format!("bad length {length:?}")))?;
        response.body = vec![0; length];
        reader.read_exact(&mut response.body)?;
    } else {
        reader.read_to_end(&mut response.body)?;
    }
    Ok(Some(response))
}

/// A connection on which this was sent, and that shows answers one by one.
///
/// # Panics
/// The server does not read.
pub fn talk(port: u16, request: &str) -> BufReader<TcpStream> {
    let mut stream = connect(port);
    stream.write_all(request.as_bytes()).expect("the server reads");
    BufReader::new(stream)
}

/// The next answer to something else than HEAD.
///
/// # Panics
/// There is none.
pub fn answer(reader: &mut BufReader<TcpStream>) -> Response {
    read_response(reader, false).expect("HTTP").expect("an answer")
}

/// Sends bytes on a new connection and reads one answer.
///
/// # Panics
/// There is none.
pub fn exchange(port: u16, bytes: &[u8]) -> Response {
    let mut stream = connect(port);
    // a server that refuses may close before it has taken everything
    let _ = stream.write_all(bytes);
    read_response(&mut BufReader::new(stream), bytes.starts_with(b"HEAD "))
        .expect("HTTP")
        .expect("an answer")
}

/// GET, one connection.
pub fn get(port: u16, path: &str) -> Response {
    exchange(
        port,
        format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes(),
    )
}

/// POST, one connection.
pub fn post(port: u16, path: &str, body: &[u8]) -> Response {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    exchange(port, &bytes)
}

/// A uwsgi packet of these variables.
pub fn uwsgi_packet(modifier1: u8, vars: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for text in vars.iter().flat_map(|(k, v)| [k, v]) {
        body.extend_from_slice(&(text.len() as u16).to_le_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    let [low, high] = (body.len() as u16).to_le_bytes();
    let mut packet = vec![modifier1, low, high, 0];
    packet.extend_from_slice(&body);
    packet
}
