//! The start of a server, as one numbered list of steps, and the steps that belong to a process's beginning and end.
//! Runs in the first process, before any other exists.

pub mod conditions;
pub mod daemonize;
pub mod hooks;
pub mod isolation;
pub mod notify;
pub mod preflight;
pub mod privileges;
pub mod procname;
pub mod sockets;

use crate::log::pipe;
use crate::plugin::hooks as plugin_hooks;
use crate::process::{self, Role, footprint, gateway, master, reload};
use crate::server::{self, Server, server, view};
use crate::settings::{EnvironmentChange, Settings};
use crate::shared::SharedMemory;
use crate::{cache, emperor, locks, log, metrics, queue, say, sharedarea, signal, stats};
use rsgi_plugin_api::abi::UwsgiServer;
use std::ffi::CString;
use std::os::fd::AsRawFd;

/// Exit code of a start that found no application (uWSGI's, `--need-app`).
pub const NEED_APP: i32 = 22;
/// Exit code of a worker whose application cannot be loaded (`--worker-boot-error-halt`).
pub const APP_LOAD: i32 = 4;

/// Why the start ended. Its text was not logged yet.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct StartupError {
    text: String,
    /// The exit code.
    pub code: i32,
}

impl StartupError {
    /// A failure with uWSGI's usual code 1.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            code: 1,
        }
    }
}

impl From<nix::Error> for StartupError {
    fn from(e: nix::Error) -> Self {
        Self::new(e.desc())
    }
}

impl From<std::io::Error> for StartupError {
    fn from(e: std::io::Error) -> Self {
        Self::new(e.to_string())
    }
}

/// From the configuration to the end of the server: its exit code.
///
/// # Errors
/// What made the start impossible.
pub fn run(settings: Settings) -> Result<i32, StartupError> {
    let trial = process::role() == Role::Trial;
    let is_reload = reload::is_reload();

    if settings.logging.log_json.is_some() {
        log::write_json();
    }
    // 1. the world around the process
    if !trial && !is_reload {
        let problems = preflight::problems(&settings);
        if !problems.is_empty() {
            return Err(StartupError::new(problems.join("\n")));
        }
        for hint in preflight::hints(&settings) {
            say!("{hint}");
        }
    }
    if !trial {
        daemonize::early(&settings, is_reload)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        say!(
            "*** Starting rsgi {} ({} bit, pid {}, {cores} processors) ***",
            env!("CARGO_PKG_VERSION"),
            usize::BITS,
            std::process::id()
        );
    }
    if let Some(format) = &settings.logging.log_date {
        log::stamp_lines(Some(format.as_str()).filter(|f| !f.is_empty() && *f != "true"));
    }
    hooks::check(&settings, true)?;
    hooks::run(&settings.hooks.asap);
    environment(&settings);
    conditions::wait(&settings, trial)?;
    if !trial {
        conditions::lock(&settings)?;
    }
    conditions::limits(&settings)?;
    raise_descriptor_limit(&settings);
    if let Some(umask) = settings.sockets.umask {
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(umask));
    }
    if let Some(folder) = &settings.paths.chdir {
        std::env::set_current_dir(folder)
            .map_err(|e| StartupError::new(format!("chdir(): {} ({folder}; option chdir)", os_text(&e))))?;
    }
    privileges::immediate(&settings)?;

    // 2. what plugins see of the configuration, then their init
    server::publish_settings(&settings, is_reload);
    cache::prepare(&settings).map_err(|e| StartupError::new(e.to_string()))?;
    queue::prepare(&settings).map_err(StartupError::new)?;
    locks::prepare(&settings).map_err(|e| StartupError::new(format!("cannot make the locks: {}", e.desc())))?;
    sharedarea::prepare(&settings).map_err(StartupError::new)?;
    metrics::prepare(&settings).map_err(|e| StartupError::new(format!("metric: {e}")))?;
    for library in &settings.plugins.dlopen {
        dlopen(library)?;
    }
    if settings.plugins.plugins_list {
        list_plugins();
    }
    if !trial {
        warn_without_request_plugin(&settings);
    }
    if settings.plugins.logger_list {
        list("loggers", &log::sink::kinds());
    }
    if settings.plugins.loop_list {
        list("loop engines", &crate::worker::engine::ENGINES.names());
    }
    if settings.plugins.cheaper_algo_list {
        list("cheaper algorithms", &process::scaling::names());
    }
    log::sink::install(&settings.logging).map_err(StartupError::new)?;
    crate::clock::install(settings.processes.clock.as_deref()).map_err(StartupError::new)?;
    plugin_hooks::init();
    if let Some((address, why)) = gateway::failed() {
        let place = preflight::place_of_value(&settings, &address);
        return Err(StartupError::new(format!("{why} ({place})")));
    }
    hooks::check(&settings, false)?;

    // 3. sockets that need root, the jail, the user
    hooks::run(&settings.hooks.pre_jail);
    let shared_sockets = if trial {
        Vec::new()
    } else {
        sockets::bind_shared(&settings)?
    };
    emperor::check(&settings)?;
    let has_jail = plugin_hooks::has_jail();
    plugin_hooks::jail(move || {
        if has_jail {
            hooks::run(&settings.hooks.post_jail);
        }
        run_in_jail(settings, shared_sockets, is_reload)
    })
}

