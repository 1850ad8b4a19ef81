//! `--worker-logger` and `--worker-logger-req`: a worker that writes its log itself, without the master. What it prints is
//! a pipe that a thread of the same process reads; lines of requests go to their loggers without one.

use super::{begin_threads, pipe, sink, standard};
use crate::say;
use crate::settings::Logging;
use std::os::fd::AsRawFd;

/// What counts in workers that write their log themselves; `None`: they do not.
pub fn settings_of(all: &Logging) -> Option<Logging> {
    if all.worker_logger.is_empty() && all.worker_logger_req.is_empty() {
        return None;
    }
    Some(Logging {
        logger: all.worker_logger.clone(),
        req_logger: all.worker_logger_req.clone(),
        log_encoder: all.worker_log_encoder.clone(),
        log_req_encoder: all.worker_log_req_encoder.clone(),
        log_json: all.log_json.clone(),
        log_master_bufsize: all.log_master_bufsize,
        ..Logging::default()
    })
}

/// In a new worker: from now on its lines go its own way, if the configuration says so.
pub fn begin(settings: &Logging) {
    let Some(own) = settings_of(settings) else {
        return;
    };
    // the pipes that were read before are the master's
    pipe::leave_to_parent();
    // where a logger writes what it cannot log: to the master, if that has loggers
    standard::keep_stderr();
    let requests_only = own.logger.is_empty();
    if !requests_only && let Err(e) = take_standard_output(&own) {
        return say!("worker-logger: {e}; the lines of this worker go where the master's go");
    }
    sink::deliver_in_worker(requests_only);
    begin_threads();
}

fn take_standard_output(settings: &Logging) -> std::io::Result<()> {
    let (reader, writer) = std::io::pipe()?;
    standard::widen(&writer);
    pipe::add(reader, false, settings);
    pipe::read_always()?;
    for fd in [1, 2] {
        // SAFETY: both descriptors are open; 1 and 2 are standard output and error.
        if unsafe { libc::dup2(writer.as_raw_fd(), fd) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}
