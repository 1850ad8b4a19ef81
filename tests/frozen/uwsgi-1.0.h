/*
 * uwsgi.h - the plugin contract of rsgi.
 *
 * A plugin is a shared object that exports one `struct uwsgi_plugin`. Sources written for uWSGI compile against
 * this header unchanged; a plugin built with one 1.x of this header loads in every rsgi 1.x.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How to read the notes in brackets:
 *   [master]   the first process, single-threaded, before any worker exists (also: the only process without master)
 *   [worker]   a worker, mule or spooler process, after its fork
 *   [gateway]  a gateway process, after its fork
 *   [core N]   any request thread of a worker; core 0 is the worker's main thread
 *   [request]  inside the request hook, on the core that serves the request
 *   [any]      any process, any thread, also threads that the plugin made itself
 * Ownership: memory is released by whoever allocated it, with the function named here. What the host returns as
 * `char *` "yours" comes from malloc() and is released with free().
 */
#ifndef RSGI_UWSGI_H
#define RSGI_UWSGI_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#ifdef __cplusplus
#include <cstdlib>
#include <cmath>
#endif
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------------------
 * Layer 0: the plugin, its options, its stamp. Frozen in 1.x; structs grow at their end only.
 * ------------------------------------------------------------------------------------------------------------ */

#define UWSGI_PLUGIN_API 1
#define UWSGI_ABI_MAJOR 1
#define UWSGI_ABI_MINOR 0

/* return values of the request hook */
#define UWSGI_OK 0         /* the request is answered */
#define UWSGI_AGAIN 1      /* call the hook again later (async mode) */
#define UWSGI_ACCEPTING 2

/* flags of an option */
#define UWSGI_OPT_IMMEDIATE (1 << 0)      /* run the setter when the option is met, not after all were read */
#define UWSGI_OPT_MASTER (1 << 1)         /* turns the master on */
#define UWSGI_OPT_LOG_MASTER (1 << 2)
#define UWSGI_OPT_THREADS (1 << 3)        /* turns threads on */
#define UWSGI_OPT_CHEAPER (1 << 4)
#define UWSGI_OPT_VHOST (1 << 5)
#define UWSGI_OPT_MEMORY (1 << 6)
#define UWSGI_OPT_PROCNAME (1 << 7)
#define UWSGI_OPT_LAZY (1 << 8)
#define UWSGI_OPT_NO_INITIAL (1 << 9)
#define UWSGI_OPT_NO_SERVER (1 << 10)
#define UWSGI_OPT_POST_BUFFERING (1 << 11)
#define UWSGI_OPT_CLUSTER (1 << 12)
#define UWSGI_OPT_MIME (1 << 13)
#define UWSGI_OPT_REQ_LOG_MASTER (1 << 14)
#define UWSGI_OPT_METRICS (1 << 15)

struct wsgi_request;
struct uwsgi_buffer;
struct uwsgi_instance;

/*
 * One option. A table of them ends with a row whose name is NULL (UWSGI_END_OF_OPTIONS).
 * The host reads the table from the file before it loads the plugin, so that it can say who owns an option: keep
 * the rows constant. `type` is no_argument, required_argument or optional_argument; `shortcut` a letter or 0.
 * `func(name, value, data)` runs in [master], after on_load and before init; value is NULL when none was given and
 * stays valid for the life of the process.
 */
struct uwsgi_option {
    char *name;
    int type;
    int shortcut;
    char *help;
    void (*func)(char *, char *, void *);
    void *data;
    uint64_t flags;
};
#define UWSGI_END_OF_OPTIONS { NULL, 0, 0, NULL, NULL, NULL, 0 },

/*
 * The plugin. Order and types are uWSGI's. The host copies the struct when it loads the file; later changes of the
 * fields are not seen. Two fields may be written by the host, and only when the struct is writable: `modifier1`,
 * when the user overrides it (`--plugin 7:foo`), and nothing else.
 *
 * A plugin with `request` sits in the slot of its modifier1 ("request plugin"); one without is "generic".
 * Hooks marked (r) are called for request plugins only, (g) for generic ones only, others for both.
 * A NULL hook is skipped. No exception, panic or longjmp may leave a hook.
 */
struct uwsgi_plugin {
    const char *name;                 /* required; shown in the logs; a second plugin of the same name is not loaded */
    const char *alias;                /* a second name that --plugin and the loader know it by */
    uint8_t modifier1;                /* number of the uwsgi protocol that selects this plugin */
    void *data;                       /* the plugin's own */

