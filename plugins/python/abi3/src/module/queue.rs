//! `uwsgi.*`: the queue that all processes share.

use crate::py::{self, Args, Py, PyResult};
use rsgi_plugin_api::queue;

super::functions! {
    queue_push if slots() > 0;
    queue_pull if slots() > 0;
    queue_pop if slots() > 0;
    queue_get if slots() > 0;
    queue_set if slots() > 0;
    queue_last if slots() > 0;
    queue_slot if slots() > 0;
    queue_pull_slot if slots() > 0;
}

/// How many slots the queue has; 0: there is none.
pub fn slots() -> u64 {
    queue::places().0
}

/// A message as bytes, or None.
fn message(message: Option<Vec<u8>>) -> PyResult<Py> {
    message.map_or_else(|| Ok(py::none()), |message| py::bytes(&message))
}

/// Argument `i` as a slot's number; a negative one is none.
fn slot(args: &Args, i: usize) -> PyResult<u64> {
    Ok(u64::try_from(args.int(i, 0)?).unwrap_or(u64::MAX))
}

/// `queue_push(message)`
fn queue_push(args: &Args) -> PyResult<Py> {
    let message = py::text_bytes(&args.need(0, "queue_push")?)?;
    Ok(py::true_or_none(queue::push(&message)))
}

/// `queue_set(slot, message)`
fn queue_set(args: &Args) -> PyResult<Py> {
    let slot = slot(args, 0)?;
    let message = py::text_bytes(&args.need(1, "queue_set")?)?;
    Ok(py::true_or_none(queue::set(slot, &message)))
}

/// `queue_pull()`
fn queue_pull(_: &Args) -> PyResult<Py> {
    message(queue::pull())
}

/// `queue_pop()`
fn queue_pop(_: &Args) -> PyResult<Py> {
    message(queue::pop())
}

/// `queue_get(slot)`
fn queue_get(args: &Args) -> PyResult<Py> {
    args.need(0, "queue_get")?;
    message(queue::get(slot(args, 0)?))
}

/// `queue_last([count])`: the newest message, or a list of the newest ones.
fn queue_last(args: &Args) -> PyResult<Py> {
    let Some(count) = u64::try_from(args.int(0, 0)?).ok().filter(|count| *count > 0) else {
        return message(queue::last(0));
    };
    let items: PyResult<Vec<Py>> = (0..count.min(slots())).map(|back| message(queue::last(back))).collect();
    py::list(&items?)
}

/// `queue_slot()`: where the next message is pushed.
fn queue_slot(_: &Args) -> PyResult<Py> {
    py::uint(queue::places().1)
}

/// `queue_pull_slot()`: where the next one is pulled.
fn queue_pull_slot(_: &Args) -> PyResult<Py> {
    py::uint(queue::places().2)
}
