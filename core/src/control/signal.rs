//! `--signal ADDRESS,NUMBER`: raises a uWSGI signal in a running server, through its uwsgi socket.

use super::connect::connect;
use crate::say;
use std::io::{Read, Write};

/// modifier1 of a packet that carries a signal.
const SIGNAL: u8 = 110;
/// modifier1 of the answer.
const ANSWER: u8 = 255;

/// 0: delivered, 1: wrong or unreachable, 2: refused, 3: no such number, as uWSGI's client ends.
pub fn run(text: &str) -> u8 {
    let Some((address, number)) = text.rsplit_once(',') else {
        say!("invalid syntax for signal, must be addr,signal");
        return 1;
    };
    let Ok(number) = number.trim().parse::<u8>() else {
        say!("invalid signal number {}: give one from 0 to 255", number.trim());
        return 3;
    };
    match deliver(address, number) {
        Ok(true) => {
            say!("signal {number} delivered to node {address}");
            0
        }
        Ok(false) => {
            say!("node {address} rejected signal {number}");
            2
        }
        Err(why) => {
            say!("unable to deliver signal {number} to node {address}: {why}");
            1
        }
    }
}

/// Whether the server took it; `Err`: nobody is there.
pub fn deliver(address: &str, number: u8) -> Result<bool, String> {
    let said = |e: std::io::Error| crate::config::system_message(&e);
    let mut stream = connect(address)?;
    stream.write_all(&[SIGNAL, 0, 0, number]).map_err(said)?;
    let mut answer = [0; 4];
    match stream.read_exact(&mut answer) {
        Ok(()) => Ok(answer[0] == ANSWER && answer[3] == 1),
        // closed without a word
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answered(answer: &'static [u8]) -> Result<bool, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut packet = [0; 4];
            stream.read_exact(&mut packet).unwrap();
            stream.write_all(answer).unwrap();
            packet
        });
        let outcome = deliver(&address, 17);
        assert_eq!(server.join().unwrap(), [110, 0, 0, 17]);
        outcome
    }

    #[test]
    fn the_answer_tells_whether_it_was_taken() {
        assert_eq!(answered(&[255, 0, 0, 1]), Ok(true));
        assert_eq!(answered(&[255, 0, 0, 0]), Ok(false));
        assert_eq!(answered(b""), Ok(false));
        assert!(deliver("/no/such.sock", 1).is_err());
    }
}