    void (*on_load)(void);            /* [master] right after the file is opened; options are not read yet */
    int (*init)(void);                /* [master] options are read, sockets not bound; negative: log line, go on */
    void (*post_init)(void);          /* [master] after the init of all plugins, sockets bound, privileges dropped */
    void (*post_fork)(void);          /* [worker] first thing in each worker, mule, spooler; may start threads */
    struct uwsgi_option *options;     /* table of options, or NULL */
    void (*enable_threads)(void);     /* (r) [master] once, before apps, when threads are on */
    void (*init_thread)(int core);    /* (r) [core N] N >= 1: first thing in each further request thread */
    int (*request)(struct wsgi_request *);        /* [request] serve; UWSGI_OK, UWSGI_AGAIN, or negative: refused */
    void (*after_request)(struct wsgi_request *); /* [request] after the answer is complete, once per request;
                                                     replaces the host's request log line (call log_request) */
    void (*preinit_apps)(void);       /* [master], with lazy-apps [worker]: before any init_apps */
    void (*init_apps)(void);          /* same process: load the applications that the options name */
    void (*postinit_apps)(void);      /* same process: after all apps and mounts */
    void (*fixup)(void);              /* (r) [worker] just before the request loop */
    void (*master_fixup)(int step);   /* (r) 0: [master] before the first fork; 1: [worker] after its fork */
    void (*master_cycle)(void);       /* the master's loop, about once a second */
    int (*mount_app)(char *mountpoint, char *app); /* (r) like init_apps, per --mount; 0 or more: app id, -1: not mine */
    int (*manage_udp)(char *client, int client_len, char *message, int len); /* reserved */
    void (*suspend)(struct wsgi_request *);       /* (r) async mode: the core leaves this request */
    void (*resume)(struct wsgi_request *);        /* (r) async mode: the core comes back to it */
    void (*harakiri)(int worker_id);  /* the master, just before it kills a worker that is over time */
    void (*hijack_worker)(void);      /* [worker] before the request loop; may take the process over */
    void (*spooler_init)(void);       /* [worker] a spooler, after post_fork */
    void (*atexit)(void);             /* [worker] at an orderly end; not in the master */
    int (*magic)(char *mountpoint, char *file);   /* [master] a bare argument nobody knows: 1 if it is yours */
    void *(*encode_string)(char *);   /* reserved */
    char *(*decode_string)(void *);   /* reserved */
    int (*signal_handler)(uint8_t signal, void *handler); /* (r) [worker] run a handler you registered; 0: fine */
    char *(*code_string)(char *id, char *code, char *function, char *key, uint16_t len); /* (r) [gateway] */
    int (*spooler)(char *file, char *buf, uint16_t len, char *body, size_t body_len);    /* (r) -2 ok, -1 retry, 0 ignore */
    uint64_t (*rpc)(void *func, uint8_t argc, char **argv, uint16_t argvs[], char **response); /* (r) [any worker]
                                         call func; *response is malloc()ed by you, freed by the host; its length */
    void (*jail)(int (*start)(void *), char **argv); /* (g) [master] as root: make a jail and call start(argv) */
    void (*post_jail)(void);          /* (g) [master] inside the jail */
    void (*before_privileges_drop)(void); /* (g) [master] still root, sockets bound */
    int (*mule)(char *script);        /* (r) [worker] a mule: run script; 1: was yours, 0: not */
    int (*mule_msg)(char *message, size_t len);   /* (r) [worker] a mule got a message: 1 handled, 0 not yours */
    void (*master_cleanup)(void);     /* the master, after the last worker is gone */
    struct uwsgi_buffer *(*backtrace)(struct wsgi_request *);       /* (r) [request] these four: a new buffer, the */
    struct uwsgi_buffer *(*exception_class)(struct wsgi_request *); /* host destroys it; NULL if there is none; */
    struct uwsgi_buffer *(*exception_msg)(struct wsgi_request *);   /* asked while the exception is current, from */
    struct uwsgi_buffer *(*exception_repr)(struct wsgi_request *);  /* inside uwsgi_manage_exception() */
    void (*exception_log)(struct wsgi_request *); /* (r) [request] print the current exception to the log */
    void (*vassal)(struct uwsgi_instance *);             /* the emperor, after the fork, in the vassal's process */
    void (*vassal_before_exec)(struct uwsgi_instance *); /* same, just before its exec */
    int (*worker)(void);              /* [worker] the worker override: serve in place of the request loop; 1: this was
                                         the worker's whole life (the process ends), 0: not me, go on */
    void (*early_post_jail)(void);    /* (g) [master] first thing inside the jail */
    void (*pre_uwsgi_fork)(void);     /* (r) [master] just before each fork of the host */
    void (*post_uwsgi_fork)(int step); /* (r) just after it; 0: in the parent, 1: in the child */
};

/*
 * The stamp: an ELF note that the host reads from the file before one instruction of the plugin runs. It is placed
 * by including this header; there is nothing to write for it.
 */
struct uwsgi_abi_note {
    uint32_t name_size;
    uint32_t words_size;
    uint32_t type;
    char name[8];
    uint32_t words[4]; /* major, minor, sizeof(struct uwsgi_plugin), sizeof(struct uwsgi_server) */
};

/* ------------------------------------------------------------------------------------------------------------
 * Layer 1: structs. All of them are made by the host; plugins hold pointers. Fields are appended, never moved.
 * ------------------------------------------------------------------------------------------------------------ */

/* A growing byte buffer. Read buf[0..pos]; write through the functions below. */
struct uwsgi_buffer {
    char *buf;
    size_t pos;
    size_t len;   /* allocated */
    size_t limit; /* 0: none; else growing beyond it is refused */
};

/* A list of strings, as options collect them; nodes and values live as long as the process. */
struct uwsgi_string_list {
    char *value;
    size_t len;
    uint64_t custom;
    uint64_t custom2;
    void *custom_ptr;
    struct uwsgi_string_list *next;
};

/* One configured option as the user gave it; value NULL when it had none. */
struct uwsgi_opt {
    char *key;
    char *value;
    int configured;
};

