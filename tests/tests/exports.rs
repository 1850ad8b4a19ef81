//! Three lists must agree: what `uwsgi.h` declares, what `core/exports.txt` names, what the binary exports.

use rsgi_tests::program;
use std::collections::BTreeSet;
use std::process::Command;

fn header_functions() -> BTreeSet<String> {
    let header = include_str!("../../plugin-api/include/uwsgi.h");
    let mut text = String::new();
    let mut rest = header;
    while let Some((before, after)) = rest.split_once("/*") {
        text.push_str(before);
        rest = after.split_once("*/").expect("comments end").1;
    }
    text.push_str(rest);
    // declarations end with ");" and begin at the start of a line; struct members are indented
    let joined = text.replace(",\n", ", ");
    joined
        .lines()
        .map(str::trim_end)
        .filter(|l| l.ends_with(';') && l.contains('(') && !l.starts_with(['#', ' ', '}', '\t']) && !l.contains('='))
        .filter_map(|l| {
            let head = l.split('(').next()?;
            let name = head.rsplit([' ', '*']).next()?;
            (!name.is_empty()).then(|| name.to_owned())
        })
        .collect()
}

#[test]
fn header_list_and_binary_agree() {
    let listed: BTreeSet<String> = include_str!("../../core/exports.txt")
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let mut declared = header_functions();
    // of the C library, which declares it nowhere
    assert!(declared.remove("pivot_root"));
    declared.extend(["uwsgi", "gzheader"].map(str::to_owned));
    assert_eq!(
        declared.difference(&listed).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "declared, not listed"
    );
    assert_eq!(
        listed.difference(&declared).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "listed, not declared"
    );

    let output = Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(program("rsgi"))
        .output()
        .expect("nm can be run");
    let exported: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|l| l.split_whitespace().last().map(str::to_owned))
        .collect();
    assert_eq!(
        listed.difference(&exported).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "listed, not exported"
    );
    let foreign: Vec<_> = exported
        .difference(&listed)
        .filter(|n| n.starts_with("uwsgi_") || n.starts_with("rsgi_"))
        .collect();
    assert_eq!(foreign, Vec::<&String>::new(), "exported, not listed");
}

