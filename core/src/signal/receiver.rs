//! Who gets a signal: the target that an application names at registration, and the queues ([`Receiver`]) that it
//! means. Parsed strictly, once, at registration.

use super::SignalError;
use std::fmt;

/// A queue of pending signals, and so a process or a group of processes one of which takes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// The first worker that is free.
    AnyWorker,
    /// One worker, from 1.
    Worker(usize),
    /// The first mule that is free.
    AnyMule,
    /// One mule, from 1.
    Mule(usize),
    /// The first free mule of a farm, from 1.
    Farm(usize),
    /// The first spooler that is free.
    Spooler,
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyWorker => f.write_str("any worker"),
            Self::Worker(n) => write!(f, "worker {n}"),
            Self::AnyMule => f.write_str("any mule"),
            Self::Mule(n) => write!(f, "mule {n}"),
            Self::Farm(n) => write!(f, "farm {n}"),
            Self::Spooler => f.write_str("the spooler"),
        }
    }
}

/// A mule has a number up to this.
const MOST_MULES: usize = 1024;

/// How many processes of each kind an instance has, and so which queues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Workers at most.
    pub workers: usize,
    /// Mules.
    pub mule_count: usize,
    /// Names of the farms.
    pub farm_names: Vec<String>,
    /// Whether there is a spooler.
    pub has_spooler: bool,
    /// Threads that take signals: the cores of all workers, mules and spoolers.
    pub takers: usize,
}

impl Shape {
    /// How many queues there are.
    pub fn queues(&self) -> usize {
        3 + self.workers + self.mule_count + self.farm_names.len()
    }

    /// The number of a receiver's queue; `None`: there is no such receiver.
    pub fn queue_of(&self, receiver: Receiver) -> Option<usize> {
        match receiver {
            Receiver::AnyWorker => Some(0),
            Receiver::AnyMule => (self.mule_count > 0).then_some(1),
            Receiver::Spooler => self.has_spooler.then_some(2),
            Receiver::Worker(n) => (1..=self.workers).contains(&n).then(|| 2 + n),
            Receiver::Mule(n) => (1..=self.mule_count).contains(&n).then(|| 2 + self.workers + n),
            Receiver::Farm(n) => (1..=self.farm_names.len())
                .contains(&n)
                .then(|| 2 + self.workers + self.mule_count + n),
        }
    }
}

/// What an application names: one receiver, or all of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One queue.
    One(Receiver),
    /// Every worker that is not cheaped.
    Workers,
    /// Every worker that runs, cheaped and paused ones excepted.
    ActiveWorkers,
    /// Every mule.
    Mules,
    /// Accepted and without effect, as in uWSGI.
    Subscribed,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(receiver) => receiver.fmt(f),
            Self::Workers => f.write_str("the workers"),
            Self::ActiveWorkers => f.write_str("the active workers"),
            Self::Mules => f.write_str("the mules"),
            Self::Subscribed => f.write_str("subscribed nodes"),
        }
    }
}

impl Target {
    /// Reads the text of a registration.
    ///
    /// # Errors
    /// It is none of the documented words, or names a worker, mule or farm beyond those of this instance. A mule where
    /// there are none at all is accepted.
    pub fn parse(text: &str, shape: &Shape) -> Result<Self, SignalError> {
        let wrong = || SignalError::Target(text.to_owned());
        // no sign, no leading zero: two spellings of one target would hide mistakes
        let number = |digits: &str| -> Option<usize> {
            let n = digits.parse::<usize>().ok()?;
            (n.to_string() == digits).then_some(n)
        };
        let target = match text {
            "" | "worker" | "worker0" => Self::One(Receiver::AnyWorker),
            "workers" => Self::Workers,
            "active-workers" => Self::ActiveWorkers,
            "spooler" => Self::One(Receiver::Spooler),
            "mules" => Self::Mules,
            "mule" | "mule0" => Self::One(Receiver::AnyMule),
            "subscribed" => Self::Subscribed,
            _ => {
                let receiver = if let Some(digits) = text.strip_prefix("worker") {
                    number(digits).map(Receiver::Worker)
                } else if let Some(digits) = text.strip_prefix("mule") {
                    number(digits).map(Receiver::Mule)
                } else if let Some(name) = text.strip_prefix("farm_") {
                    let at = shape.farm_names.iter().position(|farm| farm == name);
                    at.map(|at| Receiver::Farm(at + 1))
                } else if let Some(digits) = text.strip_prefix("farm") {
                    number(digits).map(Receiver::Farm)
                } else {
                    None
                };
                let receiver = receiver.ok_or_else(wrong)?;
                // an application may be written for mules that this instance does without: raising says so
                let does_without = matches!(receiver, Receiver::Mule(1..=MOST_MULES)) && shape.mule_count == 0;
                if shape.queue_of(receiver).is_none() && !does_without {
                    return Err(wrong());
                }
                Self::One(receiver)
            }
        };
        Ok(target)
    }

