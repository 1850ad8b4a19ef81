//! Announcements to gateways that learn their servers that way.

use std::net::SocketAddr;

/// `subscribe-to`, `subscribe-freq` …
#[derive(Debug, Clone)]
pub struct Subscriptions {
    /// What is announced where.
    pub list: Vec<Subscription>,
    /// Seconds between two announcements.
    pub freq: u64,
    /// The weight of those that say none.
    pub weight: Option<u64>,
    /// The number of cores is the weight.
    pub auto_weight: bool,
    /// The modifier of those that say none.
    pub modifier1: Option<u8>,
    /// Taken back before a reload.
    pub leave_on_reload: bool,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            freq: 10,
            weight: None,
            auto_weight: false,
            modifier1: None,
            leave_on_reload: false,
        }
    }
}

/// Where announcements go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionServer {
    /// UDP.
    Inet(SocketAddr),
    /// A datagram socket.
    Unix(String),
}

impl std::fmt::Display for SubscriptionServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

/// One announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The gateway.
    pub server: SubscriptionServer,
    /// The host that is served.
    pub key: String,
    /// Where our workers are reached; `None`: the first uwsgi socket.
    pub address: Option<String>,
    /// How many of the requests, against the others.
    pub weight: Option<u64>,
    /// The plugin that serves them.
    pub modifier1: Option<u8>,
    /// Its second modifier.
    pub modifier2: u8,
}
