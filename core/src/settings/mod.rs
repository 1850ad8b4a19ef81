//! The validated result of a configuration: what the host reads at start and while it runs.
//! Fields bear the names of their options; 0 means "none" for limits and times unless a field says otherwise.

mod apps;
mod background;
mod emperor;
mod hooks;
mod http;
mod limits;
mod logging;
mod paths;
mod privileges;
mod processes;
mod reload;
mod routing;
mod sockets;
mod statics;
mod stats;
mod storage;
mod subscriptions;
mod validate;

pub use apps::{Apps, Mount};
pub use background::{Background, Cron, Daemon, Mule};
pub use emperor::Emperor;
pub use hooks::{Action, Hooks, TouchAction, TouchSignal};
pub use http::Http;
pub use limits::Limits;
pub use logging::{AlarmLog, LogSink, Logging};
pub use paths::{EnvironmentChange, Paths, WaitFor, WaitKind};
pub use privileges::Privileges;
pub use processes::{Busyness, ProcessNames, Processes};
pub use reload::{Reload, ReloadStrategy};
pub use routing::{RouteChain, RouteLine, RouteSubject, RouteTest, Routing};
pub use sockets::{Modifiers, SocketProtocol, SocketSpec, Sockets};
pub use statics::{StaticFiles, StaticMap};
pub use stats::{Collector, MetricKind, MetricSettings, Stats, ThresholdSettings};
pub use storage::{CacheSettings, Storage};
pub use subscriptions::{Subscription, SubscriptionServer, Subscriptions};

/// Everything that was configured.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// uWSGI's defaults instead of rsgi's (`classic-defaults`).
    pub classic: bool,
    /// Unknown directives are errors.
    pub strict: bool,
    /// Look for the plugin of an unknown option (on; with `classic` only after `autoload`).
    pub autoload: bool,
    /// Master, workers, threads.
    pub processes: Processes,
    /// Listening sockets in the order of the configuration.
    pub sockets: Sockets,
    /// Sizes, deadlines and the recycling of workers.
    pub limits: Limits,
    /// The requests and answers of every protocol.
    pub http: Http,
    /// Reload and stop.
    pub reload: Reload,
    /// Logs.
    pub logging: Logging,
    /// Directories, pidfiles, environment, daemon.
    pub paths: Paths,
    /// User, group, chroot.
    pub privileges: Privileges,
    /// Plugins to load and options about them.
    pub plugins: Plugins,
    /// Applications.
    pub apps: Apps,
    /// Rules about requests and answers.
    pub routing: Routing,
    /// Files served without the application.
    pub statics: StaticFiles,
    /// Actions of the phases.
    pub hooks: Hooks,
    /// Everything that runs beside the workers.
    pub background: Background,
    /// Instances that this one supervises, and its own emperor.
    pub emperor: Emperor,
    /// The statistics server.
    pub stats: Stats,
    /// Announcements to gateways.
    pub subscriptions: Subscriptions,
    /// Memory that processes share.
    pub storage: Storage,
    /// Every option in the order of its use, placeholders included: `uwsgi.opt`, `--show-config`.
    pub exported: Vec<(String, Option<String>)>,
    /// Where each entry of `exported` stands.
    pub origins: Vec<crate::config::Origin>,
}

impl Settings {
    /// rsgi's defaults, or uWSGI's.
    pub fn with_defaults(classic: bool) -> Self {
        let mut settings = Self {
            classic,
            autoload: !classic,
            ..Self::default()
        };
        settings.processes.apply_defaults(classic);
        settings.sockets.apply_defaults(classic);
        settings.limits.apply_defaults(classic);
        settings.http.apply_defaults(classic);
        settings.reload.apply_defaults(classic);
        settings.paths.apply_defaults(classic);
        settings.apps.apply_defaults(classic);
        settings.emperor.apply_defaults();
        settings.statics.apply_defaults(classic);
        settings.storage.apply_defaults();
        settings
    }

    /// The values of an option in their order; an option without a value gives "true".
    /// For subsystems that read their own options.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.exported
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_deref().unwrap_or("true"))
    }

    /// Whether an option or placeholder was given.
    pub fn is_given(&self, name: &str) -> bool {
        self.exported.iter().any(|(key, _)| key == name)
    }
}

/// Plugins to load. The loading itself happens while the options are read, because it makes options known.
#[derive(Debug, Clone, Default)]
pub struct Plugins {
    /// As named, in order: `plugin`, `need-plugin`.
    pub loaded: Vec<String>,
    /// `plugins-dir`
    pub directories: Vec<String>,
    /// `dlopen`: libraries to open globally.
    pub dlopen: Vec<String>,
    /// `plugins-list`: print the table after loading.
    pub plugins_list: bool,
    /// `logger-list`
    pub logger_list: bool,
    /// `cheaper-algo-list`
    pub cheaper_algo_list: bool,
    /// `loop-list`
    pub loop_list: bool,
}