    /// As one word of shared memory; never 0, which stands for "not registered".
    pub fn encode(self) -> u64 {
        let (kind, number) = match self {
            Self::One(Receiver::AnyWorker) => (1, 0),
            Self::One(Receiver::Worker(n)) => (2, n),
            Self::One(Receiver::AnyMule) => (3, 0),
            Self::One(Receiver::Mule(n)) => (4, n),
            Self::One(Receiver::Farm(n)) => (5, n),
            Self::One(Receiver::Spooler) => (6, 0),
            Self::Workers => (7, 0),
            Self::ActiveWorkers => (8, 0),
            Self::Mules => (9, 0),
            Self::Subscribed => (10, 0),
        };
        (kind << 32) | number as u64
    }

    /// The reverse of [`encode`](Self::encode); `None`: not registered.
    pub fn decode(word: u64) -> Option<Self> {
        let number = (word & 0xffff_ffff) as usize;
        Some(match word >> 32 {
            1 => Self::One(Receiver::AnyWorker),
            2 => Self::One(Receiver::Worker(number)),
            3 => Self::One(Receiver::AnyMule),
            4 => Self::One(Receiver::Mule(number)),
            5 => Self::One(Receiver::Farm(number)),
            6 => Self::One(Receiver::Spooler),
            7 => Self::Workers,
            8 => Self::ActiveWorkers,
            9 => Self::Mules,
            10 => Self::Subscribed,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape() -> Shape {
        Shape {
            workers: 4,
            mule_count: 2,
            farm_names: vec!["one".into(), "2".into()],
            has_spooler: true,
            takers: 8,
        }
    }

    #[test]
    fn the_documented_words_mean_what_they_say() {
        let parse = |text| Target::parse(text, &shape()).unwrap();
        for any in ["", "worker", "worker0"] {
            assert_eq!(parse(any), Target::One(Receiver::AnyWorker));
        }
        assert_eq!(parse("worker4"), Target::One(Receiver::Worker(4)));
        assert_eq!(parse("mule0"), Target::One(Receiver::AnyMule));
        assert_eq!(parse("mule2"), Target::One(Receiver::Mule(2)));
        assert_eq!(parse("farm1"), Target::One(Receiver::Farm(1)));
        assert_eq!(parse("farm_one"), Target::One(Receiver::Farm(1)));
        assert_eq!(parse("farm_2"), Target::One(Receiver::Farm(2)));
        assert_eq!(parse("active-workers"), Target::ActiveWorkers);
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        for wrong in [
            "bogus",
            "workerX",
            "worker5",
            "worker01",
            "worker+1",
            "worker-1",
            "mule3",
            "farm0",
            "farm3",
            "farm_",
            "farm",
            "Worker",
            "spooler1",
            "muleX",
            " worker",
            "worker99999999999999999999",
        ] {
            assert!(Target::parse(wrong, &shape()).is_err(), "{wrong}");
        }
        let none = Shape::default();
        assert_eq!(Target::parse("mule1", &none), Ok(Target::One(Receiver::Mule(1))));
        assert!(none.queue_of(Receiver::Mule(1)).is_none(), "raising it is refused");
    }

    #[test]
    fn every_receiver_has_a_queue_of_its_own() {
        let shape = shape();
        let mut seen: Vec<usize> = (1..=4).filter_map(|n| shape.queue_of(Receiver::Worker(n))).collect();
        seen.extend((1..=2).filter_map(|n| shape.queue_of(Receiver::Mule(n))));
        seen.extend((1..=2).filter_map(|n| shape.queue_of(Receiver::Farm(n))));
        for receiver in [Receiver::AnyWorker, Receiver::AnyMule, Receiver::Spooler] {
            seen.extend(shape.queue_of(receiver));
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..shape.queues()).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_it_accepts_survives_the_memory(text in "[a-z_\\-0-9+ ]{0,24}|(worker|mule|farm)[0-9]{0,3}") {
            if let Ok(target) = Target::parse(&text, &shape()) {
                prop_assert_eq!(Target::decode(target.encode()), Some(target));
                prop_assert!(target.encode() != 0);
            }
        }
    }
}
