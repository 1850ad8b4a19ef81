//! Plugins that go wrong in each of their hooks: by a signal, an exit, no end, or descriptors left open. The log says
//! plugin and hook; what is no process of the plugin's hook goes on.

use rsgi_tests::http::{connect, get};
use rsgi_tests::{Server, Setup, build_dir, build_plugin, is_alive, wait_for};
use std::io::{Read, Write};

/// A server of the plugin, which will go wrong as it is said.
fn setup(crash: &str) -> Setup {
    setup_with(crash, "2")
}

fn setup_with(crash: &str, workers: &str) -> Setup {
    let setup = Setup::new()
        .file("crash", crash)
        .file("crash.h", include_str!("../c/crash.h"));
    build_plugin(setup.dir(), "crasher.c", include_str!("../c/crasher.c"));
    let file = setup.dir().join("crash").display().to_string();
    setup
        .env("CRASH", &file)
        .args([
            "--plugin",
            "./crasher_plugin.so",
            "--master",
            "-p",
            workers,
            "--threads",
            "2",
        ])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "203"])
}

/// What the log says of a crash.
fn line(hook: &str, way: &str) -> String {
    match way {
        "segv" => format!("plugin crasher: segmentation fault in its hook {hook}"),
        "abort" => format!("plugin crasher: abort in its hook {hook}"),
        "exit" => format!("plugin crasher: exit(7) in its hook {hook}"),
        "c-exit" => format!("plugin crasher: exit() in its hook {hook}"),
        "_exit" => format!("plugin crasher: _exit(7) in its hook {hook}"),
        _ => format!("plugin crasher: over time in its hook {hook}"),
    }
}

const WAYS: [&str; 5] = ["segv", "abort", "exit", "c-exit", "_exit"];

/// Asks, whether there is an answer or not.
fn ask(port: u16, path: &str) {
    let mut stream = connect(port);
    let _ = write!(stream, "GET {path} HTTP/1.0\r\n\r\n");
    let _ = stream.read_to_end(&mut Vec::new());
}

/// All workers serve, and the master is the same.
fn serves(server: &mut Server, but: &[i32]) {
    server.wait_workers(2, but);
    for _ in 0..10 {
        assert_eq!(get(server.port(), "/").text(), "calm");
    }
    assert!(is_alive(server.pid()));
}

#[test]
fn in_hooks_of_the_start_the_server_ends_with_one_line() {
    let hooks = [
        "on_load",
        "configure",
        "init",
        "post_init",
        "enable_threads",
        "preinit_apps",
        "init_apps",
        "postinit_apps",
        "on_starting",
        "master_fixup",
        "pre_fork",
        "pre_uwsgi_fork",
        "when_ready",
    ];
    std::thread::scope(|scope| {
        for way in WAYS {
            scope.spawn(move || {
                for hook in hooks {
                    let ended = setup(&format!("{hook} {way}")).run();
                    let expected = if way.ends_with("exit") { 7 } else { -1 };
                    assert_eq!(ended.code, expected, "{hook} {way}: {}", ended.output);
                    let said = line(hook, way);
                    assert_eq!(ended.output.matches(&said).count(), 1, "{said}: {}", ended.output);
                }
            });
        }
    });
}

#[test]
fn in_hooks_of_a_worker_that_starts_another_one_comes() {
    let hooks = [
        "master_fixup_child",
        "post_fork",
        "worker",
        "fixup",
        "hijack_worker",
        "init_thread",
        "post_uwsgi_fork",
    ];
    std::thread::scope(|scope| {
        for way in WAYS {
            scope.spawn(move || {
                for hook in hooks {
                    let mut server = setup(&format!("{hook} {way}")).start_unready();
                    // of a hook with two moments
                    server.wait_log(&line(hook.trim_end_matches("_child"), way), 1);
                    serves(&mut server, &[]);
                }
            });
        }
    });
}

#[test]
fn in_hooks_of_a_worker_that_serves_only_that_one_ends() {
    let hooks = [
        ("request", "/"),
        ("pre_request", "/"),
        ("post_request", "/"),
        ("after_request", "/"),
        ("rpc", "/rpc"),
        ("signal_handler", "/signal"),
    ];
    std::thread::scope(|scope| {
        for way in WAYS {
            scope.spawn(move || {
                let mut server = setup("nothing yet").start();
                for (hook, path) in hooks {
                    let before = server.wait_workers(2, &[]);
                    std::fs::write(server.dir().join("crash"), format!("{hook} {way}")).unwrap();
                    ask(server.port(), path);
                    match hook {
                        // the master says which request it was
                        "request" => {
                            let how = if way.ends_with("exit") {
                                "exited with code 7"
                            } else {
                                "crashed"
                            };
                            server.wait_log(
                                &format!("{how} in the request hook of plugin crasher: 127.0.0.1 - GET /"),
                                1,
                            );
                        }
                        _ => server.wait_log(&line(hook, way), 1),
                    }
                    wait_for("another worker", || {
                        let now = server.workers();
                        (now.len() == 2 && now != before).then_some(())
                    });
                    let kept = server.workers().iter().filter(|now| before.contains(now)).count();
                    assert_eq!(kept, 1, "{hook} {way}: {}", server.log());
                    serves(&mut server, &[]);
                }
            });
        }
    });
}

#[test]
fn at_the_end_of_a_worker_its_successor_comes_all_the_same() {
    for hook in ["worker_exit", "atexit"] {
        for way in WAYS {
            let mut server = setup(&format!("{hook} {way}")).start();
            let worker = server.workers()[0].1;
            rsgi_tests::send(worker, libc::SIGHUP);
            server.wait_log(&line(hook, way), 1);
            serves(&mut server, &[worker]);
        }
    }
}

