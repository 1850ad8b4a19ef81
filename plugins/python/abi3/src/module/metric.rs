//! `uwsgi.*`: metrics by name.

use crate::py::{self, Args, Py, PyResult, told};
use rsgi_plugin_api::metric::{self, Change};

super::functions! {
    metric_get;
    metric_set;
    metric_inc;
    metric_dec;
    metric_mul;
    metric_div;
    metric_set_max;
    metric_set_min;
}

/// `metric_get(name)`: the number; 0 when there is no such metric.
fn metric_get(args: &Args) -> PyResult<Py> {
    let name = py::text_bytes(&args.need(0, "metric_get")?)?;
    py::int(told(metric::get(&name))?)
}

/// `…(name[, number])`: True, or None when there is no such metric, or it is not to be changed.
macro_rules! changes {
    ($($name:ident $change:ident;)*) => { $(
        fn $name(args: &Args) -> PyResult<Py> {
            let name = py::text_bytes(&args.need(0, stringify!($name))?)?;
            told(metric::change(&name, Change::$change, args.int(1, 1)?)).map(py::true_or_none)
        }
    )* };
}

changes! {
    metric_set Set;
    metric_inc Inc;
    metric_dec Dec;
    metric_mul Mul;
    metric_div Div;
    metric_set_max SetMax;
    metric_set_min SetMin;
}
