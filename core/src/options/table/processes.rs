//! Master, workers, threads, locks.

use crate::options::spec::ArgKind::{No, Optional, Required};
use crate::options::spec::{Group, OptionSpec, flag, no_effect, number, parsed, text};

pub static GROUP: Group = Group {
    title: "Processes and threads",
    rows: ROWS,
};

/// Engines that plugins of ours bring.
const LOOPS: [&str; 2] = ["gevent", "asyncio"];

static ROWS: &[OptionSpec] = &[
    flag(
        "master",
        "run the supervising master process (on unless classic-defaults)",
        |s, on| s.processes.master = on,
    )
    .short('M')
    .negation("no-master"),
    number("processes", "number of worker processes", |s, n| {
        s.processes.workers = (n as u32).max(1)
    })
    .short('p')
    .aliases(&["workers"])
    .range(0, 16384),
    number("threads", "request threads of each worker", |s, n| {
        s.processes.threads = (n as u32).max(1)
    })
    .range(0, 16384),
    number("thread-stacksize", "stack of each thread in kilobytes", |s, n| {
        s.processes.thread_stack_size = n as usize * 1024
    })
    .aliases(&["threads-stacksize", "thread-stack-size", "threads-stack-size"])
    .range(0, 4 * 1024 * 1024),
    flag(
        "enable-threads",
        "let the application start threads (on unless classic-defaults)",
        |s, on| s.processes.enable_threads = on,
    )
    .short('T')
    .negation("no-enable-threads"),
    no_effect(
        "no-threads-wait",
        No,
        "nothing to do: a worker that ends waits for requests, not for idle threads",
    ),
    number("async", "request cores of each worker in the async mode", |s, n| {
        s.processes.async_cores = n as u32
    })
    .range(0, 65535),
    parsed(
        "loop",
        "the loop engine of the workers: gevent, asyncio, or a plugin's",
        |s, v| {
            let brought = crate::worker::engine::ENGINES.names();
            if !LOOPS.contains(&v) && !brought.iter().any(|name| name == v) {
                let names: Vec<&str> = LOOPS.into_iter().chain(brought.iter().map(String::as_str)).collect();
                return Err(format!("{v}: there are {}", names.join(" and ")));
            }
            s.processes.loop_engine = Some(v.into());
            Ok(())
        },
    ),
    flag("loop-list", "print the loop engines that plugins bring", |s, on| {
        s.plugins.loop_list = on
    })
    .aliases(&["loops-list"]),
    no_effect(
        "thunder-lock",
        No,
        "nothing to do: the kernel wakes one worker for each connection",
    ),
    no_effect(
        "thunder-lock-watchdog",
        No,
        "nothing to do: the lock of a dead worker is recovered",
    ),
    no_effect("lock-engine", Required, "nothing to do: locks are robust mutexes"),
    number("locks", "locks of the application beyond the first", |s, n| {
        s.processes.locks = n as u32
    })
    .range(0, 65535),
    no_effect(
        "ftok",
        Required,
        "nothing to do: locks are robust mutexes, not IPC semaphores",
    ),
    no_effect(
        "persistent-ipcsem",
        No,
        "nothing to do: locks are robust mutexes, not IPC semaphores",
    ),
    flag(
        "no-orphans",
        "workers end when their master is gone (on unless classic-defaults)",
        |s, on| s.processes.no_orphans = on,
    )
    .negation("orphans"),
    flag("no-server", "load the application and end", |s, on| {
        s.processes.no_server = on
    })
    .aliases(&["command-mode"]),
    number("cpu-affinity", "CPUs that each worker is bound to", |s, n| {
        s.processes.cpu_affinity = n as u32
    })
    .range(0, 4096),
    parsed("prio", "nice level of the processes", |s, v| {
        let level = v.trim().parse::<i32>().ok().filter(|n| (-20..=19).contains(n));
        s.processes.prio = Some(level.ok_or_else(|| format!("invalid number \"{v}\": give -20 to 19"))?);
        Ok(())
    }),
    no_effect(
        "check-interval",
        Required,
        "nothing to do: the master acts on events, not in rounds",
    ),
    number("forkbomb-delay", "seconds to wait when workers die too fast", |s, n| {
        s.processes.forkbomb_delay = n as u32
    })
    .range(0, 30),
    flag("reaper", "collect zombies after each request", |s, on| {
        s.processes.reaper = on
    })
    .short('r'),
    flag("skip-atexit", "skip the exit handlers of the application", |s, on| {
        s.processes.skip_atexit = on
    }),
    flag(
        "skip-atexit-teardown",
        "skip the teardown of the interpreter",
        |s, on| s.processes.skip_atexit_teardown = on,
    )
    .later(),
    flag("auto-procname", "give processes telling titles", |s, on| {
        s.processes.names.auto = on
    }),
    text("procname", "title of every process", |s, v| {
        s.processes.names.name = Some(v.into())
    }),
    text("procname-master", "title of the master", |s, v| {
        s.processes.names.master = Some(v.into())
    }),
    text("procname-prefix", "text in front of titles", |s, v| {
        s.processes.names.prefix = Some(v.into())
    }),
    text(
        "procname-prefix-spaced",
        "text and a space in front of titles",
        |s, v| s.processes.names.prefix = Some(format!("{v} ")),
    ),
    text("procname-append", "text behind titles", |s, v| {
        s.processes.names.append = Some(v.into())
    }),
    text("worker-exec", "a command that takes the place of a worker", |s, v| {
        s.processes.worker_exec.push(v.into())
    }),
    text("worker-exec2", "the same, after post_fork", |s, v| {
        s.processes.worker_exec2.push(v.into())
    }),
    number(
        "worker-heartbeat",
        "seconds without a sign of life outside of requests after which a worker is replaced",
        |s, n| s.limits.worker_heartbeat = n,
    )
    .master(),
    number(
        "worker-boot-timeout",
        "seconds in which a worker must become ready; later it is killed and tried again",
        |s, n| s.limits.worker_boot_timeout = n,
    )
    .master(),
    flag(
        "worker-boot-error-halt",
        "end with 3 or 4 when workers or their application cannot start",
        |s, on| s.limits.worker_boot_error_halt = on,
    ),
    no_effect(
        "ksm",
        Optional,
        "nothing to do: merging of memory is left to the system",
    ),
    no_effect(
        "never-swap",
        No,
        "nothing to do: use MemorySwapMax of systemd or cgroups",
    ),
    text("clock", "a plugin's source of time, instead of the system's", |s, v| {
        s.processes.clock = Some(v.into())
    }),
    number("rpc-max", "remote procedures that a process may register", |s, n| {
        s.processes.rpc_max = n as u32
    })
    .range(0, 65535),
];
