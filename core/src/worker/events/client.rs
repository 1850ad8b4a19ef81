//! A connection of a worker that serves many at once: where it is between its requests, and the place where it is kept.

use crate::request::Core;
use crate::worker::connection::Connection;
use crate::worker::{monotonic, poll};

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for a request head, or reads one.
    Head,
    /// The body of its request is gathered before the plugin gets it.
    Gather,
    /// The plugin has its request.
    Exchange,
    /// The request has ended; what the client did not take of the answer is still to go.
    Drain(Then),
    /// Our side is closed; what the client still sends is thrown away.
    Linger,
}

/// What follows an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next request.
    Head,
    /// The end, with time for the client to read.
    Linger,
    /// The end.
    Close,
}

/// A connection and what is known of it.
pub struct Client {
    /// The socket and what was read from it.
    pub conn: Box<Connection>,
    /// The request in work.
    pub core: Option<Box<Core>>,
    /// Where it is.
    pub phase: Phase,
    /// There may be something to read.
    pub readable: bool,
    /// What was read was not looked at yet.
    pub unparsed: bool,
    /// The client has closed its side.
    pub gone: bool,
    /// Monotonic seconds when the phase began; of a head, when its last bytes came.
    pub since: u64,
    /// Monotonic seconds when the client was last seen to take what is kept for it.
    pub took: u64,
}

impl Client {
    /// A new connection.
    pub fn new(conn: Box<Connection>) -> Self {
        Self {
            conn,
            core: None,
            phase: Phase::Head,
            readable: true,
            unparsed: false,
            gone: false,
            since: monotonic(),
            took: 0,
        }
    }

    /// Goes on to the next phase.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = monotonic();
    }

    /// Whether nothing of a request is there.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Head && self.conn.is_idle()
    }
}

#[derive(Default)]
struct Place {
    generation: u32,
    client: Option<Box<Client>>,
}

/// All connections of the worker. A place is used again under another generation, so that events of its last
/// connection are known to be old.
#[derive(Default)]
pub struct Clients {
    places: Vec<Place>,
    free: Vec<usize>,
    count: usize,
}

impl Clients {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Keeps one: its place and generation.
    pub fn insert(&mut self, client: Client) -> (usize, u32) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() - 1
        });
        self.count += 1;
        let place = &mut self.places[index];
        place.client = Some(Box::new(client));
        (index, place.generation)
    }

    /// The one of a place.
    pub fn get(&mut self, index: usize) -> Option<&mut Client> {
        self.places.get_mut(index)?.client.as_deref_mut()
    }

    /// The one of a place, if it is of this generation.
    pub fn get_of(&mut self, index: usize, generation: u32) -> Option<&mut Client> {
        let place = self.places.get_mut(index).filter(|p| p.generation == generation)?;
        place.client.as_deref_mut()
    }

    /// Takes one out.
    pub fn remove(&mut self, index: usize) -> Option<Box<Client>> {
        let place = self.places.get_mut(index)?;
        let client = place.client.take()?;
        place.generation = place.generation.wrapping_add(1) & poll::GENERATIONS;
        self.free.push(index);
        self.count -= 1;
        Some(client)
    }

    /// The places in use.
    pub fn indexes(&self) -> Vec<usize> {
        let used = self.places.iter().enumerate();
        used.filter(|(_, p)| p.client.is_some()).map(|(i, _)| i).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    /// Places without connections, which need a server: the numbers are what matters.
    fn generations(places: &[Place]) -> Vec<u32> {
        places.iter().map(|p| p.generation).collect()
    }

    #[test]
    fn a_place_without_a_connection_gives_none() {
        let mut clients = super::Clients::default();
        assert!(clients.get(0).is_none() && clients.get_of(3, 0).is_none() && clients.remove(7).is_none());
        clients.places.push(Place::default());
        assert!(clients.remove(0).is_none());
        assert_eq!((generations(&clients.places), clients.len()), (vec![0], 0));
        assert!(clients.indexes().is_empty());
    }
}