/// The rest of the start, in the jail if a plugin made one.
fn run_in_jail(
    mut settings: Settings,
    mut shared_sockets: Vec<sockets::SharedSocket>,
    is_reload: bool,
) -> Result<i32, StartupError> {
    let trial = process::role() == Role::Trial;
    plugin_hooks::before_privileges_drop();
    if !trial {
        daemonize::open_pidfiles(&settings);
    }
    if !settings.privileges.drop_after_apps {
        privileges::drop(&settings, trial)?;
    }

    // 4. the workers' sockets
    let mut bound = if trial {
        Vec::new()
    } else {
        sockets::bind(&settings, &mut shared_sockets)?
    };
    server::publish_sockets(&mut bound, settings.statics.offload_threads > 0).map_err(StartupError::new)?;
    let wants_stats = !settings.stats.address.is_empty() || !settings.stats.health.is_empty();
    if !trial && settings.processes.master {
        stats::server::bind(&settings)?;
    } else if !trial && wants_stats {
        say!("stats, health: there is no master that could serve them; leave --no-master out");
    }
    if bound.is_empty() && !trial && gateway::all().is_empty() && emperor::is_alone(&settings) {
        if settings.privileges.drop_after_apps {
            privileges::drop(&settings, trial)?;
        }
        daemonize::pidfiles_of_start(&settings, is_reload)?;
        daemonize::late(&settings, is_reload)?;
        return emperor::run_alone(&settings);
    }
    if bound.is_empty() && !trial && !may_run_without_sockets(&settings) {
        return Err(StartupError::new(
            "The -s/--socket option is missing and stdin is not a socket.\nSay where to listen: --http-socket :8080, --http :8080 or --socket /path",
        ));
    }
    let cores = settings.processes.threads.max(1) as usize;
    let workers = settings.processes.workers.max(1) as usize;
    let with_vars = !settings.stats.address.is_empty() && !settings.stats.no_cores;
    let cores = cores.max(settings.processes.async_cores as usize);
    let shared = SharedMemory::map(workers, cores, with_vars)
        .map_err(|e| StartupError::new(format!("cannot map memory for {workers} workers: {}", e.desc())))?;
    crate::stats::histogram::prepare(workers)
        .map_err(|e| StartupError::new(format!("cannot map memory for {workers} workers: {}", e.desc())))?;
    crate::log::batch::prepare(workers, cores)
        .map_err(|e| StartupError::new(format!("cannot map memory for {workers} workers: {}", e.desc())))?;
    server::publish_workers(&shared);
    let shape = settings.background.receivers(workers, cores);
    signal::install(shape, &settings.background)
        .map_err(|e| StartupError::new(format!("cannot make the queues of signals: {}", e.desc())))?;
    if !trial {
        daemonize::pidfiles_of_start(&settings, is_reload)?;
    }
    let lazy = settings.apps.lazy_apps;
    settings.apps.need_app.get_or_insert(true);
    let server = server::install(Server::new(settings, bound, shared));

    crate::spooler::prepare(&server.settings).map_err(StartupError::new)?;
    crate::mule::prepare(&server.settings, trial)
        .map_err(|e| StartupError::new(format!("cannot make the queues of the mules: {}", e.desc())))?;

    // 5. the log pipe: from here on, what applications print reaches the loggers too
    let logging = &server.settings.logging;
    if logging.log_master && server.settings.processes.master && !trial {
        pipe::add(pipe_standard_output()?, false, logging);
        if log::sink::has_request_pipe(logging) {
            let (reader, writer) = std::io::pipe()?;
            log::standard::widen(&writer);
            log::sink::set_request_pipe(writer);
            pipe::add(reader, true, logging);
        }
    }
    if !trial {
        pipe::inherit(logging);
    }
    if !trial {
        say!(
            "your mercy for graceful operations on workers is {} seconds",
            server.settings.reload.worker_reload_mercy
        );
    }

    // 6. plugins go on, threads, applications
    plugin_hooks::post_init();
    crate::routing::install(&server.settings.routing).map_err(|(value, why)| {
        StartupError::new(format!(
            "{}: {why}",
            preflight::place_of_value(&server.settings, &value)
        ))
    })?;
    crate::static_files::install(&server.settings.statics).map_err(StartupError::new)?;
    crate::exceptions::install(&server.settings).map_err(StartupError::new)?;
    crate::alarm::install(&server.settings.logging).map_err(StartupError::new)?;
    metrics::collect::check(&server.settings).map_err(StartupError::new)?;
    crate::stats::push::check(&server.settings).map_err(StartupError::new)?;
    crate::stats::push::install(&server.settings);
    metrics::view::install(&server.settings);
    crate::figures::install(server);
    if server.settings.processes.enable_threads || cores > 1 {
        plugin_hooks::enable_threads();
    }
    // a trial finds out whether they load, wherever that will be
    if !lazy || trial {
        pipe::read_during(|| load_apps(server));
    }
    if server.settings.privileges.drop_after_apps {
        privileges::drop(&server.settings, trial)?;
    }
    if trial || server.settings.processes.no_server {
        return Ok(0);
    }
    daemonize::late(&server.settings, is_reload)?;

    footprint::trim_heap();

    // 7. serve
    if server.settings.processes.master || reload::is_reload() {
        Ok(master::run(server)?)
    } else {
        master::run_without(server)
    }
}

