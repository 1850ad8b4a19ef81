//! Which rule comes next, and whether one comes at all; what is only noted on the way.

use super::{Row, Run, Verdict, nothing, with_pair, with_text};
use crate::request::Core;
use crate::request::response;
use crate::routing::template::Template;
use crate::signal::route;
use crate::{alarm, say};
use rsgi_protocol::http1::reason;

pub static ACTIONS: &[Row] = &[
    (&["continue", "last"], |_| Ok(Box::new(|_| Verdict::Continue))),
    (&["goon", "noop"], |_| Ok(nothing())),
    (&["break", "return", "break-with-status"], |a| leave(a)),
    (&["goto"], |a| {
        with_text(a, |core, label| {
            core.routing.goto = Some(label.to_vec());
            Verdict::Next
        })
    }),
    (&["log"], |a| {
        with_text(a, |_, text| {
            // what a client sends makes no line of its own
            let mut line = Vec::with_capacity(text.len());
            crate::log::request::clean(&mut line, text);
            say!("{}", String::from_utf8_lossy(&line));
            Verdict::Next
        })
    }),
    (&["donotlog"], |_| {
        Ok(Box::new(|core| {
            core.raw().do_not_log = 1;
            Verdict::Next
        }))
    }),
    (&["logvar"], |a| {
        with_pair(a, '=', |core, name, value| {
            core.set_log_variable(name, value);
            Verdict::Next
        })
    }),
    (&["signal"], |a| {
        let signal: u8 = a
            .trim()
            .parse()
            .map_err(|_| format!("\"{a}\" is no signal: give a number from 0 to 255"))?;
        Ok(Box::new(move |_| {
            if let Err(e) = route::raise(signal) {
                say!("{e}");
            }
            Verdict::Next
        }))
    }),
    (&["alarm"], |a| {
        with_pair(a, ' ', |_, name, message| {
            if let Err(e) = alarm::trigger(&String::from_utf8_lossy(name), message) {
                say!("{e}");
            }
            Verdict::Next
        })
    }),
    (&["harakiri"], |a| {
        let seconds: i32 = a
            .trim()
            .parse()
            .map_err(|_| format!("\"{a}\" is no number of seconds"))?;
        Ok(Box::new(move |core| {
            core.set_own_time(seconds);
            Verdict::Next
        }))
    }),
    // what rsgi does by itself: chunks where the client understands them, files sent by the kernel
    (&["chunked", "donotoffload"], |_| Ok(nothing())),
];

/// Ends the request: with a status, or without a word.
fn leave(arguments: &str) -> Result<Run, String> {
    if arguments.trim().is_empty() {
        return Ok(Box::new(|core| {
            // what a rule before has begun to answer is an answer, and ends as one
            if !core.response.is_sent() {
                response::cut(core);
            }
            Verdict::Break
        }));
    }
    let status = Template::parse(arguments)?;
    Ok(Box::new(move |core| {
        let status = status.fill(core);
        answer_with(core, &status);
        Verdict::Break
    }))
}

/// A short answer of nothing but a status; `404` gets its usual words.
pub(super) fn answer_with(core: &mut Core, status: &[u8]) {
    let mut line = String::from_utf8_lossy(status).trim().to_owned();
    if let Ok(code) = line.parse::<u16>() {
        line = format!("{code} {}", reason(code));
    }
    let body = line.split_once(' ').map_or("", |(_, words)| words).to_owned();
    response::plain(core, &line, &body);
}
