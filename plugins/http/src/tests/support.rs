//! A worker that speaks the link's protocol, a gateway in a thread, and a client that reads answers by their framing.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, IntoRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rsgi_protocol::chunked::{Decoder, Event};
use rsgi_protocol::http1::Limits;
use rsgi_protocol::uwsgi::{HEADER_LEN, PacketHeader, parse_vars};

use crate::backend::{Address, Backends, Node, Pool};
use crate::gateway::{Config, Gateway, Order, Orders};
use crate::packet::Stamp;
use crate::stats::Counters;
use crate::stream::Listener;

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
static SERIAL: AtomicUsize = AtomicUsize::new(0);

pub fn logged(text: &str) -> bool {
    LOG.lock()
        .expect("no test panics with it")
        .iter()
        .any(|line| line.contains(text))
}

/// A worker as far as a gateway can see: counts its connections and answers by path.
pub struct Worker {
    pub name: String,
    pub accepted: Arc<AtomicUsize>,
    pub served: Arc<Mutex<Vec<String>>>,
}

impl Worker {
    pub fn start() -> Self {
        let name = format!(
            "rsgi-test-{}-{}",
            std::process::id(),
            SERIAL.fetch_add(1, Ordering::Relaxed)
        );
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let listener = UnixListener::bind_addr(&address).expect("a fresh name");
        let worker = Self {
            name,
            accepted: Arc::default(),
            served: Arc::default(),
        };
        let (accepted, served) = (worker.accepted.clone(), worker.served.clone());
        // Ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                accepted.fetch_add(1, Ordering::Relaxed);
                let served = served.clone();
                std::thread::spawn(move || serve_link(stream, &served));
            }
        });
        worker
    }

    pub fn node(&self) -> Node {
        Node {
            address: Address::Abstract(self.name.clone().into_bytes()),
            name: "the workers".into(),
        }
    }
}

