//! Handlers of uncaught exceptions (`--exception-handler`): what a plugin brings, a packet about each exception, and the
//! thread of a worker that hands it over. The request never waits for a handler.

use crate::request::vars;
use crate::say;
use crate::server::{keep, view, worker_id};
use crate::settings::Settings;
use rsgi_plugin_api::abi::{UwsgiExceptionFn, UwsgiExceptionHandlerInstance, WsgiRequest};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Exceptions that may wait in a worker.
const WAITING: usize = 64;
/// How long a worker that ends waits for its handlers.
const PATIENCE: Duration = Duration::from_secs(1);

static KNOWN: Mutex<Vec<(String, UwsgiExceptionFn)>> = Mutex::new(Vec::new());

/// One `--exception-handler`.
struct Handler {
    label: String,
    func: UwsgiExceptionFn,
    record: *mut UwsgiExceptionHandlerInstance,
}

// SAFETY: the record lives as long as the process, and one thread uses it.
unsafe impl Send for Handler {}
// SAFETY: as above.
unsafe impl Sync for Handler {}

static HANDLERS: OnceLock<Vec<Handler>> = OnceLock::new();
static SENDER: OnceLock<Option<SyncSender<Vec<u8>>>> = OnceLock::new();
/// Packets that were not handled yet.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// A kind of handler; one of the same name gets another function.
pub fn register(name: &[u8], func: UwsgiExceptionFn) {
    let name = String::from_utf8_lossy(name).into_owned();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(other, _)| *other != name);
    known.push((name, func));
}

/// Makes the handlers of the configuration; in the start, after the plugins' init.
///
/// # Errors
/// One line: nobody brings one.
pub fn install(settings: &Settings) -> Result<(), String> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut handlers = Vec::new();
    for text in &settings.apps.exception_handlers {
        let (name, arg) = match text.split_once(':') {
            Some((name, arg)) => (name, keep(arg)),
            None => (text.as_str(), null_mut()),
        };
        let Some((_, func)) = known.iter().find(|(other, _)| other == name) else {
            let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            let names = if names.is_empty() {
                "none".into()
            } else {
                names.join(", ")
            };
            return Err(format!(
                "exception-handler: no plugin brings \"{name}\" (handlers: {names}); load one with --plugin"
            ));
        };
        let record = Box::into_raw(Box::new(UwsgiExceptionHandlerInstance {
            // opaque and never dereferenced
            handler: std::ptr::NonNull::dangling().as_ptr(),
            configured: 0,
            fd: -1,
            arg,
            custom_ptr: null_mut(),
            next: null_mut(),
        }));
        handlers.push(Handler {
            label: text.clone(),
            func: *func,
            record,
        });
    }
    let _ = HANDLERS.set(handlers);
    Ok(())
}

/// Whether anybody wants to know of exceptions.
pub fn is_wanted() -> bool {
    HANDLERS.get().is_some_and(|handlers| !handlers.is_empty())
}

/// What is known of an exception.
#[derive(Debug, Default)]
pub struct Exception {
    /// What the plugin's `backtrace` gave.
    pub backtrace: Option<Vec<u8>>,
    /// Its class.
    pub class: Option<String>,
    /// Its message.
    pub message: Option<String>,
    /// Its form.
    pub repr: Option<String>,
}

/// Tells the handlers; on the thread of the request.
pub fn tell(req: &WsgiRequest, exception: &Exception) {
    let packet = packet(req, exception);
    let Some(sender) = SENDER.get_or_init(start) else {
        return;
    };
    PENDING.fetch_add(1, Ordering::AcqRel);
    if sender.try_send(packet).is_err() {
        PENDING.fetch_sub(1, Ordering::AcqRel);
        say!("exception-handler: too slow, an exception is left out");
    }
}

