//! `--ping ADDRESS`: asks a worker for a sign of life, as uWSGI's ping does (modifier1 100 of the uwsgi protocol);
//! what speaks HTTP there answers that it did not understand, which is a sign too.

use super::connect::connect;
use crate::say;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A worker that speaks uwsgi and is free answers sooner.
const SHORT: Duration = Duration::from_millis(500);
/// A packet without variables that asks for a sign of life.
const ASK: [u8; 4] = [100, 0, 0, 0];
/// Makes a request that HTTP refuses out of it.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// 0: somebody answers, 1: nobody is there, 2: nobody answers in time, as uWSGI's client ends.
pub fn run(text: &str, patience: Duration) -> u8 {
    let begun = Instant::now();
    match ask(text, patience) {
        Ok(()) => {
            say!("{text} is alive ({} ms)", begun.elapsed().as_millis());
            0
        }
        Err(Failure::NoAnswer(why)) => {
            say!("{text} does not answer: {why}");
            2
        }
        Err(Failure::Nobody(why)) => {
            say!("nobody is at {text}: {why}");
            1
        }
    }
}

enum Failure {
    Nobody(String),
    NoAnswer(String),
}

fn ask(text: &str, patience: Duration) -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::NoAnswer(crate::config::system_message(&e));
    let mut stream = connect(text).map_err(Failure::Nobody)?;
    stream.write_all(&ASK).map_err(failed)?;
    if !is_readable(&stream, SHORT.min(patience)) {
        stream.write_all(END_OF_HEAD).map_err(failed)?;
        if !is_readable(&stream, patience.saturating_sub(SHORT)) {
            let seconds = patience.as_secs_f32();
            return Err(Failure::NoAnswer(format!(
                "nothing came in {seconds} seconds: all workers are busy?"
            )));
        }
    }
    let mut answer = [0; 64];
    let n = stream.read(&mut answer).map_err(failed)?;
    match &answer[..n] {
        [first, ..] if *first == ASK[0] => Ok(()),
        answer if answer.starts_with(b"HTTP/") => Ok(()),
        [] => Err(Failure::NoAnswer("the connection was closed".into())),
        _ => Err(Failure::NoAnswer("the answer is neither uwsgi nor HTTP".into())),
    }
}

fn is_readable(stream: &File, patience: Duration) -> bool {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    poll(&mut fds, limit).is_ok_and(|n| n > 0)
}

#[cfg(test)]
mod tests {
    use super::super::connect::PATIENCE;
    use super::*;
    use std::net::TcpListener;

    /// A server that reads `bytes` bytes and answers.
    fn answered(bytes: usize, answer: &'static [u8]) -> Result<(), Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = vec![0; bytes];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(answer).unwrap();
            question
        });
        let outcome = ask(&address, PATIENCE);
        assert_eq!(server.join().unwrap()[..4], ASK);
        outcome
    }

    #[test]
    fn either_protocol_is_a_sign_of_life_and_silence_is_none() {
        assert!(answered(4, &[100, 0, 0, 1]).is_ok());
        assert!(answered(8, b"HTTP/1.1 400 Bad Request\r\n\r\n").is_ok());
        assert!(matches!(answered(4, b""), Err(Failure::NoAnswer(_))));
        assert!(matches!(answered(4, b"SSH-2.0"), Err(Failure::NoAnswer(_))));
        assert!(matches!(ask("/no/such.sock", PATIENCE), Err(Failure::Nobody(_))));
        assert!(matches!(ask("=0", PATIENCE), Err(Failure::Nobody(_))));
    }

    #[test]
    fn a_listener_that_nobody_serves_is_no_life() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let outcome = ask(&address, Duration::from_millis(50));
        assert!(matches!(outcome, Err(Failure::NoAnswer(why)) if why.contains("busy")));
    }
}
