//! The whole way, with plugins that are only pretended.

use super::*;
use crate::config::Origin;
use crate::settings::{Action, EnvironmentChange, SocketProtocol};
use rsgi_plugin_api::abi::UWSGI_OPT_MASTER;
use std::ffi::OsString;

/// A folder with the plugins python and http.
#[derive(Default)]
struct FakePlugins {
    said: Vec<String>,
    loaded: Vec<String>,
    directories: Vec<String>,
    applied: Vec<String>,
}

const ON_DISK: [(&str, &str, ArgKind, u64); 4] = [
    ("python", "wsgi-file", ArgKind::Required, 0),
    ("python", "module", ArgKind::Required, 0),
    ("python", "py-verbose", ArgKind::No, 0),
    ("http", "http", ArgKind::Required, UWSGI_OPT_MASTER),
];

fn option((index, (plugin, name, arg, flags)): (usize, (&str, &str, ArgKind, u64))) -> PluginOption {
    PluginOption {
        name: name.into(),
        short: (name == "module").then_some('w'),
        arg,
        help: format!("about {name}"),
        flags,
        plugin: plugin.into(),
        index,
    }
}

impl PluginHost for FakePlugins {
    fn say(&mut self, line: &str) {
        self.said.push(line.into());
    }
    fn add_directory(&mut self, directory: &str) {
        self.directories.push(directory.into());
    }
    fn load(&mut self, spec: &str, _need: bool, _origin: &Origin) -> Result<(), PluginError> {
        if !ON_DISK.iter().any(|(plugin, ..)| *plugin == spec) {
            return Err(PluginError(format!("{spec}: No such file or directory")));
        }
        self.loaded.push(spec.into());
        Ok(())
    }
    fn is_loaded(&self, name: &str) -> bool {
        self.loaded.iter().any(|loaded| loaded == name)
    }
    fn options(&self) -> Vec<PluginOption> {
        let all = self.catalogue().into_iter();
        all.filter(|option| self.is_loaded(&option.plugin)).collect()
    }
    fn apply(&mut self, index: usize, name: &str, value: Option<&str>) -> Result<(), PluginError> {
        if value == Some("bad") {
            return Err(PluginError("cannot be bad".into()));
        }
        assert_eq!(ON_DISK[index].1, name);
        self.applied.push(format!("{name}={}", value.unwrap_or("-")));
        Ok(())
    }
    fn owner_of(&self, option: &str) -> Option<String> {
        ON_DISK
            .iter()
            .find(|(_, name, ..)| *name == option)
            .map(|(plugin, ..)| (*plugin).into())
    }
    fn catalogue(&self) -> Vec<PluginOption> {
        ON_DISK.into_iter().enumerate().map(option).collect()
    }
}

/// One run: words of the command line, variables, files in a folder named @DIR@.
struct Run {
    result: Result<Startup, ConfigErrors>,
    plugins: FakePlugins,
}

fn run_with(words: &[&str], variables: &[(&str, &str)], files: &[(&str, &str)]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let place = |text: &str| text.replace("@DIR@", dir.path().to_str().unwrap());
    for (name, text) in files {
        std::fs::write(dir.path().join(name), place(text)).unwrap();
    }
    let arguments: Vec<OsString> = words.iter().map(|w| place(w).into()).collect();
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), place(v)));
    let mut plugins = FakePlugins::default();
    let result = load(&arguments, variables, &mut plugins);
    Run { result, plugins }
}

fn line(words: &str) -> Run {
    let words: Vec<&str> = words.split_whitespace().collect();
    run_with(&words, &[], &[])
}

fn ini(body: &str) -> Run {
    run_with(
        &["--ini", "@DIR@/c.ini"],
        &[],
        &[("c.ini", &format!("[uwsgi]\n{body}"))],
    )
}

