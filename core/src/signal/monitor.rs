//! File monitors of the master over one inotify descriptor: one signal per monitor and batch of events. A path that is
//! replaced or comes back is watched again; what lies below a folder is watched on request.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};

/// Folders that one recursive monitor watches at most.
const MOST_FOLDERS: usize = 65_536;

#[derive(Debug)]
struct Monitor {
    signal: u8,
    path: PathBuf,
    /// Signals to come; 0: for ever.
    left: u32,
    recursive: bool,
    owners: Vec<i32>,
    /// The path itself first; empty: it is not there.
    watches: Vec<WatchDescriptor>,
}

/// All monitors.
#[derive(Default)]
pub struct Monitors {
    all: Vec<Monitor>,
    events: Option<Inotify>,
}

fn mask() -> AddWatchFlags {
    AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_MOVED_TO
}

/// Folders below `path`; links are not followed.
fn folders_below(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = vec![path.to_owned()];
    let mut at = 0;
    while at < found.len() && found.len() < MOST_FOLDERS {
        let entries = std::fs::read_dir(&found[at]).into_iter().flatten().flatten();
        found.extend(
            entries
                .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
                .map(|e| e.path()),
        );
        at += 1;
    }
    found.remove(0);
    found
}

impl Monitor {
    /// Watches the path, and what is below it if asked for; whether it is there.
    fn arm(&mut self, events: &Inotify) -> bool {
        let before = std::mem::take(&mut self.watches);
        if let Ok(watch) = events.add_watch(&self.path, mask()) {
            self.watches.push(watch);
            if self.recursive {
                for folder in folders_below(&self.path) {
                    self.watches.extend(events.add_watch(&folder, mask()));
                }
            }
        }
        for old in before.iter().filter(|old| !self.watches.contains(old)) {
            // another monitor that had it too hears of its end, and looks anew
            let _ = events.rm_watch(*old);
        }
        !self.watches.is_empty()
    }
}

impl Monitors {
    /// Adds one; an endless one that is there already gets one owner more. Whether the path is watched now.
    ///
    /// # Errors
    /// The system has no more descriptors.
    pub fn add(
        &mut self,
        signal: u8,
        path: PathBuf,
        iterations: u32,
        recursive: bool,
        owner: i32,
    ) -> nix::Result<bool> {
        let same = |m: &&mut Monitor| {
            m.signal == signal && m.path == path && m.recursive == recursive && m.left == 0 && iterations == 0
        };
        if let Some(monitor) = self.all.iter_mut().find(same) {
            if !monitor.owners.contains(&owner) {
                monitor.owners.push(owner);
            }
            return Ok(!monitor.watches.is_empty());
        }
        let events = match self.events.take() {
            Some(events) => events,
            None => Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?,
        };
        let mut monitor = Monitor {
            signal,
            path,
            left: iterations,
            recursive,
            owners: vec![owner],
            watches: Vec::new(),
        };
        let armed = monitor.arm(&events);
        self.all.push(monitor);
        self.events = Some(events);
        Ok(armed)
    }

    /// Takes those for a signal away.
    pub fn remove(&mut self, signal: u8) {
        self.drop_if(|m| m.signal == signal);
    }

    /// A worker has ended, and with it what only it wanted.
    pub fn release(&mut self, owner: i32) {
        self.all.iter_mut().for_each(|m| m.owners.retain(|o| *o != owner));
        self.drop_if(|m| m.owners.is_empty());
    }

