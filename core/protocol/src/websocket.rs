//! The WebSocket protocol (RFC 6455), the server's side: the key of the handshake, frames to messages, messages to
//! frames. No I/O: workers feed what arrived, one decoder per connection. Limits and UTF-8 are checked here.

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A text message.
    Text = 1,
    /// A binary message.
    Binary = 2,
    /// The end of the conversation.
    Close = 8,
    /// Asks for a sign of life.
    Ping = 9,
    /// Gives one.
    Pong = 10,
}

/// Close codes that this side sends.
pub mod code {
    /// The conversation has reached its end.
    pub const NORMAL: u16 = 1000;
    /// The peer broke the protocol.
    pub const PROTOCOL: u16 = 1002;
    /// A close frame came without a code; never on the wire.
    pub const NONE: u16 = 1005;
    /// The connection broke without a close frame; never on the wire.
    pub const ABNORMAL: u16 = 1006;
    /// Text that is no UTF-8.
    pub const NOT_UTF8: u16 = 1007;
    /// A message over the limit.
    pub const TOO_BIG: u16 = 1009;
    /// The application failed.
    pub const FAILED: u16 = 1011;
    /// The server restarts.
    pub const RESTART: u16 = 1012;
}

/// Why a conversation cannot go on: what the peer is told, and for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("websocket: {cause} ({code})")]
pub struct WebsocketError {
    /// The close code for the peer.
    pub code: u16,
    /// In a few words.
    pub cause: &'static str,
}

fn broken(cause: &'static str) -> WebsocketError {
    WebsocketError {
        code: code::PROTOCOL,
        cause,
    }
}

/// One step of the decoder.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Nothing whole is there; the frame at the front will have so many bytes, as far as that is known.
    More(usize),
    /// A frame was used up that says nothing by itself: part of a message.
    Part,
    /// A whole text message, valid UTF-8.
    Text(&'a [u8]),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// Wants the same bytes back.
    Ping(&'a [u8]),
    /// An answer to a ping.
    Pong(&'a [u8]),
    /// The peer ends the conversation: its code ([`code::NONE`] if it gave none) and reason, valid UTF-8.
    Close(u16, &'a [u8]),
}

/// Turns the bytes of one client into messages.
#[derive(Debug)]
pub struct Decoder {
    max: usize,
    /// The parts of a message so far, and what it is.
    message: Vec<u8>,
    kind: Option<Opcode>,
    /// `message` was handed out: the next part begins a new one.
    spent: bool,
}

/// The two bytes and what follows them up to the payload.
struct Head {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    size: usize,
    payload: usize,
}

impl Decoder {
    /// A decoder for messages of at most `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            message: Vec::new(),
            kind: None,
            spent: false,
        }
    }

    /// Takes the frame at the front of `input`, whose payload is unmasked in place; how many bytes that used. Frames
    /// are taken when they are whole.
    ///
    /// # Errors
    /// The peer breaks the protocol or a limit: send a close frame with the code, then close.
    pub fn decode<'a>(&'a mut self, input: &'a mut [u8]) -> Result<(usize, Event<'a>), WebsocketError> {
        if std::mem::take(&mut self.spent) {
            self.message.clear();
        }
        let Some(head) = self.head(input)? else {
            return Ok((0, Event::More(0)));
        };
        let whole = head.size + head.payload;
        if input.len() < whole {
            return Ok((0, Event::More(whole)));
        }
        let payload = &mut input[head.size..whole];
        mask(payload, head.mask);
        let event = match head.opcode {
            8 => close(payload)?,
            9 => Event::Ping(payload),
            10 => Event::Pong(payload),
            opcode => {
                let begun = match opcode {
                    1 => Some(Opcode::Text),
                    2 => Some(Opcode::Binary),
                    _ => None,
                };
                if let (Some(kind), true) = (begun, head.fin) {
                    // the common case: a message in one frame needs no copy
                    return Ok((whole, message(kind, payload)?));
                }
                self.message.extend_from_slice(payload);
                self.kind = begun.or(self.kind);
                if !head.fin {
                    return Ok((whole, Event::Part));
                }
                self.spent = true;
                match self.kind.take() {
                    Some(kind) => message(kind, &self.message)?,
                    None => return Err(broken("a part without a message")),
                }
            }
        };
        Ok((whole, event))
    }

    /// Reads and checks the head of a frame; `None`: it is not whole.
    fn head(&self, input: &[u8]) -> Result<Option<Head>, WebsocketError> {
        let &[first, second, ref rest @ ..] = input else {
            return Ok(None);
        };
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return Err(broken("reserved bits are set"));
        }
        if second & 0x80 == 0 {
            return Err(broken("a frame of a client must be masked"));
        }
        let is_control = opcode >= 8;
        match opcode {
            0 if self.kind.is_none() => return Err(broken("a part without a message")),
            1 | 2 if self.kind.is_some() => return Err(broken("a message within a message")),
            0..=2 | 8..=10 => {}
            _ => return Err(broken("unknown opcode")),
        }
        let short = second & 0x7f;
        if is_control && (!fin || short > 125) {
            return Err(broken("a control frame is short and whole"));
        }
        let (length, extra) = match short {
            126 => match rest.first_chunk::<2>() {
                Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 8),
                None => return Ok(None),
            },
            n => (u64::from(n), 0),
        };
        if (extra == 2 && length < 126) || (extra == 8 && length < 1 << 16) {
            return Err(broken("a length in more bytes than it needs"));
        }
        let room = self.max - self.message.len().min(self.max);
        let payload = match usize::try_from(length) {
            Ok(n) if is_control || n <= room => n,
            _ => {
                return Err(WebsocketError {
                    code: code::TOO_BIG,
                    cause: "a message is over the limit (websocket-max-size)",
                });
            }
        };
        let Some(mask) = rest.get(extra..).and_then(|rest| rest.first_chunk::<4>()) else {
            return Ok(None);
        };
        Ok(Some(Head {
            fin,
            opcode,
            mask: *mask,
            size: 2 + extra + 4,
            payload,
        }))
    }
}