impl Run {
    fn settings(self) -> Settings {
        match self.result {
            Ok(Startup::Run(settings)) => *settings,
            other => panic!("{other:?}\n{:?}", self.plugins.said),
        }
    }
    fn printed(self) -> String {
        match self.result {
            Ok(Startup::Print(text)) => text,
            other => panic!("{other:?}"),
        }
    }
    fn problems(&self) -> Vec<String> {
        self.result.as_ref().unwrap_err().problems.clone()
    }
    fn said(&self, part: &str) -> bool {
        self.plugins.said.iter().any(|line| line.contains(part))
    }
}

#[test]
fn nothing_gives_the_defaults_and_classic_gives_uwsgis() {
    let new = line("").settings();
    assert!(new.processes.master && new.paths.vacuum && new.processes.enable_threads && new.http.keep_alive);
    assert_eq!(
        (new.limits.buffer_size, new.sockets.listen, new.apps.need_app),
        (65536, None, None)
    );
    let old = ini("processes = 3\nclassic-defaults = true\n").settings();
    assert!(!old.processes.master && !old.paths.vacuum && !old.http.keep_alive && old.apps.dynamic_apps);
    assert_eq!(
        (old.limits.buffer_size, old.sockets.listen, old.processes.workers),
        (4096, Some(100), 3)
    );
}

#[test]
fn changed_defaults_have_a_form_that_turns_them_off() {
    let s = line("--no-master --no-vacuum --no-need-app --no-enable-threads --no-single-interpreter").settings();
    assert!(!s.processes.master && !s.paths.vacuum && !s.processes.enable_threads && !s.apps.single_interpreter);
    assert_eq!(s.apps.need_app, Some(false));
    let s = ini("master = false\nvacuum = 0\nno-orphans = off\nkeep-alive = no\n").settings();
    assert!(!s.processes.master && !s.paths.vacuum && !s.processes.no_orphans && !s.http.keep_alive);
}

#[test]
fn sockets_keep_their_order_protocol_and_place() {
    let s =
        ini("socket = :3031\nshared-socket = :80\nhttp-socket = =0\nprotocol = http\nchmod-socket = 660\n").settings();
    assert_eq!(s.sockets.bind[0].address, ":3031");
    assert_eq!(
        (s.sockets.bind[0].protocol, s.sockets.protocol),
        (None, Some(SocketProtocol::Http))
    );
    assert_eq!(s.sockets.bind[1].shared(), Some(0));
    assert!(s.sockets.bind[1].origin.to_string().ends_with("c.ini:4"));
    assert_eq!(s.sockets.chmod_socket, Some(0o660));
    assert!(ini("http-socket = =3\n").problems()[0].contains("names no shared socket"));
}

#[test]
fn the_last_single_value_wins_and_the_command_line_beats_the_environment() {
    assert_eq!(ini("processes = 4\nprocesses = 2\n").settings().processes.workers, 2);
    let run = run_with(&["-p", "1"], &[("UWSGI_PROCESSES", "3"), ("RSGI_THREADS", "5")], &[]);
    let s = run.settings();
    assert_eq!((s.processes.workers, s.processes.threads), (1, 5));
    assert_eq!(s.exported.last(), Some(&("processes".into(), Some("1".into()))));
}

#[test]
fn a_container_may_set_anything_in_the_environment() {
    let run = run_with(
        &[],
        &[
            ("UWSGI_PORT", "tcp://1"),
            ("UWSGI_THREADS", ""),
            ("UWSGI_PROCESES", "2"),
        ],
        &[],
    );
    assert!(run.said("did you mean \"processes\"") && !run.said("tcp://1"));
    assert_eq!(run.settings().processes.threads, 1);
}

#[test]
fn an_unknown_name_in_a_file_is_a_line_with_place_and_suggestion() {
    let run = ini("\nvaccum = true\nmine = 2\nprocesses = %(mine)\nunused-thing = 1\n");
    assert!(run.said("c.ini:3: unknown option \"vaccum\": did you mean \"vacuum\"?"));
    assert!(run.said("c.ini:6: unknown option \"unused-thing\": it has no effect"));
    assert!(!run.said("\"mine\""));
    assert_eq!(run.settings().processes.workers, 2);
}