    fn drop_if(&mut self, gone: impl Fn(&Monitor) -> bool) {
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.all).into_iter().partition(gone);
        self.all = kept;
        for watch in gone.iter().flat_map(|m| &m.watches) {
            // two monitors of one path have one watch
            if !self.all.iter().any(|m| m.watches.contains(watch))
                && let Some(events) = &self.events
            {
                let _ = events.rm_watch(*watch);
            }
        }
    }

    /// What becomes readable when there are events.
    pub fn fd(&self) -> Option<RawFd> {
        self.events.as_ref().map(|events| events.as_fd().as_raw_fd())
    }

    /// The signals of what has happened: one per monitor, however much happened to it.
    pub fn expire(&mut self) -> Vec<u8> {
        let Some(events) = &self.events else {
            return Vec::new();
        };
        let mut touched = vec![false; self.all.len()];
        let mut anew = vec![false; self.all.len()];
        // who is replaced loses a link, which is an attribute; its end comes later, and not at all while it is open
        let maybe_another = AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_IGNORED;
        let arrived = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        while let Ok(batch) = events.read_events() {
            for event in &batch {
                let overflow = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                for (at, monitor) in self.all.iter().enumerate() {
                    if !overflow && !monitor.watches.contains(&event.wd) {
                        continue;
                    }
                    touched[at] |= event.mask != AddWatchFlags::IN_IGNORED;
                    let is_self = monitor.watches.first() == Some(&event.wd);
                    anew[at] |= overflow
                        || (is_self && event.mask.intersects(maybe_another))
                        || (monitor.recursive
                            && event.mask.contains(AddWatchFlags::IN_ISDIR)
                            && event.mask.intersects(arrived));
                }
            }
        }
        for (at, monitor) in self.all.iter_mut().enumerate() {
            if anew[at] {
                monitor.arm(events);
            } else if monitor.watches.is_empty() && monitor.arm(events) {
                // it came back
                touched[at] = true;
            }
        }
        let mut signals = Vec::new();
        let mut ended = Vec::new();
        for (monitor, _) in self.all.iter_mut().zip(&touched).filter(|(_, touched)| **touched) {
            signals.push(monitor.signal);
            if monitor.left == 1 {
                // no owner is left, which `release` below understands
                monitor.owners.clear();
                ended.push(monitor.signal);
            }
            monitor.left = monitor.left.saturating_sub(1);
        }
        if !ended.is_empty() {
            self.drop_if(|m| m.owners.is_empty());
        }
        signals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rsgi-monitor-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn several_files_at_once_are_one_signal_each_and_names_of_any_length_are_read() {
        let folder = Folder::new("batch");
        let (one, two) = (folder.0.join("one"), folder.0.join("two"));
        fs::create_dir(&one).unwrap();
        fs::write(&two, "").unwrap();
        let mut monitors = Monitors::default();
        assert!(monitors.add(1, one.clone(), 0, false, 0).unwrap());
        assert!(monitors.add(2, two.clone(), 0, false, 0).unwrap());
        assert!(monitors.expire().is_empty());
        for n in 1..60 {
            fs::write(one.join("x".repeat(n)), "").unwrap();
        }
        fs::write(&two, "new").unwrap();
        assert_eq!(monitors.expire(), vec![1, 2]);
        assert!(monitors.expire().is_empty());
    }

    #[test]
    fn a_file_that_is_replaced_or_comes_back_stays_watched() {
        let folder = Folder::new("replace");
        let (file, other) = (folder.0.join("f"), folder.0.join("tmp"));
        fs::write(&file, "").unwrap();
        let mut monitors = Monitors::default();
        monitors.add(7, file.clone(), 0, false, 0).unwrap();
        for _ in 0..3 {
            fs::write(&other, "x").unwrap();
            fs::rename(&other, &file).unwrap();
            assert_eq!(monitors.expire(), vec![7]);
            monitors.expire();
        }
        fs::rename(&file, &other).unwrap();
        assert_eq!(monitors.expire(), vec![7]);
        fs::write(&other, "what was moved is another file").unwrap();
        assert!(monitors.expire().is_empty());
        fs::write(&file, "back").unwrap();
        assert_eq!(monitors.expire(), vec![7]);
        fs::write(&file, "and watched").unwrap();
        assert_eq!(monitors.expire(), vec![7]);
    }

    #[test]
    fn a_file_that_is_replaced_while_somebody_has_it_open_stays_watched() {
        let folder = Folder::new("open");
        let (file, other) = (folder.0.join("f"), folder.0.join("tmp"));
        fs::write(&file, "").unwrap();
        let mut monitors = Monitors::default();
        monitors.add(7, file.clone(), 0, false, 0).unwrap();
        let _reader = fs::File::open(&file).unwrap();
        fs::write(&other, "x").unwrap();
        fs::rename(&other, &file).unwrap();
        assert_eq!(monitors.expire(), vec![7]);
        fs::write(&file, "new").unwrap();
        assert_eq!(monitors.expire(), vec![7]);
        assert!(monitors.expire().is_empty());
    }

    #[test]
    fn iterations_and_owners_end_it() {
        let folder = Folder::new("ends");
        let mut monitors = Monitors::default();
        monitors.add(1, folder.0.clone(), 1, false, 0).unwrap();
        monitors.add(2, folder.0.clone(), 0, false, 10).unwrap();
        monitors.add(2, folder.0.clone(), 0, false, 11).unwrap();
        fs::write(folder.0.join("a"), "").unwrap();
        assert_eq!(monitors.expire(), vec![1, 2]);
        fs::write(folder.0.join("b"), "").unwrap();
        assert_eq!(monitors.expire(), vec![2]);
        monitors.release(10);
        fs::write(folder.0.join("c"), "").unwrap();
        assert_eq!(monitors.expire(), vec![2]);
        monitors.release(11);
        fs::write(folder.0.join("d"), "").unwrap();
        assert!(monitors.expire().is_empty());
    }

    #[test]
    fn folders_below_count_when_asked_for() {
        let folder = Folder::new("deep");
        fs::create_dir_all(folder.0.join("a/b")).unwrap();
        let mut monitors = Monitors::default();
        monitors.add(1, folder.0.clone(), 0, true, 0).unwrap();
        monitors.add(2, folder.0.clone(), 0, false, 0).unwrap();
        fs::write(folder.0.join("a/b/file"), "").unwrap();
        assert_eq!(monitors.expire(), vec![1]);
        fs::create_dir(folder.0.join("a/new")).unwrap();
        assert_eq!(monitors.expire(), vec![1]);
        fs::write(folder.0.join("a/new/file"), "").unwrap();
        assert_eq!(monitors.expire(), vec![1]);
    }
}
