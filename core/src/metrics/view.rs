//! The metrics of the server itself as plugins see them: records in `uwsgi.metrics`, made when somebody may look
//! (`--enable-metrics`, `--stats-push` of a plugin's kind) and brought up to date by the master.

use crate::server::{keep, server, view};
use crate::settings::Settings;
use crate::stats::metrics as built_in;
use crate::{locks, say, shared};
use rsgi_plugin_api::abi::UwsgiMetric;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

/// The values, in the order of `built_in::each`.
static VALUES: OnceLock<&'static [AtomicI64]> = OnceLock::new();

/// Shows the metrics to plugins, if they are wanted; in the start, when the server is known and nothing was forked.
pub fn install(settings: &Settings) {
    let wanted = settings.stats.metrics || crate::stats::push::plugin::is_used();
    if wanted
        && VALUES.get().is_none()
        && let Err(e) = make()
    {
        say!("no memory for the metrics of the server: {}", e.desc());
    }
}

fn make() -> nix::Result<()> {
    let mut rows = Vec::new();
    built_in::each(server(), 0, &mut |row| {
        rows.push((row.name.to_owned(), row.oid.to_owned(), row.kind, row.value as i64));
    });
    let values = shared::rows::<AtomicI64>(rows.len())?;
    let view = view();
    // SAFETY: single-threaded start; the records live as long as the process.
    unsafe {
        let mut last = &raw mut (*view).metrics;
        while !(*last).is_null() {
            last = &raw mut (**last).next;
        }
        for ((name, oid, kind, value), place) in rows.into_iter().zip(values) {
            place.store(value, Ordering::Relaxed);
            *last = Box::into_raw(Box::new(UwsgiMetric {
                name: keep(&name),
                name_len: name.len(),
                oid: keep(&oid),
                oid_len: oid.len(),
                r#type: kind as u8,
                reset_after_push: 0,
                value: place.as_ptr(),
                initial_value: 0,
                next: null_mut(),
                reserved: [0; 8],
            }));
            last = &raw mut (**last).next;
            (*view).metrics_cnt += 1;
        }
        if (*view).metrics_lock.is_null() {
            (*view).metrics_lock = locks::make("metrics", true)?;
        }
        (*view).has_metrics = 1;
    }
    let _ = VALUES.set(values);
    Ok(())
}

/// Brings the values up to date; in the master.
pub fn refresh() {
    let Some(values) = VALUES.get() else { return };
    let mut places = values.iter();
    built_in::each(server(), 0, &mut |row| {
        if let Some(place) = places.next() {
            place.store(row.value as i64, Ordering::Relaxed);
        }
    });
}
