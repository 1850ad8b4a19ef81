//! The template of request lines (`--log-format`): read once into pieces, filled in for each request by the worker.
//!
//! What a client sent never reaches the log with control characters in it.

use super::chunk::{self, CHUNKS, Chunk};
use super::json;
use super::request::{clean, micros, text};
use crate::process;
use crate::request::{Core, tracing, vars};
use crate::server::{server, worker_id};
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_plugin_api::logger::rfc3339;
use std::io::Write;
use std::sync::OnceLock;

/// A part of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// As it stands.
    Text(Vec<u8>),
    /// A figure or text of the request.
    Field(Field),
    /// `%(var.NAME)`: a variable of the request.
    Variable(Vec<u8>),
    /// `%(metric.NAME)`: a metric.
    Metric(String),
    /// What a plugin fills in.
    Chunk(Chunk),
    /// A name of none of ours: what the application set under it (`uwsgi.set_logvar`).
    LogVariable(Vec<u8>),
}

/// `log-format = combined`: the form of Apache, which most readers of logs know.
const COMBINED: &str =
    r#"%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(rsize) "%(referer)" "%(uagent)""#;
/// `log-format = common`: the same, shorter.
const COMMON: &str = r#"%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(rsize)"#;
/// `log-json`
const JSON: &str = concat!(
    r#"{"time":"%(iso)","method":"%(method)","uri":"%(uri)","protocol":"%(proto)","host":"%(host)","addr":"%(addr)","#,
    r#""user":"%(user)","referer":"%(referer)","user_agent":"%(uagent)","status":%(status),"size":%(rsize),"#,
    r#""micros":%(micros),"request_id":"%(request_id)","trace_id":"%(trace_id)","worker":%(wid),"core":%(core),"pid":%(pid)}"#
);

/// How a text of a client is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// Without control characters.
    Text,
    /// Between quotes, whose end it must not forge.
    Quoted,
    /// In a string of JSON.
    Json,
}

/// The names that a template knows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Uri,
    Method,
    User,
    Address,
    Host,
    Protocol,
    UserAgent,
    Referer,
    Status,
    BodySize,
    HeadSize,
    Size,
    ContentLength,
    Micros,
    Millis,
    Seconds,
    StartMillis,
    StartMicros,
    Time,
    Epoch,
    LocalTime,
    FormattedTime,
    CTime,
    Pid,
    WorkerId,
    Switches,
    VarCount,
    Core,
    AddressSpace,
    Resident,
    AddressSpaceMega,
    ResidentMega,
    PacketSize,
    Modifier1,
    Modifier2,
    Headers,
    WriteErrors,
    ReadErrors,
    IoErrors,
    IsoTime,
    RequestId,
    TraceId,
    SpanId,
}

impl Field {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "uri" => Self::Uri,
            "method" => Self::Method,
            "user" => Self::User,
            "addr" => Self::Address,
            "host" => Self::Host,
            "proto" => Self::Protocol,
            "uagent" => Self::UserAgent,
            "referer" => Self::Referer,
            "status" => Self::Status,
            "rsize" => Self::BodySize,
            "hsize" => Self::HeadSize,
            "size" => Self::Size,
            "cl" => Self::ContentLength,
            "micros" => Self::Micros,
            "msecs" => Self::Millis,
            "secs" => Self::Seconds,
            "tmsecs" => Self::StartMillis,
            "tmicros" => Self::StartMicros,
            "time" => Self::Time,
            "epoch" => Self::Epoch,
            "ltime" => Self::LocalTime,
            "ftime" => Self::FormattedTime,
            "ctime" => Self::CTime,
            "pid" => Self::Pid,
            "wid" => Self::WorkerId,
            "switches" => Self::Switches,
            "vars" => Self::VarCount,
            "core" => Self::Core,
            "vsz" => Self::AddressSpace,
            "rss" => Self::Resident,
            "vszM" => Self::AddressSpaceMega,
            "rssM" => Self::ResidentMega,
            "pktsize" => Self::PacketSize,
            "modifier1" => Self::Modifier1,
            "modifier2" => Self::Modifier2,
            "headers" => Self::Headers,
            "werr" => Self::WriteErrors,
            "rerr" => Self::ReadErrors,
            "ioerr" => Self::IoErrors,
            "iso" => Self::IsoTime,
            "request_id" => Self::RequestId,
            "trace_id" => Self::TraceId,
            "span_id" => Self::SpanId,
            _ => return None,
        })
    }

    fn is_memory(self) -> bool {
        matches!(
            self,
            Self::AddressSpace | Self::Resident | Self::AddressSpaceMega | Self::ResidentMega
        )
    }
}

