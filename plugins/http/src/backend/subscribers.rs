//! Servers that announce themselves for a host name (`--http-subscription-server`): uwsgi packets over UDP with modifier
//! 224, as `--subscribe-to` sends them. Who is silent for too long is forgotten. Owned by the links of one gateway process.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rsgi_protocol::cgi::without_port;
use rsgi_protocol::uwsgi::{HEADER_LEN, PacketHeader, parse_vars};
use slab::Slab;

use super::{Health, Node};

/// The modifier1 of announcements.
const MODIFIER: u8 = 224;
/// The modifier2 of one that takes itself back.
const LEAVES: u8 = 1;
/// More servers than this are some mistake, or malice.
const MOST: usize = 4096;

/// A server that serves a host.
#[derive(Debug)]
struct Member {
    key: Vec<u8>,
    node: Node,
    modifiers: (u8, u8),
    weight: i64,
    /// What it is owed: grows by the weight with each choice, and who has most is chosen.
    credit: i64,
    seen: Instant,
    health: Health,
}

/// All that have announced themselves.
#[derive(Debug)]
pub struct Subscribers {
    members: Slab<Member>,
    by_key: HashMap<Vec<u8>, Vec<usize>>,
    /// How long one that says nothing is believed in.
    tolerance: Duration,
    /// How long one that did not answer is passed over.
    grace: Duration,
}

/// What a packet says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Announcement {
    key: Vec<u8>,
    address: String,
    modifiers: (u8, u8),
    weight: i64,
    leaves: bool,
}

impl Announcement {
    fn parse(packet: &[u8]) -> Result<Self, &'static str> {
        let (header, body) = packet.split_first_chunk::<HEADER_LEN>().ok_or("it is cut off")?;
        let header = PacketHeader::parse(*header);
        if header.modifier1 != MODIFIER {
            return Err("its modifier1 is not 224");
        }
        let body = body.get(..usize::from(header.size)).ok_or("it is cut off")?;
        let mut said = Self {
            weight: 1,
            leaves: header.modifier2 == LEAVES,
            ..Self::default()
        };
        for pair in parse_vars(body) {
            let (name, value) = pair.map_err(|_| "its variables are malformed")?;
            let text = std::str::from_utf8(value).unwrap_or_default();
            let small = || text.parse().map_err(|_| "a modifier is no number up to 255");
            match name {
                b"key" => said.key = value.to_ascii_lowercase(),
                b"address" => text.clone_into(&mut said.address),
                b"modifier1" => said.modifiers.0 = small()?,
                b"modifier2" => said.modifiers.1 = small()?,
                b"weight" => {
                    said.weight = text
                        .parse::<u16>()
                        .map_err(|_| "its weight is no number")?
                        .max(1)
                        .into()
                }
                // cores, load, signatures and the like change nothing here
                _ => {}
            }
        }
        if said.key.is_empty() || said.address.is_empty() {
            return Err("it has no key or no address");
        }
        Ok(said)
    }
}

impl Subscribers {
    pub fn new(tolerance: Duration, grace: Duration) -> Self {
        Self {
            members: Slab::new(),
            by_key: HashMap::new(),
            tolerance,
            grace,
        }
    }

    /// Takes an announcement; what is worth a line in the log.
    pub fn hear(&mut self, packet: &[u8], now: Instant) -> Option<String> {
        let said = match Announcement::parse(packet) {
            Ok(said) => said,
            Err(why) => return Some(format!("http: an announcement was not understood: {why}")),
        };
        let name = String::from_utf8_lossy(&said.key).into_owned();
        let known = self.by_key.get(&said.key).and_then(|list| {
            let is_it = |at: &&usize| self.members.get(**at).is_some_and(|m| m.node.name == said.address);
            list.iter().find(is_it).copied()
        });
        match known {
            Some(at) if said.leaves => {
                self.forget(at);
                Some(format!("http: {} serves {name} no more", said.address))
            }
            Some(at) => {
                let member = &mut self.members[at];
                (member.seen, member.weight, member.modifiers) = (now, said.weight, said.modifiers);
                None
            }
            None if said.leaves => None,
            None if self.members.len() >= MOST => Some(format!(
                "http: {} cannot serve {name}: {MOST} servers are enough",
                said.address
            )),
            None => {
                let node = match Node::parse(&said.address) {
                    Ok(node) => node,
                    Err(e) => return Some(format!("http: {} cannot serve {name}: {e}", said.address)),
                };
                let text = format!("http: {} serves {name}", said.address);
                let at = self.members.insert(Member {
                    key: said.key.clone(),
                    node,
                    modifiers: said.modifiers,
                    weight: said.weight,
                    credit: 0,
                    seen: now,
                    health: Health::default(),
                });
                self.by_key.entry(said.key).or_default().push(at);
                Some(text)
            }
        }
    }

    /// The server for a host, by their weights; `None`: nobody serves it.
    pub fn choose(&mut self, host: &[u8], now: Instant) -> Option<usize> {
        let host = host.to_ascii_lowercase();
        let list = self
            .by_key
            .get(&host)
            .or_else(|| self.by_key.get(without_port(&host)))?;
        let all: i64 = list.iter().map(|at| self.members[*at].weight).sum();
        for at in list {
            let member = &mut self.members[*at];
            member.credit += member.weight;
        }
        let is_up = |at: &&usize| self.members[**at].health.down_until.is_none_or(|until| until <= now);
        let most = |at: &&usize| self.members[**at].credit;
        let chosen = list.iter().filter(is_up).max_by_key(most);
        // if all are down there is nothing to lose
        let at = *chosen.or_else(|| list.iter().max_by_key(most))?;
        let member = &mut self.members[at];
        member.credit -= all;
        member.health.hits += 1;
        Some(at)
    }

