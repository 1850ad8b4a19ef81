//! Metrics as statsd, DogStatsD and carbon read them.

use crate::settings::Settings;
use std::collections::HashMap;

/// Bytes of a datagram that no router cuts.
const DATAGRAM: usize = 1400;

/// A metric at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub is_counter: bool,
    pub value: i64,
}

/// What statsd is told: gauges as they are, counters by what was added since the last time.
pub fn changes(rows: &[Row], before: &HashMap<String, i64>, all_gauges: bool) -> Vec<Row> {
    let change = |row: &Row| {
        if !row.is_counter || all_gauges {
            return Some(Row {
                is_counter: false,
                ..row.clone()
            });
        }
        let last = before.get(&row.name).copied().unwrap_or(0);
        // a counter that was set back begins anew
        let value = if row.value >= last { row.value - last } else { row.value };
        (value != 0).then(|| Row { value, ..row.clone() })
    };
    rows.iter().filter_map(change).collect()
}

/// A name and its tags: `worker.1.core.0.requests` is `worker.core.requests` of worker 1 and core 0.
fn tagged(name: &str) -> (String, String) {
    let (mut short, mut tags) = (Vec::new(), Vec::new());
    let mut parts = name.split('.').peekable();
    while let Some(part) = parts.next() {
        short.push(part);
        let is_numbered = matches!(part, "worker" | "core" | "socket");
        if let Some(number) = parts.next_if(|next| is_numbered && next.parse::<u32>().is_ok()) {
            tags.push(format!("{part}:{number}"));
        }
    }
    (short.join("."), tags.join(","))
}

/// Datagrams with as many lines as fit.
pub fn statsd(rows: &[Row], prefix: &str, with_tags: bool) -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for row in rows {
        let kind = if row.is_counter { 'c' } else { 'g' };
        let (name, tags) = if with_tags {
            tagged(&row.name)
        } else {
            (row.name.clone(), String::new())
        };
        let tags = if tags.is_empty() { tags } else { format!("|#{tags}") };
        // a gauge with a sign would be a change of it
        if !row.is_counter && row.value < 0 {
            add(&mut packets, &format!("{prefix}.{name}:0|g{tags}"));
        }
        add(&mut packets, &format!("{prefix}.{name}:{}|{kind}{tags}", row.value));
    }
    packets
}

fn add(packets: &mut Vec<Vec<u8>>, line: &str) {
    match packets.last_mut() {
        Some(last) if last.len() + 1 + line.len() <= DATAGRAM => {
            last.push(b'\n');
            last.extend_from_slice(line.as_bytes());
        }
        _ => packets.push(line.as_bytes().to_vec()),
    }
}

/// What stands in front of names in carbon: `[ROOT.]uwsgi.HOST.ID`.
pub fn carbon_prefix(settings: &Settings) -> String {
    let stats = &settings.stats;
    let host = nix::unistd::gethostname().unwrap_or_default();
    let dots = stats.carbon_hostname_dots.as_deref().unwrap_or("_");
    let host = host.to_string_lossy().replace('.', dots);
    let socket = settings.sockets.bind.first().map(|s| s.address.clone());
    let id = stats.carbon_id.clone().or(socket).unwrap_or_else(|| "rsgi".into());
    let id = id.replace(['.', ':', '/', ' '], "_");
    match stats.carbon_root.as_deref().filter(|root| !root.is_empty()) {
        Some(root) => format!("{}.uwsgi.{host}.{id}", root.trim_end_matches('.')),
        None => format!("uwsgi.{host}.{id}"),
    }
}

/// A lot for carbon: a line each.
pub fn carbon(rows: &[Row], prefix: &str, now: i64) -> Vec<u8> {
    let line = |row: &Row| format!("{prefix}.{} {} {now}\n", row.name, row.value);
    rows.iter().map(line).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, is_counter: bool, value: i64) -> Row {
        Row {
            name: name.into(),
            is_counter,
            value,
        }
    }

    #[test]
    fn counters_are_told_by_what_was_added() {
        let rows = [
            row("c", true, 7),
            row("same", true, 3),
            row("reset", true, 2),
            row("g", false, -1),
        ];
        let before = HashMap::from([("c".into(), 4), ("same".into(), 3), ("reset".into(), 9)]);
        let told = [row("c", true, 3), row("reset", true, 2), row("g", false, -1)];
        assert_eq!(changes(&rows, &before, false), told);
        assert_eq!(changes(&rows, &before, true)[0], row("c", false, 7));
    }

    #[test]
    fn statsd_has_datagrams_of_lines_and_dogstatsd_tags() {
        let rows = [row("worker.1.core.0.requests", true, 2), row("g", false, -5)];
        assert_eq!(
            statsd(&rows, "p", false),
            [b"p.worker.1.core.0.requests:2|c\np.g:0|g\np.g:-5|g"]
        );
        assert_eq!(
            statsd(&rows[..1], "p", true),
            [b"p.worker.core.requests:2|c|#worker:1,core:0"]
        );
        let many: Vec<Row> = (0..200).map(|n| row(&format!("metric.{n}"), true, n)).collect();
        let packets = statsd(&many, "p", false);
        assert!(packets.len() > 2 && packets.iter().all(|p| p.len() <= DATAGRAM));
        let lines: usize = packets.iter().map(|p| p.split(|b| *b == b'\n').count()).sum();
        assert_eq!(lines, 200);
    }

    #[test]
    fn carbon_has_a_line_each() {
        assert_eq!(
            carbon(&[row("a", true, 1), row("b", false, -2)], "p", 9),
            b"p.a 1 9\np.b -2 9\n"
        );
    }
}
