//! How the instance reloads and stops, and what makes it do so.

/// `reload-mercy`, `touch-reload`, `die-on-term` …
#[derive(Debug, Clone, Default)]
pub struct Reload {
    /// SIGTERM stops at once and SIGQUIT reloads (uWSGI's switch). Without it: gracefully, unless `classic`.
    pub die_on_term: bool,
    /// End instead of reloading.
    pub exit_on_reload: bool,
    /// In which order a reload replaces what runs.
    pub strategy: ReloadStrategy,
    /// Seconds that stop and reload wait.
    pub reload_mercy: u64,
    /// Seconds that a worker gets to finish.
    pub worker_reload_mercy: u64,
    /// Seconds that a mule gets to finish.
    pub mule_reload_mercy: u64,
    /// Workers are forked first and load the configured applications each, and reload alone.
    pub lazy: bool,
    /// Reload the instance.
    pub touch_reload: Vec<String>,
    /// Reload the workers.
    pub touch_workers_reload: Vec<String>,
    /// Reload the workers one by one.
    pub touch_chain_reload: Vec<String>,
    /// Reload the mules.
    pub touch_mules_reload: Vec<String>,
    /// Reload the spoolers.
    pub touch_spoolers_reload: Vec<String>,
    /// Stop gracefully.
    pub touch_gracefully_stop: Vec<String>,
    /// Rotate the log.
    pub touch_logrotate: Vec<String>,
    /// Open the log anew.
    pub touch_logreopen: Vec<String>,
    /// Paths watched through the system's events; reload the instance.
    pub fs_reload: Vec<String>,
    /// The same, not gracefully.
    pub fs_brutal_reload: Vec<String>,
}

/// `reload-strategy`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReloadStrategy {
    /// A new image, its workers first; the old ones leave as new ones are ready.
    #[default]
    Rolling,
    /// The image stays, its workers are replaced one by one: new code only with `lazy-apps`, no new configuration.
    Chain,
    /// uWSGI's order: all workers stop, then the new image starts.
    StopStart,
}

impl Reload {
    pub(super) fn apply_defaults(&mut self, classic: bool) {
        if classic {
            self.strategy = ReloadStrategy::StopStart;
        }
        self.reload_mercy = 60;
        self.worker_reload_mercy = 60;
        self.mule_reload_mercy = 60;
    }
}
