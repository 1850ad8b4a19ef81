//! The `%d %n %p` … variables of a configuration file: facts about the file, the machine and the user.
//! Lower case speaks of the file that is read, upper case of the outermost one.

use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A configuration file while it is read.
#[derive(Debug, Clone, Default)]
pub struct FileContext {
    /// As the user named it.
    pub given: String,
    /// Absolute.
    pub path: String,
    /// The section that was asked for by name.
    pub section: String,
}

impl FileContext {
    /// For a name and the section asked for; the path is resolved as far as it exists.
    pub fn new(given: &str, section: Option<&str>) -> Self {
        let path = match std::fs::canonicalize(given) {
            Ok(path) => path.to_string_lossy().into_owned(),
            Err(_) => given.to_owned(),
        };
        Self {
            given: given.to_owned(),
            path,
            section: section.unwrap_or("").to_owned(),
        }
    }

    fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or("")
    }

    /// With the slash at its end, as uWSGI gives it.
    fn directory(&self) -> &str {
        self.path.rfind('/').map_or("", |i| &self.path[..=i])
    }

    fn value(&self, letter: char) -> Option<String> {
        let stem_and_ending = || self.file_name().rsplit_once('.');
        Some(match letter {
            'o' => self.given.clone(),
            'p' => self.path.clone(),
            's' => self.file_name().to_owned(),
            'd' => self.directory().to_owned(),
            'e' => stem_and_ending().map_or("", |(_, e)| e).to_owned(),
            'n' => stem_and_ending().map_or(self.file_name(), |(n, _)| n).to_owned(),
            'c' => self.directory().trim_end_matches('/').rsplit('/').next()?.to_owned(),
            'x' => self.section.clone(),
            'i' => std::fs::metadata(&self.path).ok()?.ino().to_string(),
            'j' => hash(self.path.as_bytes()),
            digit @ '0'..='9' => {
                let mut parts = self.directory().split('/').filter(|p| !p.is_empty());
                parts.nth(digit as usize - '0' as usize).unwrap_or("").to_owned()
            }
            _ => return None,
        })
    }
}

/// djb33x over the path, its four bytes in the machine's order.
fn hash(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(5381u32, |h, b| h.wrapping_add(h << 5) ^ u32::from(*b));
    hash.to_le_bytes().iter().map(|b| format!("{b:02X}")).collect()
}

/// Replaces the variables of `text`; a letter without a meaning and `%(name)` stay as they are.
pub fn substitute(text: &str, current: &FileContext, outermost: &FileContext) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let Some(letter) = (c == '%').then(|| chars.clone().next()).flatten() else {
            out.push(c);
            continue;
        };
        let value = match letter {
            '%' => Some("%".to_owned()),
            '[' => Some("\u{1b}".to_owned()),
            'a'..='z' | '0'..='9' => current.value(letter).or_else(|| machine(letter)),
            'A'..='Z' => machine(letter).or_else(|| outermost.value(letter.to_ascii_lowercase())),
            _ => None,
        };
        match value {
            Some(value) => {
                out.push_str(&value);
                chars.next();
            }
            None => out.push('%'),
        }
    }
    out
}

/// What one letter stands for in a file, as `%d` would.
pub fn value(letter: char, file: &FileContext) -> Option<String> {
    let text = substitute(&format!("%{letter}"), file, file);
    (!text.starts_with('%')).then_some(text)
}

/// Facts that do not depend on the file.
fn machine(letter: char) -> Option<String> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(match letter {
        'h' => nix::unistd::gethostname().ok()?.to_string_lossy().into_owned(),
        'k' => std::thread::available_parallelism().map_or(1, usize::from).to_string(),
        't' => now().as_secs().to_string(),
        'T' => now().as_micros().to_string(),
        'v' => std::env::current_dir().ok()?.to_string_lossy().into_owned(),
        'V' => env!("CARGO_PKG_VERSION").to_owned(),
        'u' => nix::unistd::getuid().to_string(),
        'g' => nix::unistd::getgid().to_string(),
        'U' => {
            let uid = nix::unistd::getuid();
            let user = nix::unistd::User::from_uid(uid).ok().flatten();
            user.map_or(uid.to_string(), |u| u.name)
        }
        'G' => {
            let gid = nix::unistd::getgid();
            let group = nix::unistd::Group::from_gid(gid).ok().flatten();
            group.map_or(gid.to_string(), |g| g.name)
        }
        'b' => std::env::current_exe().ok()?.to_string_lossy().into_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> FileContext {
        FileContext {
            given: "sub/c.ini".into(),
            path: "/srv/app/sub/c.ini".into(),
            section: "blue".into(),
        }
    }

    #[test]
    fn the_file_is_described() {
        let c = context();
        let outer = FileContext {
            path: "/etc/v.xml".into(),
            ..FileContext::default()
        };
        let s = |t: &str| substitute(t, &c, &outer);
        assert_eq!(
            s("%o %p %s %d %e %n %c %x"),
            "sub/c.ini /srv/app/sub/c.ini c.ini /srv/app/sub/ ini c sub blue"
        );
        assert_eq!(s("%0-%1-%2-%3"), "srv-app-sub-");
        assert_eq!(s("%N.%E in %D"), "v.xml in /etc/");
    }

    #[test]
    fn other_percent_signs_stay() {
        let c = context();
        let s = |t: &str| substitute(t, &c, &c);
        assert_eq!(s("%(x) %Y %%Y 100% %"), "%(x) %Y %Y 100% %");
        assert_eq!(s("%[[33mx"), "\u{1b}[33mx");
        assert_eq!(s("%%d"), "%d");
    }

    #[test]
    fn the_hash_is_uwsgis() {
        // 5381 * 33 ^ 'a' = 177604, little-endian
        assert_eq!(hash(b"a"), "C4B50200");
    }

    #[test]
    fn the_machine_is_described() {
        let c = context();
        let text = substitute("%u|%k|%t", &c, &c);
        let numbers: Vec<u64> = text.split('|').map(|n| n.parse().unwrap()).collect();
        assert_eq!(numbers[0], u64::from(nix::unistd::getuid().as_raw()));
        assert!(numbers[1] >= 1 && numbers[2] > 1_700_000_000);
    }
}