/// Waits a moment for the handlers; at the orderly end of a worker.
pub fn finish() {
    let end = Instant::now() + PATIENCE;
    while PENDING.load(Ordering::Acquire) > 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn start() -> Option<SyncSender<Vec<u8>>> {
    let (sender, packets) = sync_channel(WAITING);
    let thread = std::thread::Builder::new().name("exceptions".into());
    match thread.spawn(move || handle_all(&packets)) {
        Ok(_) => Some(sender),
        Err(e) => {
            say!("exception-handler: no thread for it: {e}");
            None
        }
    }
}

/// The thread's life.
fn handle_all(packets: &Receiver<Vec<u8>>) {
    while let Ok(mut packet) = packets.recv() {
        for handler in HANDLERS.get().into_iter().flatten() {
            // SAFETY: called as the header states, with a packet that lives during the call.
            let outcome = unsafe { (handler.func)(handler.record, packet.as_mut_ptr().cast(), packet.len()) };
            if outcome != 0 {
                say!("exception-handler {}: failed ({outcome})", handler.label);
            }
        }
        PENDING.fetch_sub(1, Ordering::AcqRel);
    }
}

fn put(packet: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    for part in [key, value] {
        packet.extend_from_slice(&(part.len() as u16).to_le_bytes());
        packet.extend_from_slice(part);
    }
}

fn packet(req: &WsgiRequest, exception: &Exception) -> Vec<u8> {
    let mut variables = Vec::new();
    for (key, value) in vars::pairs(req) {
        let before = variables.len();
        put(&mut variables, key, value);
        if variables.len() > usize::from(u16::MAX) {
            variables.truncate(before);
            break;
        }
    }
    let mut packet = Vec::new();
    put(&mut packet, b"vars", &variables);
    if let Some(trace) = &exception.backtrace {
        put(&mut packet, b"backtrace", &array(trace));
    }
    for (key, text) in [
        (&b"class"[..], &exception.class),
        (b"msg", &exception.message),
        (b"repr", &exception.repr),
    ] {
        if let Some(text) = text {
            put(&mut packet, key, text.as_bytes());
        }
    }
    let number = |packet: &mut Vec<u8>, key: &[u8], n: i64| put(packet, key, n.to_string().as_bytes());
    number(&mut packet, b"unix", crate::exports::now());
    number(&mut packet, b"wid", worker_id() as i64);
    number(&mut packet, b"pid", crate::server::pid().into());
    number(&mut packet, b"core", req.async_id.into());
    // SAFETY: the name is written in the single-threaded start only.
    let node = unsafe {
        let view = view();
        crate::exports::bytes_of((&raw const (*view).hostname).cast(), (*view).hostname_len)
    };
    put(&mut packet, b"node", node);
    packet
}

/// The elements of an array: a length of two bytes and the bytes of each; `None`: it is malformed from here on.
pub fn elements(mut array: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if array.is_empty() {
            return None;
        }
        let whole = array.split_at_checked(2).and_then(|(len, rest)| {
            let len = usize::from(u16::from_le_bytes([len[0], len[1]]));
            rest.split_at_checked(len)
        });
        array = whole.map_or(&[], |(_, rest)| rest);
        Some(whole.map(|(item, _)| item))
    })
}

/// Frames as an array of file, line, function, code and extra: as the plugin gave it, or one frame with its text.
fn array(trace: &[u8]) -> Vec<u8> {
    let is_array = elements(trace).all(|item| item.is_some()) && elements(trace).count().is_multiple_of(5);
    if is_array {
        return trace.to_vec();
    }
    let text = &trace[..trace.len().min(usize::from(u16::MAX) - 10)];
    let mut array = Vec::new();
    for part in [&b""[..], b"", b"", b"", text] {
        array.extend_from_slice(&(part.len() as u16).to_le_bytes());
        array.extend_from_slice(part);
    }
    array
}

/// A backtrace for people: an array's frames as lines, another text as it is.
pub fn readable(trace: &[u8]) -> String {
    let items: Vec<Option<&[u8]>> = elements(trace).collect();
    if !items.len().is_multiple_of(5) || items.iter().any(Option::is_none) {
        return String::from_utf8_lossy(trace).into_owned();
    }
    let items: Vec<_> = items.into_iter().flatten().map(String::from_utf8_lossy).collect();
    let mut text = String::new();
    for frame in items.chunks(5) {
        text += &format!(
            "filename: \"{}\" line: {} function: \"{}\"",
            frame[0], frame[1], frame[2]
        );
        if !frame[3].is_empty() {
            text += &format!(" text/code: \"{}\"", frame[3]);
        }
        if !frame[4].is_empty() {
            text += &format!(" custom: \"{}\"", frame[4]);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arrays_have_elements_and_texts_become_one_frame() {
        assert_eq!(
            elements(b"\x01\x00a\x00\x00").collect::<Vec<_>>(),
            [Some(&b"a"[..]), Some(b"")]
        );
        assert_eq!(elements(b"\x05\x00ab").collect::<Vec<_>>(), [None]);
        let frame = array(b"Traceback");
        assert_eq!(elements(&frame).flatten().last(), Some(&b"Traceback"[..]));
        assert_eq!(array(&frame), frame, "an array stays as it is");
        assert_eq!(
            readable(&frame),
            "filename: \"\" line:  function: \"\" custom: \"Traceback\"\n"
        );
        assert_eq!(readable(b"Traceback"), "Traceback");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            elements(&bytes).count();
            prop_assert_eq!(elements(&array(&bytes)).flatten().count() % 5, 0);
        }
    }
}
