//! What happens to a line before a logger sees it: `--log-drain` drops, `--log-filter` keeps, `--log-route` leads to loggers by
//! name. One [`Routes`] for the server's lines and one for those of requests, in the process that delivers.

use super::encoder::bare;
use pcre2::bytes::Regex;

/// A line that matches goes to these loggers, by their place in the list.
struct Route {
    pattern: Regex,
    loggers: Vec<usize>,
}

/// The rules of one kind of lines.
#[derive(Default)]
pub struct Routes {
    drains: Vec<Regex>,
    filters: Vec<Regex>,
    routes: Vec<Route>,
}

/// Where a line goes.
pub enum Way<'r> {
    /// Nowhere.
    Dropped,
    /// To loggers that rules name.
    To(Box<dyn Iterator<Item = usize> + 'r>),
    /// No rule leads it anywhere: to the loggers without a name.
    Unrouted,
}

fn pattern(option: &str, text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|e| format!("{option} \"{text}\": {e}"))
}

fn matches(pattern: &Regex, line: &[u8]) -> bool {
    // a pattern that gives up on a line has not found it
    pattern.is_match(line).unwrap_or(false)
}

impl Routes {
    /// Lines that match are dropped.
    ///
    /// # Errors
    /// The pattern is none; one line, as for the others.
    pub fn drain(&mut self, option: &str, text: &str) -> Result<(), String> {
        self.drains.push(pattern(option, text)?);
        Ok(())
    }

    /// Lines that match no filter are dropped.
    ///
    /// # Errors
    /// As above.
    pub fn filter(&mut self, option: &str, text: &str) -> Result<(), String> {
        self.filters.push(pattern(option, text)?);
        Ok(())
    }

    /// Lines that match go to the loggers of this name: `NAME PATTERN`; `find` gives their places.
    ///
    /// # Errors
    /// As above, or no logger has the name.
    pub fn route(&mut self, option: &str, text: &str, find: impl Fn(&str) -> Vec<usize>) -> Result<(), String> {
        let (name, regexp) = text
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{option} \"{text}\": give NAME PATTERN"))?;
        let loggers = find(name);
        if loggers.is_empty() {
            return Err(format!(
                "unable to find logger {name} ({option} \"{text}\"; name one with logger = {name} KIND:ARGUMENT)"
            ));
        }
        let pattern = pattern(option, regexp.trim_start())?;
        self.routes.push(Route { pattern, loggers });
        Ok(())
    }

    /// Whether every line takes the same way.
    pub fn is_empty(&self) -> bool {
        self.drains.is_empty() && self.filters.is_empty() && self.routes.is_empty()
    }

    /// The way of a line.
    pub fn way<'r>(&'r self, line: &'r [u8]) -> Way<'r> {
        let line = bare(line);
        let found = |pattern: &Regex| matches(pattern, line);
        if self.drains.iter().any(found) || !(self.filters.is_empty() || self.filters.iter().any(found)) {
            return Way::Dropped;
        }
        let mut routes = self.routes.iter().filter(move |route| matches(&route.pattern, line));
        match routes.next() {
            None => Way::Unrouted,
            Some(first) => {
                let all = std::iter::once(first).chain(routes);
                Way::To(Box::new(all.flat_map(|route| route.loggers.iter().copied())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(routes: &Routes, line: &str) -> Option<Vec<usize>> {
        match routes.way(line.as_bytes()) {
            Way::Dropped => None,
            Way::To(loggers) => Some(loggers.collect()),
            Way::Unrouted => Some(vec![99]),
        }
    }

    #[test]
    fn lines_are_dropped_kept_and_led() {
        let mut routes = Routes::default();
        assert!(routes.is_empty());
        let find = |name: &str| match name {
            "a" => vec![0, 2],
            "b" => vec![1],
            _ => vec![],
        };
        routes.drain("log-drain", "^secret").unwrap();
        routes.filter("log-filter", "x$").unwrap();
        routes.route("log-route", "a  one", find).unwrap();
        routes.route("log-route", "b (?<!no)two", find).unwrap();
        assert_eq!(way(&routes, "secret x\n"), None);
        assert_eq!(way(&routes, "one\n"), None);
        assert_eq!(way(&routes, "any x\n"), Some(vec![99]));
        assert_eq!(way(&routes, "one two x\n"), Some(vec![0, 2, 1]));
        assert_eq!(way(&routes, "notwo x\n"), Some(vec![99]));
        for (text, said) in [
            ("c x", "unable to find logger c"),
            ("a", "give NAME PATTERN"),
            ("a (", "log-route \"(\""),
        ] {
            let error = routes.route("log-route", text, find).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