fn message(kind: Opcode, payload: &[u8]) -> Result<Event<'_>, WebsocketError> {
    match kind {
        Opcode::Text => {
            text(payload)?;
            Ok(Event::Text(payload))
        }
        _ => Ok(Event::Binary(payload)),
    }
}

fn text(bytes: &[u8]) -> Result<(), WebsocketError> {
    std::str::from_utf8(bytes).map(drop).map_err(|_| WebsocketError {
        code: code::NOT_UTF8,
        cause: "a text is no UTF-8",
    })
}

fn close(payload: &[u8]) -> Result<Event<'_>, WebsocketError> {
    match payload {
        [] => Ok(Event::Close(code::NONE, &[])),
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            if !is_sendable(code) {
                return Err(broken("a close code that nobody may send"));
            }
            text(reason)?;
            Ok(Event::Close(code, reason))
        }
        _ => Err(broken("half a close code")),
    }
}

/// Whether a message, or the end of the conversation, is whole in these bytes, which begin with a frame. Nothing is
/// checked: a broken frame is told when it is decoded.
pub fn has_message(mut input: &[u8]) -> bool {
    while let Some((first, size)) = whole_frame(input) {
        let is_ping_or_pong = matches!(first & 0x0f, 9 | 10);
        if !is_ping_or_pong && first & 0x80 != 0 {
            return true;
        }
        input = &input[size..];
    }
    false
}

/// The first byte of the frame that these bytes begin with, and its size; `None`: it is not whole.
fn whole_frame(input: &[u8]) -> Option<(u8, usize)> {
    let (first, second) = (*input.first()?, *input.get(1)?);
    let (payload, head) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(*input.get(2..)?.first_chunk()?)), 4),
        127 => (
            usize::try_from(u64::from_be_bytes(*input.get(2..)?.first_chunk()?)).ok()?,
            10,
        ),
        length => (usize::from(length), 2),
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let size = payload.checked_add(head + mask)?;
    (input.len() >= size).then_some((first, size))
}

