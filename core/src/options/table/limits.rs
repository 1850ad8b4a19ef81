//! Deadlines and the replacement of workers.

use crate::options::spec::ArgKind::Required;
use crate::options::spec::{Group, OptionSpec, flag, no_effect, number, text};

pub static GROUP: Group = Group {
    title: "Deadlines and recycling",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    number(
        "harakiri",
        "seconds of a request, after which its worker writes its stacks to the log and is killed",
        |s, n| s.limits.harakiri = n,
    )
    .short('t'),
    flag("harakiri-verbose", "say more about a killed worker", |s, on| {
        s.limits.harakiri_verbose = on
    }),
    number(
        "harakiri-graceful-timeout",
        "seconds to end a request that is over time, after the soft signal",
        |s, n| s.limits.harakiri_graceful_timeout = n,
    ),
    number(
        "harakiri-graceful-signal",
        "number of the soft signal (15, TERM)",
        |s, n| s.limits.harakiri_graceful_signal = n as i32,
    )
    .range(1, 64),
    number(
        "harakiri-queue-threshold",
        "kill only when more connections than these wait",
        |s, n| s.limits.harakiri_queue_threshold = n,
    ),
    flag(
        "harakiri-no-arh",
        "the deadline ends before the after_request hooks",
        |s, on| s.limits.harakiri_no_arh = on,
    )
    .aliases(&["no-harakiri-arh", "no-harakiri-after-req-hook"]),
    flag("use-abort", "end faulty workers by SIGABRT", |s, on| {
        s.limits.use_abort = on
    })
    .later(),
    number("spooler-harakiri", "seconds of a spooler's task", |s, n| {
        s.limits.spooler_harakiri = n
    }),
    number("mule-harakiri", "seconds of a mule's message", |s, n| {
        s.limits.mule_harakiri = n
    }),
    number("cron-harakiri", "seconds of a scheduled command", |s, n| {
        s.limits.cron_harakiri = n
    }),
    number("max-requests", "requests after which a worker is replaced", |s, n| {
        s.limits.max_requests = n
    })
    .short('R'),
    number(
        "max-requests-delta",
        "added to max-requests once per worker number",
        |s, n| s.limits.max_requests_delta = n,
    ),
    number("max-requests-jitter", "random share added to max-requests", |s, n| {
        s.limits.max_requests_jitter = n
    }),
    number("min-worker-lifetime", "seconds that a worker lives at least", |s, n| {
        s.limits.min_worker_lifetime = n
    }),
    number(
        "max-worker-lifetime",
        "seconds after which a worker is replaced",
        |s, n| s.limits.max_worker_lifetime = n,
    ),
    number(
        "max-worker-lifetime-delta",
        "added to max-worker-lifetime once per worker number",
        |s, n| s.limits.max_worker_lifetime_delta = n,
    ),
    number(
        "max-worker-lifetime-jitter",
        "random share added to max-worker-lifetime",
        |s, n| s.limits.max_worker_lifetime_jitter = n,
    ),
    number(
        "reload-on-rss",
        "megabytes of resident memory that replace a worker",
        |s, n| {
            s.limits.reload_on_rss = n;
            s.limits.memory_report = true;
        },
    ),
    number(
        "reload-on-as",
        "megabytes of address space that replace a worker",
        |s, n| {
            s.limits.reload_on_as = n;
            s.limits.memory_report = true;
        },
    ),
    number(
        "reload-on-uss",
        "megabytes of unshared memory that replace a worker",
        |s, n| s.limits.reload_on_uss = n,
    ),
    number(
        "reload-on-pss",
        "megabytes of proportional memory that replace a worker",
        |s, n| s.limits.reload_on_pss = n,
    ),
    number(
        "evil-reload-on-rss",
        "megabytes of resident memory at which the master kills a worker",
        |s, n| s.limits.evil_reload_on_rss = n,
    )
    .master(),
    number(
        "evil-reload-on-as",
        "megabytes of address space at which the master kills a worker",
        |s, n| s.limits.evil_reload_on_as = n,
    )
    .master(),
    flag(
        "reload-on-exception",
        "replace a worker after an uncaught exception",
        |s, on| s.limits.reload_on_exception = on,
    ),
    text(
        "reload-on-exception-type",
        "replace a worker after an exception of this type",
        |s, v| s.limits.reload_on_exception_type.push(v.into()),
    ),
    text(
        "reload-on-exception-value",
        "replace a worker after an exception with this message",
        |s, v| s.limits.reload_on_exception_value.push(v.into()),
    ),
    text(
        "reload-on-exception-repr",
        "replace a worker after an exception of this form",
        |s, v| s.limits.reload_on_exception_repr.push(v.into()),
    ),
    flag("memory-report", "measure memory after each request", |s, on| {
        s.limits.memory_report = on
    })
    .short('m'),
    number("limit-as", "address space of each process in megabytes", |s, n| {
        s.limits.limit_as = n
    }),
    number("limit-nproc", "processes that the user may have", |s, n| {
        s.limits.limit_nproc = n
    }),
    no_effect(
        "mem-collector-freq",
        Required,
        "nothing to do: memory is measured by the worker itself",
    ),
];