fn os_text(e: &std::io::Error) -> String {
    e.raw_os_error()
        .map_or_else(|| e.to_string(), |code| nix::Error::from_raw(code).desc().to_owned())
}

fn may_run_without_sockets(settings: &Settings) -> bool {
    // a gateway in front of foreign backends needs no socket of the workers
    settings.processes.no_server || !gateway::all().is_empty() || !settings.emperor.sources.is_empty()
}

/// Nothing will answer: worth saying, unless files are all that is to be served.
fn warn_without_request_plugin(settings: &Settings) {
    let files = &settings.statics;
    let has_files = !files.maps.is_empty() || !files.check_static.is_empty();
    let registry = crate::plugin::registry::registry();
    let has_duty = has_files || !settings.emperor.sources.is_empty();
    if !has_duty && registry.plugins().iter().all(|p| p.copy.request.is_none()) {
        say!("!!!!!!!!!!!!!! WARNING !!!!!!!!!!!!!!");
        say!("no request plugin is loaded, you will not be able to manage requests.");
        say!("--plugin NAME loads one; rsgi --plugins-list shows those that are there");
        say!("!!!!!!!!!!! END OF WARNING !!!!!!!!!!");
    }
}

/// Whether a failed start may go on with `--fallback-config`: not a trial, and not while workers of the image before
/// serve on.
pub fn may_fall_back() -> bool {
    process::role() != Role::Trial && !reload::is_reload()
}

