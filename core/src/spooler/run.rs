//! The life of a spooler's process: it looks into its directory, runs what nobody else has, and waits for more.

use super::file::{NotNow, Task, since_epoch};
use super::watch::{Waiter, Watch, Woken};
use super::{SpoolerSlot, Spoolers, queue};
use crate::plugin::hooks;
use crate::process::{self, exit};
use crate::server::{server, view};
use crate::signal::dispatch;
use crate::startup::procname;
use crate::unix_signal::{self, Order};
use crate::{say, worker};
use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The plugin has run the task.
const OK: i32 = -2;
/// So many tasks of a listing that others have finished make it worthless.
const STALE: usize = 16;
/// How long the order of a listing counts at least.
const FRESH: Duration = Duration::from_millis(50);
/// So many files that are no tasks are remembered, to say each once.
const KNOWN: usize = 1000;

/// Runs process `number` of the spoolers; called in its new process.
pub fn run(spoolers: &'static Spoolers, number: usize, master: i32) -> ! {
    process::set_role(process::Role::Mule);
    super::become_spooler(number);
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
    let bell = unix_signal::bell();
    // SAFETY: the bell is open for the life of the process.
    let bell = (bell >= 0).then(|| unsafe { BorrowedFd::borrow_raw(bell) });
    let home = spoolers.home_of(number);
    let watch = &spoolers.watches[home];
    let waiter = watch.waiter(bell.into_iter().chain(dispatch::own_bells()));
    let (Ok(waiter), Ok(dir)) = (waiter, File::open(folder)) else {
        say!("[spooler {}] cannot be watched or opened", folder.display());
        exit(1)
    };
    let spooler = Spooler {
        spoolers,
        slot: spoolers.slot(number),
        home,
        // each begins at another part of the directory, so that they do not get in each other's way
        share: (number % spoolers.processes_each, spoolers.processes_each),
        watch,
        waiter,
        folder,
        dir,
        looked: Instant::now(),
        done: 0,
        done_before: 0,
        no_tasks: HashSet::new(),
        name: format!("{} pid: {}", folder.display(), std::process::id()),
    };
    spooler.serve()
}

struct Spooler {
    spoolers: &'static Spoolers,
    slot: &'static SpoolerSlot,
    home: usize,
    share: (usize, usize),
    watch: &'static Watch,
    waiter: Waiter<'static>,
    folder: &'static Path,
    dir: File,
    looked: Instant,
    done: u64,
    /// So many were done when the last look ended.
    done_before: u64,
    no_tasks: HashSet<String>,
    name: String,
}

/// What came of one name.
#[derive(PartialEq, Eq)]
enum Tried {
    Ran,
    Waits,
    Gone,
}

impl Spooler {
    fn serve(mut self) -> ! {
        queue::tidy(self.dir.as_fd(), since_epoch().as_secs());
        self.look();
        loop {
            self.leave_if_told();
            if dispatch::own_waits() {
                self.run_signals();
            }
            match self.waiter.wait(self.patience()) {
                Woken::Clock if self.patience().is_zero() => {
                    let before = self.done_before;
                    let idle = self.looked.elapsed() >= Duration::from_secs(self.spoolers.frequency());
                    self.look();
                    if idle && self.done == before && self.spoolers.is_cheap() {
                        // the master sees when there is something to do again
                        exit(0)
                    }
                }
                Woken::Look => self.look(),
                Woken::Task(name) => {
                    if unix_signal::order() != Order::Serve {
                        // somebody else may do it
                        self.watch.ring(1);
                        exit(0)
                    }
                    self.try_one(&name);
                }
                Woken::Clock => {}
                Woken::Other => self.run_signals(),
            }
        }
    }

    /// How long until the directory is to be looked at.
    fn patience(&self) -> Duration {
        let frequency = Duration::from_secs(self.spoolers.frequency());
        let by_clock = frequency.saturating_sub(self.looked.elapsed());
        let due = Duration::from_secs(self.spoolers.due(self.home));
        by_clock.min(due.saturating_sub(since_epoch()))
    }

    /// Looks at the whole directory and runs what is there to be run.
    fn look(&mut self) {
        self.looked = Instant::now();
        // it may have been replaced
        if let Ok(dir) = File::open(self.folder) {
            self.dir = dir;
        }
        self.watch.arm(self.folder, self.dir.as_fd());
        while self.run_listing() {}
        self.done_before = self.done;
    }