#[test]
fn strict_makes_it_an_error_wherever_it_stands() {
    let run = ini("proceses = 1\nset-ph = foo=bar\nprint = P:%(foo)\nstrict = true\n");
    assert_eq!(run.problems().len(), 1);
    let problem = &run.problems()[0];
    assert!(
        problem.starts_with("[strict-mode] unknown config directive: proceses ("),
        "{problem}"
    );
    assert!(problem.ends_with("c.ini:2): did you mean \"processes\"?"), "{problem}");
}

#[test]
fn all_problems_are_collected() {
    let run = ini("processes = abc\nhttp-socket = :99999\nharakiri = 30s\nlegion = x\nmount = /x\ninclude = no.conf\n");
    let problems = run.problems();
    assert_eq!(problems.len(), 6, "{problems:?}");
    let all = problems.join("\n");
    assert!(all.contains("c.ini:2: processes: invalid number \"abc\""));
    assert!(all.contains("invalid port 99999") && all.contains("legions are not in rsgi"));
    assert!(line("--processes abc").problems()[0].starts_with("--processes: invalid number \"abc\""));
}

#[test]
fn a_comment_behind_a_value_is_said() {
    let run = ini(
        "processes = 4 ; four\nmaster = true # yes\nhttp-socket = :8080 ; web\nchmod-socket = 660 # x\nlog-format = %(uri) ; x\n",
    );
    assert!(run.said("c.ini:2: processes: \"; four\" behind the value is taken as a comment"));
    let s = run.settings();
    assert_eq!((s.processes.workers, s.processes.master), (4, true));
    assert_eq!(s.sockets.chmod_socket, Some(0o660));
    assert_eq!(s.logging.log_format.as_deref(), Some("%(uri) ; x"));
}

#[test]
fn placeholders_are_resolved_when_all_is_known() {
    let run = run_with(
        &["--set", "who=cli", "--ini", "@DIR@/c.ini"],
        &[("HOME", "/h")],
        &[(
            "c.ini",
            "[uwsgi]\nprint = P:%(who) %(late) %(n + 1) $(HOME)\nlate = %(n)x\nn = 2\nwho = file\n",
        )],
    );
    assert!(run.said("P:cli 2x 3 /h"), "{:?}", run.plugins.said);
    let run = ini("chdir2 = /tmp/%(nothing_here)\nprocesses = %(1 / 0)\n");
    assert!(run.said("unknown placeholder %(nothing_here)"));
    assert!(run.problems()[0].contains("divided by zero"));
    assert!(!ini("log-format = %(method) %(uri)\n").said("unknown placeholder"));
    assert!(ini("processes = %(1 + 1 * 2)\n").said("from left to right"));
}

#[test]
fn set_ph_of_an_option_is_refused() {
    assert!(
        ini("set-ph = processes=4\n").problems()[0]
            .contains("you cannot use processes as a placeholder, it is already available")
    );
}

#[test]
fn the_plugin_that_owns_an_option_is_loaded_by_itself() {
    let run = line("--http :9090 --wsgi-file app.py --no-master");
    assert_eq!(run.plugins.loaded, ["http", "python"]);
    assert_eq!(run.plugins.applied, ["http=:9090", "wsgi-file=app.py"]);
    assert!(run.said("http needs the master"));
    assert!(run.settings().processes.master);
    let run = run_with(
        &["--ini", "@DIR@/c.ini", "app.py"],
        &[],
        &[("c.ini", "[uwsgi]\nstrict = 1\nmodule = x\npy-verbose = false\n")],
    );
    assert_eq!(run.plugins.applied, ["module=x", "wsgi-file=app.py"]);
    assert!(line("--wsgi-file bad").problems()[0].contains("--wsgi-file: cannot be bad"));
}