/// A template, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFormat {
    pieces: Vec<(Piece, Escape)>,
    /// Some piece tells how large the process is.
    needs_memory: bool,
}

impl LogFormat {
    /// Reads a template, or the name of one. `%(` without its bracket is text, and so is every other use of `%`.
    pub fn parse(template: &str) -> Self {
        let template = match template {
            "combined" => COMBINED,
            "common" => COMMON,
            other => other,
        };
        let (pieces, needs_memory) = read(template);
        // between quotes, maybe with others, as "%(method) %(uri) %(proto)"
        let is_quoted = |n: usize| pieces[..n].iter().map(quotes).sum::<usize>() % 2 == 1;
        let escape = |n| if is_quoted(n) { Escape::Quoted } else { Escape::Text };
        let escapes: Vec<Escape> = (0..pieces.len()).map(escape).collect();
        Self {
            pieces: pieces.into_iter().zip(escapes).collect(),
            needs_memory,
        }
    }

    /// Reads a template of JSON: whatever is filled in is escaped.
    fn parse_json(template: &str) -> Self {
        let (pieces, needs_memory) = read(if template.is_empty() { JSON } else { template });
        Self {
            pieces: pieces.into_iter().map(|piece| (piece, Escape::Json)).collect(),
            needs_memory,
        }
    }

    /// The template of the configuration, if there is one.
    pub fn configured() -> Option<&'static Self> {
        static FORMAT: OnceLock<Option<LogFormat>> = OnceLock::new();
        FORMAT
            .get_or_init(|| {
                let settings = &server().settings.logging;
                let json = settings.log_json.as_deref().map(Self::parse_json);
                json.or_else(|| settings.log_format.as_deref().map(Self::parse))
            })
            .as_ref()
    }

    /// Writes the line of a finished request.
    pub fn fill(&self, line: &mut Vec<u8>, req: &WsgiRequest) {
        let wanted = self.needs_memory && server().settings.limits.memory_report;
        let memory = wanted.then(|| process::memory(std::process::id())).flatten();
        for (piece, escape) in &self.pieces {
            let escape = *escape;
            match piece {
                Piece::Text(text) => line.extend_from_slice(text),
                Piece::Field(field) => fill(*field, line, req, memory.unwrap_or_default(), escape),
                Piece::Variable(name) => or_dash(line, vars::find(req, name).unwrap_or_default(), escape),
                Piece::Metric(name) => match crate::metrics::value(name, "") {
                    Some(value) => line.extend_from_slice(value.to_string().as_bytes()),
                    None => or_dash(line, b"", escape),
                },
                Piece::Chunk(chunk) => chunk.with_text(req, |text| match escape {
                    Escape::Json => json::escape(line, text),
                    // the plugin knows what stands around it
                    Escape::Text | Escape::Quoted => chunk::write(line, text),
                }),
                Piece::LogVariable(name) => {
                    // SAFETY: the request is ours, finished, and this thread's.
                    let value = unsafe { log_variable(req, name) };
                    or_dash(line, value.unwrap_or_default(), escape);
                }
            }
        }
        line.push(b'\n');
    }
}