/// The server could not start: the image becomes one with the configuration of `--fallback-config`. Returns only
/// when that fails too.
pub fn fall_back(config: &str) {
    say!("!!! rsgi (pid: {}) exited with status 1 !!!", std::process::id());
    say!("!!! Fallback config to {config} !!!");
    log::standard::give_back_stderr();
    let failed = reload::exec_with(config);
    say!("cannot run the binary again: {failed}");
}

fn environment(settings: &Settings) {
    // a trial has been told which image it tries
    if process::role() != Role::Trial {
        // SAFETY: the start is single-threaded.
        unsafe { std::env::set_var("UWSGI_RELOADS", reload::count().to_string()) };
    }
    for change in &settings.paths.environment {
        // SAFETY: the start is single-threaded.
        unsafe {
            match change {
                EnvironmentChange::Set(name, value) => std::env::set_var(name, value),
                EnvironmentChange::Unset(name) => std::env::remove_var(name),
                EnvironmentChange::Directory(folder) => {
                    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                        if let (Ok(value), Some(name)) =
                            (std::fs::read_to_string(entry.path()), entry.file_name().to_str())
                        {
                            std::env::set_var(name, value.lines().next().unwrap_or_default());
                        }
                    }
                }
            }
        }
    }
}

/// As many descriptors as the system allows, bounded: nothing of ours scales with the limit, but programs that we
/// start may.
fn raise_descriptor_limit(settings: &Settings) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = match settings.sockets.max_fd {
            0 => soft.max(hard.min(65_536)),
            n => n,
        };
        if wanted != soft {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted));
        }
    }
}

fn dlopen(library: &str) -> Result<(), StartupError> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    use std::error::Error as _;
    // SAFETY: the operator names a library to run code of.
    match unsafe { Library::open(Some(library), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(opened) => {
            std::mem::forget(opened);
            Ok(())
        }
        Err(e) => {
            let text = e.source().map_or_else(|| e.to_string(), ToString::to_string);
            Err(StartupError::new(format!("--dlopen {library}: {text}")))
        }
    }
}

/// `--plugins-list`
fn list_plugins() {
    let registry = crate::plugin::registry::registry();
    let (requests, generic): (Vec<_>, Vec<_>) = registry.plugins().iter().partition(|p| p.copy.request.is_some());
    say!("\n*** rsgi loaded generic plugins ***");
    for plugin in generic {
        say!("{}", plugin.name());
    }
    say!("\n*** rsgi loaded request plugins ***");
    for plugin in requests {
        say!("{}: {}", plugin.copy.modifier1, plugin.name());
    }
    say!("\n*** rsgi loaded loggers ***");
    for name in log::sink::kinds() {
        say!("{name}");
    }
    let is_loaded = |name: &String| registry.plugins().iter().any(|p| p.name() == name);
    let there = crate::plugin::search::catalogue(registry.folders());
    say!("\n*** rsgi plugins that are there and not loaded ***");
    for (name, file) in there.iter().filter(|(name, _)| !is_loaded(name)) {
        say!("{name}: {}", file.path.display());
    }
    say!("--- end of plugins list ---\n");
}

/// `--logger-list`, `--cheaper-algo-list`
fn list(what: &str, names: &[impl std::fmt::Display]) {
    say!("\n*** rsgi loaded {what} ***");
    for name in names {
        say!("{name}");
    }
    say!("--- end of {what} list ---\n");
}

/// Standard output and error become the writing end of a pipe that the master reads.
fn pipe_standard_output() -> Result<std::io::PipeReader, StartupError> {
    let (reader, writer) = std::io::pipe()?;
    log::standard::widen(&writer);
    log::standard::keep_stderr();
    for fd in [1, 2] {
        // SAFETY: both descriptors are open; 1 and 2 are standard output and error.
        if unsafe { libc::dup2(writer.as_raw_fd(), fd) } < 0 {
            return Err(std::io::Error::last_os_error().into());
        }
    }
    log::sink::deliver_here(true);
    Ok(reader)
}

