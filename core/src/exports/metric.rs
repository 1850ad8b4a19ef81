//! Metrics.

use crate::metrics::collect::BROUGHT;
use crate::metrics::{self, Change};
use crate::settings::MetricKind;
use rsgi_plugin_api::abi::{UwsgiCollectFn, UwsgiMetric, UwsgiMetricCollector};
use std::ffi::{c_char, c_int, c_void};

/// Name and object identifier.
///
/// # Safety
/// Both are NULL or NUL-terminated, and unchanged while the result lives.
unsafe fn names<'a>(name: *const c_char, oid: *const c_char) -> [&'a str; 2] {
    // SAFETY: by the contract.
    [name, oid].map(|text| std::str::from_utf8(unsafe { super::text(text) }).unwrap_or_default())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_metric(
    name: *mut c_char,
    oid: *mut c_char,
    kind: u8,
    collector: *mut c_char,
    value: *mut c_void,
    freq: u32,
    _custom: *mut c_void,
) -> *mut UwsgiMetric {
    // SAFETY: the header asks for NUL-terminated texts.
    let [name, oid] = unsafe { names(name, oid) };
    let kind = match kind {
        1 => MetricKind::Gauge,
        2 => MetricKind::Absolute,
        _ => MetricKind::Counter,
    };
    match metrics::register(name, oid, kind, 0) {
        Ok(metric) => {
            // SAFETY: the header asks for NULL or a NUL-terminated text.
            let collector = String::from_utf8_lossy(unsafe { super::text(collector) });
            match &*collector {
                "ptr" if !value.is_null() => metrics::collect::follow(metric, value.cast()),
                name if BROUGHT.find(name).is_some() => metrics::collect::compute(metric, name, freq.into()),
                _ => {}
            }
            metric.item()
        }
        Err(e) => {
            crate::say!("unable to register a metric: {e}");
            std::ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_metric_collector(
    name: *mut c_char,
    func: Option<UwsgiCollectFn>,
) -> *mut UwsgiMetricCollector {
    if let Some(func) = func {
        // SAFETY: the header asks for a NUL-terminated name.
        BROUGHT.bring("metric collector", unsafe { super::text(name) }, func);
    }
    let next = std::ptr::null_mut();
    Box::into_raw(Box::new(UwsgiMetricCollector { name, func, next }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_metric_get(name: *mut c_char, oid: *mut c_char) -> i64 {
    // SAFETY: as above.
    let [name, oid] = unsafe { names(name, oid) };
    metrics::value(name, oid).unwrap_or(0)
}

macro_rules! changes {
    ($($function:ident $change:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function(name: *mut c_char, oid: *mut c_char, by: i64) -> c_int {
            // SAFETY: as above.
            let [name, oid] = unsafe { names(name, oid) };
            let is_done = metrics::find(name, oid).is_some_and(|m| m.change(Change::$change, by));
            if is_done { 0 } else { -1 }
        }
    )* };
}

changes! {
    uwsgi_metric_set Set;
    uwsgi_metric_inc Add;
    uwsgi_metric_dec Subtract;
    uwsgi_metric_mul Multiply;
    uwsgi_metric_div Divide;
    uwsgi_metric_set_max AtLeast;
    uwsgi_metric_set_min AtMost;
}
