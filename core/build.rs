//! Builds the variadic shim and exports the C API from the binary, name by name: `-rdynamic` would export the whole
//! of std and still lose the shim, which nothing refers to.

use std::{env, fmt::Write, fs, path::PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=exports.txt");
    println!("cargo:rerun-if-changed=csrc/variadic.c");
    println!("cargo:rerun-if-changed=build.rs");
    let mut shim = cc::Build::new();
    shim.file("csrc/variadic.c").warnings(true);
    // where exports/variadic.rs knows no jump, C gives the names itself; librsgi lacks them there
    let machine = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if !["x86_64", "aarch64", "loongarch64", "riscv64", "s390x"].contains(&machine.as_str()) {
        shim.define("rsgi_c_log", "uwsgi_log")
            .define("rsgi_c_log_verbose", "uwsgi_log_verbose")
            .define("rsgi_c_kvlist_parse", "uwsgi_kvlist_parse");
    }
    shim.compile("rsgi_variadic");

    let exports = fs::read_to_string("exports.txt").expect("core/exports.txt is readable");
    let mut response = String::new();
    for symbol in exports
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let _ = writeln!(response, "--undefined={symbol}\n--export-dynamic-symbol={symbol}");
    }
    // not of the API: what plugins call in place of the C library's
    response.push_str("--undefined=_exit\n--export-dynamic-symbol=_exit\n");
    let file = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("exports.rsp");
    fs::write(&file, response).expect("OUT_DIR is writable");
    println!("cargo:rustc-link-arg-bin=rsgi=-Wl,@{}", file.display());
    println!("cargo:rustc-env=RSGI_TARGET={}", env::var("TARGET").unwrap_or_default());
}