/* The head of a uwsgi packet. */
struct __attribute__((packed)) uwsgi_header {
    uint8_t modifier1;
    uint16_t pktsize;
    uint8_t modifier2;
};

union uwsgi_sockaddr {
    struct sockaddr sa;
    struct sockaddr_in sa_in;
    struct sockaddr_in6 sa_in6;
    struct sockaddr_un sa_un;
};

/* A listening socket of the workers. */
struct uwsgi_socket {
    int fd;
    char *name;
    int name_len;
    int family;
    int bound;
    int arg;
    void *ctx;
    uint64_t queue;     /* connections waiting, refreshed by the master; a plugin may write its own figure */
    uint64_t max_queue; /* the backlog */
    int no_defer;
    int auto_port;
    int edge_trigger;
    int can_offload;
    int shared;
    int from_shared;
    uint8_t modifier1;
    uint8_t modifier2;
    char *proto_name;   /* "uwsgi", "http", ... */
    struct uwsgi_socket *next;
    uint64_t reserved[16];
};

/* A loaded application. */
struct uwsgi_app {
    uint8_t modifier1;
    char mountpoint[255];
    uint8_t mountpoint_len;
    void *interpreter;
    void *callable;
    void **args;
    int argc;
    void **environ;
    void *sendfile;
    void *input;
    void *error;
    void *stream;
    void *responder0;
    void *responder1;
    void *responder2;
    void *eventfd_read;
    void *eventfd_write;
    void *(*request_subhandler)(struct wsgi_request *, struct uwsgi_app *);
    int (*response_subhandler)(struct wsgi_request *);
    uint64_t requests;
    uint64_t exceptions;
    char chdir[255];
    char touch_reload[255];
    time_t touch_reload_mtime;
    void *gateway_version;
    void *uwsgi_version;
    void *uwsgi_node;
    time_t started_at;
    time_t startup_time; /* seconds the import took */
    uint64_t avg_response_time;
    uint64_t reserved[8];
};

/* One request. Pointers are valid inside the request hook and after_request; lengths are bytes, no NUL follows. */
struct wsgi_request {
    int fd;                      /* the client's connection */
    struct uwsgi_header *uh;     /* modifiers and packet size of this request */
    int app_id;
    int async_id;                /* number of the core */
    int async_status;            /* what the hook returned last: UWSGI_OK at first */
    int switches;                /* how often the hook was called */
    int headers_sent;
    int status;                  /* of the answer; 0 until one is set */
    size_t headers_size;         /* bytes of head sent */
    size_t response_size;        /* bytes of body sent */
    uint64_t header_cnt;         /* headers added so far */
    uint64_t write_errors;
    uint64_t read_errors;
    uint64_t start_of_request;   /* microseconds since the epoch */
    uint64_t start_of_request_in_sec;
    uint64_t end_of_request;     /* microseconds since the epoch; set before after_request */

    char *uri;
    uint16_t uri_len;
    char *remote_addr;
    uint16_t remote_addr_len;
    char *remote_user;
    uint16_t remote_user_len;
    char *query_string;
    uint16_t query_string_len;
    char *protocol;
    uint16_t protocol_len;
    char *method;
    uint16_t method_len;
    char *scheme;
    uint16_t scheme_len;
    char *https;
    uint16_t https_len;
    char *script_name;
    uint16_t script_name_len;
    char *path_info;
    uint16_t path_info_len;
    char *host;
    uint16_t host_len;
    char *user_agent;
    uint16_t user_agent_len;
    char *referer;
    uint16_t referer_len;
    char *cookie;
    uint16_t cookie_len;
    char *authorization;
    uint16_t authorization_len;
    char *document_root;
    uint16_t document_root_len;
    char *content_type;
    uint16_t content_type_len;
    char *encoding;              /* Accept-Encoding */
    uint16_t encoding_len;
    char *range;
    uint16_t range_len;
    char *if_range;
    uint16_t if_range_len;
    char *if_modified_since;
    uint16_t if_modified_since_len;
    char *appid;                 /* name of the application asked for (UWSGI_APPID, else SCRIPT_NAME) */
    uint16_t appid_len;
    char *file;
    uint16_t file_len;

    struct iovec *hvec;          /* the variables: key, value, key, value ... */
    uint16_t var_cnt;            /* entries of hvec in use: twice the number of variables */

    size_t post_cl;              /* length of the body; for a chunked one what is known so far */
    size_t post_pos;             /* how much of it was read */
    FILE *post_file;             /* set when post-buffering spilled the body to a file */
    int body_is_chunked;
    int64_t range_from;
    int64_t range_to;

    uint16_t via;                /* UWSGI_VIA_* */
    int log_this;                /* 0: leave it out of the request log */
    int do_not_log;
    struct uwsgi_socket *socket; /* where it came in */
    size_t proto_parser_remains; /* bytes of the body that came with the head */
    void *proto_parser_remains_buf;
    int suspended;
    void *async_environ;         /* these five: the plugin's own, reset to NULL before each request */
    void *async_args;
    void *async_app;
    void *async_result;
    void *async_placeholder;
    int sendfile_fd;
    void *host_private;          /* the host's; do not touch */
    uint64_t reserved[16];
};
#define UWSGI_VIA_SENDFILE 1
#define UWSGI_VIA_ROUTE 2
#define UWSGI_VIA_OFFLOAD 3

