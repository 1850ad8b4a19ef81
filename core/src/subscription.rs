//! Announcements of this instance to gateways that learn their servers that way (`--subscribe-to`): uwsgi packets over UDP
//! with modifier 224. Owned and sent by the master.

use crate::say;
use crate::server::{Server, SocketProtocol, WorkerSocket};
use crate::settings::{Subscription, SubscriptionServer};
use rsgi_protocol::uwsgi::Writer;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

const MODIFIER: u8 = 224;

/// What a packet says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Here = 0,
    Gone = 1,
}

/// All announcements of the instance.
#[derive(Default)]
pub struct Announcer {
    due: Option<Instant>,
    /// Gateways know of us.
    announced: bool,
    /// The last thing that went wrong, so that it is said once.
    trouble: Option<String>,
}

impl Announcer {
    /// Announces the instance when it is time; it takes requests.
    pub fn tick(&mut self, server: &Server) {
        let all = &server.settings.subscriptions;
        let now = Instant::now();
        if all.list.is_empty() || self.due.is_some_and(|due| now < due) {
            return;
        }
        // the master looks once a second, and must not come too late for a pace of whole seconds
        self.due = Some(now + Duration::from_secs(all.freq.max(1)) - Duration::from_millis(100));
        self.announced = true;
        self.say_all(server, Word::Here);
    }

    /// Takes all back: the instance ends, or is replaced by one that will announce itself.
    pub fn leave(&mut self, server: &Server) {
        if std::mem::take(&mut self.announced) {
            self.say_all(server, Word::Gone);
        }
    }

    fn say_all(&mut self, server: &Server, word: Word) {
        let mut trouble = None;
        for subscription in &server.settings.subscriptions.list {
            if let Err(why) = tell(server, subscription, word) {
                trouble = Some(format!(
                    "cannot announce {} to {}: {why}",
                    subscription.key, subscription.server
                ));
            }
        }
        if let Some(text) = trouble.as_ref().filter(|text| self.trouble.as_ref() != Some(text)) {
            say!("{text}");
        }
        self.trouble = trouble;
    }
}

fn tell(server: &Server, subscription: &Subscription, word: Word) -> Result<(), String> {
    let text = |e: std::io::Error| e.to_string();
    match &subscription.server {
        SubscriptionServer::Inet(gateway) => {
            let any: IpAddr = match gateway {
                SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind((any, 0)).map_err(text)?;
            // tells by which of our addresses the gateway reaches us
            socket.connect(gateway).map_err(text)?;
            let own = socket.local_addr().map_err(text)?.ip();
            let packet = packet(server, subscription, Some(own), word)?;
            socket.send(&packet).map(drop).map_err(text)
        }
        SubscriptionServer::Unix(path) => {
            let socket = UnixDatagram::unbound().map_err(text)?;
            socket
                .send_to(&packet(server, subscription, None, word)?, path)
                .map(drop)
                .map_err(text)
        }
    }
}

fn packet(server: &Server, subscription: &Subscription, own: Option<IpAddr>, word: Word) -> Result<Vec<u8>, String> {
    let address = match &subscription.address {
        Some(address) => address.clone(),
        None => reachable(server, own).ok_or("there is no uwsgi socket to announce; add socket = ADDRESS")?,
    };
    let settings = &server.settings;
    let cores = server.shared.worker_count() * server.shared.core_count();
    let weight = match settings.subscriptions.auto_weight {
        true => cores as u64,
        false => subscription.weight.or(settings.subscriptions.weight).unwrap_or(1),
    };
    let mut packet = Vec::new();
    let mut writer = Writer::new(&mut packet, MODIFIER, word as u8);
    let fallback = settings.subscriptions.modifier1.unwrap_or(0);
    let numbers = [
        ("modifier1", u64::from(subscription.modifier1.unwrap_or(fallback))),
        ("modifier2", u64::from(subscription.modifier2)),
        ("cores", cores as u64),
        ("load", 0),
        ("weight", weight),
    ];
    writer.push(b"key", subscription.key.as_bytes());
    writer.push(b"address", address.as_bytes());
    for (name, number) in numbers {
        writer.push(name.as_bytes(), number.to_string().as_bytes());
    }
    writer.finish().map_err(|e| e.to_string())?;
    Ok(packet)
}

/// Where others reach our workers: the first socket that speaks uwsgi, with an address of ours if it listens on all.
fn reachable(server: &Server, own: Option<IpAddr>) -> Option<String> {
    let speaks = |socket: &&WorkerSocket| matches!(socket.protocol, SocketProtocol::Uwsgi | SocketProtocol::Puwsgi);
    let name = &server.sockets.iter().find(speaks)?.listener.name;
    Some(match (name.parse::<SocketAddr>(), own) {
        (Ok(address), Some(own)) if address.ip().is_unspecified() => SocketAddr::new(own, address.port()).to_string(),
        _ => name.clone(),
    })
}
