//! A process in front of the workers, of a request's own kind: it greets whoever connects.

use rsgi_plugin_api::{HookError, kind, log};
use std::io::Write;

pub struct Clerk;

impl kind::Gateway for Clerk {
    fn run(number: i32) -> Result<(), HookError> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        log::line(&format!("clerk {number} at {}", listener.local_addr()?));
        for stream in listener.incoming() {
            stream?.write_all(b"next please\n")?;
        }
        Ok(())
    }
}
