//! The life of a spooler's process: it looks into its directory, runs what nobody else has, and waits for more.

use super::file::{NotNow, Task};
use super::{SpoolerSlot, Spoolers, queue};
use crate::plugin::hooks;
use crate::process::{self, exit};
use crate::server::{server, view};
use crate::signal::dispatch;
use crate::startup::procname;
use crate::unix_signal::{self, Order};
use crate::{say, worker};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The plugin has run the task.
const OK: i32 = -2;

/// Runs process `number` of the spoolers; called in its new process.
pub fn run(spoolers: &'static Spoolers, number: usize, master: i32) -> ! {
    process::set_role(process::Role::Mule);
    // SAFETY: right after a fork the process has one thread.
    unsafe { (*view()).i_am_a_spooler = 1 };
    if unix_signal::install_worker().map(std::mem::forget).is_err() {
        exit(1)
    }
    process::mule::die_with(master);
    unix_signal::unblock();
    server().release_sockets();
    process::gateway::release_sockets();
    let folder = spoolers.folder_of(number);
    procname::spooler(&server().settings.processes.names, number + 1);
    hooks::master_fixup(1);
    hooks::post_fork_aside();
    hooks::spooler_init();
    let place = server().settings.background.spooler_chdir.as_ref().map(PathBuf::from);
    let place = place.as_deref().unwrap_or(folder);
    if let Err(e) = std::env::set_current_dir(place) {
        say!(
            "[spooler {}] chdir(): {e} ({}; option spooler-chdir)",
            folder.display(),
            place.display()
        );
        exit(1)
    }
    let spooler = Spooler {
        spoolers,
        slot: spoolers.slot(number),
        folder,
        name: format!("{} pid: {}", folder.display(), std::process::id()),
    };
    spooler.serve()
}

struct Spooler {
    spoolers: &'static Spoolers,
    slot: &'static SpoolerSlot,
    folder: &'static Path,
    name: String,
}

impl Spooler {
    fn serve(&self) -> ! {
        let events = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        let changes = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_CREATE;
        if let Some(events) = &events {
            let _ = events.add_watch(self.folder, changes);
        }
        let max_tasks = server().settings.background.spooler_max_tasks;
        let mut done = 0;
        // what is to be tried again is not, before the next look by the clock
        let mut again: HashMap<PathBuf, Instant> = HashMap::new();
        loop {
            let mut wait = Duration::from_secs(self.spoolers.frequency());
            again.retain(|_, tried| tried.elapsed() < wait);
            for path in queue::scan(self.folder, self.spoolers.ordered) {
                self.leave_if_told();
                dispatch::run_own();
                if again.contains_key(&path) {
                    continue;
                }
                let now = crate::exports::now().unsigned_abs();
                match Task::take(&path, now) {
                    Ok(task) => {
                        if !self.manage(task, &path) {
                            again.insert(path, Instant::now());
                        }
                        done += 1;
                    }
                    Err(NotNow::Later(at)) => wait = wait.min(Duration::from_secs(at - now)),
                    Err(NotNow::Taken) => {}
                }
                if max_tasks > 0 && done >= max_tasks {
                    say!(
                        "[spooler {}] maximum number of tasks reached ({max_tasks}) recycling ...",
                        self.name
                    );
                    exit(0)
                }
            }
            self.leave_if_told();
            self.wait(events.as_ref(), wait);
        }
    }

    fn leave_if_told(&self) {
        if unix_signal::order() != Order::Serve {
            exit(0)
        }
    }

    fn wait(&self, events: Option<&Inotify>, limit: Duration) {
        let bell = unix_signal::bell();
        // SAFETY: the bell is open for the life of the process.
        let bell = (bell >= 0).then(|| unsafe { BorrowedFd::borrow_raw(bell) });
        let folder = events.map(Inotify::as_fd);
        let fds = bell.into_iter().chain(folder).chain(dispatch::own_bells());
        let mut fds: Vec<PollFd> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let limit = PollTimeout::try_from(limit.as_millis()).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut fds, limit);
        while events.is_some_and(|e| e.read_events().is_ok()) {}
        dispatch::run_own();
    }

    /// Runs a task: whether it is done.
    fn manage(&self, mut task: Task, path: &Path) -> bool {
        let quiet = self.spoolers.quiet;
        let name = path
            .strip_prefix(self.folder)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned();
        if !quiet {
            say!("[spooler {}] managing request {name} ...", self.name);
        }
        let began = Instant::now();
        let limit = server().settings.limits.spooler_harakiri;
        let deadline = if limit > 0 {
            crate::exports::now() + limit as i64
        } else {
            0
        };
        self.slot.deadline.store(deadline, Ordering::Release);
        self.slot.running.store(1, Ordering::Relaxed);
        worker::set_busy(true);
        let outcome = hooks::spooler(&name, &mut task.packet, &mut task.body);
        worker::set_busy(false);
        self.slot.deadline.store(0, Ordering::Release);
        self.slot.running.store(0, Ordering::Relaxed);
        self.slot.tasks.fetch_add(1, Ordering::Relaxed);
        if outcome != OK {
            return false;
        }
        if let Err(e) = task.done() {
            say!(
                "[spooler {}] cannot remove {name}: {e}; it would run again, so the spooler ends",
                self.name
            );
            exit(1)
        }
        if !quiet {
            let seconds = began.elapsed().as_secs();
            say!("[spooler {}] done with task {name} after {seconds} seconds", self.name);
        }
        true
    }
}
