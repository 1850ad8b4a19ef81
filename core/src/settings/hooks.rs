//! Actions of the phases of a life: `hook-…` and `exec-…` in the order of the configuration.

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `hook-…`: `action:argument`
    Hook(String),
    /// `exec-…`: a shell command; its failure ends the start.
    Exec(String),
    /// `call-…`: a symbol.
    Call(String),
    /// `call-as-vassal3` and its like: a symbol that gets so many facts about a vassal.
    CallAbout(u8, String),
}

/// A file whose touch raises a uWSGI signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchSignal {
    /// Which.
    pub file: String,
    /// The number.
    pub signal: u8,
}

/// A file and what its change does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchAction {
    /// The watched file.
    pub file: String,
    /// `hook-touch`: an action; `touch-exec`: a command; `touch-signal`: a signal number.
    pub action: String,
}

/// The phases, in the order of a life.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    /// As soon as the options are read.
    pub asap: Vec<Action>,
    /// Before the jail.
    pub pre_jail: Vec<Action>,
    /// In the jail.
    pub in_jail: Vec<Action>,
    /// After the jail.
    pub post_jail: Vec<Action>,
    /// Before privileges are dropped.
    pub as_root: Vec<Action>,
    /// After they are dropped.
    pub as_user: Vec<Action>,
    /// Before applications are loaded.
    pub pre_app: Vec<Action>,
    /// After they are loaded.
    pub post_app: Vec<Action>,
    /// The master's loop begins.
    pub master_start: Vec<Action>,
    /// After each fork.
    pub post_fork: Vec<Action>,
    /// A worker accepts.
    pub accepting: Vec<Action>,
    /// The first worker accepts.
    pub accepting1: Vec<Action>,
    /// A worker accepts, once in its slot's life.
    pub accepting_once: Vec<Action>,
    /// The first worker accepts, once.
    pub accepting1_once: Vec<Action>,
    /// In each mule.
    pub as_mule: Vec<Action>,
    /// In each gateway.
    pub as_gateway: Vec<Action>,
    /// In the emperor, before a vassal starts.
    pub as_emperor_before_vassal: Vec<Action>,
    /// In the emperor, after a vassal was started.
    pub as_emperor: Vec<Action>,
    /// In a vassal's process, before it changes its user.
    pub as_vassal_before_drop: Vec<Action>,
    /// In a vassal's process, before it becomes the server.
    pub as_vassal: Vec<Action>,
    /// In the emperor, when it begins to wait for a vassal's first connection.
    pub as_on_demand_vassal: Vec<Action>,
    /// As a vassal: the master begins.
    pub emperor_start: Vec<Action>,
    /// As a vassal: the emperor says stop.
    pub emperor_stop: Vec<Action>,
    /// As a vassal: the emperor says reload.
    pub emperor_reload: Vec<Action>,
    /// As a vassal: the emperor is gone.
    pub emperor_lost: Vec<Action>,
    /// At exit and reload, as the user.
    pub as_user_atexit: Vec<Action>,
    /// After each request.
    pub after_request: Vec<Action>,
    /// `hook-touch`
    pub touch: Vec<TouchAction>,
    /// `touch-exec`
    pub touch_exec: Vec<TouchAction>,
    /// `touch-signal`
    pub touch_signal: Vec<TouchSignal>,
}
