//! What the master's small servers answer: which document a client asked for, and its HTTP head.

use super::{StatsSnapshot, prometheus};
use std::time::Duration;

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `--stats`: JSON to whoever connects; HTTP to whoever speaks it.
    Stats,
    /// `--stats` with `--stats-http`: always HTTP.
    StatsHttp,
    /// `--health`: HTTP only.
    Health,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The JSON document without a head.
    Raw,
    /// The same over HTTP.
    Json,
    /// `/metrics`
    Metrics,
    /// Is the master alive?
    Live,
    /// Are requests taken?
    Ready,
    /// None of these.
    NotFound,
    /// No request that is understood.
    Bad,
}

impl Kind {
    /// What a client gets that says nothing.
    pub fn silent(self) -> Option<Wish> {
        match self {
            Self::Stats => Some(Wish::Raw),
            Self::StatsHttp => Some(Wish::Json),
            Self::Health => None,
        }
    }

    /// After how long a client is taken for one that says nothing. A request from afar takes its time; but whoever
    /// reads the JSON document waits so long for it.
    pub fn patience(self) -> Duration {
        match self {
            Self::Stats => Duration::from_millis(30),
            Self::StatsHttp | Self::Health => Duration::from_secs(1),
        }
    }

    /// What the bytes that came so far ask for; `None`: more are needed. `HEAD` is answered as `GET` is: the
    /// connection is closed anyway.
    pub fn wish(self, bytes: &[u8]) -> Option<Wish> {
        let is_http = [&b"GET "[..], b"HEAD "].iter().any(|method| {
            let n = method.len().min(bytes.len());
            method[..n] == bytes[..n]
        });
        if !is_http {
            return Some(self.silent().unwrap_or(Wish::Bad));
        }
        let line = &bytes[..bytes.iter().position(|b| *b == b'\n')?];
        let Some(target) = line.split(|b| *b == b' ').nth(1) else {
            return Some(Wish::Bad);
        };
        let path = target.split(|b| *b == b'?').next().unwrap_or_default();
        Some(match path {
            b"/metrics" => Wish::Metrics,
            b"/health" | b"/healthz" | b"/live" | b"/livez" => Wish::Live,
            b"/ready" | b"/readyz" => Wish::Ready,
            b"/" if self == Self::Health => Wish::Ready,
            _ if self == Self::Health => Wish::NotFound,
            _ => Wish::Json,
        })
    }
}

impl Wish {
    /// The whole answer.
    pub fn answer(self, snapshot: &StatsSnapshot<'_>) -> Vec<u8> {
        const JSON: &str = "application/json";
        match self {
            Self::Raw => snapshot.to_json(),
            Self::Json => http("200 OK", JSON, &snapshot.to_json()),
            Self::Metrics => http("200 OK", prometheus::CONTENT_TYPE, &snapshot.to_prometheus()),
            Self::Live => http("200 OK", JSON, b"{\"status\":\"live\"}\n"),
            Self::Ready => match snapshot.ready {
                Ok(()) => http("200 OK", JSON, b"{\"status\":\"ready\"}\n"),
                Err(why) => {
                    let body = format!("{{\"status\":\"{why}\"}}\n");
                    http("503 Service Unavailable", JSON, body.as_bytes())
                }
            },
            Self::NotFound => http("404 Not Found", "text/plain", b"/health /ready /metrics\n"),
            Self::Bad => http("400 Bad Request", "text/plain", b"GET /health, /ready or /metrics\n"),
        }
    }
}

fn http(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.0 {status}\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_decides() {
        let ask = |kind: Kind, text: &str| kind.wish(text.as_bytes());
        assert_eq!(ask(Kind::Stats, "GET /metrics HTTP/1.1\r\n"), Some(Wish::Metrics));
        assert_eq!(ask(Kind::Stats, "GET / HTTP/1.1\r\n"), Some(Wish::Json));
        assert_eq!(ask(Kind::Health, "GET / HTTP/1.1\r\n"), Some(Wish::Ready));
        assert_eq!(ask(Kind::Health, "HEAD /healthz?x=1 HTTP/1.0\n"), Some(Wish::Live));
        assert_eq!(ask(Kind::Health, "GET /stats HTTP/1.1\r\n"), Some(Wish::NotFound));
        assert_eq!(ask(Kind::Health, "POST / HTTP/1.1\r\n"), Some(Wish::Bad));
        assert_eq!(ask(Kind::Health, "GET\n"), Some(Wish::Bad));
        assert_eq!(ask(Kind::Stats, "anything"), Some(Wish::Raw));
    }

    #[test]
    fn a_request_in_pieces_is_waited_for() {
        for n in 0.."GET /metrics HTTP/1.1\r".len() {
            assert_eq!(Kind::Stats.wish(&b"GET /metrics HTTP/1.1\r\n"[..n]), None);
        }
    }
}
