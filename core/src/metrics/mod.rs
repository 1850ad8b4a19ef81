//! Metrics: numbers by name. Those of the operator (`--metric`) and of plugins lie in memory that all processes share and
//! that the next image takes over; those of the server itself are looked up when somebody asks (`stats::metrics`).
//! [`files`] mirrors all of them into a directory, [`view`] shows them to plugins, [`collect`] computes those that are made of others.

pub mod collect;
pub mod files;
pub mod view;

use crate::locks;
use crate::server::{keep, try_server, view};
use crate::settings::{MetricKind, Settings};
use crate::shared::region::Region;
use crate::stats::metrics as built_in;
use rsgi_plugin_api::abi::UwsgiMetric;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

/// So many there may be.
const MOST: usize = 1024;
/// The longest name.
pub const LONGEST_NAME: usize = 228;
/// By it the next image finds the memory; another layout needs another name.
const REGION: &str = "metrics 1";

/// A metric's place in shared memory.
#[repr(C)]
struct Record {
    value: AtomicI64,
    /// 0: the record is free.
    name_len: AtomicU32,
    name: [u8; LONGEST_NAME],
}

/// A metric as this process knows it.
#[derive(Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its object identifier; empty: none.
    pub oid: &'static str,
    /// What kind of number it is.
    pub kind: MetricKind,
    value: &'static AtomicI64,
    item: *mut UwsgiMetric,
}

// SAFETY: the record is written in the single-threaded start; its value is atomic.
unsafe impl Send for Metric {}
// SAFETY: as above.
unsafe impl Sync for Metric {}

static TABLE: RwLock<Vec<Metric>> = RwLock::new(Vec::new());
static RECORDS: OnceLock<&'static [Record]> = OnceLock::new();

/// Why a metric was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// Empty, too long, or it would be no file of a directory.
    #[error("a metric's name has 1 to 228 bytes, no slash, and does not begin with a dot: \"{0}\"")]
    Name(String),
    /// There is one of this name.
    #[error("there is a metric \"{0}\" already")]
    Known(String),
    /// No record is left.
    #[error("there may be 1024 metrics beside those of the server")]
    TooMany,
    /// No memory.
    #[error("no memory for metrics: {0}")]
    System(String),
}