/* A core: one request at a time. In memory shared by all processes. */
struct uwsgi_core {
    uint64_t requests;
    uint64_t failed_requests;
    uint64_t static_requests;
    uint64_t routed_requests;
    uint64_t offloaded_requests;
    uint64_t write_errors;
    uint64_t read_errors;
    uint64_t exceptions;
    int in_request;
    void *ts[4];                /* the request plugin's own, per core */
    uint64_t reserved[8];
};

/* A worker; uwsgi.workers[1..numproc], [0] is the master. In memory shared by all processes. */
struct uwsgi_worker {
    int id;
    pid_t pid;
    uint64_t requests;
    uint64_t delta_requests;    /* since the last respawn */
    uint64_t failed_requests;
    uint64_t exceptions;
    uint64_t harakiri_count;
    uint64_t respawn_count;
    uint64_t signals;
    time_t last_spawn;
    uint64_t running_time;      /* microseconds inside requests */
    uint64_t avg_response_time; /* microseconds */
    uint64_t tx;                /* bytes sent */
    uint64_t rss_size;          /* bytes */
    uint64_t vsz_size;
    int accepting;              /* 1: it takes requests; an override sets it with uwsgi.accepting() */
    int manage_next_request;    /* 0: it ends after the current request */
    int cheaped;
    int suspended;
    int hijacked;
    uint64_t hijacked_count;
    int busy;
    int sig;
    uint8_t signum;
    int signal_pipe[2];
    time_t harakiri;            /* deadline of the current request, seconds since the epoch; 0: none */
    time_t user_harakiri;
    struct uwsgi_app *apps;     /* its apps for everyone to read; their pointers are NULL */
    int apps_cnt;
    struct uwsgi_core *cores;
    uint64_t reserved[16];
};

struct uwsgi_harakiri_options {
    int workers; /* seconds; 0: off */
    int mules;
    int spoolers;
};

struct uwsgi_instance_status {
    int gracefully_reloading;
    int brutally_reloading;
    int gracefully_destroying;
    int brutally_destroying;
    int chain_reloading;
    int workers_reloading;
    int is_cheap;
    int reserved[9];
};

/*
 * What plugins see of the server: a view that the host refreshes (after the configuration, after bind, after each
 * fork). A plugin may write apps_wanted and gbcw_hook; what it writes to honour_range, loop, wait_read_hook,
 * wait_write_hook, wait_read2_hook, emperor_freq and build_mime_dict is kept, and takes effect with the subsystem that
 * reads it. All other fields are the host's.
 */
struct uwsgi_server {
    char hostname[256];
    int hostname_len;
    int page_size;
    int cpus;
    int argc;
    char **argv;
    char **environ;
    char *cwd;
    char *binary_path;
    char *empty;                     /* "" */
    char *version;
    time_t start_tv;                 /* seconds since the epoch */
    time_t current_time;             /* refreshed by the master each second */
    pid_t mypid;
    int mywid;                       /* 0: not a worker */
    int muleid;                      /* 0: not a mule */
    int i_am_a_spooler;
    int is_a_reload;
    int master_process;
    int numproc;
    int threads;
    int has_threads;
    int cores;                       /* per worker */
    int async;
    int lazy;
    int lazy_apps;
    int max_apps;
    int default_app;                 /* id, -1: none */
    int no_default_app;
    int need_app;
    int single_interpreter;
    int manage_script_name;
    int catch_exceptions;
    int socket_timeout;              /* seconds */
    int listen_queue;
    int chmod_socket;
    char *chmod_socket_value;
    char *chown_socket;
    int abstract_socket;
    int reuse_port;
    int buffer_size;                 /* bytes */
    size_t post_buffering;           /* bytes; 0: off */
    size_t post_buffering_bufsize;
    size_t limit_post;
    uint64_t write_errors_tolerance;
    int ignore_sigpipe;
    int ignore_write_errors;
    int disable_write_exception;
    int honour_range;
    int build_mime_dict;
    int has_metrics;
    int cheaper;
    int cheaper_count;
    int cheaper_step;
    int emperor_freq;
    int emperor_queue;
    int ssl_initialized;
    int log_this;
    int memory_report;
    size_t log_master_bufsize;
    char *loop;
    char *protocol;
    char *procname;
    char *procname_master;
    char *pidfile;
    uid_t uid;
    gid_t gid;
    int signal_socket;
    int my_signal_socket;
    int master_queue;
    uint64_t metrics_cnt;
    struct uwsgi_harakiri_options harakiri_options;
    struct uwsgi_instance_status status;
    struct uwsgi_socket *sockets;
    struct uwsgi_worker *workers;
    struct uwsgi_plugin *p[256];     /* by modifier1; the host's own copies, never NULL */
    struct uwsgi_plugin *gp[64];     /* generic plugins, gp_cnt of them */
    int gp_cnt;
    struct uwsgi_opt **exported_opts;
    int exported_opts_cnt;
    int (*wait_read_hook)(int fd, int timeout);  /* seconds; 1 ready, 0 timeout, -1 error */
    int (*wait_write_hook)(int fd, int timeout);
    int (*wait_read2_hook)(int fd0, int fd1, int timeout, int *which);
    void (*gbcw_hook)(void);         /* runs in the master before it stops workers gracefully */
    struct wsgi_request *(*current_wsgi_req)(void);
    int apps_wanted;                 /* a request plugin adds 1 for each app that its options name */
    int file_wrapper;                /* reserved */
    uint64_t reserved[64];
};
extern struct uwsgi_server uwsgi;

