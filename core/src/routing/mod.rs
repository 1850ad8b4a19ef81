//! Internal routing: rules of the operator that look at a request, or at its answer, and act on it (`route`,
//! `error-route`, `response-route`, `final-route` and their kin). Parsed before the first fork, run in workers.

mod action;
mod condition;
mod keeping;
pub mod plugin;
mod rule;
mod template;
mod value;

use crate::request::Core;
use crate::say;
use crate::settings::{RouteChain, Routing};
use crate::shared::counter;
use keeping::Keeping;
use rule::Rule;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use template::Template;

pub use keeping::{pass as pass_body, store as store_body};
pub use rule::Verdict;

/// `via` of an answer that a rule made, in the request's log line.
const VIA_ROUTE: u16 = 2;
const VIA_OFFLOAD: u16 = 3;

/// What routing knows of the request in work.
#[derive(Debug, Default)]
pub struct RequestRouting {
    /// What the last pattern was matched against.
    subject: Vec<u8>,
    /// Its groups, from 0, the whole match.
    groups: Vec<Option<(usize, usize)>>,
    /// Where to go on, by an action `goto`.
    goto: Option<Vec<u8>>,
    /// Headers that the answer gets.
    added: Vec<(Vec<u8>, Vec<u8>)>,
    /// Headers that it loses, in lower case.
    removed: Vec<Vec<u8>>,
    /// A rule for answers is at work: what it writes is not looked at again.
    at_answer: bool,
    /// The answer's head leaves as the application made it.
    headers_disabled: bool,
    /// The answer's body goes into a cache.
    keeping: Option<Keeping>,
}

impl RequestRouting {
    /// A clean slate for the next request.
    pub fn clear(&mut self) {
        self.subject.clear();
        self.groups.clear();
        self.goto = None;
        self.added.clear();
        self.removed.clear();
        self.at_answer = false;
        self.headers_disabled = false;
        self.keeping = None;
    }

    /// A group of the last match; empty: it took no part.
    fn group(&self, n: usize) -> &[u8] {
        let span = self.groups.get(n).copied().flatten();
        span.map_or(&[], |(from, to)| &self.subject[from..to])
    }

    /// The body leaves in a way that shows nothing of it: it is not stored.
    pub fn keep_nothing(&mut self) {
        self.keeping = None;
    }

    /// Whether the answer has no head at all.
    pub fn are_headers_disabled(&self) -> bool {
        self.headers_disabled
    }

    /// Whether the answer's head is to be changed.
    pub fn changes_head(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty()
    }

    /// One more header of the answer, whatever the application prepares.
    pub fn add_header(&mut self, name: &[u8], value: &[u8]) {
        self.added.push((name.to_vec(), value.to_vec()));
    }

    /// Headers to add, given away.
    pub fn take_added(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        std::mem::take(&mut self.added)
    }

    /// Whether a header, by its name, is to be left out.
    pub fn removes(&self, name: &[u8]) -> bool {
        self.removed.iter().any(|removed| name.eq_ignore_ascii_case(removed))
    }
}

/// The rules, by their chains.
#[derive(Default)]
struct Routes {
    request: Vec<Rule>,
    error: Vec<Rule>,
    response: Vec<Rule>,
    finals: Vec<Rule>,
}

impl Routes {
    fn chain(&self, chain: RouteChain) -> &[Rule] {
        match chain {
            RouteChain::Request => &self.request,
            RouteChain::Error => &self.error,
            RouteChain::Response => &self.response,
            RouteChain::Final => &self.finals,
        }
    }
}

static ROUTES: OnceLock<Routes> = OnceLock::new();
/// Statuses and the files with what is said at them (`--error-page-404` and its kin).
static PAGES: OnceLock<&'static [(u16, String)]> = OnceLock::new();

