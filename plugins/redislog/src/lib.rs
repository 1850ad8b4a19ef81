//! `--logger redislog:[HOST:PORT[,COMMAND WORDS[,PREFIX]]]`: each line is the last argument of a Redis command, `publish uwsgi`
//! if nothing else is said. The answer is awaited: a line that the server did not take is sent again.

use rsgi_plugin_api::logger::{Connection, Logger, LoggerError, register};
use rsgi_plugin_api::{HookError, Plugin, export_plugin};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Bytes of an answer that is read; longer ones are none to a logger's command.
const LONGEST_ANSWER: u64 = 64 * 1024;

struct RedisLog {
    connection: Connection,
    command: Vec<Vec<u8>>,
    prefix: Vec<u8>,
}

/// What a server says to a command.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Error(String),
}

fn command(words: &[Vec<u8>], last: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len() + 1).into_bytes();
    let mut put = |parts: &[&[u8]]| {
        let len: usize = parts.iter().map(|p| p.len()).sum();
        out.extend_from_slice(format!("${len}\r\n").as_bytes());
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(b"\r\n");
    };
    words.iter().for_each(|word| put(&[word]));
    put(last);
    out
}

fn answer(stream: impl Read) -> io::Result<Answer> {
    let mut reader = BufReader::new(stream.take(LONGEST_ANSWER));
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
    let unexpected = || io::Error::other(format!("an answer that is none of Redis: {text:?}"));
    let (kind, rest) = text.split_at_checked(1).ok_or_else(unexpected)?;
    match kind {
        "+" | ":" => Ok(Answer::Done),
        "-" => Ok(Answer::Error(rest.to_owned())),
        "$" => {
            let len: i64 = rest.parse().map_err(|_| unexpected())?;
            if len >= 0 {
                let mut text = vec![0; usize::try_from(len).unwrap_or(0).min(LONGEST_ANSWER as usize) + 2];
                reader.read_exact(&mut text)?;
            }
            Ok(Answer::Done)
        }
        _ => Err(unexpected()),
    }
}

impl Logger for RedisLog {
    fn open(argument: &str) -> Result<Self, String> {
        let mut parts = argument.trim_matches(['[', ']']).splitn(3, ',');
        let mut part = |otherwise: &'static str| parts.next().filter(|p| !p.is_empty()).unwrap_or(otherwise);
        let connection = Connection::new(part("127.0.0.1:6379"))?;
        let words = part("publish uwsgi").split_ascii_whitespace();
        Ok(Self {
            connection,
            command: words.map(|word| word.as_bytes().to_vec()).collect(),
            prefix: part("").into(),
        })
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        let line = message.strip_suffix(b"\n").unwrap_or(message);
        let packet = command(&self.command, &[&self.prefix, line]);
        let answer = self.connection.with(|stream: &mut TcpStream, _| {
            stream.write_all(&packet)?;
            answer(stream)
        })?;
        match answer {
            Answer::Done => Ok(()),
            // it starts, saves, or has no memory left
            Answer::Error(why)
                if ["LOADING", "BUSY", "OOM", "MISCONF", "READONLY"]
                    .iter()
                    .any(|w| why.starts_with(w)) =>
            {
                Err(LoggerError::Again(why))
            }
            Answer::Error(why) => Err(LoggerError::Refused(why)),
        }
    }
}

struct Redis;

impl Plugin for Redis {
    fn on_load() -> Result<(), HookError> {
        register::<RedisLog>(c"redislog");
        register::<RedisLog>(c"redis");
        Ok(())
    }
}

export_plugin! { redislog_plugin: Redis, name: c"redislog", modifier1: 0, hooks: [on_load] }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_answers_are_those_of_the_protocol() {
        let log = RedisLog::open("127.0.0.1:7,rpush a,p>").unwrap();
        let packet = command(&log.command, &[&log.prefix, b"x\r\ny"]);
        assert_eq!(packet, b"*3\r\n$5\r\nrpush\r\n$1\r\na\r\n$6\r\np>x\r\ny\r\n");
        for (bytes, read) in [
            (&b"+OK\r\n"[..], Answer::Done),
            (b":1\r\n", Answer::Done),
            (b"$3\r\nabc\r\n", Answer::Done),
            (b"$-1\r\n", Answer::Done),
            (b"-ERR no\r\n", Answer::Error("ERR no".into())),
        ] {
            assert_eq!(answer(bytes).unwrap(), read);
        }
        for bytes in [&b""[..], b"HTTP/1.1 400\r\n", b"$x\r\n", b"$5\r\nab"] {
            assert!(answer(bytes).is_err());
        }
    }
}