#if defined(__GNUC__)
static const struct uwsgi_abi_note uwsgi_abi_note_
    __attribute__((section(".note.uwsgi.abi"), used, aligned(4))) = {
        6,
        16,
        1,
        { 'u', 'W', 'S', 'G', 'I', 0, 0, 0 },
        { UWSGI_ABI_MAJOR, UWSGI_ABI_MINOR, (uint32_t) sizeof(struct uwsgi_plugin),
          (uint32_t) sizeof(struct uwsgi_server) },
};
#endif

/* ------------------------------------------------------------------------------------------------------------
 * Logging. [any] A message is one write: give whole lines, with their newline.
 * ------------------------------------------------------------------------------------------------------------ */
void uwsgi_log(const char *format, ...);         /* printf-like */
void uwsgi_log_verbose(const char *format, ...); /* the same with a time stamp in front */
void uwsgi_log_str(const char *text, size_t len); /* for languages without variadic calls */
void log_request(struct wsgi_request *);         /* [request] the host's request log line, as --log-format says */

#define uwsgi_error(x) uwsgi_log("%s: %s [%s line %d]\n", x, strerror(errno), __FILE__, __LINE__);
#define uwsgi_req_error(x) \
    uwsgi_log_verbose("%s: %s [%s line %d] during %.*s %.*s (%.*s)\n", x, strerror(errno), __FILE__, __LINE__, \
                      wsgi_req->method_len, wsgi_req->method, wsgi_req->uri_len, wsgi_req->uri, \
                      wsgi_req->remote_addr_len, wsgi_req->remote_addr);
#define uwsgi_error_open(x) uwsgi_log("open(\"%s\"): %s [%s line %d]\n", x, strerror(errno), __FILE__, __LINE__);
#define uwsgi_fatal_error(x) \
    uwsgi_error(x); \
    exit(1);
/* for loggers: what they say while they are called goes to the standard error that the server started with */
#define uwsgi_log_safe(x) uwsgi_log(x)
#define uwsgi_error_safe(x) uwsgi_error(x)
#define uwsgi_log_initial uwsgi_log
#define uwsgi_debug(x, ...)

/* A sink of log lines. `arg` is what followed the colon in --logger NAME:ARG. */
struct uwsgi_logger {
    char *name;
    char *id;                /* the name of --logger ID NAME:ARG, or NULL */
    ssize_t (*func)(struct uwsgi_logger *, char *, size_t);
    int configured;          /* 0 at the first call: open your sink, then set it */
    int fd;                  /* -1 at first */
    void *data;
    union uwsgi_sockaddr addr;
    socklen_t addr_len;
    int count;
    struct msghdr msg;
    char *buf;
    char *arg;
    struct uwsgi_logger *next;
};
/* [master] in on_load or init. func(logger, text, len) gets one line or several, newline at the end, in the process
 * that writes the log (workers, master, or one thread of the master with log-master); it must not call uwsgi_log. */
void uwsgi_register_logger(char *name, ssize_t (*func)(struct uwsgi_logger *, char *, size_t));

/* ------------------------------------------------------------------------------------------------------------
 * Process end. [any] atexit work of the host runs; exit() of a plugin means this.
 * ------------------------------------------------------------------------------------------------------------ */
void uwsgi_exit(int code) __attribute__((noreturn));
#define exit(x) uwsgi_exit(x)
#define UWSGI_RELOAD_CODE 17

/* ------------------------------------------------------------------------------------------------------------
 * Memory and strings. [any] Results of type char * are new and yours (free()) unless said otherwise.
 * Allocation never returns NULL: the process ends with a line in the log.
 * ------------------------------------------------------------------------------------------------------------ */
