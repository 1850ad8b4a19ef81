//! Rules about requests; the order of all of them counts.

use crate::options::spec::ArgKind::Required;
use crate::options::spec::{Group, OptionSpec, later};

pub static GROUP: Group = Group {
    title: "Routing (the forms error-, response- and final- apply at those times)",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    later("route", Required, "a rule about the path: REGEXP ACTION:ARGUMENT").aliases(&[
        "error-route",
        "response-route",
        "final-route",
    ]),
    later("route-host", Required, "a rule about the host").aliases(&[
        "error-route-host",
        "response-route-host",
        "final-route-host",
    ]),
    later("route-uri", Required, "a rule about the URI").aliases(&[
        "error-route-uri",
        "response-route-uri",
        "final-route-uri",
    ]),
    later("route-qs", Required, "a rule about the query string").aliases(&[
        "error-route-qs",
        "response-route-qs",
        "final-route-qs",
    ]),
    later("route-remote-addr", Required, "a rule about the client's address").aliases(&[
        "error-route-remote-addr",
        "response-route-remote-addr",
        "final-route-remote-addr",
    ]),
    later("route-remote-user", Required, "a rule about the user").aliases(&[
        "error-route-remote-user",
        "response-route-remote-user",
        "final-route-remote-user",
    ]),
    later("route-referer", Required, "a rule about the referer").aliases(&[
        "error-route-referer",
        "response-route-referer",
        "final-route-referer",
    ]),
    later("route-user-agent", Required, "a rule about the user agent").aliases(&[
        "error-route-user-agent",
        "response-route-user-agent",
        "final-route-user-agent",
    ]),
    later("error-route-status", Required, "a rule about the status")
        .aliases(&["response-route-status", "final-route-status"]),
    later(
        "route-if",
        Required,
        "a rule under a condition: CONDITION:ARGUMENT ACTION:ARGUMENT",
    )
    .aliases(&["error-route-if", "response-route-if", "final-route-if"]),
    later("route-if-not", Required, "a rule unless a condition holds").aliases(&[
        "error-route-if-not",
        "response-route-if-not",
        "final-route-if-not",
    ]),
    later("route-run", Required, "an action for every request").aliases(&[
        "error-route-run",
        "response-route-run",
        "final-route-run",
    ]),
    later("route-label", Required, "a label to jump to").aliases(&[
        "error-route-label",
        "response-route-label",
        "final-route-label",
    ]),
    later("error-page-403", Required, "a file in place of empty 403 answers"),
    later("error-page-404", Required, "a file in place of empty 404 answers"),
    later("error-page-500", Required, "a file in place of empty 500 answers"),
];