/// Loads the applications of plugins and `--mount`; in the master, or in each worker when lazy.
pub fn load_apps(server: &Server) {
    hooks::run(&server.settings.hooks.pre_app);
    plugin_hooks::preinit_apps();
    plugin_hooks::init_apps();
    let mut wanted = 0;
    for mount in &server.settings.apps.mounts {
        if mount.worker.is_some_and(|w| w as usize != server::worker_id()) {
            continue;
        }
        wanted += 1;
        let text = |t: &str| CString::new(t).unwrap_or_default().into_raw();
        // SAFETY: new texts that live as long as the process.
        let (prefix, app) = unsafe {
            (
                std::ffi::CStr::from_ptr(text(&mount.prefix)),
                std::ffi::CStr::from_ptr(text(&mount.app)),
            )
        };
        if plugin_hooks::mount_app(prefix, app).is_none() {
            say!(
                "cannot mount {} under {:?}: no loaded plugin takes it",
                mount.app,
                mount.prefix
            );
        }
    }
    plugin_hooks::postinit_apps();
    hooks::run(&server.settings.hooks.post_app);
    if let Some(folder) = &server.settings.paths.chdir2
        && let Err(e) = std::env::set_current_dir(folder)
    {
        say!("chdir(): {} ({folder}; option chdir2)", os_text(&e));
        process::exit(1);
    }
    // SAFETY: plugins have written the field in the hooks above.
    wanted += unsafe { (*view()).apps_wanted };
    if !server::apps().is_empty() {
        return;
    }
    // asked for by name, or the server has nothing to do without one
    if wanted > 0 && server.settings.apps.need_app == Some(true) {
        if server.settings.limits.worker_boot_error_halt && process::is_worker() {
            process::exit(APP_LOAD);
        }
        say!("no application could be loaded (the reasons stand above); --no-need-app would start without it");
        process::exit(NEED_APP);
    }
    if wanted > 0 || server.settings.classic {
        say!("*** no app loaded. going in full dynamic mode ***");
    }
}

/// Name, processors and priority of a worker; after its fork.
pub fn worker_identity(id: usize) {
    let settings = &server().settings;
    procname::worker(&settings.processes.names, id);
    pin(settings.processes.cpu_affinity as usize, id);
}

/// `--cpu-affinity N`: N processors each, round robin.
fn pin(count: usize, id: usize) {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;
    let this = Pid::from_raw(0);
    let Ok(all) = sched_getaffinity(this) else {
        return;
    };
    if count == 0 {
        return;
    }
    let usable: Vec<usize> = (0..CpuSet::count())
        .filter(|c| all.is_set(*c).unwrap_or(false))
        .collect();
    let mut own = CpuSet::new();
    for n in 0..count.min(usable.len()) {
        let _ = own.set(usable[((id - 1) * count + n) % usable.len()]);
    }
    let _ = sched_setaffinity(this, &own);
}

/// The hooks of a worker that begins to take requests.
pub fn accepting(id: usize) {
    hooks::accepting(&server().settings.hooks, id);
}

/// Work at the end of the first process.
pub fn at_end() {
    let Some(server) = server::try_server() else {
        return;
    };
    hooks::run(&server.settings.hooks.as_user_atexit);
    vacuum();
}

/// Removes sockets and pidfiles (`--vacuum`); only by the process that made them.
pub fn vacuum() {
    let Some(server) = server::try_server().filter(|s| s.settings.paths.vacuum) else {
        return;
    };
    for socket in &server.sockets {
        if let Some(path) = &socket.listener.path
            && std::fs::remove_file(path).is_ok()
        {
            say!("VACUUM: unix socket {} removed.", path.display());
        }
    }
    for path in gateway::paths()
        .into_iter()
        .map(|(_, path)| path)
        .chain(stats::server::paths())
    {
        if std::fs::remove_file(&path).is_ok() {
            say!("VACUUM: unix socket {} removed.", path.display());
        }
    }
    daemonize::remove_pidfiles(&server.settings);
}

/// What belongs to an orderly end and must also happen before an exec.
pub fn before_exec() {
    hooks::run(&server().settings.hooks.as_user_atexit);
    log::sink::finish();
    log::standard::give_back_stderr();
}

/// The configuration as SIGUSR1 shows it.
pub fn print_configuration(settings: &Settings) {
    say!(";rsgi instance configuration");
    say!("[uwsgi]");
    for (key, value) in &settings.exported {
        say!("{key} = {}", value.as_deref().unwrap_or("true"));
    }
    say!(";end of configuration");
}

