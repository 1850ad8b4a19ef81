//! `uwsgi.alarm`

use crate::py::{self, Args, Py, PyResult};
use rsgi_plugin_api::process;

super::functions! {
    alarm;
}

/// `alarm(name, message)`: what is not accepted is said in the log.
fn alarm(args: &Args) -> PyResult<Py> {
    let name = py::text_bytes(&args.need(0, "alarm")?)?;
    let message = py::text_bytes(&args.need(1, "alarm")?)?;
    // the log has said why
    let _ = process::alarm(&name, &message);
    Ok(py::none())
}
