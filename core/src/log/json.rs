//! Texts in JSON, for log lines: whatever bytes a client sent, a parser reads the line.

use std::io::Write;

/// Writes a text as it stands between the quotes of a JSON string. Bytes that are no UTF-8 become U+FFFD.
pub fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid().as_bytes();
        let mut from = 0;
        for (at, byte) in valid.iter().enumerate() {
            let short = match byte {
                b'"' => b'"',
                b'\\' => b'\\',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0..=0x1f | 0x7f => 0,
                _ => continue,
            };
            out.extend_from_slice(&valid[from..at]);
            from = at + 1;
            match short {
                0 => drop(write!(out, "\\u{byte:04x}")),
                short => out.extend_from_slice(&[b'\\', short]),
            }
        }
        out.extend_from_slice(&valid[from..]);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Whether a line is a JSON object already.
pub fn is_object(line: &[u8]) -> bool {
    line.first() == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn objects_are_told_from_texts_that_begin_like_them() {
        assert!(is_object(br#"{"a": [1, "x"]}"#) && is_object(b"{}\n"));
        for text in [&b"{address space usage: 1}"[..], b"[1]", b"", b"{\"a\":1", b"{} {}"] {
            assert!(!is_object(text), "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_string_on_one_line(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut out = vec![b'"'];
            escape(&mut out, &bytes);
            out.push(b'"');
            prop_assert!(!out.iter().any(u8::is_ascii_control));
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}
