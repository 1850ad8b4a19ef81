//! What runs in place of a worker's request loop: `--loop turns` serves one request after the other.

use rsgi_plugin_api::{HookError, kind, sys};

pub struct Turns;

impl kind::LoopEngine for Turns {
    fn run() -> Result<(), HookError> {
        // SAFETY: in a worker's main thread, with the host's own records.
        unsafe {
            let queue = sys::event_queue_init();
            sys::uwsgi_add_sockets_to_queue(queue, 0);
            let req = sys::find_first_available_wsgi_req();
            let worker = sys::uwsgi.workers.add(sys::uwsgi.mywid as usize);
            while (&raw const (*worker).manage_next_request).read_volatile() != 0 {
                sys::wsgi_req_setup(req, 0, std::ptr::null_mut());
                if sys::wsgi_req_accept(queue, req) == 0 {
                    sys::wsgi_req_recv(queue, req);
                    sys::uwsgi_close_request(req);
                }
            }
        }
        Ok(())
    }
}
