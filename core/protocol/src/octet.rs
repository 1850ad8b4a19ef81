//! Which bytes may stand where in a message: one table for all rules (RFC 9110 5.6.2, RFC 9112 3.2, RFC 3986 3.2.2).
//! Used by the parsers, and by those who check what an application sends; no state.

/// May stand in a token: a method, a field name.
const TOKEN: u8 = 1;
/// May stand in a host with its port.
const HOST: u8 = 2;
/// May stand in a target as it is sent: all but controls and blanks.
const TARGET: u8 = 4;
/// May stand in a field's value or a status line: all but controls, and the tab.
const TEXT: u8 = 8;
/// Makes PATH_INFO differ from the path as sent, alone or with its neighbours.
const REWRITTEN: u8 = 16;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let byte = n as u8;
        if byte.is_ascii_alphanumeric() {
            table[n] |= TOKEN | HOST;
        }
        if byte > b' ' && byte != 0x7f {
            table[n] |= TARGET;
        }
        if byte >= b' ' && byte != 0x7f || byte == b'\t' {
            table[n] |= TEXT;
        }
        n += 1;
    }
    mark(&mut table, b"!#$%&'*+-.^_`|~", TOKEN);
    mark(&mut table, b"-._~!$&'()*+,;=:[]%", HOST);
    mark(&mut table, b"%.", REWRITTEN);
    table
}

const fn mark(table: &mut [u8; 256], bytes: &[u8], class: u8) {
    let mut n = 0;
    while n < bytes.len() {
        table[bytes[n] as usize] |= class;
        n += 1;
    }
}

/// Whether all bytes are of a class. No early end: good input is the rule, and a loop without branches is the faster one.
#[inline]
fn all(text: &[u8], class: u8) -> bool {
    text.iter().fold(class, |met, &byte| met & CLASSES[usize::from(byte)]) != 0
}

/// Whether a byte may stand in a token.
#[must_use]
#[inline]
pub fn is_token_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// Whether this is a token.
#[must_use]
#[inline]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && all(text, TOKEN)
}

/// Whether a host has only bytes that a host may have; brackets and percent signs are not looked at closer.
#[must_use]
#[inline]
pub fn is_host(host: &[u8]) -> bool {
    all(host, HOST)
}

/// Whether a target has neither controls nor blanks.
#[must_use]
#[inline]
pub fn is_target(target: &[u8]) -> bool {
    all(target, TARGET)
}

/// Whether a field's value, or a status, has no control character that would break the message.
#[must_use]
#[inline]
pub fn is_text(text: &[u8]) -> bool {
    all(text, TEXT)
}

/// Whether nothing in a path can make PATH_INFO another text.
#[must_use]
#[inline]
pub(crate) fn is_plain_path(path: &[u8]) -> bool {
    path.iter().fold(0, |met, &byte| met | CLASSES[usize::from(byte)]) & REWRITTEN == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_in_the_classes_of_its_rules() {
        for byte in 0..=255u8 {
            let one = [byte];
            let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!((is_token_byte(byte), is_token(&one)), (token, token), "{byte}");
            let host = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte);
            assert_eq!(is_host(&one), host, "{byte}");
            assert_eq!(is_target(&one), byte > 0x20 && byte != 0x7f, "{byte}");
            assert_eq!(is_text(&one), byte == b'\t' || byte >= 0x20 && byte != 0x7f, "{byte}");
            assert_eq!(is_plain_path(&one), byte != b'%' && byte != b'.', "{byte}");
        }
    }

    #[test]
    fn one_bad_byte_spoils_all() {
        assert!(is_token(b"Content-Type") && !is_token(b"Content Type") && !is_token(b""));
        assert!(is_text(b"") && is_text("é".as_bytes()) && !is_text(b"a\r\nb"));
        assert!(is_host(b"") && is_host(b"[::1]:80") && !is_host(b"a@b"));
    }
}
