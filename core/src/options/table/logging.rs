//! Logs.

use crate::options::parse;
use crate::options::spec::ArgKind::{No, Required};
use crate::options::spec::{
    Group, OptionSpec, bytes, demanded_flag, flag, no_effect, number, optional, parsed, path, text,
};
use crate::settings::{AlarmLog, LogSink};

pub static GROUP: Group = Group {
    title: "Logs",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    path("logto", "write the log to a file or UDP address", |s, v| {
        s.logging.logto = Some(v.into())
    }),
    path("logto2", "the same, opened after privileges are dropped", |s, v| {
        s.logging.logto2 = Some(v.into())
    }),
    path(
        "daemonize",
        "go to the background and log to a file or UDP address",
        |s, v| s.logging.daemonize = Some(v.into()),
    )
    .short('d'),
    path("daemonize2", "the same, after the application is loaded", |s, v| {
        s.logging.daemonize2 = Some(v.into())
    }),
    flag("log-master", "let the master write the log", |s, on| {
        s.logging.log_master = on
    })
    .master(),
    bytes(
        "log-master-bufsize",
        "bytes of the longest line that is kept in one piece",
        |s, n| s.logging.log_master_bufsize = n as usize,
    ),
    no_effect(
        "log-master-stream",
        No,
        "nothing to do: lines reach the master in order",
    ),
    no_effect(
        "log-master-req-stream",
        No,
        "nothing to do: lines reach the master in order",
    ),
    flag(
        "threaded-logger",
        "let the master write the log; each logger has a thread in any case",
        |s, on| s.logging.log_master |= on,
    )
    .master(),
    text("logger", "a sink of all lines: [NAME ]LOGGER:ARGUMENT", |s, v| {
        s.logging.logger.push(LogSink::parse(v));
        s.logging.log_master = true;
    })
    .master(),
    text(
        "req-logger",
        "a sink of request lines: [NAME ]LOGGER:ARGUMENT",
        |s, v| {
            s.logging.req_logger.push(LogSink::parse(v));
            s.logging.log_master = true;
        },
    )
    .aliases(&["logger-req"])
    .master(),
    text(
        "worker-logger",
        "a sink of all lines of workers, which they write themselves: LOGGER:ARGUMENT",
        |s, v| s.logging.worker_logger.push(LogSink::parse(v)),
    ),
    text(
        "worker-logger-req",
        "a sink of request lines, which workers write themselves: LOGGER:ARGUMENT",
        |s, v| s.logging.worker_logger_req.push(LogSink::parse(v)),
    ),
    text(
        "worker-log-encoder",
        "change lines on their way to worker-logger: ENCODER ARGUMENT",
        |s, v| s.logging.worker_log_encoder.push(v.into()),
    )
    .template(),
    text(
        "worker-log-req-encoder",
        "change request lines on their way to the loggers of workers: ENCODER ARGUMENT",
        |s, v| s.logging.worker_log_req_encoder.push(v.into()),
    )
    .template(),
    text(
        "log-route",
        "lines that match go to the loggers of a name: NAME REGEXP",
        |s, v| {
            s.logging.log_route.push(v.into());
            s.logging.log_master = true;
        },
    )
    .master(),
    text(
        "log-req-route",
        "request lines that match go to the loggers of a name: NAME REGEXP",
        |s, v| {
            s.logging.log_req_route.push(v.into());
            s.logging.log_master = true;
        },
    )
    .master(),
    text("log-drain", "drop lines that match", |s, v| {
        s.logging.log_drain.push(v.into());
        s.logging.log_master = true;
    })
    .master(),
    no_effect(
        "log-drain-burst",
        Required,
        "nothing to do: all lines that wait are read in each turn",
    ),
    text("log-req-drain", "drop request lines that match", |s, v| {
        s.logging.log_req_drain.push(v.into());
        s.logging.log_master = true;
    })
    .master(),
    text("log-filter", "keep only lines that match", |s, v| {
        s.logging.log_filter.push(v.into());
        s.logging.log_master = true;
    })
    .master(),
    text("log-req-filter", "keep only request lines that match", |s, v| {
        s.logging.log_req_filter.push(v.into());
        s.logging.log_master = true;
    })
    .master(),
    text(
        "log-encoder",
        "change lines on their way, one step after the other: ENCODER[:LOGGER] ARGUMENT",
        |s, v| {
            s.logging.log_encoder.push(v.into());
            s.logging.log_master = true;
        },
    )
    .master()
    .template(),
    text(
        "log-req-encoder",
        "change request lines on their way: ENCODER[:LOGGER] ARGUMENT",
        |s, v| {
            s.logging.log_req_encoder.push(v.into());
            s.logging.log_master = true;
        },
    )
    .master()
    .template(),
    optional(
        "log-json",
        "each line is a JSON object; a value is the template of request lines, whose variables are escaped",
        |s, v| {
            s.logging.log_json = match v.map(|v| (v, parse::boolean(v))) {
                Some((_, Some(false))) => None,
                None | Some((_, Some(true))) => Some(String::new()),
                Some((template, None)) => Some(template.to_owned()),
            };
            s.logging.log_master |= s.logging.log_json.is_some();
        },
    )
    .master()
    .template(),
    flag(
        "request-id",
        "give each request an X-Request-Id, or keep that of a trusted proxy, and send it back",
        |s, on| s.logging.request_id = on,
    )
    .aliases(&["log-request-id"]),
    flag(
        "traceparent",
        "give each request a trace context (W3C) if it brings none, and its parts as TRACE_ID and SPAN_ID",
        |s, on| s.logging.traceparent = on,
    ),
    parsed(
        "log-except",
        "no lines of requests whose path matches, unless they failed (status 400 and above)",
        |s, v| {
            pcre2::bytes::Regex::new(v).map_err(|e| e.to_string())?;
            s.logging.log_except.push(v.into());
            Ok(())
        },
    ),
    optional("log-syslog", "write to syslog, under this name", |s, v| {
        let sink = LogSink::parse(&format!("syslog:{}", v.unwrap_or("rsgi")));
        s.logging.logger.push(sink);
        s.logging.log_master = true;
    })
    .master(),
    text(
        "log-format",
        "template of request lines, with %(uri), %(status) and so on; or one of the names combined, common",
        |s, v| s.logging.log_format = Some(v.into()),
    )
    .aliases(&["logformat"])
    .template(),
    flag(
        "logformat-strftime",
        "%(ftime) of the template is in the form of log-date",
        |s, on| s.logging.logformat_strftime = on,
    )
    .aliases(&["log-format-strftime"]),
    optional(
        "log-date",
        "the date in front of the server's lines; a value is a strftime format",
        |s, v| {
            s.logging.log_date = match v.map(|v| (v, parse::boolean(v))) {
                Some((_, Some(false))) => None,
                None | Some((_, Some(true))) => Some(String::new()),
                Some((format, None)) => Some(format.to_owned()),
            }
        },
    )
    .aliases(&["logdate", "log-prefix"])
    .template(),
    flag("log-micros", "microseconds instead of milliseconds", |s, on| {
        s.logging.log_micros = on
    }),
    flag(
        "log-x-forwarded-for",
        "the forwarded address instead of the peer's",
        |s, on| s.logging.log_x_forwarded_for = on,
    ),
    flag("disable-logging", "no request lines", |s, on| {
        s.logging.disable_logging = on
    })
    .short('L')
    .negation("enable-logging"),
    flag("log-4xx", "log answers 400 to 499 even so", |s, on| {
        s.logging.log_4xx = on
    }),
    flag("log-5xx", "log answers 500 to 599 even so", |s, on| {
        s.logging.log_5xx = on
    }),
    number(
        "log-slow",
        "log requests slower than these milliseconds even so",
        |s, n| s.logging.log_slow = Some(n as u32),
    ),
    bytes("log-big", "log answers larger than these bytes even so", |s, n| {
        s.logging.log_big = Some(n)
    }),
    flag("log-zero", "log answers without a body even so", |s, on| {
        s.logging.log_zero = on
    }),
    demanded_flag("log-sendfile", "log answers sent by sendfile even so", |s, on| {
        s.logging.log_sendfile = on
    }),
    demanded_flag(
        "log-ioerror",
        "log requests with a failed read or write even so",
        |s, on| s.logging.log_ioerror = on,
    ),
    bytes("log-maxsize", "rotate the log beyond these bytes", |s, n| {
        s.logging.log_maxsize = Some(n).filter(|n| *n > 0);
        s.logging.log_master |= n > 0;
    })
    .master(),
    path("log-backupname", "name of the rotated log", |s, v| {
        s.logging.log_backupname = Some(v.into())
    }),
    flag("log-reopen", "open the log anew at a reload", |s, on| {
        s.logging.log_reopen = on
    }),
    flag("log-truncate", "empty the log at the start", |s, on| {
        s.logging.log_truncate = on
    }),
    parsed("logfile-chmod", "permission bits of log files, octal", |s, v| {
        s.logging.logfile_chmod = Some(parse::mode(v)?);
        Ok(())
    }),
    flag("logfile-chown", "log files belong to the user of uid", |s, on| {
        s.logging.logfile_chown = on
    }),
    text(
        "alarm",
        "an alarm: NAME KIND:ARGUMENT (cmd, signal, mule, log)",
        |s, v| s.logging.alarms.push(v.into()),
    )
    .master(),
    text(
        "alarm-log",
        "raise alarms at log lines that match: NAME REGEXP",
        |s, v| {
            s.logging.alarm_log.push(AlarmLog::Raise(v.into()));
            s.logging.log_master = true;
        },
    )
    .aliases(&["log-alarm"])
    .master(),
    text(
        "not-alarm-log",
        "log lines that match raise no alarm of an alarm-log below",
        |s, v| s.logging.alarm_log.push(AlarmLog::Keep(v.into())),
    )
    .aliases(&["not-log-alarm"]),
    bytes("alarm-msg-size", "bytes of an alarm's message", |s, n| {
        s.logging.alarm_msg_size = Some(n)
    }),
    number(
        "alarm-freq",
        "seconds in which an alarm does not repeat a message",
        |s, n| s.logging.alarm_freq = Some(n),
    ),
    text(
        "alarm-backlog",
        "raise an alarm when the accept queue is full",
        |s, v| s.logging.alarm_backlog.push(v.into()),
    )
    .aliases(&[
        "alarm-listen-queue",
        "alarm-lq",
        "backlog-alarm",
        "lq-alarm",
        "listen-queue-alarm",
    ]),
    text("alarm-segfault", "raise an alarm when a process crashes", |s, v| {
        s.logging.alarm_segfault.push(v.into())
    })
    .aliases(&["segfault-alarm"]),
    text("log-socket", "send the log as datagrams to an address", |s, v| {
        s.logging.logger.push(LogSink::parse(&format!("socket:{v}")));
        s.logging.log_master = true;
    })
    .master(),
];
