//! Certificates that sign themselves, made by openssl.

use std::path::Path;
use std::process::Command;

/// Makes `NAME.crt` and `NAME.key` in a folder, for the subject `/O=Test/CN=NAME`.
///
/// # Panics
/// openssl is not there, or refuses.
pub fn make(dir: &Path, name: &str) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-nodes", "-days", "2", "-subj", &format!("/O=Test/CN={name}")])
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")])
        .current_dir(dir)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
