//! Rules about requests; the order of all of them counts.

use crate::options::spec::{Group, OptionSpec, named, path};
use crate::settings::Settings;

pub static GROUP: Group = Group {
    title: "Routing (the forms error-, response- and final- apply at those times)",
    rows: ROWS,
};

fn add(settings: &mut Settings, name: &str, value: &str) {
    settings.routing.add(name, value);
}

static ROWS: &[OptionSpec] = &[
    named("route", "a rule about the path: REGEXP ACTION:ARGUMENT", add).aliases(&[
        "error-route",
        "response-route",
        "final-route",
    ]),
    named("route-host", "a rule about the host", add).aliases(&[
        "error-route-host",
        "response-route-host",
        "final-route-host",
    ]),
    named("route-uri", "a rule about the URI", add).aliases(&[
        "error-route-uri",
        "response-route-uri",
        "final-route-uri",
    ]),
    named("route-qs", "a rule about the query string", add).aliases(&[
        "error-route-qs",
        "response-route-qs",
        "final-route-qs",
    ]),
    named("route-remote-addr", "a rule about the client's address", add).aliases(&[
        "error-route-remote-addr",
        "response-route-remote-addr",
        "final-route-remote-addr",
    ]),
    named("route-remote-user", "a rule about the user", add).aliases(&[
        "error-route-remote-user",
        "response-route-remote-user",
        "final-route-remote-user",
    ]),
    named("route-referer", "a rule about the referer", add).aliases(&[
        "error-route-referer",
        "response-route-referer",
        "final-route-referer",
    ]),
    named("route-user-agent", "a rule about the user agent", add).aliases(&[
        "error-route-user-agent",
        "response-route-user-agent",
        "final-route-user-agent",
    ]),
    named("error-route-status", "a rule about the status", add)
        .aliases(&["response-route-status", "final-route-status"]),
    named(
        "route-if",
        "a rule under a condition: CONDITION:ARGUMENT ACTION:ARGUMENT",
        add,
    )
    .aliases(&["error-route-if", "response-route-if", "final-route-if"]),
    named("route-if-not", "a rule unless a condition holds", add).aliases(&[
        "error-route-if-not",
        "response-route-if-not",
        "final-route-if-not",
    ]),
    named("route-run", "an action for every request", add).aliases(&[
        "error-route-run",
        "response-route-run",
        "final-route-run",
    ]),
    named("route-label", "a label to jump to", add).aliases(&[
        "error-route-label",
        "response-route-label",
        "final-route-label",
    ]),
    path(
        "error-page-403",
        "an HTML file in place of the server's own words at 403; the first that can be read",
        |s, v| s.routing.error_pages.push((403, v.into())),
    ),
    path(
        "error-page-404",
        "an HTML file in place of the server's own words at 404; the first that can be read",
        |s, v| s.routing.error_pages.push((404, v.into())),
    ),
    path(
        "error-page-500",
        "an HTML file in place of the server's own words at 500; the first that can be read",
        |s, v| s.routing.error_pages.push((500, v.into())),
    ),
];
