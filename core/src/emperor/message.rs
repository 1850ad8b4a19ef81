//! What an emperor and its vassals tell each other over the socket named in `UWSGI_EMPEROR_FD`: single bytes.

/// The variable with the number of the vassal's end.
pub const VARIABLE: &str = "UWSGI_EMPEROR_FD";

/// From the vassal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Report {
    /// Its master runs and takes orders.
    Ready = 1,
    /// Its workers take requests.
    Accepting = 5,
    /// It has lived long enough to be trusted.
    Loyal = 17,
    /// It has nothing to do: it may be stopped until the next connection.
    Rest = 22,
    /// It lives.
    Heartbeat = 26,
}

impl Report {
    /// By its byte; `None`: nothing that this emperor knows.
    pub fn of(byte: u8) -> Option<Self> {
        [Self::Ready, Self::Accepting, Self::Loyal, Self::Rest, Self::Heartbeat]
            .into_iter()
            .find(|report| *report as u8 == byte)
    }
}

/// From the emperor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Order {
    /// End gracefully.
    Stop = 0,
    /// Reload.
    Reload = 1,
}

impl Order {
    /// By its byte.
    pub fn of(byte: u8) -> Option<Self> {
        [Self::Stop, Self::Reload]
            .into_iter()
            .find(|order| *order as u8 == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_means_what_it_was_written_as_and_others_mean_nothing() {
        let known = |byte| Report::of(byte).map(|r| r as u8);
        let read: Vec<u8> = (0..=255).filter_map(known).collect();
        assert_eq!(read, [1, 5, 17, 22, 26]);
        assert!(read.iter().all(|b| known(*b) == Some(*b)));
        assert_eq!(
            (Order::of(0), Order::of(1), Order::of(2)),
            (Some(Order::Stop), Some(Order::Reload), None)
        );
    }
}