/// What the configuration says, into the C view.
pub fn publish(v: &mut UwsgiServer, settings: &Settings) {
    let text = |t: &Option<String>| t.as_ref().map_or(std::ptr::null_mut(), server::keep);
    v.master_process = i32::from(settings.processes.master);
    v.numproc = settings.processes.workers.max(1) as i32;
    v.threads = settings.processes.threads.max(1) as i32;
    v.has_threads = i32::from(settings.processes.enable_threads || settings.processes.threads > 1);
    v.r#async = settings.processes.async_cores as i32;
    v.cores = v.threads.max(v.r#async).max(1);
    v.lazy = i32::from(settings.reload.lazy);
    v.lazy_apps = i32::from(settings.apps.lazy_apps);
    v.max_apps = crate::apps::MAX_APPS as i32;
    v.no_default_app = i32::from(settings.apps.no_default_app);
    v.need_app = i32::from(settings.apps.need_app.unwrap_or(true));
    v.single_interpreter = i32::from(settings.apps.single_interpreter);
    v.manage_script_name = i32::from(settings.apps.manage_script_name);
    v.catch_exceptions = i32::from(settings.limits.catch_exceptions);
    v.socket_timeout = settings.sockets.socket_timeout as i32;
    v.listen_queue = settings.sockets.listen.unwrap_or(4096) as i32;
    v.chmod_socket = i32::from(settings.sockets.chmod_socket.is_some());
    v.chown_socket = text(&settings.sockets.chown_socket);
    v.abstract_socket = i32::from(settings.sockets.abstract_socket);
    v.reuse_port = i32::from(settings.sockets.reuse_port);
    v.buffer_size = settings.limits.buffer_size as i32;
    v.post_buffering = settings.limits.post_buffering as usize;
    v.post_buffering_bufsize = settings.limits.post_buffering_bufsize;
    v.limit_post = settings.limits.limit_post as usize;
    v.ignore_sigpipe = i32::from(settings.http.ignore_sigpipe);
    v.ignore_write_errors = i32::from(settings.http.ignore_write_errors);
    v.disable_write_exception = i32::from(settings.http.disable_write_exception);
    v.honour_range = i32::from(settings.statics.honour_range);
    v.emperor_freq = settings.emperor.scan_every as i32;
    v.cheaper = i32::from(settings.processes.cheaper > 0);
    v.cheaper_count = settings.processes.cheaper as i32;
    v.rpc_max = settings.processes.rpc_max as i32;
    v.cheaper_step = settings.processes.cheaper_step as i32;
    v.cheaper_overload = settings.processes.cheaper_overload.into();
    v.requested_cheaper_algo = server::keep(&settings.processes.cheaper_algo);
    v.original_log_fd = 2;
    v.emperor_tyrant = i32::from(settings.emperor.tyrant);
    v.write_errors_exception_only = i32::from(settings.http.write_errors_exception_only);
    v.mules_cnt = settings.background.mules.len() as i32;
    v.mode = text(&settings.apps.mode);
    v.has_metrics = i32::from(settings.stats.metrics || !settings.stats.push.is_empty());
    v.log_this = i32::from(!settings.logging.disable_logging);
    v.memory_report = i32::from(settings.limits.memory_report);
    v.logging_options.enabled = v.log_this;
    v.logging_options.memory_report = v.memory_report;
    v.max_fd =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    v.r#loop = text(&settings.processes.loop_engine);
    v.procname = text(&settings.processes.names.name);
    v.procname_master = text(&settings.processes.names.master);
    v.pidfile = text(&settings.paths.pidfile);
    v.harakiri_options.workers = settings.limits.harakiri as i32;
    v.harakiri_options.mules = settings.limits.mule_harakiri as i32;
    v.harakiri_options.spoolers = settings.limits.spooler_harakiri as i32;
    // SAFETY: these calls always succeed.
    unsafe {
        v.uid = libc::geteuid();
        v.gid = libc::getegid();
    }
}
