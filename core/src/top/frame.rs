//! One frame as lines of text: totals, a table of workers in the wanted order, what they are serving.

use super::model::{Snapshot, Worker};
use std::cmp::Ordering;
use std::time::Duration;

/// A column of the table.
#[derive(Debug)]
pub struct Column {
    key: char,
    title: &'static str,
    width: usize,
    cell: fn(&Worker, f64) -> Cell,
}

/// A value with its order and its look.
enum Cell {
    Number(u64),
    Rate(f64),
    Bytes(u64),
    Micros(u64),
    Since(u64),
    Text(String),
}

static COLUMNS: &[Column] = &[
    Column {
        key: 'w',
        title: "WID",
        width: 4,
        cell: |w, _| Cell::Number(w.id),
    },
    Column {
        key: 'p',
        title: "PID",
        width: 8,
        cell: |w, _| Cell::Number(w.pid),
    },
    Column {
        key: 'r',
        title: "REQ",
        width: 10,
        cell: |w, _| Cell::Number(w.requests),
    },
    Column {
        key: 's',
        title: "RPS",
        width: 8,
        cell: |_, rate| Cell::Rate(rate),
    },
    Column {
        key: 'x',
        title: "EXC",
        width: 7,
        cell: |w, _| Cell::Number(w.exceptions),
    },
    Column {
        key: 'h',
        title: "HRK",
        width: 5,
        cell: |w, _| Cell::Number(w.harakiri),
    },
    Column {
        key: 'g',
        title: "SIG",
        width: 6,
        cell: |w, _| Cell::Number(w.signals),
    },
    Column {
        key: 'l',
        title: "STATUS",
        width: 7,
        cell: |w, _| Cell::Text(w.status.clone()),
    },
    Column {
        key: 'a',
        title: "AVG",
        width: 9,
        cell: |w, _| Cell::Micros(w.avg_rt),
    },
    Column {
        key: 'm',
        title: "RSS",
        width: 8,
        cell: |w, _| Cell::Bytes(w.rss),
    },
    Column {
        key: 'v',
        title: "VSZ",
        width: 8,
        cell: |w, _| Cell::Bytes(w.vsz),
    },
    Column {
        key: 't',
        title: "TX",
        width: 8,
        cell: |w, _| Cell::Bytes(w.tx),
    },
    Column {
        key: 'u',
        title: "SPAWN",
        width: 6,
        cell: |w, _| Cell::Number(w.respawns),
    },
    Column {
        key: 'y',
        title: "AGE",
        width: 8,
        cell: |w, _| Cell::Since(w.last_spawn),
    },
];

impl Column {
    /// The column that a key sorts by.
    pub fn of_key(key: char) -> Option<&'static Self> {
        COLUMNS.iter().find(|column| column.key == key)
    }
}

/// What the table is sorted by.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    column: &'static Column,
    descending: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            column: &COLUMNS[0],
            descending: false,
        }
    }
}

impl Order {
    /// By another column, largest first; by the same one, the other way round.
    pub fn by(self, column: &'static Column) -> Self {
        let same = self.column.key == column.key;
        Self {
            column,
            descending: if same { !self.descending } else { column.key != 'w' },
        }
    }
}

impl Cell {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Rate(a), Self::Rate(b)) => a.total_cmp(b),
            _ => self.whole().cmp(&other.whole()),
        }
    }

    fn whole(&self) -> u64 {
        match self {
            Self::Number(n) | Self::Bytes(n) | Self::Micros(n) | Self::Since(n) => *n,
            Self::Rate(_) | Self::Text(_) => 0,
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Rate(rate) => format!("{rate:.1}"),
            Self::Bytes(n) => bytes(*n),
            Self::Micros(n) if *n >= 10_000 => format!("{}ms", n / 1000),
            Self::Micros(n) => format!("{:.1}ms", *n as f64 / 1000.0),
            Self::Since(0) => "-".into(),
            Self::Since(at) => age(seconds_now().saturating_sub(*at)),
            Self::Text(text) => text.clone(),
        }
    }
}

fn bytes(n: u64) -> String {
    match n {
        0..1024 => n.to_string(),
        1024..1_048_576 => format!("{}K", n >> 10),
        1_048_576..1_073_741_824 => format!("{:.1}M", n as f64 / 1_048_576.0),
        _ => format!("{:.1}G", n as f64 / 1_073_741_824.0),
    }
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

fn seconds_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_secs())
}