#[test]
fn the_command_line_may_declare_its_own_options() {
    let run = run_with(
        &["--declare-option", "hello=print=P:hi $1", "--hello", "ann bob"],
        &[],
        &[],
    );
    assert!(run.said("P:hi ann"));
    assert_eq!(
        line("--classic-defaults app.py").problems(),
        ["unrecognized option '--wsgi-file': it belongs to the plugin python, which is not loaded"]
    );
}

#[test]
fn a_comment_behind_a_plugins_value_is_said() {
    let run = ini("module = app ; the app\n");
    assert!(run.said("c.ini:2: module: \"; the app\" belongs to the value"));
    assert_eq!(run.plugins.applied, ["module=app ; the app"]);
}

#[test]
fn classic_defaults_do_not_look_for_plugins() {
    assert_eq!(line("--classic-defaults --wsgi-file x").problems().len(), 1);
    assert!(
        line("--classic-defaults --wsgi-file x").problems()[0]
            .starts_with("unrecognized option '--wsgi-file': it belongs to the plugin python")
    );
    assert_eq!(
        line("--classic-defaults --plugin python --wsgi-file x").plugins.applied,
        ["wsgi-file=x"]
    );
    assert_eq!(
        line("--classic-defaults --autoload --wsgi-file x").plugins.applied,
        ["wsgi-file=x"]
    );
}

#[test]
fn named_plugins_are_loaded_once_in_order() {
    let run = line("--plugins-dir /p --plugin python,nosuch --need-plugin http");
    assert_eq!(
        (run.plugins.directories.as_slice(), run.plugins.loaded.as_slice()),
        (
            ["/p".to_owned()].as_slice(),
            ["python".to_owned(), "http".to_owned()].as_slice()
        )
    );
    assert_eq!(run.settings().plugins.loaded, ["python,nosuch", "http"]);
    let run = line("--need-plugin nosuch");
    assert!(run.problems()[0].contains("unable to load plugin \"nosuch\""));
    let run = ini("if-plugin = python\nthreads = 9\nendif\nplugin = python\nif-plugin = python\nthreads = 3\nendif\n");
    assert_eq!(run.settings().processes.threads, 3);
}

#[test]
fn commands_need_no_configuration() {
    assert_eq!(
        line("--ini /no/such.ini --version").printed(),
        format!("{}\n", env!("CARGO_PKG_VERSION"))
    );
    assert!(line("--help socket").printed().contains("--http-socket"));
    assert!(line("-h").printed().contains("Plugin python:"));
    let names = line("--dump-options").printed();
    assert!(
        ["master", "ini", "wsgi-file", "touch-reload"]
            .iter()
            .all(|n| names.lines().any(|l| l == *n))
    );
    assert!(matches!(line("--stop /p.pid").result, Ok(Startup::Command(Command::Stop(file))) if file == "/p.pid"));
    assert_eq!(line("--extract data://x").printed(), "x");
    assert!(line("--man").printed().starts_with(".TH RSGI 1"));
}

#[test]
fn check_config_and_get_read_everything() {
    assert!(matches!(
        line("--check-config --processes 2").result,
        Ok(Startup::Checked)
    ));
    assert_eq!(line("--check-config --processes x --threads y").problems().len(), 2);
    assert_eq!(line("--get processes -p 3").printed(), "3\n");
}

#[test]
fn show_config_prints_a_configuration_with_places() {
    let run = run_with(
        &["--ini", "@DIR@/c.ini", "--show-config"],
        &[],
        &[("c.ini", "[uwsgi]\nmaster = true\nfoo = 5\nprocesses = %(foo)\n")],
    );
    let said = run.plugins.said.join("\n");
    for line in [
        ";uWSGI instance configuration\n[uwsgi]",
        "\nmaster = true\n",
        "\nfoo = 5\n",
        "\nprocesses = 5\n",
        "\nshow-config = true\n",
        "\n;end of configuration\n",
        "c.ini:4\nprocesses",
    ] {
        assert!(said.contains(line), "{line:?} in {said}");
    }
    assert_eq!(run.settings().values("processes").collect::<Vec<_>>(), ["5"]);
}

