//! SCGI: a netstring of variables that NULs end, then the body. Used by workers; no state, no I/O.

use std::ops::Range;

use crate::pairs::{Pair, pairs};

/// Why a request is refused; its connection is closed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScgiError {
    /// It does not begin with a length and a colon.
    #[error("not SCGI: no netstring's length at the beginning")]
    Length,
    /// The variables are over the limit.
    #[error("the variables of an SCGI request are over the limit of {0} bytes; raise it with --buffer-size")]
    TooLarge(usize),
    /// No comma behind the variables.
    #[error("the variables of an SCGI request do not end with a comma")]
    Comma,
    /// A name or value without its NUL.
    #[error("a variable of the SCGI request is cut off")]
    Truncated,
    /// A variable without a name.
    #[error("a variable of the SCGI request has no name")]
    EmptyKey,
}

/// Where the variables lie in `input`, of `limit` bytes at most, once they are there; a comma follows them, then the
/// body.
pub fn parse_head(input: &[u8], limit: usize) -> Result<Option<Range<usize>>, ScgiError> {
    let digits = input.iter().take_while(|b| b.is_ascii_digit()).count();
    // a length that begins with 0 is either nothing or written in a way that netstrings do not know
    if digits == 0 && !input.is_empty() || input.first() == Some(&b'0') {
        return Err(ScgiError::Length);
    }
    let length = input[..digits].iter().try_fold(0usize, |n, d| {
        let n = n.checked_mul(10)?.checked_add(usize::from(d - b'0'))?;
        (n <= limit).then_some(n)
    });
    let length = length.ok_or(ScgiError::TooLarge(limit))?;
    match input.get(digits) {
        None => return Ok(None),
        Some(b':') => {}
        Some(_) => return Err(ScgiError::Length),
    }
    let start = digits + 1;
    match input.get(start + length) {
        None => Ok(None),
        Some(b',') => Ok(Some(start..start + length)),
        Some(_) => Err(ScgiError::Comma),
    }
}

/// The variables, strictly: the first error ends the iteration.
pub fn parse_vars(bytes: &[u8]) -> impl Iterator<Item = Result<Pair<'_>, ScgiError>> {
    pairs(bytes, ScgiError::EmptyKey, |rest| {
        Ok((take_string(rest)?, take_string(rest)?))
    })
}

/// Takes a string and its NUL off the front.
fn take_string<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], ScgiError> {
    let end = memchr::memchr(0, from).ok_or(ScgiError::Truncated)?;
    let string = &from[..end];
    *from = &from[end + 1..];
    Ok(string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::count;
    use proptest::prelude::*;

    #[test]
    fn broken_heads() {
        for (input, error) in [
            (&b":CONTENT_LENGTH\x000\0,"[..], ScgiError::Length),
            (b"0:,", ScgiError::Length),
            (b"01:x,", ScgiError::Length),
            (b"abc:x,", ScgiError::Length),
            (b"+3:abc,", ScgiError::Length),
            (b"3 :abc,", ScgiError::Length),
            (b"GET / HTTP/1.1\r\n", ScgiError::Length),
            (b"3:abcX", ScgiError::Comma),
            (b"101:", ScgiError::TooLarge(100)),
            (b"99999999999999999999999999999", ScgiError::TooLarge(100)),
        ] {
            assert_eq!(
                parse_head(input, 100),
                Err(error),
                "{:?}",
                String::from_utf8_lossy(input)
            );
        }
        assert_eq!(parse_head(b"", 100), Ok(None));
        assert_eq!(parse_head(b"3:abc", 100), Ok(None));
        assert_eq!(parse_head(b"3:abc,body", 100), Ok(Some(2..5)));
    }

    #[test]
    fn broken_variables() {
        for (bytes, error) in [
            (&b"CONTENT_LENGTH=0"[..], ScgiError::Truncated),
            (b"A\0", ScgiError::Truncated),
            (b"A\0b", ScgiError::Truncated),
            (b"A\0b\0C", ScgiError::Truncated),
            (b"\0b\0", ScgiError::EmptyKey),
        ] {
            assert_eq!(count(parse_vars(bytes)), Err(error), "{bytes:?}");
        }
        assert_eq!(count(parse_vars(b"A\0\0B\0c\0")), Ok(2));
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_written_however_it_is_cut(
            pairs in prop::collection::vec(("[A-Z_]{1,20}", "[ -~]{0,60}"), 1..20), body in "[ -~]{0,20}") {
            let vars: Vec<u8> = pairs.iter().flat_map(|(k, v)| [k.as_bytes(), b"\0", v.as_bytes(), b"\0"].concat()).collect();
            let wire = [format!("{}:", vars.len()).as_bytes(), &vars, b",", body.as_bytes()].concat();
            let head = wire.len() - body.len();
            for have in 0..head {
                prop_assert_eq!(parse_head(&wire[..have], 1 << 16), Ok(None));
            }
            let place = parse_head(&wire, 1 << 16).expect("proper").expect("whole");
            prop_assert_eq!(place.end + 1, head);
            let read: Result<Vec<_>, _> = parse_vars(&wire[place]).collect();
            prop_assert_eq!(read, Ok(pairs.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())).collect::<Vec<_>>()));
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_head(&noise, 100);
            let _ = parse_vars(&noise).count();
        }
    }
}
