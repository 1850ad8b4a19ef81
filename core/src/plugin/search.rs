//! Where a plugin's file is looked for, and the names that other builds give to the same plugin.

use super::elf::PluginFile;
use std::path::{Path, PathBuf};

/// The folder that packages install plugins to.
pub const BUILT_IN_DIR: &str = match option_env!("RSGI_PLUGIN_DIR") {
    Some(dir) => dir,
    None => "/usr/lib/rsgi/plugins",
};

/// Names of uWSGI plugins whose work rsgi itself does: `--plugin` of them is fine and loads nothing.
const BUILT_IN: &[&str] = &[
    "asyncio",
    "cache",
    "carbon",
    "cheaper_backlog2",
    "cheaper_busyness",
    "clock_monotonic",
    "clock_realtime",
    "corerouter",
    "gevent",
    "logfile",
    "logpipe",
    "logsocket",
    "nagios",
    "ping",
    "router_access",
    "router_basicauth",
    "router_cache",
    "router_expires",
    "router_hash",
    "router_http",
    "router_memcached",
    "router_metrics",
    "router_redirect",
    "router_rewrite",
    "router_static",
    "router_uwsgi",
    "rpc",
    "rrdtool",
    "signal",
    "spooler",
    "stats_pusher_statsd",
    "symcall",
    "syslog",
    "transformation_chunked",
    "transformation_gzip",
    "transformation_offload",
    "transformation_tofile",
    "transformation_toupper",
    "ugreen",
    "zergpool",
];

/// Whether rsgi does this plugin's work itself.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

/// The name that a plugin has here: `python3`, `python311`, `lua51` are builds of `python` and `lua`.
pub fn canonical(name: &str) -> &str {
    for base in ["python", "lua"] {
        if let Some(rest) = name.strip_prefix(base)
            && rest.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        {
            return base;
        }
    }
    name
}

/// The folders to look in: those of `--plugins-dir`, the built-in one, beside the binary.
pub fn folders(configured: &[PathBuf]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = configured.to_vec();
    let binary = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_path_buf));
    // a relocated installation: PREFIX/bin/rsgi and PREFIX/lib/rsgi/plugins
    let relocated = binary.as_deref().and_then(Path::parent);
    let relocated = relocated.map(|prefix| prefix.join("lib/rsgi/plugins"));
    let built_in = Path::new(BUILT_IN_DIR);
    all.extend(relocated.filter(|folder| folder != built_in));
    all.push(built_in.into());
    all.extend(binary);
    all
}

/// Every place where `--plugin name` may mean a file, in order.
pub fn candidates(name: &str, configured: &[PathBuf]) -> Vec<PathBuf> {
    let base = name.strip_suffix(".so").unwrap_or(name);
    let file = format!("{}_plugin.so", base.strip_suffix("_plugin").unwrap_or(base));
    if name.contains('/') {
        let path = PathBuf::from(name);
        let spelled = path.with_file_name(Path::new(&file).file_name().unwrap_or_default());
        return vec![path, spelled];
    }
    let base = base.strip_suffix("_plugin").unwrap_or(base);
    let known = canonical(base);
    let mut all = Vec::new();
    for folder in folders(configured) {
        if name.ends_with(".so") {
            all.push(folder.join(name));
        }
        for name in [base, known] {
            for prefix in ["", "lib"] {
                let path = folder.join(format!("{prefix}{name}_plugin.so"));
                if !all.contains(&path) {
                    all.push(path);
                }
            }
        }
    }
    all
}

/// The first candidate that exists.
pub fn find(name: &str, configured: &[PathBuf]) -> Option<PathBuf> {
    candidates(name, configured).into_iter().find(|p| p.is_file())
}

/// Every loadable plugin in the folders, by plain name; foreign files are passed over.
pub fn catalogue(configured: &[PathBuf]) -> Vec<(String, PluginFile)> {
    let mut found: Vec<(String, PluginFile)> = Vec::new();
    for folder in folders(configured) {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        let mut names: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        names.sort();
        for path in names {
            let Some(name) = path
                .file_name()
                .and_then(|n| n.to_str())
                .and_then(|n| n.strip_suffix("_plugin.so"))
            else {
                continue;
            };
            let name = name.strip_prefix("lib").unwrap_or(name).to_owned();
            if found.iter().any(|(n, _)| *n == name) {
                continue;
            }
            if let Ok(file) = PluginFile::read(&path) {
                found.push((name, file));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_path_first_then_uwsgis_spelling() {
        assert_eq!(
            candidates("./foobar.so", &[]),
            [PathBuf::from("./foobar.so"), PathBuf::from("./foobar_plugin.so")]
        );
    }

    #[test]
    fn plain_names_are_looked_for_in_the_folders() {
        let all = candidates("foobar", &["/p".into()]);
        assert_eq!(all[0], PathBuf::from("/p/foobar_plugin.so"));
        assert!(all.contains(&PathBuf::from("/p/libfoobar_plugin.so")));
        assert_eq!(
            candidates("foobar_plugin.so", &["/p".into()])[0],
            PathBuf::from("/p/foobar_plugin.so")
        );
    }

    #[test]
    fn builds_of_other_distributions_are_understood() {
        for name in ["python", "python3", "python311", "python3.11"] {
            assert_eq!(canonical(name), "python");
        }
        assert_eq!(canonical("lua51"), "lua");
        assert_eq!(canonical("pythonista"), "pythonista");
    }
}