/// Parses the rules; after plugins have said which actions they bring, before the first fork.
///
/// # Errors
/// The text of the option and what is wrong with it.
pub fn install(settings: &'static Routing) -> Result<(), (String, String)> {
    for (status, page) in &settings.error_pages {
        let read = std::fs::File::open(page).map_err(|e| crate::config::system_message(&e));
        read.map_err(|e| (page.clone(), format!("error-page-{status}: cannot read {page}: {e}")))?;
    }
    let _ = PAGES.set(&settings.error_pages);
    let mut routes = Routes::default();
    for line in &settings.lines {
        let rule = Rule::parse(line).map_err(|why| (line.text.clone(), format!("{}: {why}", line.option)))?;
        let chain = match line.chain {
            RouteChain::Request => &mut routes.request,
            RouteChain::Error => &mut routes.error,
            RouteChain::Response => &mut routes.response,
            RouteChain::Final => &mut routes.finals,
        };
        chain.push(rule);
    }
    let _ = ROUTES.set(routes);
    Ok(())
}

/// What the operator wants to be said with a status, of the server's own answers: the first file that can be read now.
pub fn page(status: &str) -> Option<Vec<u8>> {
    let pages = PAGES.get().filter(|pages| !pages.is_empty())?;
    let code: u16 = status.get(..3)?.parse().ok()?;
    let mut own = pages.iter().filter(|(of, _)| *of == code);
    own.find_map(|(_, page)| std::fs::read(page).ok())
}

/// Whether there are rules of a chain.
fn rules(chain: RouteChain) -> Option<&'static [Rule]> {
    ROUTES
        .get()
        .map(|routes| routes.chain(chain))
        .filter(|rules| !rules.is_empty())
}

/// The rules for a request that nobody has answered: whether one of them has.
pub fn request(core: &mut Core) -> bool {
    let answered = rules(RouteChain::Request).is_some_and(|rules| rule::run(core, rules) == Verdict::Break);
    if answered {
        // SAFETY: the record of this core in shared memory.
        unsafe { counter(&raw mut (*core.counters).routed_requests) }.fetch_add(1, Ordering::Relaxed);
        // an action that handed the rest to a thread has said so
        if core.raw().via != VIA_OFFLOAD {
            core.raw().via = VIA_ROUTE;
        }
    }
    answered
}

/// The rules for an answer whose head is complete and has not left. Whether the rest of it is the rules' own.
pub fn answer(core: &mut Core) -> bool {
    if core.routing.at_answer {
        return false;
    }
    let errors = rules(RouteChain::Error).filter(|_| core.raw().status >= 400);
    let chains = [errors, rules(RouteChain::Response)];
    if chains.iter().all(Option::is_none) {
        return false;
    }
    core.routing.at_answer = true;
    chains
        .into_iter()
        .flatten()
        .any(|rules| rule::run(core, rules) == Verdict::Break)
}

/// Does what a rule `NAME:ARGUMENTS` would, for an application that asks for it.
///
/// # Errors
/// There is no such action, or its arguments are wrong.
pub fn act(core: &mut Core, action: &str) -> Result<Verdict, String> {
    action::parse(action, &plugin::Record::default()).map(|run| run(core))
}

/// Texts of plugins that a thread remembers. More than these are made anew, of requests most likely.
const REMEMBERED: usize = 256;

thread_local! {
    /// What plugins have asked this thread to fill in: a rule's text is parsed once.
    static PARSED: RefCell<HashMap<Box<[u8]>, Rc<Template>>> = RefCell::default();
}

/// A text of a plugin's rule, filled in for a request; `None`: it is no such text (said in the log).
pub fn fill(core: &mut Core, text: &[u8]) -> Option<Vec<u8>> {
    let known = PARSED.with_borrow(|parsed| parsed.get(text).cloned());
    let template = match known {
        Some(template) => template,
        None => {
            let parsed = Template::parse(&String::from_utf8_lossy(text));
            let template = Rc::new(parsed.map_err(|e| say!("route: {e}")).ok()?);
            PARSED.with_borrow_mut(|parsed| {
                if parsed.len() < REMEMBERED {
                    parsed.insert(text.into(), template.clone());
                }
            });
            template
        }
    };
    // not while the map is borrowed: a plugin's variable may have a text filled in too
    Some(template.fill(core))
}

/// Whether there are rules for requests that are over.
pub fn has_final() -> bool {
    rules(RouteChain::Final).is_some()
}

/// The rules for a request that is over, before its log line.
pub fn finish(core: &mut Core) {
    if let Some(rules) = rules(RouteChain::Final) {
        rule::run(core, rules);
    }
}
