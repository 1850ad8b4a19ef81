//! Changes of the request before an application sees it: variables, and the fields that are read of them.

use super::{Row, Run, Verdict, with_pair, with_text};
use crate::request::{Core, vars};

macro_rules! sets {
    ($key:literal) => {
        |a| {
            with_text(a, |core, value| {
                vars::set(core, $key, value);
                Verdict::Next
            })
        }
    };
}

pub static ACTIONS: &[Row] = &[
    (&["addvar", "setvar"], |a| {
        with_pair(a, '=', |core, name, value| {
            vars::set(core, name, value);
            Verdict::Next
        })
    }),
    (&["setscheme"], sets!(b"UWSGI_SCHEME")),
    (&["setremoteaddr"], sets!(b"REMOTE_ADDR")),
    (&["setremoteuser", "setuser"], sets!(b"REMOTE_USER")),
    (&["setpathinfo"], sets!(b"PATH_INFO")),
    (&["setscriptname"], sets!(b"SCRIPT_NAME")),
    (&["setmethod"], sets!(b"REQUEST_METHOD")),
    (&["seturi"], sets!(b"REQUEST_URI")),
    (&["setqs", "setquerystring"], sets!(b"QUERY_STRING")),
    (&["sethost"], sets!(b"HTTP_HOST")),
    (&["setdocroot"], sets!(b"DOCUMENT_ROOT")),
    (&["setapp"], sets!(b"UWSGI_APPID")),
    (&["setfile"], sets!(b"UWSGI_FILE")),
    (&["fixpathinfo"], |_| Ok(Box::new(fix_path_info))),
    (&["setmodifier1"], |a| modifier(a, true)),
    (&["setmodifier2"], |a| modifier(a, false)),
];

/// What stands in `SCRIPT_NAME` leaves the front of `PATH_INFO`.
fn fix_path_info(core: &mut Core) -> Verdict {
    let path = vars::find(core.raw(), b"PATH_INFO").unwrap_or_default().to_vec();
    let script = vars::find(core.raw(), b"SCRIPT_NAME").unwrap_or_default();
    if !script.is_empty()
        && let Some(rest) = path.strip_prefix(script)
    {
        vars::set(core, b"PATH_INFO", rest);
    }
    Verdict::Next
}

/// The plugin that answers, or its second number.
fn modifier(arguments: &str, is_first: bool) -> Result<Run, String> {
    let number: u8 = arguments
        .trim()
        .parse()
        .map_err(|_| format!("\"{arguments}\": give a number from 0 to 255"))?;
    Ok(Box::new(move |core| {
        // SAFETY: the header of the request in work.
        let header = unsafe { &mut *core.raw().uh };
        match is_first {
            true => header.modifier1 = number,
            false => header.modifier2 = number,
        }
        Verdict::Next
    }))
}
