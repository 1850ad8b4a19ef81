//! The stamp of a plugin against that of the server, case by case: what is loaded, and what is refused before one
//! instruction of it runs. `--plugin-info` and a start agree.

use rsgi_tests::Setup;
use std::path::Path;
use std::process::Command;

/// Compiles `stamped.c`.
fn build(dir: &Path, flags: &[&str]) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/c/stamped.c");
    let status = Command::new("gcc")
        .args(["-shared", "-fPIC", "-w", "-o", "stamped.so", source])
        .args(flags)
        .current_dir(dir)
        .status()
        .expect("gcc can be run");
    assert!(status.success());
}

/// What `--plugin-info` and a start say: whether both take it, and all they print.
fn judge(flags: &[&str], damage: impl Fn(&mut Vec<u8>)) -> (bool, String) {
    let run = |args: &[&str]| {
        let setup = Setup::new();
        build(setup.dir(), flags);
        let file = setup.dir().join("stamped.so");
        let mut bytes = std::fs::read(&file).unwrap();
        damage(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
        setup.args(args.iter().copied()).run()
    };
    let info = run(&["--plugin-info", "./stamped.so"]);
    let start = run(&["--need-plugin", "./stamped.so"]);
    let is_loaded = start.output.contains("STAMPED init\n");
    assert_eq!(
        info.code == 0,
        is_loaded,
        "{flags:?}:\n{}\n{}",
        info.output,
        start.output
    );
    assert!(!info.output.contains("CONSTRUCTOR RAN"), "{}", info.output);
    assert_eq!(start.output.contains("CONSTRUCTOR RAN"), is_loaded, "{}", start.output);
    assert!(!start.output.contains("JUNK"), "{}", start.output);
    (is_loaded, info.output + &start.output)
}

#[test]
fn versions_and_sizes() {
    let newer = "built for a newer rsgi";
    for (flags, is_loaded, said) in [
        // uWSGI's 51 members, as in 1.0
        (&["-DSIZE=408"][..], true, "1.0 (plugin 408"),
        (&["-DSIZE=528"], true, "1.0 (plugin 528"),
        (&["-DSIZE=528", "-DMINOR=1"], true, "can be loaded"),
        (&["-DSIZE=528", "-DMINOR=9"], true, "1.9 (plugin 528"),
        (&["-DSIZE=544", "-DMINOR=9"], true, newer),
        // no room for more than a name and the first hooks
        (&["-DSIZE=48"], true, "1.0 (plugin 48"),
        (&["-DSIZE=0x7fffffff"], true, "can be loaded"),
        (
            &["-DSIZE=528", "-DMAJOR=0"],
            false,
            "built for plugin ABI 0, this rsgi has ABI 1",
        ),
        (&["-DSIZE=528", "-DMAJOR=2"], false, "built for plugin ABI 2"),
        (&["-DSIZE=528", "-DWITHOUT_STAMP"], false, "carries no rsgi stamp"),
        (&["-DSIZE=528", "-DSECOND_MINOR=0"], true, "can be loaded"),
        (
            &["-DSIZE=528", "-DSECOND_MINOR=1"],
            false,
            "different versions of uwsgi.h",
        ),
    ] {
        let (loaded, output) = judge(flags, |_| ());
        assert_eq!(loaded, is_loaded, "{flags:?}: {output}");
        assert!(output.contains(said), "{flags:?}: {said}: {output}");
    }
}

#[test]
fn other_machines_and_broken_files() {
    let patched = |at: usize, byte: u8| move |file: &mut Vec<u8>| file[at] = byte;
    let shorter = |len: usize| move |file: &mut Vec<u8>| file.truncate(len);
    let wrong = "not a shared object for this machine";
    let machine = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
    let cases: [(Damage, &str); 8] = [
        (&patched(18, machine), wrong),
        // 32 bits, the other byte order, a program
        (&patched(4, 1), wrong),
        (&patched(5, 2), wrong),
        (&patched(16, 2), wrong),
        (&patched(0, b'#'), "not an ELF file"),
        (&shorter(0), "not an ELF file"),
        (&shorter(40), wrong),
        (&shorter(600), ""),
    ];
    for (n, (damage, said)) in cases.into_iter().enumerate() {
        let (loaded, output) = judge(&["-DSIZE=528"], damage);
        assert!(!loaded && output.contains(said), "case {n}: {said}: {output}");
    }
}
