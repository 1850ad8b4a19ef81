//! The `msgpack` encoder: a line as a MessagePack value, by a list of items such as `map:2|str:text|msg|str:time|unix`.

use super::encoder::{bare, now};
use rmp::encode;
use std::ffi::CString;

/// An item.
#[derive(Debug)]
enum Item {
    /// Bytes that are the same for each line.
    Constant(Vec<u8>),
    Message,
    MessageBinary,
    MessageWithNewline,
    Seconds,
    Micros,
    Strftime(CString),
}

/// The items, read.
#[derive(Debug)]
pub struct Packer(Vec<Item>);

impl Packer {
    /// Reads `ITEM|ITEM|...`.
    ///
    /// # Errors
    /// One line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let items = text.split('|').map(|item| {
            let (name, argument) = item.split_once(':').unwrap_or((item, ""));
            let wrong = || format!("{name}: \"{argument}\" is no number that fits");
            let mut fixed = Vec::new();
            match name {
                "str" => put_str(&mut fixed, argument.as_bytes()),
                "bin" => put_bin(&mut fixed, argument.as_bytes()),
                "int" => put_int(&mut fixed, argument.parse().map_err(|_| wrong())?),
                "map" => drop(encode::write_map_len(&mut fixed, argument.parse().map_err(|_| wrong())?)),
                "array" => drop(encode::write_array_len(&mut fixed, argument.parse().map_err(|_| wrong())?)),
                "nil" => fixed.push(0xc0),
                "false" => fixed.push(0xc2),
                "true" => fixed.push(0xc3),
                "msg" => return Ok(Item::Message),
                "msgbin" => return Ok(Item::MessageBinary),
                "msgnl" => return Ok(Item::MessageWithNewline),
                "unix" => return Ok(Item::Seconds),
                "micros" => return Ok(Item::Micros),
                "strftime" => {
                    let form = CString::new(argument).map_err(|_| "strftime: a NUL in the form".to_owned())?;
                    return Ok(Item::Strftime(form));
                }
                other => {
                    return Err(format!(
                        "unknown item \"{other}\" of msgpack: known are map:N, array:N, str:TEXT, bin:TEXT, int:N, nil, true, false, msg, msgbin, msgnl, unix, micros, strftime:FORM"
                    ));
                }
            }
            Ok(Item::Constant(fixed))
        });
        items.collect::<Result<_, String>>().map(Self)
    }

    /// The value of a line.
    pub fn pack(&self, line: &[u8]) -> Vec<u8> {
        let now = now();
        let mut out = Vec::with_capacity(line.len() + 32);
        for item in &self.0 {
            match item {
                Item::Constant(bytes) => out.extend_from_slice(bytes),
                Item::Message => put_str(&mut out, bare(line)),
                Item::MessageBinary => put_bin(&mut out, bare(line)),
                Item::MessageWithNewline => put_str(&mut out, line),
                Item::Seconds => put_int(&mut out, now.as_secs() as i64),
                Item::Micros => put_int(&mut out, now.as_micros() as i64),
                Item::Strftime(form) => put_str(&mut out, super::strftime(form, now.as_secs() as i64).as_bytes()),
            }
        }
        out
    }
}

/// A string is valid UTF-8, or readers refuse it.
fn put_str(out: &mut Vec<u8>, text: &[u8]) {
    // writing to memory cannot fail, here and below
    let _ = encode::write_str(out, &String::from_utf8_lossy(text));
}

fn put_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    let _ = encode::write_bin(out, bytes);
}

fn put_int(out: &mut Vec<u8>, number: i64) {
    let _ = encode::write_sint(out, number);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(items: &str, line: &str) -> Vec<u8> {
        Packer::parse(items).unwrap().pack(line.as_bytes())
    }

    #[test]
    fn values_are_those_of_the_specification() {
        assert_eq!(pack("map:1|str:m|msg", "hi\n"), b"\x81\xa1m\xa2hi");
        assert_eq!(pack("array:2|msgnl|nil", "a\n"), b"\x92\xa2a\n\xc0");
        assert_eq!(pack("int:5|int:-3|int:300", ""), b"\x05\xfd\xcd\x01\x2c");
        assert_eq!(pack("bin:ab|true|false", ""), b"\xc4\x02ab\xc3\xc2");
        assert_eq!(pack("map:16", ""), b"\xde\0\x10");
        assert_eq!(&pack("msg", &"x".repeat(300))[..3], b"\xda\x01\x2c");
        assert_eq!(&pack("msgbin", &"x".repeat(70000))[..5], b"\xc6\0\x01\x11\x70");
    }

    #[test]
    fn mistakes_are_said() {
        for (items, said) in [
            ("msg|wrong", "\"wrong\""),
            ("map:x", "map: \"x\""),
            ("", "unknown item"),
        ] {
            assert!(Packer::parse(items).unwrap_err().contains(said), "{items}");
        }
    }
}
