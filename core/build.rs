//! Builds the variadic shim and exports the C API from the binary, name by name: `-rdynamic` would export the whole
//! of std and still lose the shim, which nothing refers to.

use std::{env, fmt::Write, fs, path::PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=exports.txt");
    println!("cargo:rerun-if-changed=csrc/variadic.c");
    println!("cargo:rerun-if-changed=build.rs");
    cc::Build::new()
        .file("csrc/variadic.c")
        .warnings(true)
        .compile("rsgi_variadic");

    let exports = fs::read_to_string("exports.txt").expect("core/exports.txt is readable");
    let mut response = String::new();
    for symbol in exports
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let _ = writeln!(response, "--undefined={symbol}\n--export-dynamic-symbol={symbol}");
    }
    let file = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("exports.rsp");
    fs::write(&file, response).expect("OUT_DIR is writable");
    println!("cargo:rustc-link-arg-bin=rsgi=-Wl,@{}", file.display());
    println!("cargo:rustc-env=RSGI_TARGET={}", env::var("TARGET").unwrap_or_default());
}
