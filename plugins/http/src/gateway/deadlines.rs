//! When something has lasted too long, and how long the event loop may sleep until then: a sweep over all sessions a few
//! times a second, so that moving a deadline costs nothing. Called by the event loop of `Gateway`.

use std::time::{Duration, Instant};

use rsgi_protocol::http1::HttpError;

use super::checks::Checks;
use super::{Gateway, Service};
use crate::session::{Phase, Session};

/// How often deadlines are looked at.
pub(super) const SWEEP: Duration = Duration::from_millis(250);
/// While leaving, a kept connection that was quiet for so long is closed.
pub(super) const LEAVE_IDLE: Duration = Duration::from_secs(1);
/// How long a client may take to read the last answer.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// How long a client may take to send the rest of a body nobody wants.
pub(super) const SKIP: Duration = Duration::from_secs(5);

impl Gateway {
    /// How long the poll may sleep.
    pub(super) fn patience(&self) -> Option<Duration> {
        if !self.again.is_empty() || !self.accepting.is_empty() {
            return Some(Duration::ZERO);
        }
        let sweep = (!self.sessions.is_empty()).then_some(self.next_sweep);
        let check = self.checks.as_ref().and_then(Checks::due);
        let at = [sweep, self.retry_at, self.last_call, check]
            .into_iter()
            .flatten()
            .min()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Ends what has lasted too long.
    pub(super) fn sweep(&mut self) {
        let late = |s: &Session, now: Instant, leaving: bool| {
            s.deadline <= now || (leaving && s.is_idle() && now.duration_since(s.idle_since) >= LEAVE_IDLE)
        };
        let (now, leaving) = (self.now, self.leaving);
        let due: Vec<usize> = self
            .sessions
            .iter()
            .filter(|(_, s)| late(s, now, leaving))
            .map(|(key, _)| key)
            .collect();
        for key in due {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            let is_stats = matches!(self.config.services.get(session.listener), Some(Service::Stats));
            match session.phase {
                Phase::Head if is_stats && session.channel.input.is_empty() => {
                    self.show_stats(key, false);
                }
                Phase::Head if !session.channel.input.is_empty() => {
                    self.refuse(key, HttpError::new(408, "the request head took too long"));
                }
                Phase::Streams => self.retire(key),
                Phase::Head | Phase::Skip | Phase::Linger => self.close(key),
                Phase::Queued => {
                    (self.config.log)("http: no worker was free in time; the client gets 504");
                    self.refuse(key, HttpError::new(504, "no worker was free in time"));
                }
                Phase::Exchange(link) => self.time_out(key, link),
            }
            self.advance(key);
        }
        for line in self.links.sweep(now) {
            (self.config.log)(&line);
        }
        self.heads.truncate(64);
    }
}