/// What is done to a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It becomes the number.
    Set,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`; not by zero.
    Divide,
    /// The number, if that is larger.
    AtLeast,
    /// The number, if that is smaller.
    AtMost,
}

/// Makes the metrics of the configuration; in the start, before plugins.
///
/// # Errors
/// See [`MetricError`].
pub fn prepare(settings: &Settings) -> Result<(), MetricError> {
    files::check(settings).map_err(MetricError::System)?;
    for wanted in &settings.stats.own_metrics {
        let restored = files::restored(settings, &wanted.name);
        register(
            &wanted.name,
            &wanted.oid,
            wanted.kind,
            restored.unwrap_or(wanted.initial),
        )?
        .reset_after_push(wanted.reset_after_push);
    }
    Ok(())
}

fn records() -> Result<&'static [Record], MetricError> {
    if let Some(records) = RECORDS.get() {
        return Ok(records);
    }
    let region = Region::open(REGION, MOST * size_of::<Record>()).map_err(|e| MetricError::System(e.desc().into()))?;
    // SAFETY: of that size, aligned to a page; zero bytes are free records.
    Ok(RECORDS.get_or_init(|| unsafe { std::slice::from_raw_parts(region.base.cast(), MOST) }))
}

fn name_of(record: &'static Record) -> &'static [u8] {
    let len = record.name_len.load(Ordering::Acquire) as usize;
    &record.name[..len.min(LONGEST_NAME)]
}

/// One more metric, before the first fork. One that the image before had goes on from its value.
///
/// # Errors
/// See [`MetricError`].
pub fn register(name: &str, oid: &str, kind: MetricKind, initial: i64) -> Result<Metric, MetricError> {
    let is_fine = !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains('/') && !name.starts_with('.');
    if !is_fine {
        return Err(MetricError::Name(name.into()));
    }
    if find(name, "").is_some() || is_built_in(name, "") {
        return Err(MetricError::Known(name.into()));
    }
    let records = records()?;
    let record = match records.iter().find(|r| name_of(r) == name.as_bytes()) {
        Some(known) => known,
        None => {
            let is_free = |r: &&Record| r.name_len.load(Ordering::Relaxed) == 0;
            let free = records.iter().find(is_free).ok_or(MetricError::TooMany)?;
            // SAFETY: a free record; this is the only process that makes metrics.
            unsafe {
                let to = free.name.as_ptr().cast_mut();
                std::ptr::copy_nonoverlapping(name.as_ptr(), to, name.len());
            }
            free.value.store(initial, Ordering::Relaxed);
            free.name_len.store(name.len() as u32, Ordering::Release);
            free
        }
    };
    let view = view();
    // SAFETY: single-threaded start; records of plugins live as long as the process.
    let item = unsafe {
        if (*view).metrics_lock.is_null() {
            (*view).metrics_lock = locks::make("metrics", true).map_err(|e| MetricError::System(e.desc().into()))?;
        }
        (*view).has_metrics = 1;
        (*view).metrics_cnt += 1;
        let item = Box::into_raw(Box::new(UwsgiMetric {
            name: keep(name),
            name_len: name.len(),
            oid: keep(oid),
            oid_len: oid.len(),
            r#type: kind as u8,
            reset_after_push: 0,
            value: record.value.as_ptr(),
            initial_value: initial,
            next: std::ptr::null_mut(),
            reserved: [0; 8],
        }));
        let mut last = &raw mut (*view).metrics;
        while !(*last).is_null() {
            last = &raw mut (**last).next;
        }
        *last = item;
        item
    };
    let metric = Metric {
        name: String::leak(name.to_owned()),
        oid: String::leak(oid.to_owned()),
        kind,
        value: &record.value,
        item,
    };
    TABLE.write().unwrap_or_else(PoisonError::into_inner).push(metric);
    Ok(metric)
}

/// All of them, in the order of their making.
pub fn all() -> Vec<Metric> {
    TABLE.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A metric by its name or, with an empty name, its object identifier.
pub fn find(name: &str, oid: &str) -> Option<Metric> {
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    table.iter().find(|m| is_it(name, oid, m.name, m.oid)).copied()
}

fn is_it(name: &str, oid: &str, its_name: &str, its_oid: &str) -> bool {
    match name.is_empty() {
        true => !oid.is_empty() && oid == its_oid,
        false => name == its_name,
    }
}

fn is_built_in(name: &str, oid: &str) -> bool {
    built_in_value(name, oid).is_some()
}

fn built_in_value(name: &str, oid: &str) -> Option<i64> {
    let mut found = None;
    built_in::each(try_server()?, 0, &mut |row| {
        if found.is_none() && is_it(name, oid, row.name, row.oid) {
            found = Some(row.value as i64);
        }
    });
    found
}

/// The value of any metric; `None`: there is none.
pub fn value(name: &str, oid: &str) -> Option<i64> {
    find(name, oid).map(|m| m.value()).or_else(|| built_in_value(name, oid))
}

impl Metric {
    /// It begins anew whenever it was pushed.
    fn reset_after_push(self, resets: bool) {
        // SAFETY: the record that was made for this metric, in the single-threaded start.
        unsafe { (*self.item).reset_after_push = u8::from(resets) };
    }

    /// It was pushed: it begins anew if it is one that does.
    pub fn pushed(&self) {
        // SAFETY: records live as long as the process; a plugin may have changed the field before.
        let (resets, initial) = unsafe { ((*self.item).reset_after_push != 0, (*self.item).initial_value) };
        if resets {
            self.change(Change::Set, initial);
        }
    }

    /// Its value now.
    pub fn value(&self) -> i64 {
        self.value.load(Ordering::Relaxed)
    }

    /// The record that plugins see.
    pub fn item(&self) -> *mut UwsgiMetric {
        self.item
    }

    /// Changes it, in one piece between all processes; `false`: a division by zero.
    pub fn change(&self, change: Change, by: i64) -> bool {
        let order = Ordering::Relaxed;
        let then = |n: i64| {
            Some(match change {
                Change::Set => by,
                Change::Add => n.wrapping_add(by),
                Change::Subtract => n.wrapping_sub(by),
                Change::Multiply => n.wrapping_mul(by),
                // not by zero: looked at below
                Change::Divide => n.wrapping_div(by),
                Change::AtLeast => n.max(by),
                Change::AtMost => n.min(by),
            })
        };
        if change == Change::Divide && by == 0 {
            return false;
        }
        let _ = self.value.fetch_update(order, order, then);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_changed_and_made_once() {
        let metric = register("a.test", "9.9", MetricKind::Gauge, 5).unwrap();
        assert_eq!(
            register("a.test", "", MetricKind::Gauge, 5).err(),
            Some(MetricError::Known("a.test".into()))
        );
        for wrong in ["", "../x", "a/b", ".hidden", &"x".repeat(229)] {
            assert_eq!(
                register(wrong, "", MetricKind::Gauge, 0).err(),
                Some(MetricError::Name(wrong.into()))
            );
        }
        let steps = [
            (Change::Add, 4, 9),
            (Change::Multiply, -2, -18),
            (Change::Divide, 4, -4),
            (Change::Subtract, 1, -5),
            (Change::AtLeast, -9, -5),
            (Change::AtLeast, 3, 3),
            (Change::AtMost, 8, 3),
            (Change::AtMost, 1, 1),
            (Change::Set, 7, 7),
        ];
        for (change, by, then) in steps {
            assert!(metric.change(change, by));
            assert_eq!(metric.value(), then, "{change:?} {by}");
        }
        assert!(!metric.change(Change::Divide, 0));
        assert_eq!(
            (value("a.test", ""), value("", "9.9"), value("", "")),
            (Some(7), Some(7), None)
        );
        // SAFETY: the record that was just made.
        assert_eq!(unsafe { (*(*metric.item()).value, (*metric.item()).name_len) }, (7, 6));
    }
}
