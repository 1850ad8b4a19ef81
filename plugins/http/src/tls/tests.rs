//! Certificates made with the openssl program.

use super::*;
use std::path::Path;
use std::process::Command;

/// A folder that ends with the test.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "rsgi-tls-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A certificate that signs itself.
    pub(crate) fn pair(&self, name: &str) -> KeyPair {
        let (crt, key) = (format!("{name}.crt"), format!("{name}.key"));
        let subject = format!("/CN={name}");
        openssl(
            self,
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &subject,
                "-keyout",
                &key,
                "-out",
                &crt,
            ],
        );
        KeyPair {
            certificate: self.path(&crt),
            key: self.path(&key),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn openssl(files: &Files, args: &[&str]) {
    let out = Command::new("openssl").args(args).current_dir(&files.0).output();
    let out = out.expect("the openssl program");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).expect("a file");
}

#[test]
fn new_files_are_taken_and_broken_ones_are_not() {
    let files = Files::new();
    let (one, two) = (files.pair("one"), files.pair("two"));
    let plan = Plan {
        default: one.clone(),
        ..Plan::default()
    };
    let (mut context, remark) = Context::load(plan).expect("proper files");
    assert!(remark.is_none());
    let mut now = Instant::now();
    let first = context.current(now, |_| {});
    assert!(
        Arc::ptr_eq(&first, &context.current(now + LOOK, |_| {})),
        "nothing has changed"
    );
    // half of a pair: the old one stays
    copy(&two.certificate, &one.certificate);
    now += 2 * LOOK;
    assert!(Arc::ptr_eq(
        &first,
        &context.current(now, |line| assert!(line.contains("does not belong"), "{line}"))
    ));
    copy(&two.key, &one.key);
    assert!(Arc::ptr_eq(&first, &context.current(now, |_| panic!("too early"))));
    let second = context.current(now + LOOK, |line| assert!(line.contains("read again"), "{line}"));
    assert!(!Arc::ptr_eq(&first, &second));
}

#[test]
fn folders_and_names() {
    let files = Files::new();
    let (default, named) = (files.pair("default"), files.pair("named"));
    std::fs::create_dir(files.path("sni")).expect("a folder");
    copy(&named.certificate, &files.path("sni/a.example.crt"));
    let plan = Plan {
        default,
        names: vec![("*.b.example".into(), named.clone())],
        folders: vec![files.path("sni")],
        ..Plan::default()
    };
    let said = Context::load(plan.clone()).map(drop).expect_err("no key").to_string();
    assert!(said.contains("sni/a.example.key: No such file"), "{said}");
    copy(&named.key, &files.path("sni/a.example.key"));
    assert!(Context::load(plan).is_ok());
}
