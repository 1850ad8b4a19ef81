//! Another path and query for the same request; `REQUEST_URI` stays what the client asked for.

use super::{Row, Run, Verdict};
use crate::request::{Core, vars};
use crate::routing::template::Template;
use rsgi_protocol::target::{PathRules, write_path_info};

pub static ACTIONS: &[Row] = &[
    (&["rewrite"], |a| rewrite(a, Verdict::Next)),
    (&["rewrite-last"], |a| rewrite(a, Verdict::Continue)),
];

fn rewrite(arguments: &str, verdict: Verdict) -> Result<Run, String> {
    if arguments.trim().is_empty() {
        return Err("give PATH?QUERY".into());
    }
    let target = Template::parse(arguments)?;
    Ok(Box::new(move |core| {
        let target = target.fill(core);
        apply(core, &target);
        verdict
    }))
}

fn apply(core: &mut Core, target: &[u8]) {
    let mut parts = target.splitn(2, |b| *b == b'?');
    let path = parts.next().unwrap_or_default();
    let mut decoded = vec![0; path.len().max(1)];
    let len = write_path_info(path, PathRules::default(), &mut decoded);
    vars::set(core, b"PATH_INFO", &decoded[..len]);
    vars::set(core, b"QUERY_STRING", parts.next().unwrap_or_default());
}