    /// A server that was chosen.
    pub fn get(&self, at: usize) -> Option<&Node> {
        self.members.get(at).map(|member| &member.node)
    }

    /// What its packets ask for.
    pub fn modifiers(&self, at: usize) -> Option<(u8, u8)> {
        self.members.get(at).map(|member| member.modifiers)
    }

    /// All, with what is known of them.
    pub fn all(&self) -> impl Iterator<Item = (&Node, &Health)> {
        self.members.iter().map(|(_, member)| (&member.node, &member.health))
    }

    /// How many there are for the host that has most.
    pub fn choices(&self) -> u32 {
        self.by_key.values().map(Vec::len).max().unwrap_or(0) as u32
    }

    /// How a connection to one came out.
    pub fn settled(&mut self, at: usize, is_there: bool, now: Instant) {
        if let Some(member) = self.members.get_mut(at) {
            member.health.failures += u64::from(!is_there);
            member.health.down_until = (!is_there).then(|| now + self.grace);
        }
    }

    /// Forgets those who were silent for too long; a line for each.
    pub fn sweep(&mut self, now: Instant) -> Vec<String> {
        let is_silent = |member: &Member| now.saturating_duration_since(member.seen) > self.tolerance;
        let silent: Vec<usize> = self
            .members
            .iter()
            .filter(|(_, m)| is_silent(m))
            .map(|(at, _)| at)
            .collect();
        let forget = |at: usize| {
            let member = self.forget(at);
            let key = String::from_utf8_lossy(&member.key).into_owned();
            format!(
                "http: {} was silent for {} s and serves {key} no more",
                member.node.name,
                self.tolerance.as_secs()
            )
        };
        silent.into_iter().map(forget).collect()
    }

    fn forget(&mut self, at: usize) -> Member {
        let member = self.members.remove(at);
        if let Some(list) = self.by_key.get_mut(&member.key) {
            list.retain(|one| *one != at);
            if list.is_empty() {
                self.by_key.remove(&member.key);
            }
        }
        member
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rsgi_protocol::uwsgi::put_string;

    fn packet(modifier2: u8, vars: &[(&str, &str)]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in vars {
            put_string(&mut body, name.as_bytes());
            put_string(&mut body, value.as_bytes());
        }
        let size = (body.len() as u16).to_le_bytes();
        [&[MODIFIER, size[0], size[1], modifier2][..], &body].concat()
    }

    fn subscribers() -> Subscribers {
        Subscribers::new(Duration::from_secs(17), Duration::from_secs(30))
    }

    fn hear(all: &mut Subscribers, modifier2: u8, vars: &[(&str, &str)], now: Instant) -> String {
        all.hear(&packet(modifier2, vars), now).unwrap_or_default()
    }

    #[test]
    fn servers_come_go_and_are_forgotten() {
        let (mut all, now) = (subscribers(), Instant::now());
        let a = [("key", "A.test"), ("address", "127.0.0.1:1"), ("modifier1", "6")];
        assert_eq!(hear(&mut all, 0, &a, now), "http: 127.0.0.1:1 serves a.test");
        assert_eq!(hear(&mut all, 0, &a, now), "");
        let at = all.choose(b"a.TEST:8080", now).expect("it is there");
        assert_eq!((all.modifiers(at), all.choose(b"b.test", now)), (Some((6, 0)), None));
        assert_eq!(hear(&mut all, 1, &a, now), "http: 127.0.0.1:1 serves a.test no more");
        assert_eq!((all.choose(b"a.test", now), all.choices()), (None, 0));
        hear(&mut all, 0, &a, now);
        assert!(all.sweep(now + Duration::from_secs(17)).is_empty());
        assert_eq!(all.sweep(now + Duration::from_secs(18)).len(), 1);
        assert_eq!(all.choose(b"a.test", now), None);
    }

    #[test]
    fn weights_say_how_often_and_who_is_down_is_passed_over() {
        let (mut all, now) = (subscribers(), Instant::now());
        hear(&mut all, 0, &[("key", "a"), ("address", "@1"), ("weight", "3")], now);
        hear(&mut all, 0, &[("key", "a"), ("address", "@2")], now);
        let turns = |all: &mut Subscribers| {
            (0..8)
                .filter_map(|_| all.choose(b"a", now))
                .filter(|at| *at == 0)
                .count()
        };
        assert_eq!(turns(&mut all), 6);
        all.settled(0, false, now);
        assert_eq!(turns(&mut all), 0);
        all.settled(1, false, now);
        assert_ne!(turns(&mut all), 0);
    }

    #[test]
    fn what_is_no_announcement_is_said() {
        let (mut all, now) = (subscribers(), Instant::now());
        for (bad, why) in [
            (&b""[..], "cut off"),
            (&[1, 0, 0, 0][..], "224"),
            (&[224, 9, 0, 0][..], "cut off"),
            (&packet(0, &[("key", "a")]), "no address"),
            (
                &packet(0, &[("key", "a"), ("address", "x"), ("modifier1", "300")]),
                "255",
            ),
        ] {
            let said = all.hear(bad, now).unwrap_or_default();
            assert!(said.contains(why), "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..20)) {
            let (mut all, now) = (subscribers(), Instant::now());
            for mut packet in packets {
                if let Some(first) = packet.first_mut() {
                    *first = MODIFIER;
                }
                all.hear(&packet, now);
                all.choose(&packet, now);
            }
        }
    }
}
