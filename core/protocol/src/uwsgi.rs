//! The uwsgi packet: four bytes of header, then variables with 16-bit lengths.
//! Read by workers and by backends of the gateway, written by gateways and clients; no state.

use crate::cgi::VarSink;
use crate::pairs::{Pair, pairs, pieces};

/// Bytes of the packet header.
pub const HEADER_LEN: usize = 4;

/// The packet header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketHeader {
    /// Which request plugin is meant.
    pub modifier1: u8,
    /// Bytes behind the header.
    pub size: u16,
    /// What it is asked for.
    pub modifier2: u8,
}

impl PacketHeader {
    /// Reads the header from the first four bytes of a packet.
    #[must_use]
    pub fn parse(bytes: [u8; HEADER_LEN]) -> Self {
        let [modifier1, low, high, modifier2] = bytes;
        Self {
            modifier1,
            size: u16::from_le_bytes([low, high]),
            modifier2,
        }
    }

    /// The header as it goes over the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [low, high] = self.size.to_le_bytes();
        [self.modifier1, low, high, self.modifier2]
    }
}

/// Why a packet was refused or could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// A length points behind the end, or bytes are left over.
    #[error("a variable of the uwsgi packet is cut off")]
    Truncated,
    /// A variable without a name.
    #[error("a variable of the uwsgi packet has no name")]
    EmptyKey,
    /// The variables do not fit in 64 KiB.
    #[error("the request's variables exceed the 65535 bytes of a uwsgi packet")]
    TooLarge,
}

/// The variables of a packet's body, strictly: the first error ends the iteration.
pub fn parse_vars(body: &[u8]) -> impl Iterator<Item = Result<Pair<'_>, PacketError>> {
    pairs(body, PacketError::EmptyKey, |rest| {
        Ok((take_string(rest)?, take_string(rest)?))
    })
}

/// Takes a string off the front.
fn take_string<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], PacketError> {
    let (size, rest) = from.split_first_chunk().ok_or(PacketError::Truncated)?;
    let (string, rest) = rest
        .split_at_checked(usize::from(u16::from_le_bytes(*size)))
        .ok_or(PacketError::Truncated)?;
    *from = rest;
    Ok(string)
}

/// The strings of a packet's body that is an array (a remote procedure and its arguments), strictly.
pub fn parse_array(body: &[u8]) -> impl Iterator<Item = Result<&[u8], PacketError>> {
    pieces(body, take_string)
}

/// Appends a string, of a longer one its first 65,535 bytes: no packet has room for those, but other records do.
pub fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    let size = u16::try_from(string.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&string[..size.into()]);
}

/// A packet whose body is an array, if it fits.
#[must_use]
pub fn array_packet(modifier1: u8, modifier2: u8, strings: &[&[u8]]) -> Option<Vec<u8>> {
    let mut out = vec![0; HEADER_LEN];
    strings.iter().for_each(|string| put_string(&mut out, string));
    let size = u16::try_from(out.len() - HEADER_LEN).ok()?;
    out[..HEADER_LEN].copy_from_slice(
        &PacketHeader {
            modifier1,
            size,
            modifier2,
        }
        .to_bytes(),
    );
    Some(out)
}

/// Appends one packet to a buffer. It is a `VarSink`; what does not fit is reported by `finish`.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    header: PacketHeader,
}

impl<'b> Writer<'b> {
    /// Starts a packet at the end of `out`.
    pub fn new(out: &'b mut Vec<u8>, modifier1: u8, modifier2: u8) -> Self {
        let start = out.len();
        let header = PacketHeader {
            modifier1,
            size: 0,
            modifier2,
        };
        out.extend_from_slice(&header.to_bytes());
        Self { out, start, header }
    }

    /// Adds a variable.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        put_string(self.out, key);
        put_string(self.out, value);
    }

    /// Writes the size into the header; a packet that is too large is taken back.
    pub fn finish(self) -> Result<(), PacketError> {
        let Ok(size) = u16::try_from(self.out.len() - self.start - HEADER_LEN) else {
            self.out.truncate(self.start);
            return Err(PacketError::TooLarge);
        };
        let header = PacketHeader { size, ..self.header }.to_bytes();
        self.out[self.start..self.start + HEADER_LEN].copy_from_slice(&header);
        Ok(())
    }
}

impl<'a> VarSink<'a> for Writer<'_> {
    fn var(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.push(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn read(body: &[u8]) -> Result<Pairs, PacketError> {
        parse_vars(body)
            .map(|pair| pair.map(|(k, v)| (k.to_vec(), v.to_vec())))
            .collect()
    }

    #[test]
    fn broken_bodies() {
        for (body, error) in [
            (&b"\x03\0abc"[..], PacketError::Truncated),
            (b"\0\0\x01\0x", PacketError::EmptyKey),
            (b"\x03\0abc\x09\0x", PacketError::Truncated),
            (b"\xff\xffabc", PacketError::Truncated),
            (b"\x01\0a\x01\0b\x01", PacketError::Truncated),
            (b"\x01\0a\x01\0b\x01\0", PacketError::Truncated),
        ] {
            assert_eq!(read(body), Err(error), "{body:?}");
        }
        assert_eq!(read(b""), Ok(vec![]));
        assert_eq!(parse_vars(b"\x03\0abc").count(), 1, "an error ends the iteration");
    }

    #[test]
    fn an_array_that_is_too_large_is_no_packet() {
        let long = vec![b'x'; 65_533];
        assert!(array_packet(173, 0, &[&long]).is_some());
        assert!(array_packet(173, 0, &[&long, b""]).is_none());
        assert!(array_packet(173, 0, &[&[b'x'; 70_000]]).is_none());
    }

    #[test]
    fn a_packet_that_is_too_large_is_taken_back() {
        for value in [65_530, 70_000, 200_000] {
            let mut out = b"before".to_vec();
            let mut writer = Writer::new(&mut out, 0, 0);
            writer.push(b"KEY", &vec![b'v'; value]);
            assert_eq!(writer.finish(), Err(PacketError::TooLarge));
            assert_eq!(out, b"before");
        }
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, 0, 0);
        writer.push(b"KEY", &vec![b'v'; 65_528]);
        assert_eq!(writer.finish(), Ok(()));
        assert_eq!(out[..4], [0, 255, 255, 0]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(pairs in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 1..40), prop::collection::vec(any::<u8>(), 0..100)), 0..20)) {
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out, 5, 7);
            pairs.iter().for_each(|(k, v)| writer.push(k, v));
            writer.finish().expect("small");
            let (header, body) = out.split_first_chunk().expect("a header");
            let header = PacketHeader::parse(*header);
            prop_assert_eq!((header.modifier1, header.modifier2), (5, 7));
            prop_assert_eq!(usize::from(header.size), body.len());
            prop_assert_eq!(read(body), Ok(pairs));
        }

        #[test]
        fn an_array_is_read_as_written(strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let slices: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
            let packet = array_packet(173, 1, &slices).expect("small");
            let (header, body) = packet.split_first_chunk().expect("a header");
            prop_assert_eq!(PacketHeader::parse(*header), PacketHeader { modifier1: 173, size: body.len() as u16, modifier2: 1 });
            prop_assert_eq!(parse_array(body).collect::<Result<Vec<_>, _>>(), Ok(slices));
        }

        #[test]
        fn noise_never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body);
            prop_assert!(parse_array(&body).count() <= 101);
        }
    }
}
