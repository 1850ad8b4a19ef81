//! Caches: answers out of them, answers into them, values and numbers.

use super::{Row, Run, Verdict, keys};
use crate::cache::anywhere::{self, Lasts, Place, Put};
use crate::cache::{Change, Mode};
use crate::request::response::{self, ResponseError};
use crate::request::{Core, place};
use crate::routing::keeping::Keeping;
use crate::routing::template::Template;
use crate::{say, static_files};

pub static ACTIONS: &[Row] = &[
    (&["cache"], |a| answer(a, Verdict::Next)),
    (&["cache-continue"], |a| answer(a, Verdict::Continue)),
    (&["cachestore", "cache-store"], store),
    (&["cacheset", "cache-set"], set),
    (&["cacheinc", "cache-inc"], |a| change(a, Change::Add)),
    (&["cachedec", "cache-dec"], |a| change(a, Change::Subtract)),
    (&["cachemul", "cache-mul"], |a| change(a, Change::Multiply)),
    (&["cachediv", "cache-div"], |a| change(a, Change::Divide)),
];

/// What all of them say: which item, and of the rest what `more` names.
struct Item {
    key: Template,
    cache: Template,
    more: Vec<(String, Template)>,
}

impl Item {
    fn parse(arguments: &str, more: &[&str]) -> Result<Self, String> {
        let known = [&["key", "name"], more].concat();
        let (mut key, mut cache, mut others) = (None, Template::default(), Vec::new());
        for (name, value) in keys(arguments, &known)? {
            if name == "name" && !value.contains('$') {
                there_is(&value)?;
            }
            if name == "type" && value != "body" {
                return Err(format!("type={value}: caches hold bodies; leave type out"));
            }
            let value = Template::parse(&value)?;
            match name {
                "key" => key = Some(value),
                "name" => cache = value,
                other => others.push((other.to_owned(), value)),
            }
        }
        if cache.is_empty() {
            there_is("")?;
        }
        Ok(Self {
            key: key.ok_or("key is missing: give key=KEY,name=CACHE")?,
            cache,
            more: others,
        })
    }

    fn place(&self, core: &mut Core) -> (Vec<u8>, Vec<u8>) {
        (self.cache.fill(core), self.key.fill(core))
    }

    fn text(&self, core: &mut Core, name: &str) -> Option<Vec<u8>> {
        let (_, template) = self.more.iter().find(|(key, _)| key == name)?;
        Some(template.fill(core))
    }

    fn number(&self, core: &mut Core, name: &str) -> Option<i64> {
        let text = self.text(core, name)?;
        std::str::from_utf8(&text).ok()?.trim().parse().ok()
    }

    fn lasts(&self, core: &mut Core) -> Lasts {
        let seconds = self.number(core, "expires").unwrap_or(0);
        Lasts::Seconds(u64::try_from(seconds).unwrap_or(0))
    }
}

/// Whether there is such a cache; an empty name is the first.
fn there_is(name: &str) -> Result<(), String> {
    match anywhere::place(name.as_bytes()) {
        Place::None if name.is_empty() => Err("there is no cache: add cache2 = name=NAME,items=NUMBER".into()),
        Place::None => Err(format!(
            "there is no cache \"{name}\": add cache2 = name={name},items=NUMBER"
        )),
        _ => Ok(()),
    }
}

/// An item as an answer; `missing`: how it goes on without one.
fn answer(arguments: &str, missing: Verdict) -> Result<Run, String> {
    let known = [
        "content_type",
        "content_encoding",
        "mime",
        "no_content_length",
        "no_offload",
        "type",
    ];
    let item = Item::parse(arguments, &known)?;
    Ok(Box::new(move |core| {
        let (cache, key) = item.place(core);
        let Some((value, ends)) = anywhere::get(&cache, &key) else {
            return missing;
        };
        if let Err(e @ ResponseError::Malformed(_)) = send(core, &item, &key, &value, ends) {
            say!("route: {e}");
            response::plain(core, "500 Internal Server Error", "Internal Server Error");
        }
        Verdict::Break
    }))
}

fn send(core: &mut Core, item: &Item, key: &[u8], value: &[u8], ends: u64) -> Result<(), ResponseError> {
    let by_name = static_files::mime_type(key).filter(|_| item.number(core, "mime").is_some_and(|n| n != 0));
    let kind = match (item.text(core, "content_type"), by_name) {
        (Some(kind), _) => kind,
        (None, kind) => kind.unwrap_or("text/html").as_bytes().to_vec(),
    };
    response::start(core, b"200 OK")?;
    response::header(core, b"Content-Type", &kind)?;
    if let Some(coding) = item.text(core, "content_encoding") {
        response::header(core, b"Content-Encoding", &coding)?;
    }
    if ends > 0 {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(ends.min(1 << 36));
        response::header(core, b"Expires", httpdate::fmt_http_date(at).as_bytes())?;
    }
    response::write(core, &[place(value)], true)
}

/// The answer to this request, once it is whole and a success.
fn store(arguments: &str) -> Result<Run, String> {
    let item = Item::parse(arguments, &["expires", "type", "content_type", "content_encoding"])?;
    Ok(Box::new(move |core| {
        let (cache, key) = item.place(core);
        let seconds = item.number(core, "expires").unwrap_or(0);
        core.routing.keeping = Keeping::new(cache, key, u64::try_from(seconds).unwrap_or(0));
        Verdict::Next
    }))
}

fn set(arguments: &str) -> Result<Run, String> {
    let item = Item::parse(arguments, &["value", "expires"])?;
    Ok(Box::new(move |core| {
        let (cache, key) = item.place(core);
        let value = item.text(core, "value").unwrap_or_default();
        let lasts = item.lasts(core);
        anywhere::put(&cache, &key, &value, lasts, Put::Value(Mode::Replace));
        Verdict::Next
    }))
}

/// A number in a cache changes by `value`, or by 1.
fn change(arguments: &str, change: Change) -> Result<Run, String> {
    let item = Item::parse(arguments, &["value", "expires"])?;
    Ok(Box::new(move |core| {
        let (cache, key) = item.place(core);
        let by = item.number(core, "value").unwrap_or(1);
        let lasts = item.lasts(core);
        anywhere::put(&cache, &key, &by.to_le_bytes(), lasts, Put::Number(change));
        Verdict::Next
    }))
}

/// Whether an item is there, for `route-if`.
pub fn is_there(arguments: &str) -> Result<crate::routing::condition::Holds, String> {
    let item = Item::parse(arguments, &[])?;
    Ok(Box::new(move |core| {
        let (cache, key) = item.place(core);
        anywhere::contains(&cache, &key)
    }))
}