void *uwsgi_malloc(size_t);
void *uwsgi_calloc(size_t);
char *uwsgi_concat2(char *, char *);
char *uwsgi_concat3(char *, char *, char *);
char *uwsgi_concat4(char *, char *, char *, char *);
char *uwsgi_concat2n(char *, int, char *, int);
char *uwsgi_concat3n(char *, int, char *, int, char *, int);
char *uwsgi_concat4n(char *, int, char *, int, char *, int, char *, int);
char *uwsgi_strncopy(char *, int);
#define uwsgi_str(x) uwsgi_concat2(x, (char *) "")
int uwsgi_startswith(char *text, char *prefix, int len);               /* 0: it does */
int uwsgi_starts_with(char *text, int len, char *prefix, int plen);    /* 0: it does */
int uwsgi_endswith(char *text, char *suffix);                          /* 1: it does */
int uwsgi_strncmp(char *, int, char *, int);                           /* 0: same length and bytes */
int uwsgi_strnicmp(char *, int, char *, int);                          /* the same without case */
int uwsgi_contains_n(char *text, size_t len, char *what, size_t wlen); /* 1: it does */
char *uwsgi_get_last_char(char *, char);                               /* points into the text, or NULL */
char *uwsgi_get_last_charn(char *, size_t, char);
char *uwsgi_num2str(int);
char *uwsgi_64bit2str(int64_t);
int uwsgi_num2str2(int, char *buf);            /* writes at most 12 bytes with NUL; returns the length */
int uwsgi_num2str2n(int, char *buf, int size); /* like snprintf */
uint64_t uwsgi_str_num(char *, int len);       /* leading digits */
int uwsgi_str2_num(char *);
int uwsgi_str4_num(char *);
uint16_t uwsgi_be16(char *);
uint32_t uwsgi_be32(char *);
uint64_t uwsgi_be64(char *);
#define uwsgi_n64(x) strtoul(x, NULL, 10)
/* Cuts [text, text+len) at sep into 3 (4) parts that point into it; NULL when there are fewer, else the last one. */
char *uwsgi_split3(char *, size_t, char sep, char **, size_t *, char **, size_t *, char **, size_t *);
char *uwsgi_split4(char *, size_t, char sep, char **, size_t *, char **, size_t *, char **, size_t *, char **, size_t *);
/* Splits at any char of sep outside of quotes; a new array of *count new strings; free each and the array. */
char **uwsgi_split_quoted(char *, size_t, char *sep, size_t *count);
void uwsgi_uuid(char *buf37);                          /* writes a random UUID, 36 characters and NUL */
void escape_json(char *src, size_t len, char *dst);    /* dst holds at least 2*len+1 */
void escape_shell_arg(char *src, size_t len, char *dst); /* dst holds at least 3*len+3 */
int uwsgi_is_again(void);                              /* errno says: would block */
time_t uwsgi_now(void);                                /* seconds since the epoch */
uint64_t uwsgi_micros(void);                           /* microseconds since the epoch */

#define uwsgi_foreach(x, y) for (x = y; x; x = x->next)
#define uwsgi_foreach_token(x, y, z, w) for (z = strtok_r(x, y, &w); z; z = strtok_r(NULL, y, &w))
#ifndef UMIN
#define UMIN(a, b) ((a) > (b) ? (b) : (a))
#endif
#ifndef UMAX
#define UMAX(a, b) ((a) > (b) ? (a) : (b))
#endif
#define UMAX16 65536
#define UMAX8 256
#define MAX64_STR 20
#define UMAX64_STR 21

/* ------------------------------------------------------------------------------------------------------------
 * Buffers. [any], one thread at a time. int results: 0 fine, -1 the limit is reached (nothing was added).
 * ------------------------------------------------------------------------------------------------------------ */
struct uwsgi_buffer *uwsgi_buffer_new(size_t size);
void uwsgi_buffer_destroy(struct uwsgi_buffer *);
int uwsgi_buffer_fix(struct uwsgi_buffer *, size_t len);    /* at least len bytes allocated */
int uwsgi_buffer_ensure(struct uwsgi_buffer *, size_t len); /* len bytes free behind pos */
int uwsgi_buffer_append(struct uwsgi_buffer *, char *, size_t);
int uwsgi_buffer_append_json(struct uwsgi_buffer *, char *, size_t); /* escaped for a JSON string */
int uwsgi_buffer_insert(struct uwsgi_buffer *, size_t at, char *, size_t);
int uwsgi_buffer_insert_chunked(struct uwsgi_buffer *, size_t at, size_t len);
int uwsgi_buffer_append_chunked(struct uwsgi_buffer *, size_t len); /* "hex CRLF" */
int uwsgi_buffer_decapitate(struct uwsgi_buffer *, size_t); /* drops so many bytes from the front */
int uwsgi_buffer_byte(struct uwsgi_buffer *, char);
int uwsgi_buffer_u8(struct uwsgi_buffer *, uint8_t);
int uwsgi_buffer_u16le(struct uwsgi_buffer *, uint16_t);
int uwsgi_buffer_u16be(struct uwsgi_buffer *, uint16_t);
int uwsgi_buffer_u24be(struct uwsgi_buffer *, uint32_t);
int uwsgi_buffer_u32le(struct uwsgi_buffer *, uint32_t);
int uwsgi_buffer_u32be(struct uwsgi_buffer *, uint32_t);
int uwsgi_buffer_u64le(struct uwsgi_buffer *, uint64_t);
int uwsgi_buffer_u64be(struct uwsgi_buffer *, uint64_t);
int uwsgi_buffer_f32be(struct uwsgi_buffer *, float);
int uwsgi_buffer_f64be(struct uwsgi_buffer *, double);
int uwsgi_buffer_num64(struct uwsgi_buffer *, int64_t);     /* in decimal digits */
int uwsgi_buffer_append_keyval(struct uwsgi_buffer *, char *, uint16_t, char *, uint16_t); /* as in a uwsgi packet */
int uwsgi_buffer_append_keyval32(struct uwsgi_buffer *, char *, uint32_t, char *, uint32_t);
int uwsgi_buffer_append_keynum(struct uwsgi_buffer *, char *, uint16_t, int64_t);
int uwsgi_buffer_append_valnum(struct uwsgi_buffer *, int64_t);
int uwsgi_buffer_set_uh(struct uwsgi_buffer *, uint8_t modifier1, uint8_t modifier2); /* fills the first 4 bytes */
int uwsgi_buffer_send(struct uwsgi_buffer *, int fd);       /* writes all; blocks up to socket-timeout */
void uwsgi_buffer_map(struct uwsgi_buffer *, char *, size_t); /* the buffer shows foreign memory; do not grow it */
struct uwsgi_buffer *uwsgi_buffer_from_file(char *file);    /* NULL: cannot be read (errno) */