/// The pieces of a template, and whether one of them tells how large the process is.
fn read(template: &str) -> (Vec<Piece>, bool) {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("%(") {
        let Some((name, behind)) = after.split_once(')') else {
            break;
        };
        plain.push_str(before);
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain).into_bytes()));
        }
        pieces.push(match (CHUNKS.find(name), Field::of(name)) {
            (Some(chunk), _) => Piece::Chunk(chunk),
            (None, Some(field)) => Piece::Field(field),
            (None, None) => match (name.strip_prefix("var."), name.strip_prefix("metric.")) {
                (Some(variable), _) => Piece::Variable(variable.into()),
                (None, Some(metric)) => Piece::Metric(metric.into()),
                (None, None) => Piece::LogVariable(name.into()),
            },
        });
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain.into_bytes()));
    }
    let needs_memory = pieces.iter().any(|p| matches!(p, Piece::Field(f) if f.is_memory()));
    (pieces, needs_memory)
}

/// The quotes in what stands between variables.
fn quotes(piece: &Piece) -> usize {
    match piece {
        Piece::Text(text) => text.iter().filter(|b| **b == b'"').count(),
        _ => 0,
    }
}

/// What the application set for the log.
///
/// # Safety
/// `req` is a request of ours on the thread that serves it.
pub unsafe fn log_variable<'a>(req: &'a WsgiRequest, name: &[u8]) -> Option<&'a [u8]> {
    // SAFETY: by the contract; the core outlives its request, and nothing else uses it meanwhile.
    let core: &Core = unsafe { &*req.host_private.cast() };
    let [_, value] = core.log_variables.iter().find(|[key, _]| **key == *name)?;
    Some(value)
}

fn or_dash(line: &mut Vec<u8>, part: &[u8], escape: Escape) {
    match escape {
        Escape::Json => json::escape(line, part),
        _ if part.is_empty() => line.push(b'-'),
        Escape::Text => clean(line, part),
        Escape::Quoted => {
            for part in part.split_inclusive(|b| matches!(b, b'"' | b'\\')) {
                match part.split_last() {
                    Some((sign @ (b'"' | b'\\'), before)) => {
                        clean(line, before);
                        line.extend_from_slice(&[b'\\', *sign]);
                    }
                    _ => clean(line, part),
                }
            }
        }
    }
}