/// The frame; `last` is the reading before and how long ago it was.
pub fn lines(now: &Snapshot, last: Option<(&Snapshot, Duration)>, order: Order) -> Vec<String> {
    let rate = |worker: &Worker| {
        let Some((before, passed)) = last else { return 0.0 };
        let old = before.workers.iter().find(|w| w.id == worker.id);
        let done = worker
            .requests
            .saturating_sub(old.map_or(worker.requests, |w| w.requests));
        done as f64 / passed.as_secs_f64().max(0.001)
    };
    let mut rows: Vec<(&Worker, f64)> = now.workers.iter().map(|w| (w, rate(w))).collect();
    let total: f64 = rows.iter().map(|(_, rate)| rate).sum();
    let cell = order.column.cell;
    rows.sort_by(|(a, a_rate), (b, b_rate)| {
        let compared = cell(a, *a_rate).compare(&cell(b, *b_rate));
        let compared = if order.descending { compared.reverse() } else { compared };
        compared.then(a.id.cmp(&b.id))
    });
    let count = |status: &str| now.workers.iter().filter(|w| w.status == status).count();
    let sent: u64 = now.workers.iter().map(|w| w.tx).sum();
    let mut out = vec![
        format!(
            "version {}  pid {}  uid {}  gid {}  {}",
            now.version, now.pid, now.uid, now.gid, now.cwd
        ),
        format!(
            "requests {}  per second {total:.1}  waiting {}  workers {}: busy {}, idle {}, cheap {}  sent {}",
            now.requests(),
            now.listen_queue,
            now.workers.len(),
            count("busy"),
            count("idle"),
            count("cheap"),
            bytes(sent)
        ),
        String::new(),
        head(order),
    ];
    for (worker, rate) in rows {
        out.push(row(worker, rate));
    }
    out
}

fn head(order: Order) -> String {
    let cells = COLUMNS.iter().map(|column| {
        let mark = match column.key == order.column.key {
            true if order.descending => "-",
            true => "+",
            false => "",
        };
        format!("{:>width$}", format!("{mark}{}", column.title), width = column.width)
    });
    cells.collect::<Vec<_>>().join(" ") + "  SERVING"
}

fn row(worker: &Worker, rate: f64) -> String {
    let cells = COLUMNS
        .iter()
        .map(|column| format!("{:>width$}", (column.cell)(worker, rate).show(), width = column.width));
    // what a client sent must not steer the terminal
    let serving: String = worker.serving.join(", ").chars().filter(|c| !c.is_control()).collect();
    let line = cells.collect::<Vec<_>>().join(" ") + "  " + &serving;
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(requests: [u64; 2]) -> Snapshot {
        let worker = |id: u64| Worker {
            id,
            pid: 100 + id,
            status: if id == 1 { "busy" } else { "idle" }.into(),
            requests: requests[id as usize - 1],
            rss: 50 << 20,
            avg_rt: 1500,
            serving: vec!["GET /\u{1b}[2Jx".into()],
            ..Worker::default()
        };
        Snapshot {
            version: "0.1".into(),
            workers: vec![worker(1), worker(2)],
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_frame_has_totals_rates_and_sorted_rows() {
        let (before, now) = (snapshot([10, 10]), snapshot([10, 30]));
        let order = Order::default().by(Column::of_key('r').unwrap());
        let lines = lines(&now, Some((&before, Duration::from_secs(2))), order);
        assert!(lines[1].starts_with("requests 40  per second 10.0  waiting 0  workers 2: busy 1, idle 1"));
        assert!(lines[3].contains("-REQ") && lines[3].contains("STATUS"));
        let words: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(words[..4], ["2", "102", "30", "10.0"]);
        assert!(lines[4].contains("50.0M") && lines[4].contains("1.5ms"));
        assert!(lines[4].ends_with("GET /[2Jx"), "{}", lines[4]);
        assert!(!order.by(Column::of_key('r').unwrap()).descending);
    }

    #[test]
    fn the_first_frame_has_no_rates_and_sizes_are_short() {
        assert!(lines(&snapshot([1, 2]), None, Order::default())[1].contains("per second 0.0"));
        assert_eq!([bytes(5), bytes(2048), bytes(3 << 30)], ["5", "2K", "3.0G"]);
        assert_eq!(
            [age(5), age(65), age(3700), age(90_000)],
            ["5s", "1m05s", "1h01m", "1d01h"]
        );
    }

    #[test]
    fn keys_are_unique() {
        for column in COLUMNS {
            assert_eq!(COLUMNS.iter().filter(|c| c.key == column.key).count(), 1);
            assert_ne!(column.key, 'q');
        }
    }
}
