//! Rules about requests and answers, as they are written.

/// When a rule is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteChain {
    /// Before the application (`route`).
    Request,
    /// An answer with status 400 or above is about to leave (`error-route`).
    Error,
    /// Any answer is about to leave (`response-route`).
    Response,
    /// The request is over (`final-route`).
    Final,
}

/// What a pattern looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names of the options say it
pub enum RouteSubject {
    PathInfo,
    Uri,
    QueryString,
    Host,
    RemoteAddr,
    UserAgent,
    RemoteUser,
    Referer,
}

/// What decides whether a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteTest {
    /// A regular expression.
    Pattern(RouteSubject),
    /// The exact status.
    Status,
    /// A condition, or its contrary.
    If {
        /// `-if-not`
        negated: bool,
    },
    /// Nothing: it always does.
    Run,
    /// It is a place to go to.
    Label,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteLine {
    /// The option's name, for messages.
    pub option: String,
    /// When.
    pub chain: RouteChain,
    /// Whether.
    pub test: RouteTest,
    /// Its value.
    pub text: String,
}

/// `route` and its kin.
#[derive(Debug, Clone, Default)]
pub struct Routing {
    /// In the order of the configuration.
    pub lines: Vec<RouteLine>,
    /// Files with what the server's own answers of a status say.
    pub error_pages: Vec<(u16, String)>,
}

impl Routing {
    /// Adds the rule of an option by its name; what is no such name adds nothing.
    pub fn add(&mut self, option: &str, text: &str) {
        let chains = [
            ("error-", RouteChain::Error),
            ("response-", RouteChain::Response),
            ("final-", RouteChain::Final),
            ("", RouteChain::Request),
        ];
        let found = chains
            .iter()
            .find_map(|(prefix, chain)| Some((option.strip_prefix(prefix)?, *chain)));
        let Some((rest, chain)) = found else { return };
        let test = match rest {
            "route" => RouteTest::Pattern(RouteSubject::PathInfo),
            "route-uri" => RouteTest::Pattern(RouteSubject::Uri),
            "route-qs" => RouteTest::Pattern(RouteSubject::QueryString),
            "route-host" => RouteTest::Pattern(RouteSubject::Host),
            "route-remote-addr" => RouteTest::Pattern(RouteSubject::RemoteAddr),
            "route-user-agent" => RouteTest::Pattern(RouteSubject::UserAgent),
            "route-remote-user" => RouteTest::Pattern(RouteSubject::RemoteUser),
            "route-referer" => RouteTest::Pattern(RouteSubject::Referer),
            "route-status" => RouteTest::Status,
            "route-if" => RouteTest::If { negated: false },
            "route-if-not" => RouteTest::If { negated: true },
            "route-run" => RouteTest::Run,
            "route-label" => RouteTest::Label,
            _ => return,
        };
        self.lines.push(RouteLine {
            option: option.to_owned(),
            chain,
            test,
            text: text.to_owned(),
        });
    }
}