/// Serves one connection of the link until something ends it.
pub fn serve_link(mut link: UnixStream, served: &Mutex<Vec<String>>) -> Option<()> {
    loop {
        let mut header = [0; HEADER_LEN];
        link.read_exact(&mut header).ok()?;
        let mut packet = vec![0; PacketHeader::parse(header).size.into()];
        link.read_exact(&mut packet).ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let vars: Vec<_> = parse_vars(&packet)
            .map(|pair| pair.expect("valid"))
            .map(|(k, v)| (text(k), text(v)))
            .collect();
        let var = |name: &str| {
            vars.iter()
                .find(|(key, _)| key == name)
                .map_or("", |(_, value)| value)
                .to_owned()
        };
        served.lock().expect("no panic").push(var("REQUEST_URI"));
        let path = var("PATH_INFO");
        if path == "/ignore-body" {
            write!(link, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nignored").ok()?;
        }
        let mut body = Vec::new();
        if var("HTTP_TRANSFER_ENCODING") == "chunked" {
            let mut decoder = Decoder::new();
            while !decoder.is_done() {
                let mut byte = [0];
                link.read_exact(&mut byte).ok()?;
                if let Ok((_, Event::Data(data))) = decoder.decode(&byte) {
                    body.extend_from_slice(data);
                }
            }
        } else {
            body.resize(var("CONTENT_LENGTH").parse().unwrap_or(0), 0);
            link.read_exact(&mut body).ok()?;
        }
        let mut plain = |body: &[u8], extra: &str| {
            write!(link, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{extra}\r\n", body.len())?;
            link.write_all(body)
        };
        match path.as_str() {
            "/ignore-body" => {}
            "/env" => plain(
                vars.iter()
                    .map(|(k, v)| format!("{k}={v}\n"))
                    .collect::<String>()
                    .as_bytes(),
                "",
            )
            .ok()?,
            "/head" => write!(link, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").ok()?,
            "/chunked" => {
                let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
                link.write_all(answer.as_bytes()).ok()?;
            }
            "/last" => {
                plain(b"last", "Connection: close\r\n").ok()?;
                return None;
            }
            // A worker that is replaced: the connection ends without a word, after the answer.
            "/leave" => {
                plain(b"left", "").ok()?;
                return None;
            }
            "/die" => return None,
            "/cut" => {
                write!(link, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").ok()?;
                return None;
            }
            "/slow" => {
                std::thread::sleep(Duration::from_millis(300));
                plain(b"slow", "").ok()?;
            }
            "/late" => {
                std::thread::sleep(Duration::from_secs(4));
                plain(b"late", "").ok()?;
            }
            "/big" => plain(&vec![b'b'; 8 << 20], "").ok()?,
            "/garbage" => link.write_all(b"\0\xff\0\xff garbage\r\n\r\n").ok()?,
            "/upgrade" => {
                write!(
                    link,
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
                )
                .ok()?;
                let mut bytes = [0; 64];
                loop {
                    let n = link.read(&mut bytes).ok().filter(|&n| n > 0)?;
                    link.write_all(&bytes[..n].to_ascii_uppercase()).ok()?;
                }
            }
            _ => plain(&body, "").ok()?,
        }
    }
}

/// A gateway in a thread, and how to end it.
pub struct Running {
    pub port: u16,
    pub orders: UnixStream,
    pub thread: Option<JoinHandle<io::Result<()>>>,
}

/// Foreign servers in turn.
pub fn pool(nodes: Vec<Node>) -> Backends {
    Backends::Nodes(Pool {
        nodes,
        fallback: Vec::new(),
        grace: Duration::from_secs(30),
    })
}

pub fn config() -> Config {
    Config {
        services: Vec::new(),
        modifiers: Vec::new(),
        export_certificate: false,
        http2: true,
        proxies: None,
        forwarders: None,
        limits: Limits::default(),
        server_name: b"box".to_vec(),
        name_from_host: false,
        stamp: Stamp::default(),
        keep_alive: Some(Duration::from_secs(65)),
        timeout: Duration::from_secs(5),
        headers_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(2),
        expect_limit: None,
        auto_gzip: false,
        counters: Counters::own(),
        addresses: Vec::new(),
        check_every: None,
        announcements: None,
        log: |line| LOG.lock().expect("no test panics with it").push(line.to_owned()),
    }
}

pub fn start(config: Config, backends: Backends) -> Running {
    start_on(TcpListener::bind("127.0.0.1:0").expect("a port"), config, backends)
}

pub fn start_on(socket: TcpListener, config: Config, backends: Backends) -> Running {
    socket.set_nonblocking(true).expect("non-blocking");
    let port = socket.local_addr().expect("an address").port();
    let (orders, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("non-blocking");
    let thread = std::thread::spawn(move || {
        // SAFETY: the descriptor is given away here.
        let listener = unsafe { Listener::adopt(socket.into_raw_fd()) }.expect("a listener");
        let next = || {
            let mut byte = [0];
            (&theirs).read_exact(&mut byte).ok()?;
            Some(match &byte {
                b"d" => Order::Drain,
                b"r" => Order::Retire,
                _ => Order::Stop,
            })
        };
        let orders = Orders {
            fd: theirs.as_fd(),
            next: Box::new(next),
        };
        Gateway::new(config, vec![listener], backends)?.run(orders)
    });
    Running {
        port,
        orders,
        thread: Some(thread),
    }
}

pub fn started(worker: &Worker) -> Running {
    start(
        config(),
        Backends::Workers {
            link: worker.node(),
            workers: 0,
            cores: 0,
        },
    )
}

impl Running {
    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a gateway");
        stream
            .set_read_timeout(Some(Duration::from_secs(8)))
            .expect("a timeout");
        Client {
            stream,
            rest: Vec::new(),
        }
    }

    pub fn ask(&self, path: &str) -> Answer {
        self.connect().send(get(path)).answer(false)
    }

    pub fn order(&mut self, order: &[u8]) {
        self.orders.write_all(order).expect("a gateway that listens");
    }

    pub fn ended(&mut self) -> io::Result<()> {
        self.thread.take().expect("not ended before").join().expect("no panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.orders.write_all(b"s");
        if let Some(thread) = self.thread.take() {
            let outcome = thread.join();
            if !std::thread::panicking() {
                outcome.expect("the gateway did not panic").expect("nor fail");
            }
        }
    }
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub struct Client {
    pub stream: TcpStream,
    pub rest: Vec<u8>,
}

impl Client {
    pub fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.put(bytes);
        self
    }

    pub fn put(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("a gateway that reads");
    }

    pub fn more(&mut self) -> bool {
        let mut bytes = [0; 65536];
        let n = self.stream.read(&mut bytes).unwrap_or(0);
        self.rest.extend_from_slice(&bytes[..n]);
        n > 0
    }

    pub fn take(&mut self, n: usize) -> Vec<u8> {
        while self.rest.len() < n && self.more() {}
        assert!(self.rest.len() >= n, "the connection ended early");
        self.rest.drain(..n).collect()
    }

    pub fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.rest.windows(2).position(|w| w == b"\r\n") {
                return String::from_utf8_lossy(&self.rest.drain(..at + 2).collect::<Vec<_>>()).into_owned();
            }
            assert!(self.more(), "the connection ended early");
        }
    }

    pub fn answer(&mut self, to_head: bool) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head += &self.line();
        }
        let status = head[9..12].parse().expect("a status");
        let lower = head.to_ascii_lowercase();
        let length = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map(|n| n.parse().expect("a number"));
        let body = match length {
            _ if to_head || status == 204 || status < 200 => Vec::new(),
            Some(n) => self.take(n),
            None if lower.contains("transfer-encoding: chunked") => {
                let mut body = Vec::new();
                loop {
                    let n = usize::from_str_radix(self.line().trim_end(), 16).expect("a size");
                    body.extend(self.take(n));
                    assert_eq!(self.line(), "\r\n");
                    if n == 0 {
                        break body;
                    }
                }
            }
            None => {
                while self.more() {}
                std::mem::take(&mut self.rest)
            }
        };
        Answer { status, head, body }
    }

    pub fn is_closed(&mut self) -> bool {
        !self.more()
    }
}
