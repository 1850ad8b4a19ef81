//! What plugins offer under a name that the operator's configuration uses: filled by them in the start, read by the
//! processes that are forked afterwards.

use super::inside::Brought;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Functions of one kind by their names; one of the same name takes the other's place.
#[derive(Debug)]
pub struct Offered<T>(Mutex<Vec<(String, T)>>);

impl<T: Copy> Offered<T> {
    /// Nothing is offered yet.
    pub const fn none() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// A plugin offers `what` under a name.
    pub fn add(&self, name: &[u8], what: T) {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut all = self.all();
        all.retain(|(other, _)| *other != name);
        all.push((name, what));
    }

    /// What is offered under this name.
    pub fn find(&self, name: &str) -> Option<T> {
        let all = self.all();
        all.iter().find(|(other, _)| other == name).map(|(_, what)| *what)
    }

    /// The names, for lists and mistakes.
    pub fn names(&self) -> Vec<String> {
        self.all().iter().map(|(name, _)| name.clone()).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<(String, T)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Copy> Offered<Brought<F>> {
    /// A plugin offers a function of a kind, which runs in its name.
    pub fn bring(&self, kind: &str, name: &[u8], func: F) {
        self.add(name, Brought::new(kind, name, func));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_name_counts() {
        let offered = Offered::none();
        assert_eq!(offered.find("a"), None);
        offered.add(b"a", 1);
        offered.add(b"b", 2);
        offered.add(b"a", 3);
        assert_eq!((offered.find("a"), offered.find("b")), (Some(3), Some(2)));
        assert_eq!(offered.names(), ["b", "a"]);
    }
}
