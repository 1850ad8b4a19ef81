//! A steady load, to see what clients notice of a reload, a stop, a dying worker.

use crate::http::{Response, read_response};
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the clients saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Good answers, their bodies.
    pub bodies: Vec<String>,
    /// Everything else, in words.
    pub failures: Vec<String>,
    /// Connections refused: the server has stopped listening.
    pub refused: usize,
}

/// Clients that ask until they are told to end.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Seen>>,
}

impl Load {
    /// `clients` threads asking for `path`; `keep`: each on one connection for as long as the server keeps it.
    pub fn start(port: u16, path: &str, clients: usize, keep: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let threads = (0..clients)
            .map(|_| {
                let (stop, answered, path) = (stop.clone(), answered.clone(), path.to_owned());
                std::thread::spawn(move || client(port, &path, keep, &stop, &answered))
            })
            .collect();
        Self {
            stop,
            answered,
            threads,
        }
    }

    /// Waits for so many more good answers.
    pub fn wait_answers(&self, more: usize) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        crate::wait_for(&format!("{more} more answers"), || {
            (self.answered.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// Ends the clients.
    ///
    /// # Panics
    /// A client's thread panicked.
    pub fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for thread in self.threads {
            let seen = thread.join().expect("clients do not panic");
            all.bodies.extend(seen.bodies);
            all.failures.extend(seen.failures);
            all.refused += seen.refused;
        }
        all
    }
}

fn client(port: u16, path: &str, keep: bool, stop: &AtomicBool, answered: &AtomicUsize) -> Seen {
    let mut seen = Seen::default();
    let mut kept: Option<BufReader<TcpStream>> = None;
    while !stop.load(Ordering::Relaxed) {
        let was_kept = kept.is_some();
        match ask(&mut kept, port, path, keep) {
            Ok(Some(response)) if response.status == 200 => {
                if response.closes() || !keep {
                    kept = None;
                }
                seen.bodies.push(response.text());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Some(response)) => {
                kept = None;
                seen.failures.push(format!("status {}", response.status));
            }
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                seen.refused += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            // a kept connection that was closed while it was idle: every client asks again on a new one
            Ok(None) if was_kept => kept = None,
            Ok(None) => seen.failures.push("closed without an answer".into()),
            Err(e) => {
                kept = None;
                seen.failures.push(e.to_string());
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    seen
}

fn ask(
    kept: &mut Option<BufReader<TcpStream>>,
    port: u16,
    path: &str,
    keep: bool,
) -> std::io::Result<Option<Response>> {
    let mut reader = match kept.take() {
        Some(reader) => reader,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            BufReader::new(stream)
        }
    };
    let close = if keep { "" } else { "Connection: close\r\n" };
    reader
        .get_mut()
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n{close}\r\n").as_bytes())?;
    let response = read_response(&mut reader, false)?;
    *kept = Some(reader);
    Ok(response)
}