fn fill(field: Field, line: &mut Vec<u8>, req: &WsgiRequest, (resident, virtual_size): (u64, u64), escape: Escape) {
    let mut or_dash = |part: &[u8]| or_dash(line, part, escape);
    let settings = &server().settings.logging;
    let start = req.start_of_request_in_sec as i64;
    // SAFETY: `uh` points at the request's own header record.
    let header = unsafe { req.uh.read_unaligned() };
    let number: u64 = match field {
        Field::Uri => return or_dash(text(req.uri, req.uri_len)),
        Field::Method => return or_dash(text(req.method, req.method_len)),
        Field::User => return or_dash(text(req.remote_user, req.remote_user_len)),
        Field::Address => return or_dash(super::request::address(req)),
        Field::Host => return or_dash(text(req.host, req.host_len)),
        Field::Protocol => return or_dash(text(req.protocol, req.protocol_len)),
        Field::UserAgent => return or_dash(text(req.user_agent, req.user_agent_len)),
        Field::Referer => return or_dash(text(req.referer, req.referer_len)),
        Field::RequestId => return or_dash(tracing::request_id(req)),
        Field::TraceId => return or_dash(tracing::trace(req).map_or(b"", |t| t.trace_id)),
        Field::SpanId => return or_dash(tracing::trace(req).map_or(b"", |t| t.parent_id)),
        Field::IsoTime => {
            let micros = (req.start_of_request % 1_000_000) as u32;
            return rfc3339(line, start, micros);
        }
        Field::LocalTime => return super::date(line, c"%d/%b/%Y:%H:%M:%S %z", start),
        Field::FormattedTime => {
            let format = super::stamp_format().filter(|_| settings.logformat_strftime);
            return super::date(line, format.unwrap_or(c"%d/%b/%Y:%H:%M:%S %z"), start);
        }
        Field::CTime => return super::date(line, c"%a %b %e %H:%M:%S %Y", start),
        Field::Seconds => {
            let took = micros(req);
            let _ = write!(line, "{}.{:06}", took / 1_000_000, took % 1_000_000);
            return;
        }
        Field::Status => req.status.unsigned_abs().into(),
        Field::BodySize => req.response_size as u64,
        Field::HeadSize => req.headers_size as u64,
        Field::Size => (req.headers_size + req.response_size) as u64,
        Field::ContentLength => req.post_cl as u64,
        Field::Micros => micros(req),
        Field::Millis => micros(req) / 1000,
        Field::StartMillis => req.start_of_request / 1000,
        Field::StartMicros => req.start_of_request,
        Field::Time => req.start_of_request_in_sec,
        Field::Epoch => crate::exports::now().unsigned_abs(),
        Field::Pid => crate::server::pid().unsigned_abs().into(),
        Field::WorkerId => worker_id() as u64,
        Field::Switches => req.switches.unsigned_abs().into(),
        Field::VarCount => u64::from(req.var_cnt / 2),
        Field::Core => req.async_id.unsigned_abs().into(),
        Field::AddressSpace => virtual_size,
        Field::Resident => resident,
        Field::AddressSpaceMega => virtual_size >> 20,
        Field::ResidentMega => resident >> 20,
        Field::PacketSize => { header.pktsize }.into(),
        Field::Modifier1 => header.modifier1.into(),
        Field::Modifier2 => header.modifier2.into(),
        Field::Headers => req.header_cnt,
        Field::WriteErrors => req.write_errors,
        Field::ReadErrors => req.read_errors,
        Field::IoErrors => req.write_errors + req.read_errors,
    };
    let _ = write!(line, "{number}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(template: &str) -> Vec<Piece> {
        LogFormat::parse(template)
            .pieces
            .into_iter()
            .map(|(piece, _)| piece)
            .collect()
    }

    #[test]
    fn pieces_and_text_between_them() {
        assert_eq!(
            pieces("[%(method)] %(var.HTTP_X)%(own)%"),
            [
                Piece::Text(b"[".to_vec()),
                Piece::Field(Field::Method),
                Piece::Text(b"] ".to_vec()),
                Piece::Variable(b"HTTP_X".to_vec()),
                Piece::LogVariable(b"own".to_vec()),
                Piece::Text(b"%".to_vec()),
            ]
        );
        assert_eq!(pieces("100%% (x) %(open"), [Piece::Text(b"100%% (x) %(open".to_vec())]);
        assert!(LogFormat::parse("%(rssM)").needs_memory && !LogFormat::parse("%(uri)").needs_memory);
    }

    fn escaped(template: &str, part: &[u8]) -> String {
        let mut line = Vec::new();
        for (piece, escape) in LogFormat::parse(template).pieces {
            match piece {
                Piece::Text(text) => line.extend(text),
                _ => or_dash(&mut line, part, escape),
            }
        }
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn quotes_of_a_client_do_not_end_those_of_the_template() {
        assert_eq!(
            escaped(r#"%(uri) "%(uri)" %(uri)"#, br#"a"b\"#),
            r#"a"b\ "a\"b\\" a"b\"#
        );
        assert_eq!(
            escaped(r#""%(method) %(uri) x" %(uri)"#, b"a\"\n"),
            r#""a\"\x0a a\"\x0a x" a"\x0a"#
        );
        assert_eq!(escaped("%(uri)", b""), "-");
    }

    proptest! {
        #[test]
        fn text_is_never_lost(template in "[^%]*", name in "[a-z]{1,8}") {
            let whole = format!("{template}%({name}){template}");
            let text: Vec<u8> = pieces(&whole)
                .into_iter()
                .flat_map(|p| if let Piece::Text(t) = p { t } else { Vec::new() })
                .collect();
            prop_assert_eq!(text, [template.as_bytes(), template.as_bytes()].concat());
        }

        #[test]
        fn any_template_is_read(template in "(%|%\\(|\\)|[a-z.]{0,3}){0,20}") {
            LogFormat::parse(&template);
        }
    }
}