#[test]
fn options_about_processes_turn_the_master_on() {
    assert!(line("--classic-defaults --stats :1717").settings().processes.master);
    assert!(!line("--classic-defaults").settings().processes.master);
    assert!(!line("--classic-defaults --cheaper 0").settings().processes.master);
}

#[test]
fn values_of_many_forms_arrive() {
    let s = ini("add-header = X: y\nenv = A=1\nunenv = B\nexec-as-root = true\nhook-as-root = print:x\nlogger = n file:/l\nlog-date = %%Y\nmount = /a=b.py\nstatic-map = /s=/d\nremap-modifier = 1:2,3:4\nattach-daemon = sleep 1\nsmart-attach-daemon = /p cmd x\ntouch-exec = /f run it\nthread-stacksize = 512\nlog-slow = 50\n").settings();
    assert_eq!(s.http.add_headers, ["X: y"]);
    assert_eq!(
        s.paths.environment,
        [
            EnvironmentChange::Set("A".into(), "1".into()),
            EnvironmentChange::Unset("B".into())
        ]
    );
    assert_eq!(
        s.hooks.as_root,
        [Action::Exec("true".into()), Action::Hook("print:x".into())]
    );
    assert_eq!(
        (s.logging.logger[0].name.as_deref(), s.logging.logger[0].kind.as_str()),
        (Some("n"), "file")
    );
    assert_eq!(s.logging.log_date.as_deref(), Some("%Y"));
    assert_eq!(
        (s.apps.mounts[0].prefix.as_str(), s.statics.maps[0].target.as_str()),
        ("/a", "/d")
    );
    assert_eq!(s.sockets.remap_modifier, [(1, 2), (3, 4)]);
    assert_eq!(s.background.daemons[1].pidfile.as_deref(), Some("/p"));
    assert_eq!(s.hooks.touch_exec[0].action, "run it");
    assert_eq!(
        (s.processes.thread_stack_size, s.logging.log_slow),
        (512 * 1024, Some(50))
    );
}

#[test]
fn contradictions_are_found() {
    assert!(ini("max-worker-lifetime = 5\n").problems()[0].contains("above min-worker-lifetime"));
    assert!(ini("processes = 2\ncheaper = 2\n").problems()[0].contains("below processes"));
    let run = ini("processes = 4\ncheaper = 2\ncheaper-initial = 1\n");
    assert!(run.said("warning: invalid cheaper-initial value (1), must be equal or higher than cheaper (2), using 2"));
}

#[test]
fn what_has_no_effect_is_said_once() {
    let run = ini("write-errors-tolerance = 1\nwrite-errors-tolerance = 2\nksm = 1\n");
    let lines: Vec<_> = run
        .plugins
        .said
        .iter()
        .filter(|l| l.contains("no effect") || l.contains("nothing to do"))
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(
        run.settings().values("write-errors-tolerance").collect::<Vec<_>>(),
        ["1", "2"]
    );
}

mod random {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn no_command_line_panics(words in prop::collection::vec("-{0,2}[a-zA-Z=:0-9-]{0,12}", 0..5)) {
            let words: Vec<&str> = words.iter().map(String::as_str).filter(|w| !w.contains("for-")).collect();
            let _ = run_with(&words, &[], &[]);
        }

        #[test]
        fn no_value_panics(pick in any::<prop::sample::Index>(), value in "[ -~é]{0,16}") {
            let rows: Vec<_> = table::rows().filter(|row| !matches!(row.apply, Apply::Reader)).collect();
            let key = pick.get(&rows).name;
            prop_assume!(!value.contains('@'));
            let _ = ini(&format!("{key} = {value}\n"));
        }

        #[test]
        fn numbers_survive_the_way(workers in 1u32..1000, seconds in 0u64..100_000) {
            let s = ini(&format!("processes = {workers}\nharakiri = {seconds}\n")).settings();
            prop_assert_eq!((s.processes.workers, s.limits.harakiri), (workers, seconds));
        }
    }
}