/* ------------------------------------------------------------------------------------------------------------
 * Option setters, for the `func` of an option row; `data` points at the variable named in the comment. [master]
 * ------------------------------------------------------------------------------------------------------------ */
void uwsgi_opt_set_str(char *, char *, void *);         /* char * */
void uwsgi_opt_set_int(char *, char *, void *);         /* int; no value: 1 */
void uwsgi_opt_set_16bit(char *, char *, void *);       /* uint16_t */
void uwsgi_opt_set_64bit(char *, char *, void *);       /* uint64_t */
void uwsgi_opt_true(char *, char *, void *);            /* int = 1, unless the value is false, no, off or 0 */
void uwsgi_opt_false(char *, char *, void *);           /* int = 0 */
void uwsgi_opt_add_string_list(char *, char *, void *); /* struct uwsgi_string_list * */
void uwsgi_opt_add_addr_list(char *, char *, void *);   /* the same, for addresses */
void uwsgi_opt_print(char *, char *, void *);           /* prints the value, or data as text */
struct uwsgi_string_list *uwsgi_string_new_list(struct uwsgi_string_list **, char *); /* appends; the new node */
struct uwsgi_string_list *uwsgi_string_list_has_item(struct uwsgi_string_list *, char *, size_t);

/* Parses "a=1,b=2": kvlist_parse(text, len, ',', '=', "a", &a, "b", &b, NULL). Each char * is set to a new string
 * of yours, or left alone. -1: unknown key or no value (said in the log). [any] */
int uwsgi_kvlist_parse(char *, size_t, char list_separator, int kv_separator, ...);
int uwsgi_kvlist_parse_pairs(char *, size_t, char list_separator, int kv_separator, char **keys, char ***values,
                             size_t count); /* the same for languages without variadic calls */
/* Calls func(key, keylen, val, vallen, data) for each pair of a uwsgi packet body; -1: malformed. [any] */
int uwsgi_hooked_parse(char *, size_t, void (*func)(char *, uint16_t, char *, uint16_t, void *), void *data);

/* ------------------------------------------------------------------------------------------------------------
 * The request. [request]
 * ------------------------------------------------------------------------------------------------------------ */
int uwsgi_parse_vars(struct wsgi_request *);  /* fills the fields above from the variables; -1: malformed */
char *uwsgi_get_var(struct wsgi_request *, char *key, uint16_t len, uint16_t *vallen); /* into the request; or NULL */
char *uwsgi_get_qs(struct wsgi_request *, char *key, uint16_t len, uint16_t *vallen);  /* of the query string, raw */
char *uwsgi_get_cookie(struct wsgi_request *, char *key, uint16_t len, uint16_t *vallen);
/* Adds a variable; the place of its value in the request, or NULL: no room. */
char *uwsgi_req_append(struct wsgi_request *, char *key, uint16_t keylen, char *val, uint16_t vallen);
/* Reads up to hint bytes of the body (hint 0: all that is left). The result is valid until the next call. At the
 * end: uwsgi.empty with *rlen 0. Error or timeout: NULL with *rlen -1 (client gone) or 0 (time is up). */
char *uwsgi_request_body_read(struct wsgi_request *, ssize_t hint, ssize_t *rlen);
/* The same up to and with a newline; hint > 0 bounds the line. */
char *uwsgi_request_body_readline(struct wsgi_request *, ssize_t hint, ssize_t *rlen);
void uwsgi_request_body_seek(struct wsgi_request *, off_t); /* needs post-buffering */
/* [request] Ends the answer and the client's connection; the request goes on, what it still writes is dropped. */
void uwsgi_disconnect(struct wsgi_request *);
/* [request] A value for %(key) of the request log; copied. */
void uwsgi_logvar_add(struct wsgi_request *, char *key, uint8_t keylen, char *val, uint8_t vallen);
int uwsgi_get_app_id(struct wsgi_request *, char *key, uint16_t len, int modifier1); /* -1: no such mount */
/* Called while an exception of the application is current: asks the exception hooks of the plugin, counts, logs,
 * applies reload-on-exception. catch != 0: also answers with the exception's text. 0: an answer was sent. */
int uwsgi_manage_exception(struct wsgi_request *, int catch_it);

/* ------------------------------------------------------------------------------------------------------------
 * The answer. [request] int results: UWSGI_OK, or -1: refused (a malformed header, headers already sent) or the
 * client has gone (write_errors tells them apart).
 * ------------------------------------------------------------------------------------------------------------ */
int uwsgi_response_prepare_headers(struct wsgi_request *, char *status, uint16_t len); /* "200 OK"; drops headers
                                                                                          added before */
