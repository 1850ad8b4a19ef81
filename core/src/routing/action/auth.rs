//! `basicauth`: a name and a password (RFC 7617) before the application is asked. Passwords stand in the rule, or in a
//! file of lines `name:hash` as htpasswd(1) and crypt(3) make them.

use super::{Row, Run, Verdict};
use crate::request::response;
use crate::request::{Core, place, vars};
use crate::routing::template::Template;
use crate::say;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::ffi::{CStr, CString, c_char};
use std::sync::Mutex;

pub static ACTIONS: &[Row] = &[
    (&["basicauth"], |a| basic(a, false)),
    (&["basicauth-next"], |a| basic(a, true)),
];

/// Where passwords come from.
enum Source {
    /// `user:password`
    Fixed(Vec<u8>, Vec<u8>),
    /// A file, read for each request: changes count at once.
    File(String),
}

/// `REALM,user:password` or `REALM,FILE`; `goes_on`: a wrong one is the next rule's affair.
fn basic(arguments: &str, goes_on: bool) -> Result<Run, String> {
    let (realm, source) = arguments
        .split_once(',')
        .ok_or_else(|| format!("\"{arguments}\": give REALM,USER:PASSWORD or REALM,FILE"))?;
    let realm = Template::parse(&realm.replace(['"', '\\'], ""))?;
    let source = match source.split_once(':') {
        Some((user, password)) if !source.starts_with('/') => Source::Fixed(user.into(), password.into()),
        _ => {
            crypt(b"", c"$1$").map_err(|e| format!("a file of passwords needs crypt(3): {e}"))?;
            Source::File(source.trim().to_owned())
        }
    };
    Ok(Box::new(move |core| {
        let given = vars::find(core.raw(), b"HTTP_AUTHORIZATION").and_then(credentials);
        if let Some((user, password)) = given
            && source.accepts(&user, &password)
        {
            vars::set(core, b"REMOTE_USER", &user);
            return Verdict::Next;
        }
        if goes_on {
            return Verdict::Next;
        }
        ask(core, &realm);
        Verdict::Break
    }))
}

fn ask(core: &mut Core, realm: &Template) {
    let mut challenge = b"Basic realm=\"".to_vec();
    realm.fill_into(core, &mut challenge);
    challenge.push(b'"');
    let asked = response::start(core, b"401 Authorization Required")
        .and_then(|()| response::header(core, b"WWW-Authenticate", &challenge))
        .and_then(|()| response::header(core, b"Content-Type", b"text/plain"))
        .and_then(|()| response::write(core, &[place(b"Unauthorized")], true));
    if let Err(e) = asked {
        say!("route: basicauth: {e}");
    }
}

/// Name and password of an `Authorization` header.
fn credentials(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, token) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = STANDARD.decode(token.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|b| *b == b':')?;
    Some((decoded[..colon].to_vec(), decoded[colon + 1..].to_vec()))
}

impl Source {
    fn accepts(&self, user: &[u8], password: &[u8]) -> bool {
        match self {
            Self::Fixed(name, right) => same(name, user) & same(right, password),
            Self::File(path) => match std::fs::read(path) {
                Ok(text) => listed(&text, user, password),
                Err(e) => {
                    say!("route: basicauth: cannot read {path}: {e}");
                    false
                }
            },
        }
    }
}

/// Whether a file's lines have the name with this password.
fn listed(text: &[u8], user: &[u8], password: &[u8]) -> bool {
    let lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let hash = lines.filter_map(|line| line.split_at_checked(line.iter().position(|b| *b == b':')?));
    hash.filter(|(name, _)| *name == user)
        .filter_map(|(_, hash)| CString::new(&hash[1..]).ok())
        .any(|hash| crypt(password, &hash).is_ok_and(|made| same(&made, hash.to_bytes())))
}

/// Compares without telling by its time how much is right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// crypt(3) of the system's library, which is loaded when a rule needs it.
fn crypt(password: &[u8], setting: &CStr) -> Result<Vec<u8>, String> {
    type Crypt = unsafe extern "C" fn(*const c_char, *const c_char) -> *const c_char;
    // its result lies in memory that the next call overwrites
    static LIBRARY: Mutex<Option<libloading::Library>> = Mutex::new(None);
    let mut library = LIBRARY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if library.is_none() {
        // SAFETY: the initialisers of the system's own library.
        let opened =
            unsafe { libloading::Library::new("libcrypt.so.1").or_else(|_| libloading::Library::new("libcrypt.so.2")) };
        *library = Some(opened.map_err(|e| e.to_string())?);
    }
    let password = CString::new(password).map_err(|_| "a NUL in the password")?;
    let Some(library) = library.as_ref() else {
        return Err("libcrypt is not there".into());
    };
    // SAFETY: crypt(3) is declared so; both texts end with a NUL; the result is copied under the lock.
    unsafe {
        let crypt = library.get::<Crypt>(b"crypt\0").map_err(|e| e.to_string())?;
        let made = crypt(password.as_ptr(), setting.as_ptr());
        match made.is_null() {
            true => Err("the hash is of a kind that crypt(3) does not know".into()),
            false => Ok(CStr::from_ptr(made).to_bytes().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_strictly() {
        let of = |text: &str| credentials(text.as_bytes());
        assert_eq!(
            of("Basic Ym9iOnNlOmNyZXQ="),
            Some((b"bob".to_vec(), b"se:cret".to_vec()))
        );
        assert_eq!(of("basic Ym9iOg=="), Some((b"bob".to_vec(), b"".to_vec())));
        for wrong in ["", "Basic", "Basic ", "Basic !!!", "Bearer x", "basic", "Basic Ym9i"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_file_of_hashes() {
        let text = b"# people\nann:x\njoe:$1$ab$JHpUOPrlnfTgXdQcMrKUW1\n";
        if crypt(b"", c"$1$ab").is_err() {
            return; // no libcrypt here
        }
        let made = crypt(b"secret", c"$1$ab").unwrap();
        let mut own = b"bob:".to_vec();
        own.extend_from_slice(&made);
        assert!(listed(&own, b"bob", b"secret"));
        assert!(!listed(&own, b"bob", b"secre"));
        assert!(!listed(&own, b"bo", b"secret"));
        assert!(!listed(text, b"joe", b"wrong"));
        assert!(!listed(text, b"ann", b"x"));
    }
}
