//! Answers: headers of the application's, and answers of the rules' own.

use super::{Row, Run, Verdict, with_text};
use crate::request::response::{self, ResponseError};
use crate::request::{Core, place};
use crate::routing::template::Template;
use crate::say;

pub static ACTIONS: &[Row] = &[
    (&["addheader", "append-header"], add_header),
    (&["delheader", "remheader"], |a| {
        with_text(a, |core, name| {
            core.routing.removed.push(name.trim_ascii().to_ascii_lowercase());
            Verdict::Next
        })
    }),
    (&["clearheaders", "resetheaders"], |a| {
        with_text(a, |core, status| {
            let status = if status.is_empty() { b"200 OK" } else { status };
            let began = response::start(core, status);
            said(core, began);
            Verdict::Next
        })
    }),
    (&["disableheaders"], |_| {
        Ok(Box::new(|core| {
            core.routing.headers_disabled = true;
            Verdict::Next
        }))
    }),
    (&["send"], |a| with_text(a, send)),
    (&["send-crnl"], |a| {
        with_text(a, |core, text| {
            let mut line = text.to_vec();
            line.extend_from_slice(b"\r\n");
            send(core, &line)
        })
    }),
    (&["flush"], |_| {
        Ok(Box::new(|core| {
            let sent = response::send_head(core);
            said(core, sent);
            Verdict::Next
        }))
    }),
    (&["redirect", "redirect-302"], |a| redirect(a, "302 Found")),
    (&["redirect-permanent", "redirect-301"], |a| {
        redirect(a, "301 Moved Permanently")
    }),
    (&["redirect-303"], |a| redirect(a, "303 See Other")),
    (&["redirect-307"], |a| redirect(a, "307 Temporary Redirect")),
    (&["redirect-308"], |a| redirect(a, "308 Permanent Redirect")),
];

fn said(_: &mut Core, result: Result<(), ResponseError>) {
    match result {
        Ok(()) | Err(ResponseError::Gone(_)) => {}
        Err(e) => say!("route: {e}"),
    }
}

/// `NAME: VALUE`: the answer gets it when it leaves.
fn add_header(arguments: &str) -> Result<Run, String> {
    let (name, value) = arguments
        .split_once(':')
        .ok_or_else(|| format!("\"{arguments}\": give NAME: VALUE"))?;
    let (name, value) = (Template::parse(name.trim())?, Template::parse(value.trim())?);
    Ok(Box::new(move |core| {
        let header = (name.fill(core), value.fill(core));
        core.routing.added.push(header);
        Verdict::Next
    }))
}

fn send(core: &mut Core, text: &[u8]) -> Verdict {
    let sent = response::write(core, &[place(text)], false);
    said(core, sent);
    Verdict::Next
}

fn redirect(arguments: &str, status: &'static str) -> Result<Run, String> {
    if arguments.trim().is_empty() {
        return Err("give an address".into());
    }
    let location = Template::parse(arguments)?;
    Ok(Box::new(move |core| {
        let location = location.fill(core);
        let answered = response::start(core, status.as_bytes())
            .and_then(|()| response::header(core, b"Location", &location))
            .and_then(|()| response::write(core, &[], true));
        if let Err(ResponseError::Malformed(why)) = answered {
            // a client's line break in the address: nothing of it leaves
            say!("route: a redirection was refused: {why}");
            response::plain(core, "400 Bad Request", "Bad Request");
        }
        Verdict::Break
    }))
}