/// Sizes and offsets as a C compiler sees the header, against the Rust mirrors.
#[test]
fn layouts_agree_with_the_compiled_header() {
    use rsgi_plugin_api::abi::*;
    use std::mem::offset_of;
    macro_rules! rows {
        ($($rust:ident $c:literal: $($field:ident)*;)*) => {
            vec![$(
                ($c.to_string(), format!("sizeof({})", $c), size_of::<$rust>()),
                $( ($c.to_string(), format!("offsetof({}, {})", $c, stringify!($field)), offset_of!($rust, $field)), )*
            )*]
        };
    }
    let rows = rows! {
        UwsgiPlugin "struct uwsgi_plugin": name modifier1 options request after_request mount_app worker post_uwsgi_fork;
        UwsgiOption "struct uwsgi_option": shortcut help func data flags;
        UwsgiBuffer "struct uwsgi_buffer": pos len limit;
        UwsgiStringList "struct uwsgi_string_list": len custom_ptr next;
        UwsgiHeader "struct uwsgi_header": pktsize modifier2;
        UwsgiLogger "struct uwsgi_logger": func configured fd data addr addr_len msg arg next;
        WsgiRequest "struct wsgi_request": fd uh app_id status response_size uri remote_addr path_info appid hvec var_cnt post_cl post_file range_to via socket host_private buffer do_not_account reserved;
        RsgiEvents "struct rsgi_events": modifier1 whole_body request ready;
        UwsgiSocket "struct uwsgi_socket": name queue proto_name next reserved;
        UwsgiApp "struct uwsgi_app": mountpoint callable requests chdir startup_time reserved;
        UwsgiCore "struct uwsgi_core": in_request ts reserved;
        UwsgiWorker "struct uwsgi_worker": pid requests last_spawn tx accepting busy signum harakiri apps cores reserved;
        UwsgiServer "struct uwsgi_server": argv mypid mywid cores socket_timeout post_buffering honour_range procname uid metrics_cnt harakiri_options status sockets workers p gp_cnt exported_opts wait_read_hook gbcw_hook apps_wanted user_lock locks rpc_max metrics metrics_lock lock_ops caches alarm_thread wsgi_req cheaper_overload original_log_fd mules_cnt mode force_get_memusage max_fd logging_options wait_milliseconds_hook reserved;
        UwsgiMetric "struct uwsgi_metric": name_len oid reset_after_push value initial_value next reserved;
        UwsgiLockItem "struct uwsgi_lock_item": lock_ptr pid next;
        UwsgiStatsPusher "struct uwsgi_stats_pusher": func raw next;
        UwsgiStatsPusherInstance "struct uwsgi_stats_pusher_instance": arg data raw configured freq last_run needs_retry next_retry;
        UwsgiLogvar "struct uwsgi_logvar": keylen val vallen next;
        UwsgiExceptionHandlerInstance "struct uwsgi_exception_handler_instance": configured fd arg custom_ptr next;
        UwsgiLogEncoder "struct uwsgi_log_encoder": func configured use_for args data next;
        UwsgiLockOps "struct uwsgi_lock_ops": lock_check lock rwlock_check rwunlock;
        UwsgiRegexpList "struct uwsgi_regexp_list": pattern_extra custom custom_str custom_ptr next;
        UwsgiDynDict "struct uwsgi_dyn_dict": keylen value vallen hits status prev next;
        UwsgiStats "struct uwsgi_stats": pos tabs size minified dirty;
        UwsgiThread "struct uwsgi_thread": tattr pipe queue rlen data buf len custom0 lock func;
        UwsgiSharedarea "struct uwsgi_sharedarea": fd lock area max_pos updates honour_used used obj;
        UwsgiCache "struct uwsgi_cache": keysize hashsize n_items last_modified_at lock next reserved;
        UwsgiSpooler "struct uwsgi_spooler": pid respawned tasks running next reserved;
        UwsgiDaemon "struct uwsgi_daemon": pid respawns status next reserved;
        UwsgiShared "struct uwsgi_shared": backlog backlog_errors worker_signal_pipe reserved;
        UwsgiTransformation "struct uwsgi_transformation": chunk can_stream flushed data round fd ub len custom64 next;
        UwsgiOffloadRequest "struct uwsgi_offload_request": fd takeover name buf to_write ubuf engine pipe next data free;
        UwsgiEmperorScanner "struct uwsgi_emperor_scanner": fd data event_func monitor next;
        UwsgiInstance "struct uwsgi_instance": name pid status last_mod use_config pipe pipe_config config config_len accepting uid socket_name reserved;
        UwsgiLegionAction "struct uwsgi_legion_action": func log_msg next;
        UwsgiMetricCollector "struct uwsgi_metric_collector": func next;
        UwsgiClock "struct uwsgi_clock": seconds microseconds next;
    };
    let dir = std::env::temp_dir().join(format!("rsgi-layout-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let checks: String = rows
        .iter()
        .map(|(_, what, _)| format!("    printf(\"%zu\\n\", {what});\n"))
        .collect();
    let source = format!("#include <uwsgi.h>\n#undef exit\nint main(void) {{\n{checks}    return 0;\n}}\n");
    std::fs::write(dir.join("probe.c"), source).unwrap();
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../plugin-api/include");
    let built = Command::new("gcc")
        .args(["-w", include, "-o", "probe", "probe.c"])
        .current_dir(&dir)
        .status()
        .unwrap();
    assert!(built.success());
    let output = Command::new(dir.join("probe")).output().unwrap();
    let values: Vec<usize> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|l| l.parse().unwrap())
        .collect();
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(values.len(), rows.len());
    for ((_, what, rust), c) in rows.iter().zip(values) {
        assert_eq!(*rust, c, "{what}: Rust {rust}, C {c}");
    }
}

#[test]
fn the_header_is_clean_c99_and_cpp11() {
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../plugin-api/include");
    for (compiler, language, standard) in [("gcc", "c", "c99"), ("gcc", "c++", "c++11")] {
        let output = Command::new(compiler)
            .args([
                "-x",
                language,
                &format!("-std={standard}"),
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-fsyntax-only",
                include,
            ])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-api/include/uwsgi.h"))
            .args(["-Wno-pragma-once-outside-header", "-Wno-unused-variable"])
            .output()
            .expect("gcc can be run");
        let words = String::from_utf8_lossy(&output.stderr);
        if language == "c++" && words.contains("cc1plus") {
            continue; // no C++ compiler here
        }
        assert!(output.status.success(), "{language}: {words}");
    }
}
