//! The statistics document, as far as it is shown; members that are not there count as nothing.

use serde_json::Value;

/// One reading.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Snapshot {
    /// Of the server.
    pub version: String,
    /// The master's.
    pub pid: u64,
    /// The user it runs as.
    pub uid: u64,
    /// The group it runs as.
    pub gid: u64,
    /// Its directory.
    pub cwd: String,
    /// Connections that wait for a worker.
    pub listen_queue: u64,
    /// In the order of the document.
    pub workers: Vec<Worker>,
}

/// A worker.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Worker {
    /// From 1.
    pub id: u64,
    /// 0: none runs.
    pub pid: u64,
    /// idle, busy, cheap, pause …
    pub status: String,
    /// Since the start of the server.
    pub requests: u64,
    /// Of its process alone.
    pub delta_requests: u64,
    /// Uncaught ones.
    pub exceptions: u64,
    /// Times it was killed over a request.
    pub harakiri: u64,
    /// uWSGI signals handled.
    pub signals: u64,
    /// Mean time of an answer, microseconds.
    pub avg_rt: u64,
    /// Bytes.
    pub rss: u64,
    /// Bytes.
    pub vsz: u64,
    /// Bytes sent.
    pub tx: u64,
    /// Processes that it has had.
    pub respawns: u64,
    /// Seconds since 1970.
    pub last_spawn: u64,
    /// What its cores are serving.
    pub serving: Vec<String>,
}

impl Snapshot {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<Self, String> {
        let root: Value = serde_json::from_str(text)
            .map_err(|e| format!("the answer is no statistics document ({e}): is this the address of --stats?"))?;
        let Some(workers) = root.get("workers").and_then(Value::as_array) else {
            return Err("the answer has no workers: is this the address of --stats?".into());
        };
        Ok(Self {
            version: text_of(&root, "version"),
            pid: number(&root, "pid"),
            uid: number(&root, "uid"),
            gid: number(&root, "gid"),
            cwd: text_of(&root, "cwd"),
            listen_queue: number(&root, "listen_queue"),
            workers: workers.iter().map(Worker::of).collect(),
        })
    }

    /// Requests of all workers.
    pub fn requests(&self) -> u64 {
        self.workers.iter().map(|w| w.requests).sum()
    }
}

impl Worker {
    fn of(value: &Value) -> Self {
        let cores = value.get("cores").and_then(Value::as_array);
        let serving = cores.into_iter().flatten().filter_map(serving).collect();
        Self {
            id: number(value, "id"),
            pid: number(value, "pid"),
            status: text_of(value, "status"),
            requests: number(value, "requests"),
            delta_requests: number(value, "delta_requests"),
            exceptions: number(value, "exceptions"),
            harakiri: number(value, "harakiri_count"),
            signals: number(value, "signals"),
            avg_rt: number(value, "avg_rt"),
            rss: number(value, "rss"),
            vsz: number(value, "vsz"),
            tx: number(value, "tx"),
            respawns: number(value, "respawn_count"),
            last_spawn: number(value, "last_spawn"),
            serving,
        }
    }
}

/// `GET /path` of a core that is at it.
fn serving(core: &Value) -> Option<String> {
    if number(core, "in_request") == 0 {
        return None;
    }
    let vars = core.get("vars").and_then(Value::as_array)?;
    let var = |name: &str| {
        let mut texts = vars.iter().filter_map(Value::as_str);
        texts.find_map(|var| var.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let uri = var("REQUEST_URI").or_else(|| var("PATH_INFO"))?;
    Some(format!("{} {uri}", var("REQUEST_METHOD").unwrap_or_default()))
}

fn number(value: &Value, name: &str) -> u64 {
    let member = value.get(name);
    let number = member.and_then(Value::as_u64);
    // averages may be fractions, counters that wrapped may be negative
    number
        .or_else(|| member.and_then(Value::as_f64).map(|n| n.max(0.0) as u64))
        .unwrap_or(0)
}

fn text_of(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_counts_as_nothing() {
        let text = r#"{"version":"1","pid":7,"workers":[{"id":1,"requests":5,"avg_rt":-1,
            "cores":[{"in_request":1,"vars":["REQUEST_METHOD=GET","REQUEST_URI=/a?b",""]},{"in_request":0}]},{"id":2,"requests":2}]}"#;
        let found = Snapshot::parse(text).unwrap();
        assert_eq!((found.pid, found.requests(), found.workers[0].avg_rt), (7, 7, 0));
        assert_eq!(found.workers[0].serving, ["GET /a?b"]);
        assert!(Snapshot::parse("{}").unwrap_err().contains("--stats"));
        assert!(Snapshot::parse("HTTP/1.1 404").unwrap_err().contains("--stats"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[{}\\[\\]\":,a-z0-9. -]{0,60}") {
            let _ = Snapshot::parse(&text);
        }
    }
}
