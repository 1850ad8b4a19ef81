//! uWSGI's schedule of five numbers (minute, hour, day, month, weekday) against the local time, and the crons of the
//! master that raise signals. Each fires at most once in a minute of the calendar.

/// A moment of local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// Minute, hour, day, month (from 1), weekday (0: Sunday).
    fields: [i32; 5],
    /// Minutes since the epoch, which tell two moments apart.
    pub number: i64,
}

impl Minute {
    /// That of a time in seconds since the epoch.
    pub fn of(seconds: i64) -> Self {
        // SAFETY: zero is valid for the struct, which the call fills.
        let local = unsafe {
            let mut local: libc::tm = std::mem::zeroed();
            libc::localtime_r(&seconds, &mut local);
            local
        };
        Self {
            fields: [
                local.tm_min,
                local.tm_hour,
                local.tm_mday,
                local.tm_mon + 1,
                local.tm_wday,
            ],
            number: seconds.div_euclid(60),
        }
    }
}

const NAMES: [&str; 5] = ["minute", "hour", "day", "month", "weekday"];
const MOST: [i32; 5] = [59, 23, 31, 12, 7];

/// Whether a schedule can ever match.
///
/// # Errors
/// Which number cannot, and what would.
pub fn check(fields: [i32; 5]) -> Result<(), String> {
    for ((value, most), name) in fields.into_iter().zip(MOST).zip(NAMES) {
        let least = i32::from(name == "month");
        if value > most || (value >= 0 && value < least) {
            return Err(format!(
                "{name} {value} never comes: give {least} to {most}, -1 for any, or -N for every N"
            ));
        }
    }
    // day 0 is of use only beside a weekday, either of which then does
    if fields[2] == 0 && fields[4] < 0 {
        return Err("day 0 never comes: give 1 to 31, -1 for any, or -N for every N".into());
    }
    Ok(())
}

/// Whether a schedule means this minute.
pub fn matches(fields: [i32; 5], now: Minute) -> bool {
    let one = |at: usize| match fields[at] {
        -1 => true,
        every if every < 0 => now.fields[at] % every.saturating_neg() == 0,
        7 if at == 4 => now.fields[at] == 0,
        value => now.fields[at] == value,
    };
    let day = match fields[2] >= 0 && fields[4] >= 0 {
        true => one(2) || one(4),
        false => one(2) && one(4),
    };
    one(0) && one(1) && one(3) && day
}

#[derive(Debug)]
struct Cron {
    signal: u8,
    fields: [i32; 5],
    owners: Vec<i32>,
    fired: Option<i64>,
}

/// The crons that raise signals.
#[derive(Debug, Default)]
pub struct Crons(Vec<Cron>);

impl Crons {
    /// Adds one; one that is there already gets one owner more.
    pub fn add(&mut self, signal: u8, fields: [i32; 5], owner: i32) {
        match self.0.iter_mut().find(|c| c.signal == signal && c.fields == fields) {
            Some(cron) if cron.owners.contains(&owner) => {}
            Some(cron) => cron.owners.push(owner),
            None => self.0.push(Cron {
                signal,
                fields,
                owners: vec![owner],
                fired: None,
            }),
        }
    }

    /// Takes those for a signal away.
    pub fn remove(&mut self, signal: u8) {
        self.0.retain(|c| c.signal != signal);
    }

    /// A worker has ended, and with it what only it wanted.
    pub fn release(&mut self, owner: i32) {
        self.0.retain_mut(|c| {
            c.owners.retain(|o| *o != owner);
            !c.owners.is_empty()
        });
    }

    /// The signals of this minute that were not raised in it yet.
    pub fn expire(&mut self, now: Minute) -> Vec<u8> {
        let due = self
            .0
            .iter_mut()
            .filter(|c| c.fired != Some(now.number) && matches(c.fields, now));
        due.map(|c| {
            c.fired = Some(now.number);
            c.signal
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(fields: [i32; 5]) -> Minute {
        Minute { fields, number: 1 }
    }

    #[test]
    fn every_field_counts() {
        // 13:45 on the 21st of November, a Saturday
        let now = minute([45, 13, 21, 11, 6]);
        let means = |fields| matches(fields, now);
        assert!(means([-1; 5]) && means([45, 13, 21, 11, -1]) && means([45, -1, -1, -1, 6]));
        assert!(!means([44, -1, -1, -1, -1]) && !means([-1, 12, -1, -1, -1]) && !means([-1, -1, -1, 10, -1]));
        assert!(!means([-1, -1, 20, -1, -1]) && !means([-1, -1, -1, -1, 5]));
        assert!(means([-5, -1, -1, -1, -1]) && means([-1, -1, -7, -1, -1]) && means([-1, -1, -1, -11, -1]));
        assert!(!means([-2, -1, -1, -1, -1]) && !means([-1, -2, -1, -1, -1]) && !means([i32::MIN, -1, -1, -1, -1]));
    }

    #[test]
    fn day_and_weekday_are_alternatives_only_when_both_are_given() {
        let now = minute([0, 0, 21, 11, 6]);
        assert!(matches([-1, -1, 1, -1, 6], now) && matches([-1, -1, 21, -1, 1], now));
        assert!(!matches([-1, -1, 1, -1, 1], now));
        assert!(!matches([-1, -1, -2, -1, 6], now), "a step is no day");
    }

    #[test]
    fn seven_is_sunday_too() {
        let sunday = minute([0, 0, 22, 11, 0]);
        assert!(matches([-1, -1, -1, -1, 7], sunday) && matches([-1, -1, -1, -1, 0], sunday));
    }

    #[test]
    fn what_never_comes_is_refused() {
        for wrong in [
            [60, 0, 1, 1, 1],
            [0, 24, 1, 1, 1],
            [0, 0, 32, 1, 1],
            [0, 0, 1, 13, 1],
            [0, 0, 1, 1, 8],
            [0, 0, 1, 0, -1],
            [0, 0, 0, 1, -1],
        ] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
        assert!(check([59, 23, 31, 12, 7]).is_ok() && check([-1; 5]).is_ok() && check([0, 0, 0, 1, 3]).is_ok());
    }

    #[test]
    fn a_cron_fires_once_in_a_minute_also_when_that_minute_is_looked_at_often() {
        let mut crons = Crons::default();
        crons.add(17, [-1; 5], 0);
        crons.add(17, [-1; 5], 55);
        let mut raised = 0;
        for second in 0..180 {
            raised += crons.expire(Minute::of(1_700_000_040 + second)).len();
        }
        assert_eq!(raised, 3);
        crons.release(0);
        assert_eq!(crons.expire(Minute::of(1_800_000_000)).len(), 1);
        crons.release(55);
        assert!(crons.expire(Minute::of(1_900_000_000)).is_empty());
    }
}
