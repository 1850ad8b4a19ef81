//! Events of the folders that vassals' files lie in: they only bring the next look forward; what happened is found by
//! looking.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::PathBuf;

/// The watched folders. A system without descriptors or watches left is no trouble: the periodic look remains.
pub(super) struct Watch {
    inotify: Inotify,
    folders: HashMap<PathBuf, WatchDescriptor>,
}

impl Watch {
    /// None yet.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(super) fn new() -> nix::Result<Self> {
        Ok(Self {
            inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?,
            folders: HashMap::new(),
        })
    }

    /// Watches these and no others.
    pub(super) fn set(&mut self, wanted: Vec<PathBuf>) {
        let inotify = &self.inotify;
        self.folders.retain(|folder, watch| {
            let stays = wanted.contains(folder);
            if !stays {
                let _ = inotify.rm_watch(*watch);
            }
            stays
        });
        let events = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF;
        for folder in wanted {
            // asked for each time: a folder that was replaced is another one under the same name
            if let Ok(watch) = self.inotify.add_watch(&folder, events) {
                self.folders.insert(folder, watch);
            }
        }
    }

    /// Whether anything happened since the last time.
    pub(super) fn has_news(&self) -> bool {
        let mut any = false;
        while self.inotify.read_events().is_ok_and(|events| !events.is_empty()) {
            any = true;
        }
        any
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_fd().as_raw_fd()
    }
}
