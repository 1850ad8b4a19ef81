//! Encoders of log lines that plugins bring (`--log-encoder NAME[:LOGGER] ARGS`). Registered in the start, called by the
//! process that delivers lines.

use super::queue::inside;
use crate::plugin::inside::Brought;
use crate::plugin::offered::Offered;
use crate::server::keep;
use rsgi_plugin_api::abi::{UwsgiEncodeFn, UwsgiLogEncoder};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// Those that plugins bring.
pub static ENCODERS: Offered<Brought<UwsgiEncodeFn>> = Offered::none();

/// One use of an encoder.
#[derive(Debug)]
pub struct Foreign {
    func: Brought<UwsgiEncodeFn>,
    record: Mutex<Record>,
}

#[derive(Debug)]
struct Record(*mut UwsgiLogEncoder);

// SAFETY: the record lives as long as the process, and is used under its lock alone.
unsafe impl Send for Record {}

impl Foreign {
    /// The encoder of this name, for a logger and with arguments.
    pub fn find(name: &str, logger: Option<&str>, args: &str) -> Option<Self> {
        let func = ENCODERS.find(name)?;
        let text = |text: Option<&str>| text.map_or(null_mut(), keep);
        let record = Box::into_raw(Box::new(UwsgiLogEncoder {
            name: keep(name),
            func: Some(func.function()),
            configured: 0,
            use_for: text(logger),
            args: text(Some(args).filter(|args| !args.is_empty())),
            data: null_mut(),
            next: null_mut(),
        }));
        Some(Self {
            func,
            record: Mutex::new(Record(record)),
        })
    }

    /// What becomes of a line.
    pub fn encode(&self, mut line: Vec<u8>) -> Vec<u8> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let mut len = 0;
        // SAFETY: the record is ours and used by this thread alone; the function is called as the header states, and
        // what it returns is from malloc() and as long as it says.
        unsafe {
            let (text, text_len) = (line.as_mut_ptr().cast(), line.len());
            let made = inside(|| self.func.call(|func| func(record.0, text, text_len, &mut len)));
            if made.is_null() {
                return line;
            }
            let encoded = crate::exports::bytes_of(made, len).to_vec();
            libc::free(made.cast());
            encoded
        }
    }
}
