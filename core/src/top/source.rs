//! Where the statistics are: an address as typed, or what a pidfile or a configuration says about it; and reading them.

use crate::config::{Dialect, Origin};
use crate::net::address::Address;
use crate::options::{self, PluginError, PluginHost, PluginOption, Startup};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longer a server does not take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A larger document is none.
const MOST: u64 = 64 * 1024 * 1024;

/// Where to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    address: Address,
    /// It speaks HTTP and waits for a request.
    http: bool,
    /// As shown in messages.
    name: String,
}

/// From what was typed.
pub fn resolve(typed: &str) -> Result<Source, String> {
    let path = Path::new(typed);
    if path.is_file() {
        return match Dialect::of_name(typed) {
            Some(_) => configured(&[typed.into()], typed),
            None => of_pidfile(typed),
        };
    }
    let (text, http) = match typed.strip_prefix("http://") {
        Some(rest) => (rest.split('/').next().unwrap_or(rest), true),
        None => (typed, false),
    };
    source(text, http)
}

fn source(text: &str, http: bool) -> Result<Source, String> {
    let address = Address::parse(text, false).map_err(|e| e.to_string())?;
    let address = match address {
        Address::Inet(inet) if inet.port() == 0 => {
            return Err(format!(
                "{text}: the kernel has chosen that port: the server's log has it"
            ));
        }
        Address::Inet(inet) if inet.ip().is_unspecified() => {
            Address::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), inet.port()))
        }
        other => other,
    };
    Ok(Source {
        name: address.to_string(),
        address,
        http,
    })
}

/// The command line of the process that a pidfile names, read as the server reads it.
fn of_pidfile(file: &str) -> Result<Source, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
    let pid: u32 = text
        .trim()
        .parse()
        .map_err(|_| format!("{file} is neither a configuration (by its ending) nor a pidfile"))?;
    let line = std::fs::read(format!("/proc/{pid}/cmdline"))
        .map_err(|_| format!("{file}: there is no process {pid}: the server has ended"))?;
    let arguments: Vec<OsString> = line
        .split(|byte| *byte == 0)
        .skip(1)
        .filter(|argument| !argument.is_empty())
        .map(|argument| OsString::from(String::from_utf8_lossy(argument).into_owned()))
        .collect();
    // names of files are relative to where the server was started
    if let Ok(folder) = std::fs::read_link(format!("/proc/{pid}/cwd")) {
        let _ = std::env::set_current_dir(folder);
    }
    configured(&arguments, file)
}

/// What these arguments configure.
fn configured(arguments: &[OsString], asked: &str) -> Result<Source, String> {
    let settings = match options::load(arguments, [], &mut NoPlugins) {
        Ok(Startup::Run(settings)) => settings,
        Ok(_) => return Err(format!("{asked}: configures no server")),
        Err(errors) => return Err(format!("{asked}: {errors}")),
    };
    let Some(address) = settings.stats.address.first() else {
        return Err(format!(
            "{asked}: the server has no statistics; give it: stats = 127.0.0.1:9191"
        ));
    };
    let found = source(address, settings.stats.http)?;
    Ok(match found.address {
        Address::Unix(path) if path.is_relative() && settings.paths.chdir.is_some() => {
            let base = settings.paths.chdir.clone().unwrap_or_default();
            Source {
                address: Address::Unix(Path::new(&base).join(path)),
                ..found
            }
        }
        _ => found,
    })
}

/// Options of plugins are not looked at: only the address of the statistics is.
struct NoPlugins;

impl PluginHost for NoPlugins {
    fn say(&mut self, _line: &str) {}
    fn add_directory(&mut self, _directory: &str) {}
    fn load(&mut self, _spec: &str, _need: bool, _origin: &Origin) -> Result<(), PluginError> {
        Ok(())
    }
    fn is_loaded(&self, _name: &str) -> bool {
        true
    }
    fn options(&self) -> Vec<PluginOption> {
        Vec::new()
    }
    fn apply(&mut self, _index: usize, _name: &str, _value: Option<&str>) -> Result<(), PluginError> {
        Ok(())
    }
    fn magic(&mut self, _argument: &str) -> bool {
        true
    }
    fn owner_of(&self, _option: &str) -> Option<String> {
        None
    }
    fn catalogue(&self) -> Vec<PluginOption> {
        Vec::new()
    }
}

/// The document.
pub fn read(source: &Source) -> Result<String, String> {
    let text = fetch(source).map_err(|e| {
        let why = crate::config::system_message(&e);
        format!(
            "cannot read the statistics at {}: {why}: is a server with that --stats running?",
            source.name
        )
    })?;
    // a head of HTTP may stand before it
    let begin = text.find('{').unwrap_or(0);
    Ok(text[begin..].to_owned())
}

fn fetch(source: &Source) -> std::io::Result<String> {
    match &source.address {
        Address::Inet(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            talk(stream, source.http)
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            talk(stream, source.http)
        }
        Address::Abstract(name) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            let stream = UnixStream::connect_addr(&address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            talk(stream, source.http)
        }
        Address::Shared(_) | Address::Descriptor(_) => Err(std::io::ErrorKind::InvalidInput.into()),
    }
}

fn talk(mut stream: impl Read + Write, http: bool) -> std::io::Result<String> {
    if http {
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    }
    let mut bytes = Vec::new();
    stream.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_configurations_lead_to_a_source() {
        assert_eq!(resolve(":9191").unwrap().name, "127.0.0.1:9191");
        assert!(resolve("http://127.0.0.1:9191/x").unwrap().http);
        assert_eq!(
            resolve("/run/none.sock").unwrap().address,
            Address::Unix("/run/none.sock".into())
        );
        assert!(resolve(":0").is_err() && resolve(":x").is_err());
        let dir = tempfile::tempdir().unwrap();
        let ini = dir.path().join("a.ini");
        std::fs::write(
            &ini,
            "[uwsgi]\nplugin = python\nwsgi-file = x.py\nchdir = /srv\nstats = s.sock\n",
        )
        .unwrap();
        let found = resolve(ini.to_str().unwrap()).unwrap();
        assert_eq!(found.address, Address::Unix("/srv/s.sock".into()));
        std::fs::write(&ini, "[uwsgi]\nmaster = true\n").unwrap();
        assert!(
            resolve(ini.to_str().unwrap())
                .unwrap_err()
                .contains("stats = 127.0.0.1:9191")
        );
        let pidfile = dir.path().join("pid");
        std::fs::write(&pidfile, "x\n").unwrap();
        assert!(
            resolve(pidfile.to_str().unwrap())
                .unwrap_err()
                .contains("nor a pidfile")
        );
    }
}
