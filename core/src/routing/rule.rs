//! One rule: when it applies and what it does; and the walk through a chain of them.

use super::action::{self, Run};
use super::condition::{self, Holds};
use super::plugin::Record;
use crate::log::request::text;
use crate::request::Core;
use crate::say;
use crate::settings::{RouteLine, RouteSubject, RouteTest};
use pcre2::bytes::{Regex, RegexBuilder};
use rsgi_plugin_api::abi::{UWSGI_ROUTE_BREAK, UWSGI_ROUTE_CONTINUE, UWSGI_ROUTE_NEXT};

/// What comes after a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The next rule.
    Next,
    /// No more rules.
    Continue,
    /// No more rules, and the request is answered.
    Break,
}

impl Verdict {
    /// As plugins and applications hear it.
    pub fn code(self) -> std::ffi::c_int {
        match self {
            Self::Next => UWSGI_ROUTE_NEXT,
            Self::Continue => UWSGI_ROUTE_CONTINUE,
            Self::Break => UWSGI_ROUTE_BREAK,
        }
    }
}

enum When {
    Always,
    Pattern(RouteSubject, Regex),
    Status(i32),
    If { holds: Holds, negated: bool },
}

/// A rule.
pub struct Rule {
    when: When,
    run: Run,
    /// Where a `goto` may lead to: this is all that the rule does.
    label: Option<Vec<u8>>,
    /// As written, for messages.
    text: String,
}

/// The fields of the C view that a subject reads.
fn subject(core: &mut Core, subject: RouteSubject) -> &'static [u8] {
    let raw = core.raw();
    match subject {
        RouteSubject::PathInfo => text(raw.path_info, raw.path_info_len),
        RouteSubject::Uri => text(raw.uri, raw.uri_len),
        RouteSubject::QueryString => text(raw.query_string, raw.query_string_len),
        RouteSubject::Host => text(raw.host, raw.host_len),
        RouteSubject::RemoteAddr => text(raw.remote_addr, raw.remote_addr_len),
        RouteSubject::UserAgent => text(raw.user_agent, raw.user_agent_len),
        RouteSubject::RemoteUser => text(raw.remote_user, raw.remote_user_len),
        RouteSubject::Referer => text(raw.referer, raw.referer_len),
    }
}

impl Rule {
    /// Parses what an option says.
    ///
    /// # Errors
    /// A pattern, a condition, an action or its arguments are wrong; one line.
    pub fn parse(line: &RouteLine) -> Result<Self, String> {
        let given = line.text.trim();
        let two = |first: &str| -> Result<(&str, &str), String> {
            let both = given.split_once(char::is_whitespace);
            let (test, action) = both.ok_or_else(|| format!("\"{given}\": give {first} ACTION:ARGUMENTS"))?;
            Ok((test, action.trim_start()))
        };
        let mut record = Record::default();
        let (when, action) = match line.test {
            RouteTest::Label => {
                return Ok(Self {
                    when: When::Always,
                    run: action::nothing(),
                    label: Some(given.as_bytes().to_vec()),
                    text: line.text.clone(),
                });
            }
            RouteTest::Run => (When::Always, given),
            RouteTest::Status => {
                // a number; what is none matches nothing, as in uWSGI
                let (status, action) = two("STATUS")?;
                (When::Status(status.parse().unwrap_or(-1)), action)
            }
            RouteTest::If { negated } => {
                let (test, action) = two("CONDITION:ARGUMENTS")?;
                let holds = condition::parse(test)?;
                (When::If { holds, negated }, action)
            }
            RouteTest::Pattern(subject) => {
                let (pattern, action) = two("PATTERN")?;
                record.look_at(subject);
                let pattern = RegexBuilder::new()
                    .jit_if_available(true)
                    .build(pattern)
                    .map_err(|e| format!("\"{pattern}\" is no regular expression: {e}"))?;
                (When::Pattern(subject, pattern), action)
            }
        };
        Ok(Self {
            when,
            run: action::parse(action, &record)?,
            label: None,
            text: line.text.clone(),
        })
    }

    fn applies(&self, core: &mut Core) -> bool {
        match &self.when {
            When::Always => true,
            When::Status(status) => core.raw().status == *status,
            When::If { holds, negated } => holds(core) != *negated,
            When::Pattern(of, pattern) => {
                let subject = subject(core, *of);
                match pattern.is_match(subject) {
                    Ok(true) => {
                        keep_groups(core, pattern, subject);
                        true
                    }
                    Ok(false) => false,
                    Err(e) => {
                        say!("route \"{}\": {e}", self.text);
                        false
                    }
                }
            }
        }
    }
}

/// Keeps what the groups of a pattern matched, for `$1` and its kin.
fn keep_groups(core: &mut Core, pattern: &Regex, subject: &[u8]) {
    let routing = &mut core.routing;
    routing.subject.clear();
    routing.subject.extend_from_slice(subject);
    routing.groups.clear();
    let mut groups = pattern.capture_locations();
    if let Ok(Some(_)) = pattern.captures_read(&mut groups, subject) {
        routing.groups.extend((0..groups.len()).map(|n| groups.get(n)));
    }
}

/// Runs the rules of a chain, in their order.
pub fn run(core: &mut Core, rules: &[Rule]) -> Verdict {
    let mut at = 0;
    while let Some(rule) = rules.get(at) {
        at += 1;
        if rule.label.is_some() || !rule.applies(core) {
            continue;
        }
        match (rule.run)(core) {
            Verdict::Next => {}
            verdict => return verdict,
        }
        if let Some(label) = core.routing.goto.take() {
            // only forward: no rule runs twice, so that no request goes in circles
            match rules[at..].iter().position(|r| r.label.as_ref() == Some(&label)) {
                Some(ahead) => at += ahead,
                None => say!(
                    "route \"{}\": no label \"{}\" behind it",
                    rule.text,
                    String::from_utf8_lossy(&label)
                ),
            }
        }
    }
    Verdict::Next
}
