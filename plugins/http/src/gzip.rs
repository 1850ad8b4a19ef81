//! A body that is compressed on its way to the client (`--http-auto-gzip`): its framing off, gzip on, new chunks.
//! Part of a reply, in the gateway.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rsgi_protocol::chunked::{self, Decoder, Event};
use rsgi_protocol::http1::HttpError;

use crate::buffer::{Buffer, Pool};

/// A body under compression.
#[derive(Debug)]
pub struct Gzip {
    /// For a body that comes in chunks; `None`: it goes on until the backend closes.
    decoder: Option<Decoder>,
    encoder: GzEncoder<Vec<u8>>,
}

impl Gzip {
    /// Of a body in chunks, or of one that a close ends.
    pub fn new(is_chunked: bool) -> Self {
        Self {
            decoder: is_chunked.then(Decoder::new),
            encoder: GzEncoder::new(Vec::new(), Compression::default()),
        }
    }

    /// Whether the body says itself where it ends.
    pub fn is_chunked(&self) -> bool {
        self.decoder.is_some()
    }

    /// Compresses what has arrived: how much of it was used, and whether the body has ended. What is there leaves at
    /// once: an application that sends in pieces means them to be seen.
    pub fn pass(&mut self, input: &[u8], output: &mut Buffer, pool: &mut Pool) -> Result<(usize, bool), HttpError> {
        let (mut used, mut done, mut written) = (0, false, false);
        match &mut self.decoder {
            None => {
                written = write(&mut self.encoder, input);
                used = input.len();
            }
            Some(decoder) => loop {
                let (n, event) = decoder.decode(&input[used..])?;
                used += n;
                match event {
                    Event::Data(data) => written |= write(&mut self.encoder, data),
                    Event::More => break,
                    Event::End => {
                        done = true;
                        break;
                    }
                }
            },
        }
        if done {
            self.end(output, pool);
        } else if written {
            // into memory: there is nothing to fail
            let _ = self.encoder.flush();
            self.emit(output, pool);
        }
        Ok((used, done))
    }

    /// The body is whole.
    pub fn end(&mut self, output: &mut Buffer, pool: &mut Pool) {
        let _ = self.encoder.try_finish();
        self.emit(output, pool);
        output.append(pool, chunked::LAST_CHUNK);
    }

    fn emit(&mut self, output: &mut Buffer, pool: &mut Pool) {
        let (made, mut size) = (self.encoder.get_mut(), [0; 18]);
        if !made.is_empty() {
            output.append(pool, chunked::encode_head(made.len(), &mut size));
            output.append(pool, made);
            output.append(pool, chunked::CHUNK_END);
            made.clear();
        }
    }
}

/// Writes into memory, which takes all; whether that was anything.
fn write(encoder: &mut GzEncoder<Vec<u8>>, data: &[u8]) -> bool {
    let _ = encoder.write_all(data);
    !data.is_empty()
}
