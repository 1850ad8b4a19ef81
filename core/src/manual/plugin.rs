//! rsgi-plugin(7): how a plugin is built and what it may call, from `uwsgi.h`.

use super::header;
use super::roff::{self, escape, verbatim};
use std::fmt::Write;

const EXAMPLE: &str = "#include <uwsgi.h>

static int hello(struct wsgi_request *req) {
    uwsgi_response_prepare_headers(req, \"200 OK\", 6);
    uwsgi_response_write_body_do(req, \"hello\\n\", 6);
    return UWSGI_OK;
}

struct uwsgi_plugin hello_plugin = {
    .name = \"hello\",
    .modifier1 = 200,
    .request = hello,
};";

/// The page.
pub fn page() -> String {
    let mut out = roff::title("RSGI-PLUGIN", 7, "Plugins of rsgi");
    out += ".SH NAME\nrsgi\\-plugin \\- writing plugins for rsgi\n.SH SYNOPSIS\n";
    out += &verbatim(EXAMPLE);
    out += &verbatim(
        "uwsgiconfig --plugin hello.c\nrsgi --plugin ./hello_plugin.so --http-socket :9090 --http-socket-modifier1 200",
    );
    out += ".SH DESCRIPTION\nA plugin is a shared object that exports one\n.BR \"struct uwsgi_plugin\" .\n";
    out += "Sources written for uWSGI compile unchanged; a plugin that was built with one 1.x of the header loads in\n";
    out += "every rsgi 1.x. One that cannot work is refused before any of its code runs, with the reason.\n";
    out += ".PP\nNotes in brackets say where a function may be called or a hook is called: [master], the first process before\n";
    out += "any worker exists; [worker], a worker, mule or spooler after its fork; [gateway]; [core N], a thread of requests;\n";
    out += "[request], inside of the request hook; [any].\n";
    for section in header::sections(rsgi_plugin_api::HEADER) {
        let _ = writeln!(out, ".SH \"{}\"", escape(&section.title).to_uppercase());
        if !section.text.is_empty() {
            out += &roff::line(&section.text);
        }
        for item in &section.items {
            out += &verbatim(&item.code);
            if !item.text.is_empty() {
                let _ = write!(out, ".PP\n{}", roff::line(&item.text));
            }
        }
    }
    out += ".SH SEE ALSO\n.BR rsgi (1),\n.BR uwsgiconfig (1)\n";
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_and_functions_are_told() {
        let page = page();
        for part in [
            "post_fork",
            "uwsgi_response_prepare_headers",
            "rsgi_events_begin",
            ".SH \"LOGGING\"",
        ] {
            assert!(page.contains(part), "{part}");
        }
        roff::tests::check(&page);
    }
}