int uwsgi_response_prepare_headers_int(struct wsgi_request *, int status);
int uwsgi_response_add_header(struct wsgi_request *, char *, uint16_t, char *, uint16_t); /* copied */
int uwsgi_response_add_content_length(struct wsgi_request *, uint64_t);
int uwsgi_response_add_content_range(struct wsgi_request *, int64_t from, int64_t to, int64_t size);
int uwsgi_response_add_last_modified(struct wsgi_request *, uint64_t seconds);
int uwsgi_response_add_expires(struct wsgi_request *, uint64_t seconds);
int uwsgi_response_write_headers_do(struct wsgi_request *); /* sends the head now */
int uwsgi_response_write_body_do(struct wsgi_request *, char *, size_t); /* sends the head too, if it was not yet */
int uwsgi_response_sendfile_do(struct wsgi_request *, int fd, size_t pos, size_t len); /* len 0: all; closes fd */
void uwsgi_403(struct wsgi_request *); /* these send a whole short answer */
void uwsgi_404(struct wsgi_request *);
void uwsgi_405(struct wsgi_request *);
void uwsgi_500(struct wsgi_request *);
void uwsgi_redirect_to_slash(struct wsgi_request *);
#define uwsgi_response_add_content_type(x, y, z) uwsgi_response_add_header(x, (char *) "Content-Type", 12, y, z)
#define uwsgi_response_add_connection_close(x) \
    uwsgi_response_add_header(x, (char *) "Connection", 10, (char *) "close", 5)

/* ------------------------------------------------------------------------------------------------------------
 * Applications of a request plugin. [master], with lazy-apps [worker]; one thread.
 * ------------------------------------------------------------------------------------------------------------ */
/* Registers an app under a mountpoint ("" is the default app); the host's record, or NULL: table full. */
struct uwsgi_app *uwsgi_add_app(int id, uint8_t modifier1, char *mountpoint, int len, void *interpreter, void *callable);
void uwsgi_emulate_cow_for_apps(int id); /* shows an app loaded before the fork to all workers */
struct uwsgi_app *uwsgi_apps_of_process(void);
int *uwsgi_apps_cnt_of_process(void);
#define uwsgi_apps uwsgi_apps_of_process()
#define uwsgi_apps_cnt (*uwsgi_apps_cnt_of_process())

/* ------------------------------------------------------------------------------------------------------------
 * Sockets and waiting (layer 2). [any] Timeouts in seconds; results: bytes or fd, -1 error (errno).
 * ------------------------------------------------------------------------------------------------------------ */
void uwsgi_socket_nb(int fd); /* non-blocking */
void uwsgi_socket_b(int fd);  /* blocking */
int uwsgi_connect(char *address, int timeout, int async);
/* The first IPv4 address of a host as text, valid until this thread's next call; NULL: unknown. May ask DNS. */
char *uwsgi_resolve_ip(char *host);
/* Fills the address of "host:port", with colon pointing at its colon, or of a host and the given port (colon NULL).
 * No host: any address. An unknown host becomes 255.255.255.255. The size of the address. */
socklen_t socket_to_in_addr(char *name, char *colon, int port, struct sockaddr_in *address);
/* Fills the address of a unix socket; "@name" and "\0name" are abstract ones. Its size. */
socklen_t socket_to_un_addr(char *name, struct sockaddr_un *address);
int uwsgi_write_nb(int fd, char *, size_t, int timeout); /* writes all: 0, or -1 */
int uwsgi_read_nb(int fd, char *, size_t, int timeout);  /* reads all: 0, or -1 */
void set_harakiri(int seconds);                          /* [request] own deadline for this request; 0: none */
void uwsgi_set_processname(char *);                      /* [any main thread] the title in ps */
int uwsgi_worker_is_busy(int worker_id);                 /* [any] 1: it serves a request */

/* ------------------------------------------------------------------------------------------------------------
 * Gateways: a process of its own in front of the workers.
 * ------------------------------------------------------------------------------------------------------------ */
struct uwsgi_gateway;
/* [master] in init or post_init: asks for a process. func(number, data) runs in [gateway]; it returns when the
 * gateway has ended. The host respawns it; SIGTERM and SIGHUP to it mean: drain and return, SIGINT: return now. */
struct uwsgi_gateway *register_gateway(char *name, void (*func)(int, void *), void *data);

/* ------------------------------------------------------------------------------------------------------------
 * Beyond uWSGI: what other servers of this API do not have. A portable plugin looks them up with dlsym().
 * ------------------------------------------------------------------------------------------------------------ */
/* [master] in init: binds and listens on an address as --socket spells them; over a reload the same socket is handed
 * over. A non-blocking descriptor, or -1 (said in the log). */
int rsgi_gateway_bind(const char *address);
/* [master] in init: asks the workers for a private socket that speaks the gateway link, and writes its address with
 * a NUL; the length, or -1: buffer too small. The address does not change over reloads. */
ssize_t rsgi_gateway_link(char *buf, size_t size);
/* [request] Writes parts of the body in one go. last != 0: nothing follows, so that the host can state the length. */
int rsgi_response_writev(struct wsgi_request *, const struct iovec *parts, size_t count, int last);
/* [request] Whether the client has closed its side (1), without reading from it. */
int rsgi_request_client_gone(struct wsgi_request *);
/* [request] The value that uwsgi_logvar_add() set; its length, or -1. *val is good until the request has ended. */
int rsgi_logvar_get(struct wsgi_request *, char *key, uint8_t keylen, char **val);
/* [any] The modifier1 that a plugin got, by the address of its struct; -1: not loaded. */
int rsgi_plugin_modifier(const struct uwsgi_plugin *);

#ifdef __cplusplus
}
#endif
#endif
