//! Who kills a process that the master did not: the kernel counts its out-of-memory kills, and the master reads the
//! counters when a worker was killed, so that it need not guess.

use std::fmt;
use std::path::PathBuf;

/// The counters as they were when they were last read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct OomKills {
    /// `memory.events` of our control group (`memory.oom_control` in version 1).
    file: Option<PathBuf>,
    group: Option<u64>,
    system: Option<u64>,
}

/// Who it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killer {
    /// The kernel, because the control group was out of memory.
    Group,
    /// The kernel, because the machine was out of memory.
    System,
    /// Somebody with a signal.
    Somebody,
    /// The counters cannot be read.
    Unknown,
}

impl fmt::Display for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group => {
                "by the kernel: its control group is out of memory (the group's oom_kill counter has grown); raise the memory limit, or lower --processes, or set --reload-on-rss"
            }
            Self::System => {
                "by the kernel: the machine is out of memory (oom_kill in /proc/vmstat has grown); lower --processes or set --reload-on-rss"
            }
            Self::Somebody => {
                "by somebody's signal: not by the master, and the kernel has counted no out-of-memory kill"
            }
            Self::Unknown => "not by the master; whether memory ran out cannot be read here (no memory.events, no oom_kill in /proc/vmstat)",
        })
    }
}

impl OomKills {
    /// The counters as they are now.
    pub fn now() -> Self {
        let mut kills = Self {
            file: group_file(),
            ..Self::default()
        };
        kills.read();
        kills
    }

    fn read(&mut self) {
        let group = self.file.as_ref().and_then(|f| std::fs::read_to_string(f).ok());
        self.group = group.and_then(|text| counter(&text));
        self.system = std::fs::read_to_string("/proc/vmstat")
            .ok()
            .and_then(|text| counter(&text));
    }

    /// Who has just killed a process.
    pub fn killer(&mut self) -> Killer {
        let before = self.clone();
        self.read();
        let grown = |now: Option<u64>, before: Option<u64>| now.zip(before).map(|(now, before)| now > before);
        judge(grown(self.group, before.group), grown(self.system, before.system))
    }
}

fn judge(group: Option<bool>, system: Option<bool>) -> Killer {
    match (group, system) {
        (Some(true), _) => Killer::Group,
        // the group's counter includes kills for the machine's sake: it would have grown too
        (Some(false), _) => Killer::Somebody,
        (None, Some(true)) => Killer::System,
        (None, Some(false)) => Killer::Somebody,
        (None, None) => Killer::Unknown,
    }
}

/// The value of the line `oom_kill N`.
fn counter(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|n| n.trim().parse().ok())
}

/// Where the kernel counts for the control group of this process.
fn group_file() -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    candidates(&text).into_iter().find(|f| f.is_file())
}

/// The files to look for, best first, by the text of `/proc/self/cgroup`.
fn candidates(text: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        if controllers.is_empty() {
            files.push(format!("/sys/fs/cgroup{path}/memory.events").into());
            files.push("/sys/fs/cgroup/memory.events".into());
        } else if controllers.split(',').any(|c| c == "memory") {
            files.push(format!("/sys/fs/cgroup/memory{path}/memory.oom_control").into());
            files.push("/sys/fs/cgroup/memory/memory.oom_control".into());
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_in_the_kernels_texts() {
        assert_eq!(counter("low 0\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(counter("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(counter("nr_free_pages 5\n"), None);
    }

    #[test]
    fn both_versions_of_control_groups_are_looked_for() {
        let two = candidates("0::/system.slice/app.service\n");
        assert_eq!(
            two[0],
            PathBuf::from("/sys/fs/cgroup/system.slice/app.service/memory.events")
        );
        let one = candidates("5:cpu,cpuacct:/x\n4:memory:/docker/1\n");
        assert_eq!(
            one[0],
            PathBuf::from("/sys/fs/cgroup/memory/docker/1/memory.oom_control")
        );
        assert!(candidates("rubbish\n").is_empty());
    }

    #[test]
    fn only_a_counter_that_has_grown_accuses() {
        assert_eq!(judge(Some(true), Some(true)), Killer::Group);
        assert_eq!(judge(Some(false), Some(true)), Killer::Somebody);
        assert_eq!(judge(None, Some(true)), Killer::System);
        assert_eq!(judge(None, None), Killer::Unknown);
    }
}
