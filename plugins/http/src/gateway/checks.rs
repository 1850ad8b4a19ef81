//! Asking the servers of `--http-to` whether they are there (`--http-to-check`): a connection, uwsgi's ping, its answer.
//! One that gives none gets no requests until it does. Called by the event loop of `Gateway`.

use std::time::{Duration, Instant};

use super::{Gateway, Subject};
use crate::channel::Fill;

/// The question and the answer: modifier1 100, no variables.
const PING: [u8; 4] = [100, 0, 0, 0];
const PONG: [u8; 4] = [100, 0, 0, 1];

/// The questions under way.
#[derive(Debug)]
pub(super) struct Checks {
    every: Duration,
    patience: Duration,
    next: Instant,
    /// Connections, and until when their answers count.
    open: Vec<(usize, Instant)>,
}

impl Checks {
    pub fn new(every: Duration, patience: Duration, now: Instant) -> Self {
        Self {
            every,
            patience: patience.min(every),
            next: now,
            open: Vec::new(),
        }
    }

    /// When there is something to do next.
    pub fn due(&self) -> Option<Instant> {
        self.open.iter().map(|(_, until)| *until).chain([self.next]).min()
    }
}

impl Gateway {
    /// Begins the questions that are due, and gives those up that have waited too long.
    pub(super) fn check_backends(&mut self) {
        let now = self.now;
        let Some(checks) = &mut self.checks else { return };
        let late: Vec<usize> = checks
            .open
            .iter()
            .filter(|(_, until)| *until <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in late {
            self.end_check(key, Err("no answer in time".to_owned()));
        }
        let Some(checks) = self.checks.as_mut().filter(|checks| checks.next <= now) else {
            return;
        };
        checks.next = now + checks.every;
        let until = now + checks.patience;
        for node in 0..self.links.node_count() {
            let token = |key, id| Subject::Link(key, id).token();
            match self.links.probe(self.poll.registry(), token, node) {
                Ok(key) => {
                    if let Some(checks) = &mut self.checks {
                        checks.open.push((key, until));
                    }
                    self.go_on_with_check(key);
                }
                Err(e) => self.tell_of_node(node, Err(e.to_string())),
            }
        }
    }

    /// Something has happened to the connection of a question.
    pub(super) fn go_on_with_check(&mut self, key: usize) {
        let Some(link) = self.links.get(key) else { return };
        if link.connecting {
            if !link.channel.is_writable() && !link.channel.is_hung_up() {
                return;
            }
            link.connecting = false;
            if let Err(e) = link.channel.socket.stream.connected() {
                return self.end_check(key, Err(e.to_string()));
            }
        }
        if !std::mem::replace(&mut link.is_asked, true)
            && let Err(e) = link.channel.send(&mut self.pool, &PING)
        {
            return self.end_check(key, Err(e.to_string()));
        }
        let outcome = match link.channel.fill(&mut self.pool, 64) {
            Ok(Fill::Got) if link.channel.input.data().starts_with(&PONG) => Ok(()),
            Ok(Fill::Got | Fill::Nothing) if link.channel.input.len() < PONG.len() => return,
            Ok(Fill::Got | Fill::Nothing) => Err("it does not speak uwsgi".to_owned()),
            Ok(Fill::Ended) => Err("it closed the connection".to_owned()),
            Err(e) => Err(e.to_string()),
        };
        self.end_check(key, outcome);
    }

    fn end_check(&mut self, key: usize, outcome: Result<(), String>) {
        if let Some(checks) = &mut self.checks {
            checks.open.retain(|(one, _)| *one != key);
        }
        let Some(node) = self.links.get(key).map(|link| link.node) else {
            return;
        };
        self.links.close(key);
        self.tell_of_node(node, outcome);
    }

    /// Notes how a node is, and says so when it was otherwise before.
    fn tell_of_node(&mut self, node: usize, outcome: Result<(), String>) {
        let Some((name, was_there)) = self.links.note(node, outcome.is_ok(), self.now) else {
            return;
        };
        match outcome {
            Err(cause) if was_there => (self.config.log)(&format!("http: {name} is not there: {cause}; others serve")),
            Ok(()) if !was_there => (self.config.log)(&format!("http: {name} is there again")),
            _ => {}
        }
    }
}
