//! Foreign uwsgi servers in turn: which is next, and which are passed over because they did not answer lately.
//! Owned by the links of one gateway process.

use std::time::{Duration, Instant};

use super::Node;

/// Servers that share the requests, and those that serve when none of these does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// They take turns.
    pub nodes: Vec<Node>,
    /// Asked while all others are down.
    pub fallback: Vec<Node>,
    /// How long one that failed is passed over.
    pub grace: Duration,
}

/// What is known of a node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    /// Connections begun.
    pub hits: u64,
    /// Connections that did not come to be.
    pub failures: u64,
    /// Passed over until then.
    pub down_until: Option<Instant>,
}

/// The nodes of a pool and how they are: first those that take turns, then the others.
#[derive(Debug)]
pub struct Nodes {
    pool: Pool,
    health: Vec<Health>,
    last: usize,
    last_fallback: usize,
}

impl Nodes {
    pub fn new(pool: Pool) -> Self {
        let all = pool.nodes.len() + pool.fallback.len();
        Self {
            pool,
            health: vec![Health::default(); all],
            last: 0,
            last_fallback: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.health.len()
    }

    /// One of them.
    pub fn get(&self, at: usize) -> Option<&Node> {
        self.pool.nodes.iter().chain(&self.pool.fallback).nth(at)
    }

    /// All, with what is known of them.
    pub fn all(&self) -> impl Iterator<Item = (&Node, &Health)> {
        self.pool.nodes.iter().chain(&self.pool.fallback).zip(&self.health)
    }

    /// The next that is not down. If all are, whose turn it is: there is nothing to lose.
    pub fn choose(&mut self, now: Instant) -> usize {
        let (main, others) = (self.pool.nodes.len(), self.pool.fallback.len());
        let is_up = |at: &usize| self.health[*at].down_until.is_none_or(|until| until <= now);
        let turn = |from: usize, count: usize| (1..=count).map(move |step| (from + step) % count);
        let next = turn(self.last, main).find(is_up);
        let fallback = || turn(self.last_fallback, others).map(|at| main + at).find(is_up);
        let at = next.or_else(fallback).unwrap_or((self.last + 1) % main);
        match at.checked_sub(main) {
            None => self.last = at,
            Some(at) => self.last_fallback = at,
        }
        self.health[at].hits += 1;
        at
    }

    /// Whether a node is not passed over now.
    pub fn is_up(&self, at: usize, now: Instant) -> bool {
        let health = self.health.get(at);
        health.is_some_and(|health| health.down_until.is_none_or(|until| until <= now))
    }

    /// A connection to a node failed.
    pub fn failed(&mut self, at: usize, now: Instant) {
        if let Some(health) = self.health.get_mut(at) {
            health.failures += 1;
            health.down_until = Some(now + self.pool.grace);
        }
    }

    /// A node is there.
    pub fn connected(&mut self, at: usize) {
        if let Some(health) = self.health.get_mut(at) {
            health.down_until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(main: usize, fallback: usize) -> Nodes {
        let node = |at: usize| Node::parse(&format!("@{at}")).expect("an address");
        Nodes::new(Pool {
            nodes: (0..main).map(node).collect(),
            fallback: (main..main + fallback).map(node).collect(),
            grace: Duration::from_secs(30),
        })
    }

    #[test]
    fn one_that_failed_is_passed_over_for_its_time() {
        let (mut nodes, now) = (nodes(3, 0), Instant::now());
        let turns = |nodes: &mut Nodes, now| (0..6).map(|_| nodes.choose(now)).collect::<Vec<_>>();
        assert_eq!(turns(&mut nodes, now), [1, 2, 0, 1, 2, 0]);
        nodes.failed(1, now);
        assert_eq!(turns(&mut nodes, now), [2, 0, 2, 0, 2, 0]);
        assert_eq!(turns(&mut nodes, now + Duration::from_secs(31)), [1, 2, 0, 1, 2, 0]);
        nodes.failed(2, now);
        nodes.connected(2);
        assert_eq!(turns(&mut nodes, now), [2, 0, 2, 0, 2, 0]);
    }

    #[test]
    fn fallbacks_serve_while_all_others_are_down_and_nothing_stops_the_turns() {
        let (mut nodes, now) = (nodes(2, 2), Instant::now());
        nodes.failed(0, now);
        assert_eq!([nodes.choose(now), nodes.choose(now)], [1, 1]);
        nodes.failed(1, now);
        assert_eq!([nodes.choose(now), nodes.choose(now), nodes.choose(now)], [3, 2, 3]);
        nodes.failed(2, now);
        nodes.failed(3, now);
        assert_eq!([nodes.choose(now), nodes.choose(now)], [0, 1]);
        assert_eq!(nodes.all().map(|(_, health)| health.failures).sum::<u64>(), 4);
    }
}
