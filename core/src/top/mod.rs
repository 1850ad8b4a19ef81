//! `rsgi top ADDRESS`: what the workers of a running server do, refreshed each second; `--once` prints one frame.
//! A process of its own that only reads the statistics; works with uWSGI's too.

mod frame;
mod model;
mod screen;
mod source;

use crate::{control, say};
use frame::{Column, Order};
use model::Snapshot;
use std::ffi::OsString;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: rsgi top [--once] [--interval SECONDS] ADDRESS
ADDRESS: the statistics of a server: host:port, :port, a unix socket, http://host:port, its pidfile, or its configuration
keys: q ends; w p r s x h g a m v t u l sort by a column (again: the other way round)
";

/// What was typed.
struct Wish {
    address: String,
    once: bool,
    interval: Duration,
}

/// The whole command; `arguments` are those behind `top`.
pub fn run(arguments: &[OsString]) -> u8 {
    let wish = match wish(arguments) {
        Ok(Some(wish)) => wish,
        Ok(None) => return control::write(USAGE),
        Err(problem) => {
            say!("rsgi top: {problem}");
            return 1;
        }
    };
    match watch(&wish) {
        Ok(()) => 0,
        Err(problem) => {
            say!("rsgi top: {problem}");
            1
        }
    }
}

fn wish(arguments: &[OsString]) -> Result<Option<Wish>, String> {
    let mut wish = Wish {
        address: String::new(),
        once: false,
        interval: Duration::from_secs(1),
    };
    let mut arguments = arguments.iter().map(|a| a.to_string_lossy().into_owned());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-h" | "--help" => return Ok(None),
            "--once" => wish.once = true,
            "--interval" => {
                let value = arguments.next().unwrap_or_default();
                let seconds: f64 = value
                    .parse()
                    .ok()
                    .filter(|s| (0.1..=3600.0).contains(s))
                    .ok_or_else(|| format!("--interval {value}: give seconds from 0.1 to 3600"))?;
                wish.interval = Duration::from_secs_f64(seconds);
            }
            option if option.starts_with("--") => return Err(format!("unknown option {option}\n{USAGE}")),
            _ if wish.address.is_empty() => wish.address = argument,
            _ => return Err(format!("one address at a time, not {argument} too")),
        }
    }
    match wish.address.is_empty() {
        true => Err(format!("name the address of the statistics\n{USAGE}")),
        false => Ok(Some(wish)),
    }
}

fn watch(wish: &Wish) -> Result<(), String> {
    let address = source::resolve(&wish.address)?;
    let mut order = Order::default();
    let mut now = Snapshot::parse(&source::read(&address)?)?;
    if wish.once {
        control::print(&frame::lines(&now, None, order).join("\n"));
        return Ok(());
    }
    let screen = screen::Screen::open()?;
    let mut before: Option<(Snapshot, Instant)> = None;
    let mut read_at = Instant::now();
    loop {
        let last = before.as_ref().map(|(snapshot, at)| (snapshot, read_at - *at));
        screen.show(&frame::lines(&now, last, order))?;
        match screen.key(wish.interval)? {
            Some('q' | '\u{3}' | '\u{4}') => return Ok(()),
            Some(key) => {
                if let Some(column) = Column::of_key(key) {
                    order = order.by(column);
                }
            }
            None => {
                let next = source::read(&address).and_then(|text| Snapshot::parse(&text));
                before = Some((now, read_at));
                now = next?;
                read_at = Instant::now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Result<Option<Wish>, String> {
        wish(&text.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_checked() {
        let wish = typed("--once --interval 0.5 :9191").unwrap().unwrap();
        assert!(wish.once && wish.address == ":9191" && wish.interval == Duration::from_millis(500));
        assert!(typed("--help").unwrap().is_none());
        for (wrong, said) in [
            ("", "name the address"),
            ("--interval x a", "--interval x"),
            ("--fast a", "unknown option --fast"),
            ("a b", "one address"),
        ] {
            assert!(typed(wrong).err().is_some_and(|e| e.contains(said)), "{wrong}");
        }
    }
}
