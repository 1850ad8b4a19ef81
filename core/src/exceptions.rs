//! Handlers of uncaught exceptions (`--exception-handler`): what a plugin brings, a packet about each exception, and the
//! thread of a worker that hands it over. The request never waits for a handler.

use crate::plugin::inside::Brought;
use crate::plugin::offered::Offered;
use crate::request::vars;
use crate::say;
use crate::server::{keep, view, worker_id};
use crate::settings::Settings;
use rsgi_plugin_api::abi::{UwsgiExceptionFn, UwsgiExceptionHandlerInstance, WsgiRequest};
use rsgi_protocol::uwsgi::{parse_array, put_string};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Exceptions that may wait in a worker.
const WAITING: usize = 64;
/// How long a worker that ends waits for its handlers.
const PATIENCE: Duration = Duration::from_secs(1);

/// The kinds of handlers that plugins bring.
pub static KINDS: Offered<Brought<UwsgiExceptionFn>> = Offered::none();

/// One `--exception-handler`.
struct Handler {
    label: String,
    func: Brought<UwsgiExceptionFn>,
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

/// Makes the handlers of the configuration; in the start, after the plugins' init.
///
/// # Errors
/// One line: nobody brings one.
pub fn install(settings: &Settings) -> Result<(), String> {
    let mut handlers = Vec::new();
    for text in &settings.apps.exception_handlers {
        let (name, arg) = match text.split_once(':') {
            Some((name, arg)) => (name, keep(arg)),
            None => (text.as_str(), null_mut()),
        };
        let Some(func) = KINDS.find(name) else {
            let names = match KINDS.names() {
                names if names.is_empty() => "none".into(),
                names => names.join(", "),
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
            func,
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
            let outcome = handler
                .func
                .call(|func| unsafe { func(handler.record, packet.as_mut_ptr().cast(), packet.len()) });
            if outcome != 0 {
                say!("exception-handler {}: failed ({outcome})", handler.label);
            }
        }
        PENDING.fetch_sub(1, Ordering::AcqRel);
    }
}

fn put(packet: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    put_string(packet, key);
    put_string(packet, value);
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

/// The fields of frames: file, line, function, code and extra of each; `None`: it is another text.
fn frames(trace: &[u8]) -> Option<Vec<&[u8]>> {
    let fields: Vec<&[u8]> = parse_array(trace).collect::<Result<_, _>>().ok()?;
    fields.len().is_multiple_of(5).then_some(fields)
}

/// Frames as an array: as the plugin gave it, or one frame with its text.
fn array(trace: &[u8]) -> Vec<u8> {
    if frames(trace).is_some() {
        return trace.to_vec();
    }
    // the array is a value itself
    let text = &trace[..trace.len().min(usize::from(u16::MAX) - 10)];
    let mut array = Vec::new();
    for field in [&b""[..], b"", b"", b"", text] {
        put_string(&mut array, field);
    }
    array
}

/// A backtrace for people: an array's frames as lines, another text as it is.
pub fn readable(trace: &[u8]) -> String {
    let Some(fields) = frames(trace) else {
        return String::from_utf8_lossy(trace).into_owned();
    };
    let fields: Vec<_> = fields.into_iter().map(String::from_utf8_lossy).collect();
    let mut text = String::new();
    for frame in fields.chunks(5) {
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
        let five = b"\x01\x00a\x00\x00\x00\x00\x00\x00\x00\x00";
        assert_eq!(frames(five), Some(vec![&b"a"[..], b"", b"", b"", b""]));
        assert_eq!(frames(&five[..9]), None, "four are no frame");
        assert_eq!(frames(b"\x05\x00ab"), None);
        let frame = array(b"Traceback");
        assert_eq!(frames(&frame), Some(vec![&b""[..], b"", b"", b"", b"Traceback"]));
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
            readable(&bytes);
            prop_assert!(frames(&array(&bytes)).is_some());
        }
    }
}
