//! The report of `--check-config` about a configuration of uWSGI: what stays, what differs, what is refused.

use rsgi_tests::Setup;

const OLD: &str = "[uwsgi]\nsocket = 127.0.0.1:0\nmaster = true\nplugins = python3\nmodule = app\nmax-requests = 1000\n\
    stats = :9191\nthunder-lock = true\nlegion = x\nproceses = 3\nif-env = NOTHING\nendif =\nsite = mine\nlogto2 = %(site)\n";

fn report(text: &str) -> String {
    let setup = Setup::new().file("old.ini", text);
    let ended = setup.args(["--check-config", "old.ini"]).run();
    ended.output
}

#[test]
fn each_option_of_an_old_file_is_accounted_for() {
    let said = report(OLD);
    for line in [
        "the same as in uWSGI (3):\n    socket module logto2\n",
        "means something else (2):\n    old.ini:6: max-requests: the replacement is ready first",
        "    old.ini:7: stats: listens on 127.0.0.1 alone; write 0.0.0.0:PORT for every address\n",
        "can be left out (3):\n    old.ini:3: master: is on",
        "    old.ini:4: plugins: is part of rsgi, or is loaded by itself",
        "    old.ini:8: thunder-lock: ",
        "refused (1):\n    old.ini:9: legion: legions are not in rsgi; let the orchestrator",
        "unknown (1):\n    old.ini:10: proceses: did you mean \"processes\"?\n",
        "defaults that differ (classic-defaults brings uWSGI's back):\n    SIGTERM stops gracefully",
    ] {
        assert!(said.contains(line), "no {line:?} in:\n{said}");
    }
    // blocks are no options
    assert!(!said.contains("if-env:") && !said.contains("old.ini:13"), "{said}");
}

#[test]
fn with_classic_defaults_nothing_differs() {
    let said = report("[uwsgi]\nclassic-defaults = true\nhttp-socket = 127.0.0.1:0\nmaster = true\nstats = :0\n");
    assert!(
        said.contains("the same as in uWSGI (3):\n    http-socket master stats\n"),
        "{said}"
    );
    assert!(!said.contains("differ") && !said.contains("something else"), "{said}");
    assert!(said.contains("the configuration has no mistake"), "{said}");
}