/// Whether a close code may stand in a frame.
#[must_use]
pub fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Masks or unmasks in place.
pub fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(word) = <[u8; 8]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u64::from_ne_bytes(word) ^ wide).to_ne_bytes());
        }
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Writes the head of a whole frame of `length` bytes into `out`; the payload follows it as it is.
pub fn encode_head(opcode: Opcode, length: usize, out: &mut [u8; 10]) -> &[u8] {
    out[0] = 0x80 | opcode as u8;
    match length {
        0..=125 => {
            out[1] = length as u8;
            &out[..2]
        }
        126..=0xffff => {
            out[1] = 126;
            out[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            &out[..4]
        }
        _ => {
            out[1] = 127;
            out[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            &out[..10]
        }
    }
}

/// The payload of a close frame: code and as much of the reason as fits, cut between characters.
#[must_use]
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    payload
}

/// What `Sec-WebSocket-Accept` answers to `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let mut text = key.to_vec();
    text.extend_from_slice(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64_of_digest(&sha1(&text))
}

/// SHA-1 (FIPS 180-4); the handshake asks for it, nothing here relies on its strength.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in padded.chunks_exact(64) {
        let mut words = [0u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        for i in 16..80 {
            words[i] = (words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in words.iter().enumerate() {
            let (mixed, constant) = match i / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(*word);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut digest = [0; 20];
    for (place, word) in digest.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

fn base64_of_digest(digest: &[u8; 20]) -> [u8; 28] {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = [b'='; 28];
    for (place, bytes) in out.chunks_exact_mut(4).zip(digest.chunks(3)) {
        let bits = bytes.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - bytes.len()));
        for (i, letter) in place.iter_mut().enumerate().take(bytes.len() + 1) {
            *letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let mut head = [0; 10];
        let mut out = encode_head(Opcode::Text, payload.len(), &mut head).to_vec();
        (out[0], out[1]) = (first, out[1] | 0x80);
        out.extend_from_slice(&key);
        let mut masked = payload.to_vec();
        mask(&mut masked, key);
        out.extend_from_slice(&masked);
        out
    }

    fn one(bytes: &[u8]) -> Result<String, WebsocketError> {
        Decoder::new(1000)
            .decode(&mut bytes.to_vec())
            .map(|(used, event)| format!("{used} {event:?}"))
    }

    proptest! {
        #[test]
        fn whole_messages_are_seen_before_they_are_decoded(
            frames in prop::collection::vec((prop::sample::select(&[0x81u8, 0x82, 0x89, 0x8a][..]), 0usize..300), 0..5),
            cut in 0usize..40,
        ) {
            let mut bytes = Vec::new();
            for (first, length) in &frames {
                // what a ping carries is short
                let length = if *first >= 0x88 { length % 126 } else { *length };
                bytes.extend(frame(*first, &vec![b'x'; length]));
            }
            bytes.truncate(bytes.len().saturating_sub(cut));
            let seen = has_message(&bytes);
            let (mut decoder, mut at, mut found) = (Decoder::new(1000), 0, false);
            while !found {
                match decoder.decode(&mut bytes[at..]).expect("the frames are sound") {
                    (_, Event::More(_)) => break,
                    (used, event) => {
                        found = matches!(event, Event::Text(_) | Event::Binary(_));
                        at += used;
                    }
                }
            }
            prop_assert_eq!(seen, found);
        }

        #[test]
        fn nothing_is_too_strange_to_look_for_a_message(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = has_message(&bytes);
        }
    }

    #[test]
    fn an_end_and_the_last_part_are_waited_for_too() {
        assert!(has_message(&frame(0x88, b"")) && !has_message(&frame(0x01, b"a")) && !has_message(b""));
        assert!(has_message(&[frame(0x01, b"a"), frame(0x80, b"b")].concat()));
        assert!(!has_message(&[
            0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0
        ]));
    }

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(
            &accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        let mut hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(Decoder::new(9).decode(&mut hello), Ok((11, Event::Text(b"Hello"))));
    }

    #[test]
    fn digests_of_the_standard() {
        let hex = |text: &[u8]| sha1(text).iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(
            hex(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        );
    }

    #[test]
    fn a_message_in_parts_with_a_ping_between() {
        let mut bytes = [frame(1, b"He"), frame(0x89, b"?"), frame(0, b"ll"), frame(0x80, b"o")].concat();
        let (mut decoder, mut at, mut seen) = (Decoder::new(5), 0, Vec::new());
        while at < bytes.len() {
            let (used, event) = decoder.decode(&mut bytes[at..]).expect("fine");
            seen.push(format!("{event:?}"));
            at += used;
        }
        let wanted = [Event::Part, Event::Ping(b"?"), Event::Part, Event::Text(b"Hello")];
        assert_eq!(seen, wanted.map(|event| format!("{event:?}")));
        assert_eq!(
            decoder.decode(&mut frame(0x82, b"again")),
            Ok((11, Event::Binary(b"again")))
        );
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        for (bytes, code) in [
            (frame(0xc1, b""), 1002),
            (frame(0x83, b""), 1002),
            (frame(0x80, b""), 1002),
            (frame(0x09, b""), 1002),
            (frame(0x89, &[0; 126]), 1002),
            (frame(0x88, b"x"), 1002),
            (frame(0x88, &1005u16.to_be_bytes()), 1002),
            (frame(0x88, &999u16.to_be_bytes()), 1002),
            (frame(0x88, b"\x03\xe8\xff"), 1007),
            (frame(0x81, b"\xc3"), 1007),
            (frame(0x82, &[0; 1001]), 1009),
            (vec![0x81, 0x00], 1002),
            (vec![0x81, 0xfe, 0, 1], 1002),
            (vec![0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 1002),
            (vec![0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 1009),
        ] {
            assert_eq!(one(&bytes).map_err(|e| e.code), Err(code), "{bytes:?}");
        }
        let mut decoder = Decoder::new(6);
        assert_eq!(decoder.decode(&mut frame(1, b"abcd")), Ok((10, Event::Part)));
        assert_eq!(decoder.decode(&mut frame(0x81, b"a")).map_err(|e| e.code), Err(1002));
        assert_eq!(decoder.decode(&mut frame(0x80, b"efg")).map_err(|e| e.code), Err(1009));
    }

    #[test]
    fn closes() {
        assert_eq!(one(&frame(0x88, b"")).as_deref(), Ok("6 Close(1005, [])"));
        assert_eq!(
            one(&frame(0x88, &close_payload(4001, "a"))).as_deref(),
            Ok("9 Close(4001, [97])")
        );
        let long = close_payload(1000, &"ä".repeat(100));
        assert!(long.len() == 124 && std::str::from_utf8(&long[2..]).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(payload in prop::collection::vec(any::<u8>(), 0..70_000), cut in any::<prop::sample::Index>()) {
            let mut bytes = frame(0x82, &payload);
            let cut = cut.index(bytes.len());
            let mut decoder = Decoder::new(70_000);
            let mut front = bytes[..cut].to_vec();
            let (used, event) = decoder.decode(&mut front).expect("nothing wrong so far");
            prop_assert!(used == 0 && matches!(event, Event::More(_)));
            let whole = bytes.len();
            prop_assert_eq!(decoder.decode(&mut bytes), Ok((whole, Event::Binary(&payload))));
        }

        #[test]
        fn any_bytes_are_taken_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::new(100);
            let mut at = 0;
            // each round uses bytes or ends
            while let Ok((used, event)) = decoder.decode(&mut bytes[at..]) {
                if matches!(event, Event::More(_)) {
                    break;
                }
                prop_assert!(used >= 6);
                at += used;
            }
            prop_assert!(at <= bytes.len());
        }
    }
}