    /// Lists the directory and runs what is in the list: whether to list it again.
    fn run_listing(&mut self) -> bool {
        self.spoolers.forget_due(self.home, since_epoch().as_secs());
        let (listed, ordered) = (Instant::now(), self.spoolers.ordered);
        let mut names = queue::scan(self.dir.as_fd(), ordered);
        let fresh = FRESH.max(listed.elapsed() * 10);
        if !ordered {
            let (number, all) = self.share;
            let first = names.len() * number / all;
            names.rotate_left(first);
        }
        let (mut gone, mut ran) = (0, false);
        for name in names {
            self.leave_if_told();
            if dispatch::own_waits() {
                self.run_signals();
            }
            match self.try_one(&name) {
                Tried::Gone => gone += 1,
                Tried::Ran => (gone, ran) = (0, true),
                Tried::Waits => {}
            }
            if gone >= STALE || (ordered && ran && listed.elapsed() > fresh) {
                return true;
            }
        }
        // one that came meanwhile with a higher urgency has its event still to be read
        false
    }

    fn try_one(&mut self, name: &str) -> Tried {
        let now = since_epoch().as_secs();
        let set_back = self.spoolers.set_back_until(self.home, name);
        if set_back > now {
            self.wait_until(set_back);
            return Tried::Waits;
        }
        match Task::take(self.dir.as_fd(), name, now) {
            Ok(task) => {
                self.manage(task, name);
                self.count();
                return Tried::Ran;
            }
            Err(NotNow::Gone) => return Tried::Gone,
            Err(NotNow::Later(at)) => self.wait_until(at),
            Err(NotNow::Broken(why)) if self.no_tasks.len() < KNOWN && self.no_tasks.insert(name.into()) => {
                say!("[spooler {}] cannot run {name}: {why}; remove it or mend it", self.name);
            }
            Err(NotNow::Busy | NotNow::Unfinished | NotNow::Broken(_)) => {}
        }
        Tried::Waits
    }

    /// A task is due later, perhaps while this process is busy: the others know it, too.
    fn wait_until(&self, second: u64) {
        if self.spoolers.note_due(self.home, second) {
            self.watch.nudge(self.share.1 - 1);
        }
    }

    /// One more is done: perhaps it was the last one.
    fn count(&mut self) {
        self.done += 1;
        let most = server().settings.background.spooler_max_tasks;
        if most > 0 && self.done >= most {
            say!(
                "[spooler {}] maximum number of tasks reached ({most}) recycling ...",
                self.name
            );
            exit(0)
        }
    }

    fn leave_if_told(&self) {
        if unix_signal::order() != Order::Serve {
            exit(0)
        }
    }

    fn run_signals(&mut self) {
        let handled = dispatch::run_own();
        if handled > 0 && server().settings.background.spooler_signal_as_task {
            (0..handled).for_each(|_| self.count());
        }
    }

    /// Runs a task.
    fn manage(&self, mut task: Task, name: &str) {
        let quiet = self.spoolers.quiet;
        if !quiet {
            say!("[spooler {}] managing request {name} ...", self.name);
        }
        let began = Instant::now();
        super::set_deadline(self.slot, server().settings.limits.spooler_harakiri as i64);
        self.slot.running.store(1, Ordering::Relaxed);
        worker::set_busy(true);
        let outcome = hooks::spooler(name, &mut task.packet, &mut task.body);
        let done = match outcome {
            // first of all: what is written down here is not run again, whatever becomes of this process
            OK => task.done(self.dir.as_fd(), name),
            _ => {
                let now = since_epoch();
                let until = now.as_secs() + u64::from(now.subsec_nanos() > 0) + self.spoolers.frequency();
                self.spoolers.set_back(self.home, name, until);
                self.wait_until(until);
                task.give_back();
                Ok(())
            }
        };
        worker::set_busy(false);
        super::set_deadline(self.slot, 0);
        self.slot.running.store(0, Ordering::Relaxed);
        self.slot.tasks.fetch_add(1, Ordering::Relaxed);
        if let Err(e) = done {
            say!(
                "[spooler {}] cannot remove {name}: {e}; it would run again and again, so it is set back for a day:                  make the directory writable for this user",
                self.name
            );
            let until = since_epoch().as_secs() + 86_400;
            self.spoolers.set_back(self.home, name, until);
        } else if outcome == OK && !quiet {
            let seconds = began.elapsed().as_secs();
            say!("[spooler {}] done with task {name} after {seconds} seconds", self.name);
        }
    }
}
