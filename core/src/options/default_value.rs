//! What an option is worth when nobody gives it, found by trying: the row's setter is called on the defaults, and what
//! it changes is looked up in them. So no text about a default can ever be wrong.

use super::spec::{Apply, OptionSpec};
use crate::settings::Settings;

/// A number that no default is.
const PROBE: u64 = 7717;

/// The default as a user would write it; `None`: the option only does something when it is given.
pub fn of(row: &OptionSpec, classic: bool) -> Option<String> {
    if let Some(text) = decided_later(row.name, classic) {
        return Some(text.to_owned());
    }
    let untouched = || Settings::with_defaults(classic);
    match row.apply {
        Apply::Flag(set) => {
            let is_changed_by = |on: bool| {
                let mut settings = untouched();
                set(&mut settings, on);
                difference(&untouched(), &settings).is_some()
            };
            Some(if is_changed_by(true) { "false" } else { "true" }.to_owned())
        }
        Apply::Number { set, min, max } => {
            let mut settings = untouched();
            let probe = PROBE.clamp(min, max);
            set(&mut settings, probe);
            let (before, after) = difference(&untouched(), &settings)?;
            let (Ok(value), Ok(seen)) = (before.parse::<u64>(), after.parse::<u64>()) else {
                return None;
            };
            // kept in another unit: seconds as milliseconds, kilobytes as bytes
            let factor = if probe > 0 && seen % probe == 0 {
                seen / probe
            } else {
                1
            };
            Some((value / factor.max(1)).to_string())
        }
        Apply::Text(set) | Apply::Path(set) => {
            let mut settings = untouched();
            set(&mut settings, "\u{1}probe");
            word(difference(&untouched(), &settings)?.0)
        }
        Apply::Parsed(set) => {
            let mut settings = untouched();
            set(&mut settings, super::table::examples::find(row.name)?).ok()?;
            word(difference(&untouched(), &settings)?.0)
        }
        _ => None,
    }
}

/// Values that the start decides, because they depend on the machine.
fn decided_later(name: &str, classic: bool) -> Option<&'static str> {
    match (name, classic) {
        ("listen", false) => Some("as long as the system allows (net.core.somaxconn), at most 4096"),
        ("need-app", false) => Some("true when an application was named"),
        ("max-fd", _) => Some("the hard limit of the system, at most 65536"),
        _ => None,
    }
}

/// The first value that differs: before and after.
fn difference(before: &Settings, after: &Settings) -> Option<(String, String)> {
    let (before, after) = (format!("{before:#?}"), format!("{after:#?}"));
    let mut pairs = before.lines().zip(after.lines()).enumerate();
    let (at, (old, new)) = pairs.find(|(_, (old, new))| old != new)?;
    // `Some(` stands on a line of its own
    let inner = |text: &str, value: String| match value.as_str() {
        "Some(" => text.lines().nth(at + 1).map_or(value, plain),
        _ => value,
    };
    Some((inner(&before, plain(old)), inner(&after, plain(new))))
}

/// `name: value,` → `value`
fn plain(line: &str) -> String {
    let line = line.trim().trim_end_matches(',');
    line.split_once(": ").map_or(line, |(_, value)| value).to_owned()
}

/// A text without its quotes; `None` for nothing at all.
fn word(value: String) -> Option<String> {
    match value.as_str() {
        // a text is no word for on or off: the setter has changed a field of its own beside
        "None" | "[]" | "\"\"" | "[" | "]" | "true" | "false" => None,
        _ => Some(value.trim_matches('"').to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::table;

    fn both(name: &str) -> [Option<String>; 2] {
        let row = table::find(name).unwrap();
        [of(row, false), of(row, true)]
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn defaults_are_those_of_the_settings() {
        assert_eq!(both("master"), [some("true"), some("false")]);
        assert_eq!(both("vacuum"), [some("true"), some("false")]);
        assert_eq!(both("buffer-size"), [some("65536"), some("4096")]);
        assert_eq!(both("harakiri"), [some("0"), some("0")]);
        assert_eq!(both("processes"), [some("1"), some("1")]);
        assert_eq!(both("listen")[1], some("100"));
        assert_eq!(both("uid"), [None, None]);
        assert_eq!(both("http-socket"), [None, None]);
        assert_eq!(both("cheaper-algo"), [some("spare"), some("spare")]);
    }

    #[test]
    fn every_flag_has_a_default() {
        for row in table::rows().filter(|row| matches!(row.apply, Apply::Flag(_))) {
            assert!(of(row, false).is_some(), "{}", row.name);
        }
    }
}
