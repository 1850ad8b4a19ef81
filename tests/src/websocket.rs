//! A small websocket client that hides nothing: frames out, frames in.

use crate::http::{Response, connect, read_response};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

/// The key of the examples in RFC 6455, and what answers it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A frame: its opcode and payload.
pub type Frame = (u8, Vec<u8>);

/// An open conversation.
pub struct Client {
    reader: BufReader<TcpStream>,
    /// The answer to the handshake.
    pub answer: Response,
}

impl Client {
    /// Shakes hands.
    ///
    /// # Panics
    /// The server refuses, or answers the key wrongly.
    pub fn open(port: u16, path: &str, headers: &str) -> Self {
        let client = Self::ask(port, path, headers);
        assert_eq!(client.answer.status, 101, "{:?}", client.answer);
        assert_eq!(client.answer.header("sec-websocket-accept"), Some(ACCEPT));
        client
    }

    /// Asks for a websocket, whatever the answer is.
    ///
    /// # Panics
    /// There is no answer.
    pub fn ask(port: u16, path: &str, headers: &str) -> Self {
        let mut stream = connect(port);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {KEY}\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut reader = BufReader::new(stream);
        let answer = read_response(&mut reader, false).expect("HTTP");
        Self {
            reader,
            answer: answer.expect("an answer"),
        }
    }

    /// Sends a frame with these first bits (0x81 is a whole text).
    ///
    /// # Panics
    /// The server has gone.
    pub fn send(&mut self, first: u8, payload: &[u8]) {
        self.write(&Self::frame(first, payload));
    }

    /// Sends texts in one piece.
    ///
    /// # Panics
    /// The server has gone.
    pub fn send_all(&mut self, texts: &[&[u8]]) {
        let frames: Vec<Vec<u8>> = texts.iter().map(|text| Self::frame(0x81, text)).collect();
        self.write(&frames.concat());
    }

    fn write(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("the server reads");
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            n @ 0..=125 => frame.push(0x80 | n as u8),
            n @ 126..=0xffff => {
                frame.push(0xfe);
                frame.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                frame.push(0xff);
                frame.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        let key = [1u8, 2, 3, 4];
        frame.extend_from_slice(&key);
        frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    /// The next frame; `None`: the server has closed.
    ///
    /// # Panics
    /// Nothing comes in time.
    pub fn receive(&mut self) -> Option<Frame> {
        let mut head = [0; 2];
        if let Err(e) = self.reader.read_exact(&mut head) {
            assert!(e.kind() != std::io::ErrorKind::WouldBlock, "no frame in time");
            return None;
        }
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let mut rest = [0; 8];
        let length = match head[1] {
            126 => {
                self.reader.read_exact(&mut rest[6..]).ok()?;
                u64::from_be_bytes(rest)
            }
            127 => {
                self.reader.read_exact(&mut rest).ok()?;
                u64::from_be_bytes(rest)
            }
            n => n.into(),
        };
        let mut payload = vec![0; usize::try_from(length).expect("a sane length")];
        self.reader.read_exact(&mut payload).ok()?;
        Some((head[0], payload))
    }

    /// The next message: its text, or what else came.
    ///
    /// # Panics
    /// The next frame is no text.
    pub fn text(&mut self) -> String {
        match self.receive() {
            Some((0x81, payload)) => String::from_utf8(payload).expect("a text is UTF-8"),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The code of the close frame that comes next.
    ///
    /// # Panics
    /// Something else comes.
    pub fn close_code(&mut self) -> u16 {
        match self.receive() {
            Some((0x88, payload)) => u16::from_be_bytes([payload[0], payload[1]]),
            other => panic!("no close frame: {other:?}"),
        }
    }

    /// The connection.
    pub fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }
}
