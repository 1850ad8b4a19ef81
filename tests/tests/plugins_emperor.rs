//! Sources of vassals that C plugins bring.

use rsgi_tests::{Setup, build_plugin, wait_for};
use std::io::Write;

#[test]
fn a_plugin_asks_for_vassals_changes_and_ends_them() {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "monitor.c", include_str!("../c/monitor.c"));
    let orders = setup.dir().join("orders");
    let mut server = setup
        .args(["--plugin", plugin.to_str().expect("the path is text")])
        .args(["--emperor", "orders://@DIR@/orders"])
        .start_unready();
    server.wait_log("the legion action \"march\": there are no legions here", 1);
    server.wait_log("looking at ", 1);
    let order = |text: &str| {
        let pipe = std::fs::OpenOptions::new().write(true).open(&orders);
        pipe.expect("the plugin made it")
            .write_all(text.as_bytes())
            .expect("written");
    };
    order("add one\nadd two.ini\n");
    for name in ["one", "two.ini"] {
        server.wait_log(&format!("asked for {name}, 1 100\n"), 1);
        server.wait_log(&format!("vassal {name}: mine 1, link 1\n"), 1);
        server.wait_log(&format!("vassal {name} says hello\n"), 1);
        server.wait_log(&format!("vassal {name} is ready to accept requests"), 1);
    }
    order("again one\n");
    server.wait_log("vassal one says again\n", 1);
    // reloading is the vassal's own: nobody else is touched
    assert_eq!(server.log().matches("vassal two.ini says").count(), 1);
    order("stop two.ini\n");
    server.wait_log("two.ini is gone\n", 1);
    server.wait_log("removed uwsgi instance two.ini", 1);
    server.signal(libc::SIGTERM);
    wait_for("the end", || {
        server.log().contains("The Emperor is buried.").then_some(())
    });
}

#[test]
fn monitors_are_listed() {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "monitor.c", include_str!("../c/monitor.c"));
    let ended = setup
        .args(["--plugin", plugin.to_str().expect("the path is text")])
        .args(["--imperial-monitor-list", "--http-socket", "127.0.0.1:0", "--no-server"])
        .run();
    assert!(ended.output.contains("dir\nglob\norders\n"), "{}", ended.output);
}