#[test]
fn in_mules_and_spoolers_another_one_comes() {
    for (hook, path) in [("mule_msg", "/mule"), ("spooler", "/spool"), ("spooler_init", "/")] {
        for way in WAYS {
            let mut server = setup(&format!("{hook} {way}"))
                .args(["--mule", "--spooler", "@DIR@/sp"])
                .start();
            let before = server.workers();
            ask(server.port(), path);
            server.wait_log(&line(hook, way), 1);
            let again = match hook {
                "mule_msg" => "spawned uWSGI mule 1",
                _ => "spawned the rsgi spooler",
            };
            server.wait_log(again, 2);
            serves(&mut server, &[]);
            assert_eq!(server.workers(), before);
        }
    }
}

#[test]
fn in_hooks_of_the_master_it_ends_with_one_line() {
    for hook in [
        "master_cycle",
        "child_exit",
        "pre_exec",
        "on_reload",
        "master_cleanup",
        "on_exit",
    ] {
        for way in WAYS {
            let mut server = setup(&format!("{hook} {way}")).start();
            let workers = server.workers();
            match hook {
                "child_exit" => rsgi_tests::send(workers[0].1, libc::SIGKILL),
                "pre_exec" | "on_reload" => server.signal(libc::SIGHUP),
                "master_cleanup" | "on_exit" => server.signal(libc::SIGTERM),
                _ => {}
            }
            let status = server.wait_exit();
            assert_ne!(status.code(), Some(0));
            assert_eq!(server.log().matches(&line(hook, way)).count(), 1, "{}", server.log());
        }
    }
}

#[test]
fn who_never_comes_back_is_killed_and_named() {
    for (hook, path, option) in [
        ("request", "/", "--harakiri"),
        ("post_request", "/", "--harakiri"),
        ("signal_handler", "/signal", "--harakiri"),
        ("mule_msg", "/mule", "--mule-harakiri"),
        ("spooler", "/spool", "--spooler-harakiri"),
    ] {
        let mut server = setup(&format!("{hook} hang"))
            .args(["--mule", "--spooler", "@DIR@/sp", option, "1"])
            .start();
        let before = server.workers();
        let port = server.port();
        let client = std::thread::spawn(move || ask(port, path));
        match hook {
            "request" => server.wait_log("seconds, in plugin crasher)", 1),
            _ => server.wait_log(&line(hook, "hang"), 1),
        }
        client.join().unwrap();
        if option == "--harakiri" {
            wait_for("another worker", || {
                let now = server.workers();
                (now.len() == 2 && now != before).then_some(())
            });
        }
        serves(&mut server, &[]);
    }
}

#[test]
fn a_worker_whose_plugin_leaves_files_open_is_replaced_when_none_is_left() {
    let of_requests = [
        ("request", "/"),
        ("pre_request", "/"),
        ("post_request", "/"),
        ("after_request", "/"),
        ("rpc", "/rpc"),
        ("signal_handler", "/signal"),
    ];
    for (hook, path) in of_requests {
        let mut server = setup_with(&format!("{hook} leak"), "1")
            .args(["--max-fd", "256"])
            .start();
        let before = server.workers();
        // whose answer comes all the same: its own connection is open
        assert_eq!(get(server.port(), path).text(), "calm", "{hook}");
        let mut held = 0;
        wait_for(&format!("another worker after {hook}"), || {
            held += 8;
            // connections that were open during the leak have left some descriptors
            let _others: Vec<_> = (0..held).map(|_| connect(server.port())).collect();
            ask(server.port(), "/");
            let now = server.workers();
            (now.len() == 1 && now != before).then_some(())
        });
        server.wait_log("descriptors open that are no connections, of 256 (max-fd)", 1);
        server.wait_log(
            "of them /dev/null: plugin crasher, or what it runs, does not close its files",
            1,
        );
        assert_eq!(get(server.port(), "/").text(), "calm");
        assert!(!server.log().contains("DAMN"), "{}", server.log());
    }
}

#[test]
fn a_panic_stays_in_its_hook() {
    let hooks = [
        "on_load",
        "init",
        "post_init",
        "preinit_apps",
        "init_apps",
        "postinit_apps",
        "post_fork",
        "fixup",
        "hijack_worker",
        "master_cycle",
        "atexit",
        "init_thread",
        "pre_request",
        "post_request",
        "child_exit",
        "on_exit",
    ];
    for hook in hooks {
        let mut server = Setup::new()
            .env("PANIC", hook)
            .args([
                "--plugin",
                &format!("{}/librsgi_panics.so", build_dir().display()),
                "--master",
                "-p",
                "1",
            ])
            .args([
                "--threads",
                "2",
                "--http-socket",
                "127.0.0.1:0",
                "--http-socket-modifier1",
                "202",
            ])
            .start();
        let worker = server.workers()[0].1;
        assert_eq!(get(server.port(), "/").text(), "calm", "{hook}");
        rsgi_tests::send(worker, libc::SIGHUP);
        server.wait_workers(1, &[worker]);
        assert_eq!(get(server.port(), "/").text(), "calm", "{hook}");
        if hook == "master_cycle" {
            server.wait_log("panicked", 1);
        }
        server.signal(libc::SIGTERM);
        assert_eq!(server.wait_exit().code(), Some(0), "{hook}");
        let said = format!("rsgi-tests-panics: {hook}: panicked: asked for it in {hook}");
        assert!(server.log().contains(&said), "{said}: {}", server.log());
    }
}
