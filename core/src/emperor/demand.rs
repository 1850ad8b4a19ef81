//! Sockets that start vassals: bound by the emperor, watched while the vassal does not run, given to it as its
//! standard input when somebody connects.

use super::scan::Found;
use crate::net::address::Address;
use crate::net::listener::{BindOptions, Listener, owner, somaxconn};
use crate::settings::Settings;
use std::os::fd::{AsRawFd, RawFd};

/// A bound socket.
pub struct Demand {
    /// As it was asked for.
    pub address: String,
    listener: Listener,
    /// The emperor watches it now.
    pub is_watched: bool,
}

impl Demand {
    /// Binds it.
    ///
    /// # Errors
    /// The address cannot be bound; the text says why.
    pub fn bind(settings: &Settings, address: String) -> Result<Self, String> {
        let sockets = &settings.sockets;
        let options = BindOptions {
            backlog: sockets.listen.map_or(somaxconn().min(4096), |n| n as i32),
            mode: sockets.chmod_socket,
            owner: sockets
                .chown_socket
                .as_deref()
                .map(owner)
                .transpose()?
                .unwrap_or_default(),
            ..BindOptions::default()
        };
        let parsed = Address::parse(&address, sockets.abstract_socket).map_err(|e| e.to_string())?;
        let listener = Listener::bind(&parsed, &options).map_err(|e| e.to_string())?;
        Ok(Self {
            address,
            listener,
            is_watched: false,
        })
    }
}

impl AsRawFd for Demand {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        if let Some(path) = &self.listener.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The address of the socket that starts a vassal, if it has one.
///
/// # Errors
/// The file or program that should name it does not; the text says why.
pub fn address(settings: &Settings, found: &Found) -> Result<Option<String>, String> {
    let emperor = &settings.emperor;
    if let Some(extension) = &emperor.on_demand_extension {
        let mut file = found.file.clone().into_os_string();
        file.push(extension);
        return match std::fs::read_to_string(&file) {
            Ok(text) => match text.lines().next().map(str::trim) {
                Some(line) if !line.is_empty() => Ok(Some(line.to_owned())),
                _ => Err(format!(
                    "{} is empty: write the address of a socket into it",
                    file.display()
                )),
            },
            Err(_) => Ok(None),
        };
    }
    if let Some(folder) = &emperor.on_demand_directory {
        let name = found.file.file_name().unwrap_or_default().to_string_lossy();
        return Ok(Some(format!("{folder}/{name}.socket")));
    }
    let Some(program) = &emperor.on_demand_exec else {
        return Ok(None);
    };
    let output = std::process::Command::new(program)
        .arg(&found.id)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot run {program}: {e}"))?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match (output.status.success(), line.is_empty()) {
        (true, false) => Ok(Some(line)),
        (true, true) => Ok(None),
        (false, _) => Err(format!("{program} {}: {}", found.id, output.status)),
    }
}
