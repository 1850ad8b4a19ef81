//! Gateways: processes in front of the workers, asked for by plugins (`register_gateway`), and the sockets that
//! plugins ask the host for. The host knows no gateway by name.

use super::{Role, reload, role};
use crate::net::address::Address;
use crate::net::closing;
use crate::net::listener::{BindOptions, Listener};
use crate::plugin::inside::Brought;
use crate::say;
use std::ffi::c_void;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The function of a gateway.
pub type GatewayFn = unsafe extern "C" fn(i32, *mut c_void);

/// A gateway that a plugin asked for.
#[derive(Clone, Copy)]
pub struct Gateway {
    /// For the log; lives as long as the process.
    pub name: &'static str,
    /// Number among those of the same name, from 1.
    pub number: i32,
    func: Brought<GatewayFn>,
    data: *mut c_void,
}

// SAFETY: `data` is only handed back to the plugin, in the gateway's own process.
unsafe impl Send for Gateway {}

impl Gateway {
    /// Runs it; in its own process.
    pub fn run(&self) {
        // SAFETY: the plugin's function with the plugin's data, in the process that it asked for.
        self.func.call(|func| unsafe { func(self.number, self.data) });
    }
}

#[derive(Default)]
struct Wishes {
    gateways: Vec<Gateway>,
    /// Sockets of gateways with the addresses they were asked by.
    sockets: Vec<(String, Listener)>,
    link_wanted: bool,
    /// The first address that could not be bound, and why.
    failed: Option<(String, String)>,
}

static WISHES: Mutex<Wishes> = Mutex::new(Wishes {
    gateways: Vec::new(),
    sockets: Vec::new(),
    link_wanted: false,
    failed: None,
});

fn wishes() -> MutexGuard<'static, Wishes> {
    WISHES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A plugin asks for a process.
pub fn register(name: String, func: GatewayFn, data: *mut c_void) {
    let mut wishes = wishes();
    let number = wishes.gateways.iter().filter(|g| g.name == name).count() as i32 + 1;
    wishes.gateways.push(Gateway {
        func: Brought::new("gateway", &name, func),
        name: name.leak(),
        number,
        data,
    });
}

/// The gateways to run.
pub fn all() -> Vec<Gateway> {
    wishes().gateways.clone()
}

/// Binds for a gateway, or hands over the socket that the image before us had; `None`: [`failed`] knows why.
pub fn bind(address: &str) -> Option<RawFd> {
    if role() == Role::Trial {
        // the sockets belong to the server that runs; a descriptor is all that the plugin needs to go on
        return Some(0);
    }
    if let Some(fd) = reload::inherited_socket(address) {
        let listener = Listener::adopt(fd);
        wishes().sockets.push((address.to_owned(), listener));
        return Some(fd);
    }
    let options = BindOptions {
        backlog: 4096,
        ..BindOptions::default()
    };
    let bound = Address::parse(address, false)
        .map_err(|e| e.to_string())
        .and_then(|a| Listener::bind(&a, &options).map_err(|e| e.to_string()));
    match bound {
        Ok(listener) => {
            let fd = listener.as_raw_fd();
            say!("rsgi gateway bound on {} fd {fd}", listener.name);
            wishes().sockets.push((address.to_owned(), listener));
            Some(fd)
        }
        Err(e) => {
            wishes().failed.get_or_insert((address.to_owned(), e));
            None
        }
    }
}

/// The address that a gateway could not have, and why: it ends the start.
pub fn failed() -> Option<(String, String)> {
    wishes().failed.clone()
}

/// The address of the private socket between gateways and workers; asked for once or more.
pub fn link_address() -> String {
    wishes().link_wanted = true;
    // the pid stays over reloads, and so does the address
    format!("@rsgi-link-{}", std::process::id())
}

/// Whether any gateway wants the link.
pub fn wants_link() -> bool {
    wishes().link_wanted
}

/// The sockets of gateways, for a handover: address as asked, descriptor.
pub fn sockets() -> Vec<(String, RawFd)> {
    wishes()
        .sockets
        .iter()
        .map(|(name, l)| (name.clone(), l.as_raw_fd()))
        .collect()
}

/// Nobody new is let in: the gateways accept who is there, and end.
pub fn refuse_new() {
    for (asked, listener) in &wishes().sockets {
        if !asked.starts_with("fd://") {
            closing::refuse_new(listener);
        }
    }
}

/// Lets go of the gateways' sockets in a process that is none.
pub fn release_sockets() {
    for (_, listener) in &wishes().sockets {
        listener.release();
    }
}

/// The paths of the gateways' unix sockets.
pub fn paths() -> Vec<(String, std::path::PathBuf)> {
    wishes()
        .sockets
        .iter()
        .filter_map(|(name, l)| Some((name.clone(), l.path.clone()?)))
        .collect()
}
