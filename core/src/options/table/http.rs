//! Requests and answers.

use crate::options::parse;
use crate::options::spec::ArgKind::{No, Required};
use crate::options::spec::{Group, OptionSpec, bytes, flag, later, no_effect, number, optional_parsed, parsed, text};

pub static GROUP: Group = Group {
    title: "Requests and answers",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    bytes("buffer-size", "bytes of a request's header block", |s, n| {
        s.limits.buffer_size = n as usize
    })
    .short('b')
    .range(128, 16 * 1024 * 1024),
    bytes("limit-post", "largest request body in bytes", |s, n| {
        s.limits.limit_post = n
    }),
    bytes(
        "post-buffering",
        "spool request bodies beyond these bytes to disk",
        |s, n| s.limits.post_buffering = n,
    ),
    bytes("post-buffering-bufsize", "bytes read at once while spooling", |s, n| {
        s.limits.post_buffering_bufsize = (n as usize).max(4096)
    })
    .range(0, 1 << 30),
    number(
        "response-headers-limit",
        "largest header block of an answer in kB",
        |s, n| s.limits.response_headers_limit = n * 1024,
    ),
    bytes(
        "chunked-input-limit",
        "largest chunk of a request body in bytes",
        |s, n| s.limits.chunked_input_limit = n,
    ),
    number("chunked-input-timeout", "seconds to wait for a chunk", |s, n| {
        s.limits.chunked_input_timeout = n
    }),
    optional_parsed(
        "keep-alive",
        "keep connections open after an answer, idle at most SECONDS",
        |s, v| {
            s.http.keep_alive = true;
            match v {
                None | Some("") => {}
                Some(value) => match parse::boolean(value) {
                    Some(on) if value.parse::<u64>().is_err() => s.http.keep_alive = on,
                    _ => s.http.keep_alive_timeout = parse::number(value, 1, 86400)?,
                },
            }
            Ok(())
        },
    ),
    flag("no-keep-alive", "close connections after each answer", |s, on| {
        s.http.keep_alive = !on
    }),
    number(
        "headers-timeout",
        "seconds for a whole header block to arrive",
        |s, n| s.http.headers_timeout = n,
    )
    .range(1, 86400),
    parsed("add-header", "a header for every answer: NAME: VALUE", |s, v| {
        match v.split_once(':') {
            Some((name, _)) if !name.is_empty() && !name.contains(char::is_whitespace) && !v.contains(['\r', '\n']) => {
                s.http.add_headers.push(v.to_owned());
                Ok(())
            }
            _ => Err(format!("invalid header \"{v}\": give NAME: VALUE")),
        }
    })
    .verbatim(),
    text("rem-header", "take a header out of every answer", |s, v| {
        s.http.rem_headers.push(v.into())
    })
    .aliases(&["del-header"]),
    parsed(
        "collect-header",
        "an answer's header becomes a request variable: HEADER VAR",
        |s, v| {
            s.http.collect_headers.push(header_and_variable(v)?);
            Ok(())
        },
    )
    .aliases(&["response-header-collect"]),
    parsed(
        "pull-header",
        "as collect-header, and the header is taken out",
        |s, v| {
            let pair = header_and_variable(v)?;
            s.http.rem_headers.push(pair.0.clone());
            s.http.collect_headers.push(pair);
            Ok(())
        },
    ),
    flag(
        "ignore-sigpipe",
        "no line about clients that left (on unless classic-defaults)",
        |s, on| s.http.ignore_sigpipe = on,
    )
    .negation("no-ignore-sigpipe"),
    flag(
        "ignore-write-errors",
        "no line about failed writes (on unless classic-defaults)",
        |s, on| s.http.ignore_write_errors = on,
    )
    .negation("no-ignore-write-errors"),
    flag(
        "disable-write-exception",
        "failed writes raise nothing (on unless classic-defaults)",
        |s, on| s.http.disable_write_exception = on,
    )
    .negation("no-disable-write-exception"),
    flag(
        "write-errors-exception-only",
        "failed writes raise and the request goes on",
        |s, on| s.http.write_errors_exception_only = on,
    )
    .later(),
    number(
        "write-errors-tolerance",
        "failed writes before a request is given up",
        |s, n| s.http.write_errors_tolerance = Some(n),
    )
    .later(),
    flag(
        "catch-exceptions",
        "show tracebacks to the client (never in production)",
        |s, on| s.limits.catch_exceptions = on,
    ),
    number("websockets-max-size", "kilobytes of a websocket message", |s, n| {
        s.http.websockets_max_size = n
    })
    .aliases(&["websocket-max-size"]),
    number(
        "websockets-ping-freq",
        "seconds between pings of a websocket",
        |s, n| s.http.websockets_ping_freq = n,
    )
    .aliases(&["websocket-ping-freq"]),
    number(
        "websockets-pong-tolerance",
        "seconds to wait for a websocket's pong",
        |s, n| s.http.websockets_pong_tolerance = n,
    )
    .aliases(&["websocket-pong-tolerance"]),
    no_effect("pcre-jit", No, "nothing to do: regular expressions are compiled"),
    no_effect(
        "body-read-warning",
        Required,
        "nothing to do: bodies are read without waste",
    ),
    later("upload-progress", Required, "files about the progress of uploads"),
];

/// `HEADER VAR`
fn header_and_variable(text: &str) -> Result<(String, String), String> {
    match text.trim().split_once(char::is_whitespace) {
        Some((header, variable)) => Ok((header.to_owned(), variable.trim_start().to_owned())),
        None => Err(format!("invalid value \"{text}\": give HEADER VAR")),
    }
}
