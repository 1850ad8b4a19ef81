//! The subject of a certificate as one line, `/C=DE/O=Example/CN=name`, and a certificate as PEM. The certificate was
//! verified before, but nothing here relies on that.

/// Names of the attributes that certificates have; others are written as numbers.
const NAMES: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
const VERSION: u8 = 0xa0;
const WIDE: u8 = 0x1e;

/// Takes one element off the front: its tag and content.
fn element<'a>(from: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[tag, first], mut rest) = from.split_first_chunk::<2>()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (size, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if size.is_empty() || size.len() > 4 {
            return None;
        }
        length = size.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    *from = rest;
    Some((tag, content))
}

fn tagged<'a>(from: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    element(from)
        .filter(|(found, _)| *found == tag)
        .map(|(_, content)| content)
}

/// The subject of a certificate.
pub fn of(certificate: &[u8]) -> Option<String> {
    let mut rest = certificate;
    let mut outer = tagged(&mut rest, SEQUENCE)?;
    let mut inner = tagged(&mut outer, SEQUENCE)?;
    if inner.first() == Some(&VERSION) {
        element(&mut inner)?;
    }
    // serial number, signature, issuer, validity
    for _ in 0..4 {
        element(&mut inner)?;
    }
    let mut parts = tagged(&mut inner, SEQUENCE)?;
    let mut line = String::new();
    while !parts.is_empty() {
        let mut set = tagged(&mut parts, SET)?;
        while !set.is_empty() {
            let mut pair = tagged(&mut set, SEQUENCE)?;
            let object = tagged(&mut pair, OBJECT)?;
            let (tag, value) = element(&mut pair)?;
            line.push('/');
            match NAMES.iter().find(|(known, _)| *known == object) {
                Some((_, name)) => line.push_str(name),
                None => line.push_str(&numbers(object)),
            }
            line.push('=');
            if tag == WIDE {
                let units = value.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]]));
                line.extend(char::decode_utf16(units).map(|c| shown(c.unwrap_or('\u{fffd}'))));
            } else {
                line.extend(String::from_utf8_lossy(value).chars().map(shown));
            }
        }
    }
    Some(line)
}

/// A slash would pass for the beginning of another attribute, a control character for the end of the line.
fn shown(c: char) -> char {
    if c == '/' || c.is_control() { '?' } else { c }
}

/// `2.5.4.3`
fn numbers(object: &[u8]) -> String {
    let mut parts = Vec::new();
    let mut number = 0u64;
    for byte in object {
        number = number << 7 & (u64::MAX >> 1) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if parts.is_empty() {
                let first = (number / 40).min(2);
                parts.push(first);
                number -= first * 40;
            }
            parts.push(number);
            number = 0;
        }
    }
    parts.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// PEM of a certificate.
pub fn pem(certificate: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in certificate.chunks(48) {
        for three in line.chunks(3) {
            let bits = three.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
            for i in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
                text.push(if i > three.len() { '=' } else { char::from(letter) });
            }
        }
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests::{Files, openssl};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    #[test]
    fn as_openssl_says_it() {
        let files = Files::new();
        let name = "/C=DE/O=A, b/OU=x\u{e9}/CN=some.name/emailAddress=a@b.c/2.5.4.65=other";
        openssl(
            &files,
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-utf8",
                "-subj",
                name,
                "-keyout",
                "k.pem",
                "-out",
                "c.pem",
            ],
        );
        let path = files.path("c.pem");
        let der = CertificateDer::from_pem_file(&path).expect("a certificate");
        assert_eq!(of(&der).as_deref(), Some(name));
        assert_eq!(pem(&der), std::fs::read_to_string(path).expect("a file"));
    }

    #[test]
    fn noise_is_no_subject() {
        for noise in [
            &b""[..],
            b"\x30",
            b"\x30\x80",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x02\x30\x00",
            &[0x30; 40],
        ] {
            assert_eq!(of(noise), None);
        }
    }
}
