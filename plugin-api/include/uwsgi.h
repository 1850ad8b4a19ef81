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
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <grp.h>
#include <ifaddrs.h>
#include <limits.h>
#include <math.h>
#include <net/if.h>
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
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
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

/*
 * Libraries whose headers uWSGI's one brings along, as far as they are installed; plugins use them without including
 * them. Define RSGI_BARE to leave them out. The build tool links what a plugin uses of them.
 */
#if defined(__has_include) && !defined(RSGI_BARE)
#if __has_include(<openssl/ssl.h>)
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#ifndef UWSGI_SSL
#define UWSGI_SSL
#endif
#endif
#if __has_include(<pcre.h>)
#include <pcre.h>
#endif
#if __has_include(<sys/capability.h>)
#include <sys/capability.h>
#ifndef UWSGI_CAP
#define UWSGI_CAP
#endif
#endif
#if __has_include(<uuid/uuid.h>)
#include <uuid/uuid.h>
#ifndef UWSGI_UUID
#define UWSGI_UUID
#endif
#endif
#if __has_include(<zlib.h>)
#include <zlib.h>
#ifndef UWSGI_ZLIB
#define UWSGI_ZLIB
#endif
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------------------
 * Layer 0: the plugin, its options, its stamp. Frozen in 1.x; structs grow at their end only.
 * ------------------------------------------------------------------------------------------------------------ */

#define UWSGI_PLUGIN_API 1
/* the uWSGI whose sources this header is for; UWSGI_VERSION, of the build tool, is rsgi's own */
#ifndef UWSGI_VERSION_BASE
#define UWSGI_VERSION_BASE 2
#define UWSGI_VERSION_MAJOR 0
#define UWSGI_VERSION_MINOR 21
#define UWSGI_VERSION_REVISION 0
#define UWSGI_VERSION_CUSTOM "rsgi"
#endif
#define UWSGI_PCRE /* patterns: uwsgi_regexp_build() and its kin */
#define UWSGI_ABI_MAJOR 1
#define UWSGI_ABI_MINOR 1

/* the steps of worker_int and worker_abort */
#define UWSGI_STEP_SIGNAL 0 /* inside a signal handler: async-signal-safe calls only */
#define UWSGI_STEP_CALM 1   /* the main thread, outside of a request: anything goes */

/* return values of the request hook */
#define UWSGI_OK 0         /* the request is answered */
#define UWSGI_AGAIN 1      /* call the hook again later (async mode) */
#define UWSGI_ACCEPTING 2

/* flags of an option */
#define UWSGI_OPT_IMMEDIATE (1 << 0)      /* run the setter when the option is met, not after all were read */
#define UWSGI_OPT_MASTER (1 << 1)         /* turns the master on */
#define UWSGI_OPT_LOG_MASTER (1 << 2)     /* log lines go through the master */
#define UWSGI_OPT_THREADS (1 << 3)        /* turns threads on */
#define UWSGI_OPT_CHEAPER (1 << 4)
#define UWSGI_OPT_VHOST (1 << 5)
#define UWSGI_OPT_MEMORY (1 << 6)         /* turns --memory-report on */
#define UWSGI_OPT_PROCNAME (1 << 7)
#define UWSGI_OPT_LAZY (1 << 8)           /* turns --lazy-apps on */
#define UWSGI_OPT_NO_INITIAL (1 << 9)
#define UWSGI_OPT_NO_SERVER (1 << 10)
#define UWSGI_OPT_POST_BUFFERING (1 << 11) /* turns --post-buffering on, 4096 bytes if nothing is said */
#define UWSGI_OPT_CLUSTER (1 << 12)
#define UWSGI_OPT_MIME (1 << 13)
#define UWSGI_OPT_REQ_LOG_MASTER (1 << 14)
#define UWSGI_OPT_METRICS (1 << 15)       /* turns the metrics on; flags without a note have no effect */

struct wsgi_request;
struct uwsgi_buffer;
struct uwsgi_instance;
struct uwsgi_cache;
struct uwsgi_spooler;
struct uwsgi_daemon;
struct uwsgi_shared;
struct uwsgi_thread;

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

    /*
     * Since 1.1: the life of the server and of its workers. Called for both kinds of plugins. "The master" means its
     * one thread, between two rounds of its loop; nothing of the host is locked. Ids count from 1.
     */
    int (*configure)(void);           /* [master] all options were read, nothing was done with them yet: no logger, no
                                         chdir, no environment of --env. The place for rsgi_default_option().
                                         Negative (say why): the start ends with exit code 1 */
    void (*dump_stacks)(int fd);      /* [worker] any thread, inside a signal handler, mostly just before the worker
                                         is killed: write where each thread of your language is to fd. Only
                                         async-signal-safe calls, no lock; the thread may hold yours. Prepare in
                                         post_fork what you need here */
    int (*on_starting)(void);         /* [master] the first start: apps loaded (unless lazy), nothing forked; negative:
                                         the server ends with exit code 1. Not called after a reload */
    void (*on_reload)(void);          /* the master of the new image after its exec, in place of on_starting; also when
                                         workers alone are renewed (chain reload). Before the first new worker */
    int (*when_ready)(void);          /* the master, once per image: every worker takes requests; negative: the server
                                         stops with exit code 1 */
    int (*pre_fork)(int worker_id);   /* the master, before the fork of this worker (pre_uwsgi_fork comes after);
                                         negative: the server stops with exit code 1 */
    void (*child_exit)(int worker_id, int pid, int status); /* the master, after it has reaped a worker, whatever ended
                                         it; status as from waitpid(). Its successor is not forked yet, unless it
                                         replaced it */
    void (*nworkers_changed)(int now, int before); /* the master: so many workers are to run; before is -1 at the start;
                                         also for cheaper and by hand */
    void (*pre_exec)(void);           /* the master, last thing before it becomes the new image (reload, upgrade) */
    int (*worker_int)(int step);      /* [worker] it was told to stop at once (SIGINT, SIGQUIT). UWSGI_STEP_SIGNAL: the
                                         main thread is inside a request hook; 1: you will do your work there and call
                                         uwsgi_exit() soon, 0: nothing to do, the process ends now. UWSGI_STEP_CALM:
                                         do your work and return; the process ends then */
    int (*worker_abort)(int step);    /* [worker] a deadline has passed, or SIGABRT came; the stacks were written. As
                                         worker_int, in any thread for UWSGI_STEP_SIGNAL; the process ends with exit
                                         code 1, or is killed after a short grace */
    void (*worker_exit)(int worker_id); /* [worker] the main thread, first thing of an orderly end, before atexit */
    void (*pre_request)(struct wsgi_request *);  /* [request] parsed, before anything answers it; for every request of
                                         the worker, also those of other plugins and static files */
    void (*post_request)(struct wsgi_request *); /* [request] answered, status and sizes are set; before after_request
                                         and the log line */
    void (*on_exit)(void);            /* the master, last thing of an orderly end; not before an exec */
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
    int (*proto)(struct wsgi_request *); /* for loop engines: 0 a request, 1 more is to come, -1 it is over */
    /* Since 1.1, for the setup function of uwsgi_register_protocol(), which see; of no meaning afterwards. */
    int (*proto_accept)(struct wsgi_request *, int);                  /* never called: the host accepts */
    int (*proto_write)(struct wsgi_request *, char *, size_t);
    int (*proto_write_headers)(struct wsgi_request *, char *, size_t);
    int (*proto_sendfile)(struct wsgi_request *, int, size_t, size_t); /* never called: files go as bytes do */
    ssize_t (*proto_read_body)(struct wsgi_request *, char *, size_t);
    struct uwsgi_buffer *(*proto_prepare_headers)(struct wsgi_request *, char *, uint16_t);
    struct uwsgi_buffer *(*proto_add_header)(struct wsgi_request *, char *, uint16_t, char *, uint16_t);
    int (*proto_fix_headers)(struct wsgi_request *);
    void (*proto_close)(struct wsgi_request *);
    void (*proto_thread_fixup)(struct uwsgi_socket *, int);           /* never called: cores share nothing */
    uint64_t reserved[5];
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
    int64_t range_from;          /* with uwsgi.honour_range, after uwsgi_parse_vars(): the first and the last byte of */
    int64_t range_to;            /* "Range: bytes=A-B"; 0 and 0: none, or one without an end */

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
    char *buffer;                /* uh->pktsize bytes of what the request came in: a uwsgi packet's body, a head */
    int do_not_account;          /* these two are of no effect */
    int do_not_account_avg_rt;
    /* Since 1.1: these eight are for functions of uwsgi_register_protocol(). */
    size_t write_pos;            /* bytes that proto_write has written of what it was given */
    uint64_t proto_parser_pos;   /* these five: the parser's own, kept from call to call; 0 at first */
    uint64_t proto_parser_move;
    int64_t proto_parser_status;
    void *proto_parser_buf;      /* from malloc(): the host frees it with the connection */
    uint64_t proto_parser_buf_size;
    int proto_parser_eof;
    struct uwsgi_buffer *headers; /* in proto_fix_headers: the head so far */
    int async_plagued;           /* these two are the plugin's, reset to 0 before each request */
    int async_force_again;
    uint64_t reserved[5];
};
#define wsgi_req_time ((wsgi_req->end_of_request - wsgi_req->start_of_request) / 1000) /* milliseconds, once it is answered */
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
    int manage_next_request;    /* a plugin sets it to 0 in its worker: replaced after the request */
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

/* A lock that all processes share. A holder that dies gives it up. */
struct uwsgi_lock_item {
    char *id;
    void *lock_ptr;    /* the host's */
    int rw;            /* 1: made by uwsgi_rwlock_init */
    pid_t pid;         /* reserved; uwsgi_lock_check() tells the holder */
    int can_deadlock;  /* 0: never */
    struct uwsgi_lock_item *next;
};

/* What uwsgi_lock(), uwsgi_rlock() and so on are; uwsgi.lock_ops holds them. */
struct uwsgi_lock_ops {
    struct uwsgi_lock_item *(*lock_init)(char *);
    pid_t (*lock_check)(struct uwsgi_lock_item *);
    void (*lock)(struct uwsgi_lock_item *);
    void (*unlock)(struct uwsgi_lock_item *);
    struct uwsgi_lock_item *(*rwlock_init)(char *);
    pid_t (*rwlock_check)(struct uwsgi_lock_item *);
    void (*rlock)(struct uwsgi_lock_item *);
    void (*wlock)(struct uwsgi_lock_item *);
    void (*rwunlock)(struct uwsgi_lock_item *);
};

/* A number by name; *value lies in memory shared by all processes. */
struct uwsgi_metric {
    char *name;
    size_t name_len;
    char *oid;
    size_t oid_len;
    uint8_t type;             /* UWSGI_METRIC_* */
    uint8_t reset_after_push; /* 1: whoever pushes it sets it back to initial_value */
    int64_t *value;
    int64_t initial_value;
    struct uwsgi_metric *next;
    uint64_t reserved[8];
};
#define UWSGI_METRIC_COUNTER 0
#define UWSGI_METRIC_GAUGE 1
#define UWSGI_METRIC_ABSOLUTE 2
#define UWSGI_METRIC_ALIAS 3

/* What the log tells of requests. */
struct uwsgi_logging_options {
    int enabled;
    int memory_report;
};

/*
 * What plugins see of the server: a view that the host refreshes (after the configuration, after bind, after each
 * fork). A plugin may write apps_wanted, gbcw_hook and honour_range; what it writes to loop, wait_read_hook,
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
    void (*gbcw_hook)(void);         /* [worker] has done enough (--max-requests and its kin): called between two requests
                                        in place of the host's own way to replace it, in any thread that serves; it
                                        ends the worker with uwsgi_exit(), or returns, and is called again later */
    struct wsgi_request *(*current_wsgi_req)(void);
    int apps_wanted;                 /* a request plugin adds 1 for each app that its options name */
    int file_wrapper;                /* reserved */
    struct uwsgi_lock_item **user_lock; /* the locks of applications: locks of them */
    struct uwsgi_lock_item *registered_locks; /* all locks that this process knows */
    int locks;
    int rpc_max;                     /* slots of the table of remote procedures */
    struct uwsgi_metric *metrics;    /* those of the operator and of plugins, in the order of their making */
    struct uwsgi_lock_item *metrics_lock; /* NULL without metrics; values are atomic without it */
    struct uwsgi_lock_ops lock_ops;
    struct uwsgi_cache *caches;      /* these four are lists; what they say is refreshed by the master each second */
    struct uwsgi_spooler *spoolers;
    struct uwsgi_daemon *daemons;
    struct uwsgi_shared *shared;
    struct uwsgi_thread *alarm_thread; /* not NULL when there are alarms; its fields are of no use */
    struct wsgi_request *wsgi_req;   /* [worker] that of core 0 */
    uint64_t cheaper_overload;       /* as the options say, these down to mode */
    char *requested_cheaper_algo;
    int original_log_fd;             /* 2, or what it was before the log went elsewhere */
    int no_defer_accept;
    int emperor_tyrant;
    int honour_stdin;                /* 0 */
    int write_errors_exception_only;
    int mules_cnt;
    char *mode;                      /* NULL: none */
    int alarm_cheap;                 /* 0 */
    int force_get_memusage;          /* 0: what workers say of their memory is kept up to date anyway */
    uint64_t max_fd;                 /* descriptors that a process may have */
    struct uwsgi_logging_options logging_options;
    int (*wait_milliseconds_hook)(int milliseconds); /* [request] waits: 0, or negative: interrupted */
    uint64_t reserved[34];
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
#define uwsgi_error_realpath(x) \
    uwsgi_log("realpath() of %s failed: %s [%s line %d]\n", x, strerror(errno), __FILE__, __LINE__);
#define uwsgi_rawlog(x) uwsgi_log_str(x, strlen(x))
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
#define UWSGI_LOGGER_AGAIN (-2) /* not now: the host keeps the text and calls again, with this text first */
/* [master] in on_load or init. func(logger, text, len) gets one line, newline at the end, or what an encoder has made of
 * it, in the process that delivers lines (the master), in a thread of its own once the server runs, one call at a time. It
 * may take a moment: what waits for it meanwhile is bounded, then dropped and counted. It returns len, or -1: the text goes
 * to the standard error that the server started with, or UWSGI_LOGGER_AGAIN. It must not fork. */
void uwsgi_register_logger(char *name, ssize_t (*func)(struct uwsgi_logger *, char *, size_t));

/* ------------------------------------------------------------------------------------------------------------
 * Internal routing: --route "PATTERN NAME:ARGS" and its kin. The functions of a rule run in [request].
 * ------------------------------------------------------------------------------------------------------------ */
#define UWSGI_ROUTING 1
#define UWSGI_ROUTE_NEXT 0     /* the next rule */
#define UWSGI_ROUTE_CONTINUE 1 /* no more rules */
#define UWSGI_ROUTE_BREAK 2    /* no more rules, the request is answered */
struct uwsgi_route {
    void *pattern;           /* these six stay NULL: patterns are the host's */
    void *pattern_extra;
    char *orig_route;
    int *ovn;
    int **ovector;
    struct uwsgi_buffer **condition_ub;
    char *subject_str;       /* the arguments of a condition, NUL-terminated */
    size_t subject_str_len;
    size_t subject;          /* where the text that the pattern looks at lies in struct wsgi_request: a char * */
    size_t subject_len;      /* and its length: a uint16_t */
    int (*if_func)(struct wsgi_request *, struct uwsgi_route *);
    int if_negate;
    int if_status;
    int (*func)(struct wsgi_request *, struct uwsgi_route *); /* what the action does: set by its plugin */
    void *data;              /* all of these down to custom are the plugin's */
    size_t data_len;
    void *data2;
    size_t data2_len;
    void *data3;
    size_t data3_len;
    void *data4;
    size_t data4_len;
    uint64_t custom;
    uint64_t pos;
    char *label;
    size_t label_len;
    char *regexp;
    char *action;            /* NAME:ARGS */
    void (*free)(struct uwsgi_route *);
    struct uwsgi_route *next;
};
struct uwsgi_router {
    char *name;
    int (*func)(struct uwsgi_route *, char *);
    struct uwsgi_router *next;
};
struct uwsgi_route_condition {
    char *name;
    int (*func)(struct wsgi_request *, struct uwsgi_route *);
    struct uwsgi_route_condition *next;
};
struct uwsgi_route_var {
    char *name;
    uint16_t name_len;
    char *(*func)(struct wsgi_request *, char *, uint16_t, uint16_t *);
    int need_free;           /* 1: the host frees what func returns */
    struct uwsgi_route_var *next;
};
/* [master] in on_load or init: an action. func(route, args) runs in [master] after init of all plugins, once for each
 * rule: it sets route->func and data; not 0 refuses the arguments. args and the route live as long as the process. A name
 * of the host's own is kept. */
struct uwsgi_router *uwsgi_register_router(char *name, int (*func)(struct uwsgi_route *, char *));
/* [master] in on_load or init: a condition of --route-if. func answers 1 or 0; its arguments are route->subject_str. */
struct uwsgi_route_condition *uwsgi_register_route_condition(char *name,
                                                             int (*func)(struct wsgi_request *, struct uwsgi_route *));
/* [master] in on_load or init: ${name[key]}. func(request, key, keylen, &len) answers the value, or NULL. */
struct uwsgi_route_var *uwsgi_register_route_var(char *name,
                                                 char *(*func)(struct wsgi_request *, char *, uint16_t, uint16_t *));
/* [request] Does what a rule NAME:ARGS would: UWSGI_ROUTE_NEXT, _CONTINUE or _BREAK; -1: nobody knows it (said in the
 * log). */
int uwsgi_route_api_func(struct wsgi_request *, char *name, char *args);
/* [request] data with $1 and ${...} filled in, in a new buffer (uwsgi_buffer_destroy); NULL: it is no such text. The
 * groups are those of the last pattern that matched. */
struct uwsgi_buffer *uwsgi_routing_translate(struct wsgi_request *, struct uwsgi_route *, char *subject,
                                             uint16_t subject_len, char *data, size_t len);

/* ------------------------------------------------------------------------------------------------------------
 * Alarms: --alarm "NAME KIND:ARG". The host has the kinds cmd, signal, mule and log.
 * ------------------------------------------------------------------------------------------------------------ */
struct uwsgi_alarm_instance {
    char *name;
    char *arg;               /* what followed the colon */
    void *data_ptr;          /* these five are the plugin's */
    uint8_t data8;
    uint16_t data16;
    uint32_t data32;
    uint64_t data64;
    time_t last_run;         /* these three stay 0: the host keeps its own record of what it repeats */
    char *last_msg;
    size_t last_msg_size;
    struct uwsgi_alarm *alarm;
    struct uwsgi_alarm_instance *next;
};
struct uwsgi_alarm {
    char *name;
    void (*init)(struct uwsgi_alarm_instance *);
    void (*func)(struct uwsgi_alarm_instance *, char *, size_t);
    struct uwsgi_alarm *next;
};
/* [master] in on_load or init: a kind of alarm. init(alarm) runs in [master] after init of all plugins, once for each
 * alarm of the kind; func(alarm, message, len) in [master], for each that is raised, in its only thread: it must not
 * block. The message is no C text, and gone when func returns. */
void uwsgi_register_alarm(char *kind, void (*init)(struct uwsgi_alarm_instance *),
                          void (*func)(struct uwsgi_alarm_instance *, char *, size_t));
/* [any] Raises an alarm by its name; the message is copied, and cut to --alarm-msg-size. */
void uwsgi_alarm_trigger(char *name, char *message, size_t len);

/* ------------------------------------------------------------------------------------------------------------
 * Actions of operators' hooks: --hook-PHASE name:argument.
 * ------------------------------------------------------------------------------------------------------------ */
/* [master] in on_load (for hook-asap) or init. func(argument) runs in the process of the phase; anything but 0 is a
 * failure and ends that process. argument stays valid for the life of the process. A name of the host's own is kept. */
void uwsgi_register_hook(char *name, int (*func)(char *));

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
/* Splits at each char of sep outside of quotes, so that parts may be empty; a new array of *count new strings; free each and
 * the array. */
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
void uwsgi_buffer_map(struct uwsgi_buffer *, char *, size_t); /* memory of malloc() in place of what it had, which is freed */
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
 * of yours, or left alone. Unknown keys and those without a value are left out, which the log tells. 0. [any] */
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
int uwsgi_response_prepare_headers(struct wsgi_request *, char *status, uint16_t len); /* "200 OK", or "200"; drops headers
                                                                                          added before */
int uwsgi_response_prepare_headers_int(struct wsgi_request *, int status);
int uwsgi_response_add_header(struct wsgi_request *, char *, uint16_t, char *, uint16_t); /* copied; no name: the value is a
                                                                                            whole line, "Name: value" */
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
 * uWSGI signals: numbers that any process raises and that a worker, a mule or a spooler handles. Functions that
 * return int give 0, or -1 with the reason in the log, unless said otherwise.
 * ------------------------------------------------------------------------------------------------------------ */
/* [master] before the fork, [worker]: the handler of this process (and of those forked from it later), for the hook
 * signal_handler of plugin modifier1. Target: NULL, "", worker, workerN, workers, active-workers, mule, muleN, mules,
 * farmN, farm_NAME or spooler; it counts for all processes. */
int uwsgi_register_signal(uint8_t signal, char *target, void *handler, uint8_t modifier1);
int uwsgi_signal_registered(uint8_t signal);                 /* [any] 1: this process has a handler */
int uwsgi_signal_send(int fd, uint8_t signal);               /* [any] raises it; fd is ignored. -1: not accepted */
int uwsgi_remote_signal_send(char *address, uint8_t signal); /* [any] 1: accepted, 0: refused, -1: nobody there */
/* [master, worker] Sources; what a worker asks for ends with it. */
int uwsgi_add_timer(uint8_t signal, int seconds);
int uwsgi_signal_add_rb_timer(uint8_t signal, int seconds, int iterations); /* iterations 0: for ever */
int uwsgi_signal_add_cron(uint8_t signal, int minute, int hour, int day, int month, int weekday);
int uwsgi_add_file_monitor(uint8_t signal, char *path);
/* [worker, mule] Waits for a signal (-1: any), runs the handlers of all that come; the one that ended it, or -1. */
int uwsgi_signal_wait(int signal);
/* [worker] uwsgi.signal_socket or uwsgi.my_signal_socket is readable: runs what waits there. */
void uwsgi_receive_signal(int fd, char *name, int id);

/* ------------------------------------------------------------------------------------------------------------
 * Locks
 * ------------------------------------------------------------------------------------------------------------ */

/* [master] before the fork: a lock that all processes share from here on; the name is copied. NULL: no memory. A
 * read lock excludes other readers too. */
struct uwsgi_lock_item *uwsgi_lock_init(char *name);
struct uwsgi_lock_item *uwsgi_rwlock_init(char *name);
/* [any] Waits until the lock is free and takes it. Who has it already keeps it. */
void uwsgi_lock(struct uwsgi_lock_item *);
/* [any] The thread that took the lock gives it back. */
void uwsgi_unlock(struct uwsgi_lock_item *);
/* [any] The same for those of uwsgi_rwlock_init(). */
void uwsgi_rlock(struct uwsgi_lock_item *);
void uwsgi_wlock(struct uwsgi_lock_item *);
void uwsgi_rwunlock(struct uwsgi_lock_item *);
/* [any] The pid of the holder; 0: nobody has the lock. */
pid_t uwsgi_lock_check(struct uwsgi_lock_item *);

/* ------------------------------------------------------------------------------------------------------------
 * Caches. A name is that of a cache of this instance, name@address of one in another instance (which is asked, up to
 * socket-timeout), or NULL: the first one.
 * ------------------------------------------------------------------------------------------------------------ */
#define UWSGI_CACHE_FLAG_UNGETTABLE (1 << 0) /* no effect */
#define UWSGI_CACHE_FLAG_UPDATE (1 << 1)     /* an item of the key is replaced */
#define UWSGI_CACHE_FLAG_LOCAL (1 << 2)      /* no effect */
#define UWSGI_CACHE_FLAG_ABSEXPIRE (1 << 3)  /* expires is a moment, seconds since the epoch */
#define UWSGI_CACHE_FLAG_MATH (1 << 4)       /* value is an int64_t: the item's number is changed by it as follows */
#define UWSGI_CACHE_FLAG_INC (1 << 5)
#define UWSGI_CACHE_FLAG_DEC (1 << 6)
#define UWSGI_CACHE_FLAG_MUL (1 << 7)
#define UWSGI_CACHE_FLAG_DIV (1 << 8)
#define UWSGI_CACHE_FLAG_FIXEXPIRE (1 << 9)  /* a number keeps its end when expires is 0; always so */

/* [any] The value of a key, its length and the moment it ends (0: never; both places may be NULL); yours to free().
 * NULL: no such key, or no such cache. */
char *uwsgi_cache_magic_get(char *key, uint16_t keylen, uint64_t *vallen, uint64_t *expires, char *cache);
/* [any] Puts an item in for so many seconds, 0: for ever. 0, or -1: the key is there, or it does not fit. */
int uwsgi_cache_magic_set(char *key, uint16_t keylen, char *value, uint64_t vallen, uint64_t expires, uint64_t flags,
                          char *cache);
int uwsgi_cache_magic_del(char *key, uint16_t keylen, char *cache);    /* [any] 0, or -1: it was not there */
int uwsgi_cache_magic_exists(char *key, uint16_t keylen, char *cache); /* [any] 1: it is there, 0: it is not */
int uwsgi_cache_magic_clear(char *cache);                              /* [any] 0, or -1: no such cache */

/* ------------------------------------------------------------------------------------------------------------
 * The queue (--queue): messages in a ring of slots. [any]
 * ------------------------------------------------------------------------------------------------------------ */
int uwsgi_queue_push(char *message, uint64_t len);              /* 0, or -1: no queue, empty or too long */
char *uwsgi_queue_pull(uint64_t *len);                          /* the oldest, yours to free(); NULL: none */
char *uwsgi_queue_pop(uint64_t *len);                           /* the newest, yours to free(); NULL: none */
char *uwsgi_queue_get(uint64_t slot, uint64_t *len);            /* a copy of a slot's, yours to free(); or NULL */
int uwsgi_queue_set(uint64_t slot, char *message, uint64_t len);

/* ------------------------------------------------------------------------------------------------------------
 * Shared areas (--sharedarea), by their number. [any] int results: 0, or -1: no such area, or not all of it is inside.
 * Each call holds the area's lock, unless this thread has it.
 * ------------------------------------------------------------------------------------------------------------ */
int64_t uwsgi_sharedarea_read(int id, uint64_t pos, char *buf, uint64_t len); /* len 0: to the end; how many, or -1 */
int uwsgi_sharedarea_write(int id, uint64_t pos, char *bytes, uint64_t len);
int uwsgi_sharedarea_read8(int id, uint64_t pos, int8_t *value);
int uwsgi_sharedarea_read16(int id, uint64_t pos, int16_t *value);
int uwsgi_sharedarea_read32(int id, uint64_t pos, int32_t *value);
int uwsgi_sharedarea_read64(int id, uint64_t pos, int64_t *value);
int uwsgi_sharedarea_write8(int id, uint64_t pos, int8_t *value);
int uwsgi_sharedarea_write16(int id, uint64_t pos, int16_t *value);
int uwsgi_sharedarea_write32(int id, uint64_t pos, int32_t *value);
int uwsgi_sharedarea_write64(int id, uint64_t pos, int64_t *value);
int uwsgi_sharedarea_inc32(int id, uint64_t pos, int32_t by);
int uwsgi_sharedarea_inc64(int id, uint64_t pos, int64_t by);
int uwsgi_sharedarea_dec32(int id, uint64_t pos, int32_t by);
int uwsgi_sharedarea_dec64(int id, uint64_t pos, int64_t by);
int uwsgi_sharedarea_rlock(int id); /* these two wait, and exclude everybody else; -2: this thread has it already */
int uwsgi_sharedarea_wlock(int id);
int uwsgi_sharedarea_unlock(int id);

/* ------------------------------------------------------------------------------------------------------------
 * Metrics, by name or, with name NULL, by object identifier. Those of the server itself can be read.
 * ------------------------------------------------------------------------------------------------------------ */
/* [master] in init or post_init: one more; NULL: there is one of this name, or no room (said in the log). Its value is
 * what is written to *metric->value. With the collector "ptr" it follows *(int64_t *) value, which the master reads each
 * second and which is never freed; with that of uwsgi_register_metric_collector() it is computed each freq seconds; custom is
 * of no effect. */
struct uwsgi_metric *uwsgi_register_metric(char *name, char *oid, uint8_t type, char *collector, void *value,
                                           uint32_t freq, void *custom);
int64_t uwsgi_metric_get(char *name, char *oid);          /* [any] 0: also when there is none */
int uwsgi_metric_set(char *name, char *oid, int64_t);     /* [any] these change one of the operator or of a plugin: 0, */
int uwsgi_metric_inc(char *name, char *oid, int64_t);     /* or -1: there is none */
int uwsgi_metric_dec(char *name, char *oid, int64_t);
int uwsgi_metric_mul(char *name, char *oid, int64_t);
int uwsgi_metric_div(char *name, char *oid, int64_t);     /* not by 0 */
int uwsgi_metric_set_max(char *name, char *oid, int64_t); /* if that is larger than the value */
int uwsgi_metric_set_min(char *name, char *oid, int64_t);

/* ------------------------------------------------------------------------------------------------------------
 * Remote procedures: up to 255 arguments of up to 65535 bytes each; to another instance 65535 bytes in all.
 * ------------------------------------------------------------------------------------------------------------ */

/* [any] Registers a function in this process, and in those forked from it, for the rpc hook of the plugin; one of the
 * same name is replaced. The name is copied, at most 254 bytes. 0, or -1 with the reason in the log. */
int uwsgi_register_rpc(char *name, struct uwsgi_plugin *, uint8_t argc, void *function);
/* [any] Calls a function of this process; the length of *response, yours to free(), or 0: nothing came back. */
uint64_t uwsgi_rpc(char *name, uint8_t argc, char **argv, uint16_t argvs[], char **response);
/* [any] The same in another instance; node NULL or "": in this process. Yours to free(); NULL: nothing came back. It
 * waits up to socket-timeout. */
char *uwsgi_do_rpc(char *node, char *name, uint8_t argc, char **argv, uint16_t argvs[], uint64_t *len);

/* ------------------------------------------------------------------------------------------------------------
 * Websockets, and chunked bodies. [request] Pings and close frames are answered for you, text is checked to be UTF-8,
 * and what --websockets-max-size, -ping-freq and -pong-tolerance say is kept to. -1 or NULL: the conversation is over
 * (or never began); the client was told why, if it is there. The end of the request closes what is still open.
 * ------------------------------------------------------------------------------------------------------------ */
/* Answers the upgrade. Key, origin and protocol of length 0 are taken from the request. 0, or -1. */
int uwsgi_websocket_handshake(struct wsgi_request *, char *key, uint16_t, char *origin, uint16_t, char *proto, uint16_t);
/* The next message, waiting for it; a new buffer, yours (uwsgi_buffer_destroy). _nb: an empty one when none is there. */
struct uwsgi_buffer *uwsgi_websocket_recv(struct wsgi_request *);
struct uwsgi_buffer *uwsgi_websocket_recv_nb(struct wsgi_request *);
int uwsgi_websocket_send(struct wsgi_request *, char *, size_t); /* a text */
int uwsgi_websocket_send_binary(struct wsgi_request *, char *, size_t);
/* The next chunk of a chunked body, whole, waiting timeout seconds (0: as configured) or not at all (nb). Good until
 * the next read; length 0 at the end. NULL: errno is EAGAIN when it has not come, else the body is broken. */
char *uwsgi_chunked_read(struct wsgi_request *, size_t *len, int timeout, int nb);

/* ------------------------------------------------------------------------------------------------------------
 * Mules and spoolers
 * ------------------------------------------------------------------------------------------------------------ */

/* [any] Writes a task for the spooler: a packet's body (its keys spooler, priority and at say where and when) and what
 * follows it. The request may be NULL. The file's path, yours to free(); NULL: not written (said in the log). */
char *uwsgi_spool_request(struct wsgi_request *, char *packet, size_t len, char *body, size_t body_len);
/* [any] a message into the queue behind a descriptor (rsgi_mule_queue): 0 sent, -1 the queue is full. */
int mule_send_msg(int fd, char *message, size_t len);
/* [worker] a mule waits for a message; timeout in seconds, -1: for ever. The message is the caller's, cut to size.
 * Its length, or -1: not a mule, or nothing came in time. It does not return when the mule is told to leave. */
ssize_t uwsgi_mule_get_msg(int manage_signals, int manage_farms, char *message, size_t size, int timeout);

/* ------------------------------------------------------------------------------------------------------------
 * Beyond uWSGI: what other servers of this API do not have. A portable plugin looks them up with dlsym().
 * ------------------------------------------------------------------------------------------------------------ */
/* [master] in init: binds and listens on an address as --socket spells them; over a reload the same socket is handed
 * over. A non-blocking descriptor, or -1 (said in the log). */
int rsgi_gateway_bind(const char *address);
/* [master] in init: asks the workers for a private socket that speaks the gateway link, and writes its address with
 * a NUL; the length, or -1: buffer too small. The address does not change over reloads. */
ssize_t rsgi_gateway_link(char *buf, size_t size);
/* [any] uwsgi_alarm_trigger with an answer: 0, or -1 with the reason in the log. */
int rsgi_alarm(const char *name, const char *message, size_t len);
/* [any] The directory of a spooler, from 0: its length, at most size bytes of it written; -1: there is none. */
int rsgi_spooler_dir(int number, char *buf, size_t size);
/* [any] The pid of a spooler's process, from 0; 0: it does not run now, -1: there is none. */
int rsgi_spooler_pid(int number);
/* [any] Seconds between two looks of all spoolers into their directories; 0: as configured. */
void rsgi_spooler_frequency(int seconds);
/* [any] The path of a task that waits, from 0, as rsgi_spooler_dir. */
int rsgi_spooler_job(int number, char *buf, size_t size);
/* [any] a message to a mule, 0: to whichever is free first: 0 sent, -1 full, -2 no such mule, -3 over 64 KiB. */
int rsgi_mule_send(int mule, const char *message, size_t len);
/* [any] the descriptor of a mule's queue, 0: of the one that all mules read; -1: none. It stays the host's. */
int rsgi_mule_queue(int mule);
/* [any] the same as rsgi_mule_send, to a farm by its name. */
int rsgi_farm_send(const char *farm, const char *message, size_t len);
/* [worker] a mule waits for a message of its farms: its length, -1: not a mule. */
ssize_t rsgi_farm_get_msg(char *message, size_t size);
/* [any] 1: this process is a mule of the farm, NULL: of any. */
int rsgi_in_farm(const char *farm);
/* [any] Copies the value of a key of a cache of this instance, as much as fits into size bytes: its whole length, or -1:
 * no such key or cache. No lock, no system call. */
ssize_t rsgi_cache_get(const char *key, size_t keylen, char *buf, size_t size, const char *cache);
/* [any] Calls func(key, keylen, data) for each key of a cache of this instance; -1: no such cache. */
int rsgi_cache_keys(const char *cache, void (*func)(const char *, size_t, void *), void *data);
/* [any] The message that was pushed last (back 0), or before that; a copy, yours to free(). NULL: none. */
char *rsgi_queue_last(uint64_t back, uint64_t *len);
/* [any] How many slots the queue has, 0: there is none; where the next message is pushed and pulled (NULL: never mind). */
uint64_t rsgi_queue_slots(uint64_t *push, uint64_t *pull);
/* [any] The first byte of a shared area, which stays mapped, and its size; NULL: no such area. */
char *rsgi_sharedarea(int id, uint64_t *size);
/* [any] The name of a function that this process has registered, from 0: its length, at most size bytes of it written;
 * -1: there is none. */
int rsgi_rpc_name(int number, char *buf, size_t size);
/* [any] Takes a lock, 0: taken, -1: somebody else has it (wait 0 only), -2: this thread has it already. */
int rsgi_lock(struct uwsgi_lock_item *, int wait);
/* [request] Writes parts of the body in one go. last != 0: nothing follows, so that the host can state the length. */
int rsgi_response_writev(struct wsgi_request *, const struct iovec *parts, size_t count, int last);
/* [request] The same without waiting for the client (not in event mode, which never waits), for callers that hold a lock of their interpreter: 0: it has taken all,
 * 1: the rest is kept and rsgi_response_wait() has to be called, the lock given away, -1: the client has gone. last 2: as 1,
 * and the hook returns at once, so that the end of the connection may leave with the answer. */
int rsgi_response_writev_now(struct wsgi_request *, const struct iovec *parts, size_t count, int last);
int rsgi_response_wait(struct wsgi_request *);
/* [request] Whether the client has closed its side (1), without reading from it. */
int rsgi_request_client_gone(struct wsgi_request *);
/* [request] What is there of the body now, without waiting: its length and place (good until the next read), 0: the
 * end, -2: nothing yet, -1: the client has gone, or what it sent is no body. */
ssize_t rsgi_request_body_read_nb(struct wsgi_request *, char **data);
/* [request] 1: all of the body was handed out. */
int rsgi_request_body_is_read(struct wsgi_request *);
/* [request] As uwsgi_websocket_handshake(), behind the status (101) and headers that were prepared before. */
int rsgi_websocket_accept(struct wsgi_request *);
/* [request] The next message if it is there: 1: a text, 2: binary, 0: none yet, negative: over, the close code with a
 * minus in front. Good until the next call about this request. */
int rsgi_websocket_read(struct wsgi_request *, char **data, size_t *len);
/* [request] Sends a close frame; code and reason (UTF-8, cut at 123 bytes) are for the client. */
void rsgi_websocket_close(struct wsgi_request *, int code, const char *reason, size_t len);

/*
 * Event mode: a worker whose loop is the plugin's serves as many requests at a time as come, or as --async says. The plugin's `worker` hook
 * calls rsgi_events_begin(), watches the descriptor it gets in its loop, and calls rsgi_events_turn() whenever that is
 * readable. All of this happens in the worker's main thread. The host accepts, reads, parses, frames, times out, logs.
 *
 * A request that `request` gets is the plugin's until rsgi_events_finish(), which it may call in that very call or at any
 * later time. Until then all functions about a request may be called for it, from the main thread; those that write
 * never wait: what the client does not take is kept (rsgi_events_kept), and `ready` tells when it has left. Functions
 * that wait for the body (uwsgi_request_body_read) hold up all requests: use rsgi_request_body_read_nb().
 */
#define RSGI_READABLE 1 /* there may be more of the body, or of a websocket */
#define RSGI_DRAINED 2  /* all that was written has left */
#define RSGI_GONE 4     /* the client has closed its side; it may still read */
#define RSGI_LATE 8     /* the request is over --harakiri: end it */
struct rsgi_events {
    size_t size;                                   /* of this struct */
    uint8_t modifier1;                             /* whose requests are meant; others are served as elsewhere */
    uint8_t whole_body;                            /* 1: the body is read before `request` is called: reading it
                                                      does not wait then */
    void (*request)(struct wsgi_request *);        /* a request, parsed */
    void (*ready)(struct wsgi_request *, int what); /* something happened to one that is not finished */
};
/* [worker] in the worker hook, once: from now on the worker takes requests. A descriptor to watch, the host's; or -1. */
int rsgi_events_begin(const struct rsgi_events *);
/* [worker] Does what can be done now. 0: wait for the descriptor, 1: the worker ends (leave the loop, return 1 from the
 * hook), 2: there is more to do, call again soon. */
int rsgi_events_turn(void);
/* [worker] The request is answered; complete 0: it failed, which the client gets to know. The request is gone then.
 * 1: call rsgi_events_turn() soon, for what comes next on the connection. */
int rsgi_events_finish(struct wsgi_request *, int complete);
/* [worker] Bytes of the answer that the client did not take yet. */
size_t rsgi_events_kept(struct wsgi_request *);
/* [worker] Before anything was written: writes of this request wait for the client after all, and all others with them. */
void rsgi_events_wait(struct wsgi_request *);

/* [request] The value that uwsgi_logvar_add() set; its length, or -1. *val is good until the request has ended. */
int rsgi_logvar_get(struct wsgi_request *, char *key, uint8_t keylen, char **val);
/* [master] in configure: gives an option of the configuration a value that counts unless the user gave one, for it or
 * for one of the options named in `unless` (commas; may be NULL). value NULL: a flag. May be called several times for
 * an option that may be given several times. 1: taken, 0: the user's word counts, -1: no such option. `origin` says in
 * messages where the value comes from. */
int rsgi_default_option(const char *name, const char *value, const char *unless, const char *origin);
/* [worker], any thread: a worker whose loop is its own (worker override) is alive. Once called, it must be called
 * again within --worker-heartbeat seconds, or the worker is killed and replaced. No system call. */
void rsgi_notify_alive(void);
/* [any] The modifier1 that a plugin got, by the address of its struct; -1: not loaded. */
int rsgi_plugin_modifier(const struct uwsgi_plugin *);
/* [master, worker] A timer with a period in nanoseconds; iterations 0: for ever. 0, or -1. */
int rsgi_add_timer(uint8_t signal, int64_t nanoseconds, int iterations);
/* [master, worker] recursive != 0: folders below count too. 0, or -1. */
int rsgi_add_file_monitor(uint8_t signal, const char *path, int iterations, int recursive);
/* [master, worker] Takes away all timers (0), crons (1), file monitors (2) of a signal. 0, or -1. */
int rsgi_remove_source(uint8_t signal, int kind);
/* [master, worker] Takes the handler of this process away, and the target everywhere. 0, or -1: there is none. */
int rsgi_unregister_signal(uint8_t signal);
/* [any] What a one-letter placeholder of the configuration stands for, as %d in the first file that was read: its length,
 * at most size bytes of it written; -1: the letter has no meaning. */
int rsgi_magic(char letter, char *buf, size_t size);
/* [any] Whether the signal is raised once for each receiver while it waits there (1), or each time (0, the default).
 * It counts in all processes. 0, or -1: there are no signals yet. */
int rsgi_signal_coalesce(uint8_t signal, int once);
/* [any] The signal that this thread's last uwsgi_signal_wait() ended with; -1: none. */
int rsgi_signal_received(void);
/* [any] Why this thread's last call for signals returned -1; valid until its next one. */
const char *rsgi_signal_error(void);
/* [any] What a file, exec://, fd://, data:// or http:// holds, in memory of malloc(); add_zero 1: with a NUL that *size counts.
 * The last argument is not used. NULL: it cannot be read, which the log tells. */
char *uwsgi_open_and_read(char *url, size_t *size, int add_zero, char *magic_table[]);
/* [request] 1: a message came whole with others before it: the socket will not become readable for it. */
int rsgi_websocket_waits(struct wsgi_request *);
/* [request] As set_harakiri(), for this request: in event mode `ready` says RSGI_LATE when the time is over. */
void rsgi_set_harakiri(struct wsgi_request *, int seconds);
/* [worker] after rsgi_events_begin(): `seen` is told each signal that the host took from this worker's queues, after its
 * handler; handled 0: it has none, or that failed. It returns 1 if somebody waited for the signal. handled -1: the worker
 * leaves, and whoever still waits waits in vain. */
void rsgi_events_on_signal(int (*seen)(uint8_t signal, int handled));

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: what goes out by itself, and what is asked for by name (layer 1).
 * ------------------------------------------------------------------------------------------------------------ */
struct uwsgi_stats_pusher_instance;
/* A kind of --stats-push KIND[:ARG]. */
struct uwsgi_stats_pusher {
    char *name;
    void (*func)(struct uwsgi_stats_pusher_instance *, time_t, char *, size_t);
    int raw;                 /* set it to 1 after the registration: func wants no document, it reads uwsgi.metrics */
    struct uwsgi_stats_pusher *next;
};
/* One --stats-push of a plugin's kind. */
struct uwsgi_stats_pusher_instance {
    struct uwsgi_stats_pusher *pusher;
    char *arg;               /* what followed the colon, or NULL; the plugin's to change */
    void *data;              /* the plugin's */
    int raw;                 /* 1: as of its pusher */
    int configured;          /* 0 at first: parse arg, then set it */
    int freq;                /* seconds between two calls; 0: --stats-pusher-default-freq, else 3 */
    time_t last_run;
    struct uwsgi_stats_pusher_instance *next;
    int needs_retry;         /* func sets it to 1: it did not work */
    int retries;             /* so many so far */
    int max_retries;         /* 0: none */
    int retry_delay;         /* seconds */
    time_t next_retry;
};
/* [master] in on_load or init; the record is the host's and stays. func(instance, now, json, len) runs in the master's
 * process in one thread for all pushers of plugins, after the first fork, one call at a time; json is the document of the
 * statistics server, good during the call, NULL for a raw one. It may block; what is due meanwhile is left out. A kind of
 * the host's own of this name is replaced. */
struct uwsgi_stats_pusher *uwsgi_register_stats_pusher(char *name,
                                                       void (*func)(struct uwsgi_stats_pusher_instance *, time_t,
                                                                    char *, size_t));
/* [master] up to post_init: one more, as if --stats-push named it; arg is kept, not copied. The record is the host's. */
struct uwsgi_stats_pusher_instance *uwsgi_stats_pusher_add(struct uwsgi_stats_pusher *, char *arg);

struct uwsgi_logchunk;
/* [master] in on_load or init: %(name) of --log-format. func(request, &text) runs in [request] after the answer, and
 * returns the length of text, 0 or less: a dash is written. need_free 1: the host free()s text. The bytes go into the line
 * without control characters, else as they are. Goes before a name of the host's own. The record is opaque, never NULL. */
struct uwsgi_logchunk *uwsgi_register_logchunk(char *name, ssize_t (*func)(struct wsgi_request *, char **), int need_free);

/* A value of uwsgi_logvar_add(). */
struct uwsgi_logvar {
    char key[256];
    uint8_t keylen;
    char val[256];
    uint8_t vallen;
    struct uwsgi_logvar *next; /* NULL */
};
/* [request] The variable, or NULL; good until this thread's next call. Not to be written. */
struct uwsgi_logvar *uwsgi_logvar_get(struct wsgi_request *, char *key, uint8_t keylen);

struct uwsgi_exception_handler;
/* One --exception-handler NAME[:ARG]. */
struct uwsgi_exception_handler_instance {
    struct uwsgi_exception_handler *handler; /* opaque */
    int configured;          /* 0 at the first call: open what you need, then set it */
    int fd;                  /* -1 at first; this and the next are the plugin's */
    char *arg;               /* what followed the colon, or NULL */
    void *custom_ptr;
    struct uwsgi_exception_handler_instance *next;
};
/* [master] in on_load or init: a handler of the exceptions that uwsgi_manage_exception() is told. func(instance, packet,
 * len) runs in [worker], in one thread beside the requests, one call at a time; it may block. packet is the body of a uwsgi
 * packet (uwsgi_hooked_parse), good during the call: vars (itself such a body: the request's variables), backtrace (array:
 * file, line, function, code, extra of each frame), class, msg, repr, unix (seconds), wid, core, pid, node. 0, or another
 * number: it failed, which is logged. The record is opaque, never NULL. */
struct uwsgi_exception_handler *uwsgi_register_exception_handler(char *name,
                                                                 int (*func)(struct uwsgi_exception_handler_instance *,
                                                                             char *, size_t));
/* [any] Calls func(index, value, len, data) for each element of an array of texts (uint16_t length, bytes); -1:
 * malformed. */
int uwsgi_hooked_parse_array(char *, size_t, void (*func)(uint16_t, char *, uint16_t, void *), void *data);

/* [master] in on_load: --cheaper-algo NAME. func(can_spawn) runs in [master] once a second and looks at uwsgi.workers:
 * above 0: so many more workers, below 0: one less, 0: as it is. can_spawn 0: memory is short, more are not started. */
void uwsgi_register_cheaper_algo(char *name, int (*func)(int can_spawn));

/* One --log-encoder NAME[:LOGGER] ARGS. */
struct uwsgi_log_encoder {
    char *name;
    char *(*func)(struct uwsgi_log_encoder *, char *, size_t, size_t *);
    int configured;          /* 0 at the first call */
    char *use_for;           /* the logger that was named, or NULL */
    char *args;              /* or NULL */
    void *data;              /* the plugin's */
    struct uwsgi_log_encoder *next;
};
/* [master] in on_load. func(encoder, line, len, &newlen) runs in the process that delivers lines (the master), one call at
 * a time for each encoder; it returns what the line becomes, from malloc(), free()d by the host, or NULL: the line is left
 * as it was. A name of the host's own is kept. */
void uwsgi_register_log_encoder(char *name, char *(*func)(struct uwsgi_log_encoder *, char *, size_t, size_t *));

/* A source of time for uwsgi_now() and uwsgi_micros(): --clock NAME. */
struct uwsgi_clock {
    char *name;
    time_t (*seconds)(void);       /* [any] since the epoch */
    uint64_t (*microseconds)(void); /* [any] since the epoch */
    struct uwsgi_clock *next;      /* the host's */
};
/* [master] in on_load: the record stays the plugin's and must stay. */
void uwsgi_register_clock(struct uwsgi_clock *);

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: options of the host, set from a plugin's option row (layer 1). [master], as the func of a row.
 * ------------------------------------------------------------------------------------------------------------ */
/* The value becomes one more node, with its pattern compiled; a wrong pattern ends the start with a line. data: struct
 * uwsgi_regexp_list *. */
void uwsgi_opt_add_regexp_list(char *, char *, void *);
/* Values of the host's own options mule, set-placeholder (NAME=VALUE), socket: data is not used. */
void uwsgi_opt_add_mule(char *, char *, void *);
void uwsgi_opt_set_placeholder(char *, char *, void *);
void uwsgi_opt_add_lazy_socket(char *, char *, void *);
void uwsgi_opt_set_logger(char *, char *, void *);  /* --logger; data: NULL or the kind, the value is its argument */
void uwsgi_opt_uid(char *, char *, void *);         /* data: NULL: --uid, else uid_t */
void uwsgi_opt_gid(char *, char *, void *);         /* data: NULL: --gid, else gid_t */
void uwsgi_opt_deprecated(char *, char *, void *);  /* says so; data: a text of what to use instead */
/* Any option, as if the configuration had it: key, value (may be NULL); both must stay. The last argument is not used. */
void add_exported_option(char *key, char *value, int configured);

/* Patterns as options collect them; they are the host's (PCRE2) and opaque. */
struct uwsgi_regexp_list {
    void *pattern;
    void *pattern_extra;     /* NULL */
    uint64_t custom;         /* these three are the plugin's */
    char *custom_str;
    void *custom_ptr;
    struct uwsgi_regexp_list *next;
};
/* [any] Compiles a pattern into *pattern, which stays; 0, or -1 with the reason in the log. */
int uwsgi_regexp_build(char *text, void **pattern, void **extra);
int uwsgi_regexp_match(void *pattern, void *extra, char *text, int len); /* [any] 0 or more: it matches, -1: it does not */

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: event queues, listening, waiting (layer 2). [any] One thread at a time for each queue.
 * ------------------------------------------------------------------------------------------------------------ */
int event_queue_init(void);              /* a new queue, a descriptor of yours: close(); -1: none (errno) */
int event_queue_read(void);              /* what stands for reading in the functions with an event */
int event_queue_write(void);
int event_queue_add_fd_read(int queue, int fd);  /* these: 0, or -1 with the reason in the log */
int event_queue_add_fd_write(int queue, int fd);
int event_queue_del_fd(int queue, int fd, int event);
int event_queue_fd_read_to_write(int queue, int fd);
int event_queue_fd_write_to_read(int queue, int fd);
int event_queue_fd_read_to_readwrite(int queue, int fd);
int event_queue_fd_write_to_readwrite(int queue, int fd);
int event_queue_fd_readwrite_to_read(int queue, int fd);
int event_queue_fd_readwrite_to_write(int queue, int fd);
/* Waits so many seconds (-1: for ever) for one descriptor: 1 and *fd, 0: none, -1: error (errno, EINTR too). */
int event_queue_wait(int queue, int timeout, int *fd);
void *event_queue_alloc(int count);      /* room for so many events, yours: free() */
int event_queue_wait_multi(int queue, int timeout, void *events, int count); /* how many came, as above */
int event_queue_interesting_fd(void *events, int at); /* the descriptor of an event */
int event_queue_interesting_fd_is_read(void *events, int at);
int event_queue_interesting_fd_is_write(void *events, int at);
int event_queue_interesting_fd_has_error(void *events, int at); /* hung up counts */

/* Listening sockets of a plugin's own: a descriptor, yours, blocking unless said; -1 with the reason in the log. What the
 * master has at a reload is given to whoever asks for the same address in the new image. name is "host:port" (no host:
 * any), colon points at its colon; queue 0: --listen. */
int bind_to_tcp(char *name, int queue, char *colon);
int bind_to_unix(char *name, int queue, int chmod_to_666, int is_abstract); /* "@name" is abstract, too */
int bind_to_udp(char *name, int multicast, int broadcast); /* a multicast group is joined */
int bind_to_unix_dgram(char *name);
int uwsgi_connectn(char *address, uint16_t len, int timeout, int async);
int uwsgi_connect_udp(char *address);    /* -1: errno */
char *uwsgi_getsockname(int fd);         /* "host:port" or a path, yours to free(); NULL: none */
int uwsgi_socket_passcred(int fd);       /* 0, or -1 */
struct uwsgi_socket *uwsgi_get_socket_by_num(int number); /* of the workers, from 0; NULL: none */

/* Waits for an event (POLLIN, POLLOUT) on a descriptor so many seconds (0: socket-timeout, -1: for ever): above 0 when it
 * came, 0: it did not, -1: error or hung up. */
int uwsgi_waitfd_event(int fd, int timeout, int event);
#define uwsgi_waitfd(a, b) uwsgi_waitfd_event(a, b, POLLIN)
#define uwsgi_waitfd_write(a, b) uwsgi_waitfd_event(a, b, POLLOUT)
/* What uwsgi.wait_read_hook and wait_write_hook are at first. */
int uwsgi_simple_wait_read_hook(int fd, int timeout);
int uwsgi_simple_wait_write_hook(int fd, int timeout);
int uwsgi_write_true_nb(int fd, char *, size_t, int timeout);    /* writes all: 0, or -1 */
ssize_t uwsgi_read_true_nb(int fd, char *, size_t, int timeout); /* what is there, at least a byte; 0: time is up, -1: the
                                                                    end (errno 0), or an error */
#define uwsgi_wait_read_req(x) ((x)->switches++, uwsgi.wait_read_hook((x)->fd, uwsgi.socket_timeout))
#define uwsgi_wait_write_req(x) ((x)->switches++, uwsgi.wait_write_hook((x)->fd, uwsgi.socket_timeout))
int pivot_root(const char *new_root, const char *put_old); /* of the C library, which has no header for it */

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: files and texts (layer 2). [any] char * results are new and yours (free()) unless said otherwise.
 * ------------------------------------------------------------------------------------------------------------ */
int uwsgi_file_exists(char *path);       /* 1: there is something (errno otherwise) */
int uwsgi_is_file(char *path);           /* 1: a regular file */
int uwsgi_is_dir(char *path);
char *uwsgi_get_cwd(void);
/* The path without links and dots, in result (PATH_MAX + 1 bytes) or new when that is NULL; NULL: there is none (errno). */
char *uwsgi_expand_path(char *path, int len, char *result);
/* The MIME type by the ending of a name, and its length; it stays the host's. NULL: unknown. */
char *uwsgi_get_mime_type(char *name, int len, size_t *typelen);
char *uwsgi_simple_file_read(char *path);                    /* all of a file as text, or NULL (errno) */
char *uwsgi_read_fd(int fd, size_t *size, int add_zero);     /* all that comes */
/* Reads a uwsgi packet. The body goes into *buf, of *len allocated bytes, which realloc() makes larger if need be; *len
 * becomes the body's length. The places of the modifiers may be NULL. timeout in seconds; 0, or -1. */
int uwsgi_read_with_realloc(int fd, char **buf, size_t *len, int timeout, uint8_t *modifier1, uint8_t *modifier2);
/* The same with the whole head; *buf NULL: the body lies in new memory, yours, else it is large enough. 0, -1: error, -2:
 * time is up. */
int uwsgi_read_response(int fd, struct uwsgi_header *, int timeout, char **buf);
char *uwsgi_base64_decode(char *, size_t, size_t *len);      /* with a NUL behind; NULL: it is none */
char *uwsgi_base64_encode(char *, size_t, size_t *len);
void http_url_decode(char *, uint16_t *len, char *dst);      /* dst: at least *len bytes; *len becomes what was written */
void http_url_encode(char *, uint16_t *len, char *dst);      /* dst: at least 3 * *len bytes */
int uwsgi_http_date(time_t, char *dst31);                    /* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL; its length, 29 */
char *uwsgi_lower(char *, size_t);                           /* in place; the same text */
char *uwsgi_str_contains(char *, int, char);                 /* where the char is, or NULL */
size_t uwsgi_str_occurence(char *, size_t, char);            /* how often */
/* The part of a text between separators, from 0; its length. Into the text; NULL: there are fewer. */
char *uwsgi_str_split_nget(char *, size_t, char separator, size_t number, size_t *len);

/* A list with keys. */
struct uwsgi_dyn_dict {
    char *key;
    int keylen;
    char *value;
    int vallen;
    uint64_t hits;           /* these two are the plugin's */
    int status;
    struct uwsgi_dyn_dict *prev;
    struct uwsgi_dyn_dict *next;
};
/* [any], one thread at a time: a node at the end of the list; key and value are kept, not copied. The node is the list's. */
struct uwsgi_dyn_dict *uwsgi_dyn_dict_new(struct uwsgi_dyn_dict **list, char *key, int keylen, char *value, int vallen);
void uwsgi_dyn_dict_del(struct uwsgi_dyn_dict *); /* free()s the node, takes it out of its list; not its texts */

/* A growing JSON document. Functions return 0, or -1: the limit is reached. */
struct uwsgi_stats {
    char *base;              /* pos bytes of document */
    off_t pos;
    size_t tabs;
    size_t chunk;
    size_t size;             /* allocated */
    int minified;
    int dirty;
};
struct uwsgi_stats *uwsgi_stats_new(size_t chunk); /* [any] opens the object; free() base, then it */
int uwsgi_stats_comma(struct uwsgi_stats *);
int uwsgi_stats_object_open(struct uwsgi_stats *);
int uwsgi_stats_object_close(struct uwsgi_stats *);
int uwsgi_stats_list_open(struct uwsgi_stats *);
int uwsgi_stats_list_close(struct uwsgi_stats *);
int uwsgi_stats_key(struct uwsgi_stats *, char *);
int uwsgi_stats_str(struct uwsgi_stats *, char *);
int uwsgi_stats_keyval(struct uwsgi_stats *, char *, char *);
int uwsgi_stats_keyval_comma(struct uwsgi_stats *, char *, char *);
int uwsgi_stats_keyvaln(struct uwsgi_stats *, char *, char *, int);
int uwsgi_stats_keyvaln_comma(struct uwsgi_stats *, char *, char *, int);
int uwsgi_stats_keylong(struct uwsgi_stats *, char *, unsigned long long);
int uwsgi_stats_keylong_comma(struct uwsgi_stats *, char *, unsigned long long);
int uwsgi_stats_keyslong(struct uwsgi_stats *, char *, long long);
int uwsgi_stats_keyslong_comma(struct uwsgi_stats *, char *, long long);

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: threads, shared areas of a plugin's memory, what the server runs beside workers (layer 2).
 * ------------------------------------------------------------------------------------------------------------ */
/* A thread with a queue and a pair of sockets: pipe[0] is for everybody else, pipe[1] the thread's, in its queue. */
struct uwsgi_thread {
    pthread_t tid;
    pthread_attr_t tattr;    /* not used */
    int pipe[2];
    int queue;               /* of event_queue_init() */
    ssize_t rlen;            /* from here on all is the plugin's but func and data */
    void *data;
    char *buf;
    off_t pos;
    size_t len;
    uint64_t custom0;
    uint64_t custom1;
    uint64_t custom2;
    uint64_t custom3;
    pthread_mutex_t lock;    /* made */
    void (*func)(struct uwsgi_thread *);
};
/* [any] Runs func(thread) in a new thread, all signals blocked. The record is the host's and stays when func returns. NULL:
 * no thread (said in the log). Threads do not survive a fork: begin them in post_fork, or master_cycle. */
struct uwsgi_thread *uwsgi_thread_new(void (*func)(struct uwsgi_thread *));
struct uwsgi_thread *uwsgi_thread_new_with_data(void (*func)(struct uwsgi_thread *), void *data);

struct uwsgi_sharedarea {
    int id;
    int pages;
    int fd;                  /* -1; the plugin's */
    struct uwsgi_lock_item *lock;
    char *area;
    uint64_t max_pos;        /* the last byte */
    uint64_t updates;        /* the plugin counts them, or uwsgi_sharedarea_update() */
    uint8_t honour_used;     /* these two are the plugin's */
    uint64_t used;
    void *obj;
};
/* [master] before the fork: one more area, of a plugin's memory, which must stay (and be shared). NULL: no lock. */
struct uwsgi_sharedarea *uwsgi_sharedarea_init_ptr(char *area, uint64_t len);
/* [any] An area by its number, if pos is inside of it; NULL otherwise. The record is this process's. */
struct uwsgi_sharedarea *uwsgi_sharedarea_get_by_id(int id, uint64_t pos);

/* The sum of the exceptions of a worker's applications. [any] */
uint64_t uwsgi_worker_exceptions(int worker_id);
/* [request] as set_harakiri(). */
void set_user_harakiri(int seconds);
/* [master] up to post_init: whenever the descriptor is readable, the master reads len bytes of it (0: 8) and raises the
 * alarm with the message, which is copied. Not NULL. */
struct uwsgi_alarm_fd;
struct uwsgi_alarm_fd *uwsgi_add_alarm_fd(int fd, char *alarm, size_t len, char *message, size_t message_len);
#define uwsgi_log_alarm(x, ...) uwsgi_log("[uwsgi-alarm" x, __VA_ARGS__)

/* A cache's figures, refreshed by the master each second; the bytes are reached by the functions. */
struct uwsgi_cache {
    char *name;
    uint64_t keysize;
    uint64_t blocks;
    uint64_t blocksize;
    uint64_t max_items;
    uint64_t max_item_size;
    uint32_t hashsize;
    uint64_t n_items;
    uint64_t hits;
    uint64_t miss;
    uint64_t full;
    time_t last_modified_at;
    uint64_t filesize;
    struct uwsgi_lock_item *lock; /* of its own; the functions need none */
    struct uwsgi_cache *next;
    uint64_t reserved[8];
};
struct uwsgi_cache *uwsgi_cache_by_name(char *name); /* [any] NULL or "": the first; NULL: there is none */
struct uwsgi_cache *uwsgi_cache_by_namelen(char *name, uint16_t len);
/* [any] As the functions with _magic_, for a cache of this instance. */
int uwsgi_cache_set2(struct uwsgi_cache *, char *key, uint16_t keylen, char *value, uint64_t vallen, uint64_t expires,
                     uint64_t flags);
int uwsgi_cache_del2(struct uwsgi_cache *, char *key, uint16_t keylen, uint64_t index, uint16_t flags); /* index unused */
uint32_t uwsgi_cache_exists2(struct uwsgi_cache *, char *key, uint16_t keylen); /* 0: no, else yes */
char *uwsgi_cache_get3(struct uwsgi_cache *, char *key, uint16_t keylen, uint64_t *vallen, uint64_t *expires); /* yours */

/* A directory of tasks and its process, refreshed by the master each second. */
struct uwsgi_spooler {
    char dir[4096];
    pid_t pid;
    uint64_t respawned;
    uint64_t tasks;
    int running;
    struct uwsgi_spooler *next;
    uint64_t reserved[8];
};
/* An attached daemon, refreshed by the master each second. */
struct uwsgi_daemon {
    char *command;
    pid_t pid;
    uint64_t respawns;
    int status;              /* 1: it runs */
    struct uwsgi_daemon *next;
    uint64_t reserved[8];
};
/* Figures of the whole server, refreshed by the master each second. */
struct uwsgi_shared {
    uint64_t load;           /* connections that wait, of the longest queue */
    uint64_t backlog;        /* the same */
    uint64_t backlog_errors; /* 0: the system does not tell */
    int worker_signal_pipe[2]; /* this and signal_pipe of workers: with --stats-push of a plugin's kind an empty pipe, for
                                  FIONREAD, else -1 and 0: raise signals with uwsgi_signal_send() */
    uint64_t reserved[16];
};
#define ushared uwsgi.shared
#define UWSGI_MODIFIER_ADMIN_REQUEST 10
#define UWSGI_MODIFIER_SPOOL_REQUEST 17
#define UWSGI_MODIFIER_EVAL 22
#define UWSGI_MODIFIER_FASTFUNC 26
#define UWSGI_MODIFIER_MANAGE_PATH_INFO 30
#define UWSGI_MODIFIER_MESSAGE 31
#define UWSGI_MODIFIER_MESSAGE_ARRAY 32
#define UWSGI_MODIFIER_MESSAGE_MARSHAL 33
#define UWSGI_MODIFIER_MULTICAST_ANNOUNCE 73
#define UWSGI_MODIFIER_MULTICAST 74
#define UWSGI_MODIFIER_PING 100
#define UWSGI_MODIFIER_RESPONSE 255
#define UWSGI_BRUTAL_RELOAD_CODE 31
#define UWSGI_EXILE_CODE 26
#define UWSGI_DE_HIJACKED_CODE 173
#define UWSGI_EXCEPTION_CODE 5
#define UWSGI_FAILED_APP_CODE 22
#define UWSGI_QUIET_CODE 29

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: loop engines (layer 3). A worker's requests are the engine's: it accepts, parses, calls the plugin, closes.
 * A connection that the client may use again (HTTP/1.1, the link of gateways) is kept by the host and comes back through
 * accept with its next request: to the engine it is a new one. All functions about requests wait as ever; the engine may
 * replace the wait hooks.
 * ------------------------------------------------------------------------------------------------------------ */
/* [master] in on_load or init: --loop NAME. func runs in [worker] in place of the request loop; it ends when
 * uwsgi.workers[uwsgi.mywid].manage_next_request is 0, which SIGHUP and SIGTERM make it (waits return with EINTR then);
 * when func returns the process ends. SIGINT ends it at once. */
void uwsgi_register_loop(char *name, void (*func)(void));
/* [worker] The functions below are for loop engines, each request by one thread at a time.
 * A request that is not in use, from uwsgi.cores of them (--async, --threads); NULL: all are. */
struct wsgi_request *find_first_available_wsgi_req(void);
#define free_req_queue ((void) 0) /* uwsgi_close_request() gives it back */
/* Says (once a minute) that all requests are in use. */
void uwsgi_async_queue_is_full(time_t now);
/* Prepares a request of this number; socket: where it will come in, or NULL. */
void wsgi_req_setup(struct wsgi_request *, int async_id, struct uwsgi_socket *);
/* Accepts a connection of socket->fd, which is to be waited for and given back here, and nothing else: 0 (req->fd, whose
 * request is there and unread), or -1: nobody has a request. Clients that are slow with a head wait in the host. */
int wsgi_req_simple_accept(struct wsgi_request *, int fd);
/* Waits in the queue for one of the sockets and accepts: 0, or -1. The queue has them by uwsgi_add_sockets_to_queue(). */
int wsgi_req_accept(int queue, struct wsgi_request *);
void uwsgi_add_sockets_to_queue(int queue, int async_id);
int uwsgi_count_sockets(struct uwsgi_socket *);
/* socket->proto(req) reads what is there: 0: it is a request, 1: call it again when more is there, -1: close it.
 * wsgi_req_recv() does so, applies the routes and calls the plugin: 0, or -1, also when the rest of the head is still to
 * come: close the request, its connection comes back through accept. */
int wsgi_req_recv(int queue, struct wsgi_request *);
/* Static files and routing rules: UWSGI_ROUTE_BREAK: answered, UWSGI_ROUTE_NEXT: the plugin is to. */
int uwsgi_apply_routes(struct wsgi_request *);
/* Ends the answer, counts and logs, closes the connection or keeps it for accept: req->fd is not the engine's any more, and
 * out of all event queues, but an engine with an epoll of its own takes it out before. The request is free again. */
void uwsgi_close_request(struct wsgi_request *);
/* The same without an answer: nobody is told anything. */
void uwsgi_destroy_request(struct wsgi_request *);
/* Runs func((void *) (long) core) for each core, in a thread each but for core 0, and returns when that one does. */
void uwsgi_loop_cores_run(void *(*func)(void *));
/* First thing in such a thread: uwsgi.current_wsgi_req() is the request from now on. */
void uwsgi_setup_thread_req(long core, struct wsgi_request *);

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: protocols (layer 3): what is spoken on sockets.
 * ------------------------------------------------------------------------------------------------------------ */
struct uwsgi_protocol;
/* [master] in on_load: --protocol NAME. setup is called for each such socket, before the first fork, and sets functions:
 *   proto                 has to be there. Reads what has come (req->fd, non-blocking) and returns UWSGI_OK: it is a
 *                         request, whose variables lie in req->buffer as in a uwsgi packet (proto_base_add_uwsgi_var),
 *                         req->uh->pktsize bytes of them; UWSGI_AGAIN: call it again when more has come; -1: close it.
 *                         A body is CONTENT_LENGTH bytes long; what of it was read already is proto_parser_remains bytes
 *                         at proto_parser_remains_buf. req->uh->modifier1 selects the plugin.
 *   proto_prepare_headers, proto_add_header   bytes for a status ("200 OK") and a header, in a new buffer that the host
 *                         destroys; NULL: it cannot be said. Left out: as HTTP/1.x has it.
 *   proto_fix_headers     ends the head in req->headers: 0, or -1. Left out: the empty line of HTTP.
 *   proto_write           sends bytes from req->write_pos on, which it moves: UWSGI_OK: all has left; UWSGI_AGAIN: call it
 *                         again when the client takes more; -1: the client has gone. Left out: bytes are sent as they are.
 *   proto_write_headers   the same for the head. Left out: proto_write.
 *   proto_read_body       as read(2) on req->fd. Left out: read(2).
 *   proto_close           the last call of a connection, whatever became of it: for what the plugin has made for it. Of
 *                         req only fd, socket and proto_parser_* are there; fd is the host's to close.
 * All are called in workers, on the thread of the request; proto_close on any. A connection has one request; a worker
 * whose applications run on an event loop does not serve such sockets. NULL: the name or the function is missing. */
struct uwsgi_protocol *uwsgi_register_protocol(char *name, void (*setup)(struct uwsgi_socket *));
/* [worker] For such functions. Appends a variable to req->buffer, in add_uwsgi_header as a header of HTTP (user-agent
 * becomes HTTP_USER_AGENT): the bytes that it takes, which the caller adds to req->uh->pktsize; 0: there is no room. */
uint16_t proto_base_add_uwsgi_var(struct wsgi_request *, char *key, uint16_t keylen, char *val, uint16_t vallen);
uint16_t proto_base_add_uwsgi_header(struct wsgi_request *, char *key, uint16_t keylen, char *val, uint16_t vallen);
/* What is done where a function is left out, and (cgi) the status as CGI has it. */
struct uwsgi_buffer *uwsgi_proto_base_prepare_headers(struct wsgi_request *, char *, uint16_t);
struct uwsgi_buffer *uwsgi_proto_base_cgi_prepare_headers(struct wsgi_request *, char *, uint16_t);
struct uwsgi_buffer *uwsgi_proto_base_add_header(struct wsgi_request *, char *, uint16_t, char *, uint16_t);
int uwsgi_proto_base_fix_headers(struct wsgi_request *);
int uwsgi_proto_base_write(struct wsgi_request *, char *, size_t);
int uwsgi_proto_base_write_header(struct wsgi_request *, char *, size_t);
ssize_t uwsgi_proto_base_read_body(struct wsgi_request *, char *, size_t);
/* No body. */
ssize_t uwsgi_proto_noop_read_body(struct wsgi_request *, char *, size_t);

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: transformations (layer 2): what is made of an answer's body on its way to the client. [request]
 * ------------------------------------------------------------------------------------------------------------ */
struct uwsgi_transformation {
    int (*func)(struct wsgi_request *, struct uwsgi_transformation *);
    struct uwsgi_buffer *chunk; /* the part: func changes it in place, or puts another buffer there; the host destroys it */
    uint8_t can_stream;      /* 1: func takes the body part by part, as it is written; 0: once, the whole of it */
    uint8_t is_final;        /* 1: func is called at the end of the body alone, with what is left to send (maybe nothing) */
    uint8_t flushed;         /* these seven are the plugin's, but for round */
    void *data;
    uint64_t round;          /* the number of the call, 1 at the first */
    int fd;                  /* -1 at first */
    struct uwsgi_buffer *ub; /* destroyed by the host */
    uint64_t len;
    uint64_t custom64;
    struct uwsgi_transformation *next;
};
/* [request] before the body is written, mostly in a routing rule: one more, behind those that are there. func may add
 * headers until its first part has left; a Content-Length is taken out. It returns 0, or another number: the answer is cut
 * off. The record is the host's, until the request has ended. */
struct uwsgi_transformation *uwsgi_add_transformation(struct wsgi_request *,
                                                      int (*func)(struct wsgi_request *, struct uwsgi_transformation *),
                                                      void *data);

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: offloading (layer 3): what a worker's thread for slow clients does after the request has ended.
 * ------------------------------------------------------------------------------------------------------------ */
struct uwsgi_offload_engine;
#define UWSGI_HAS_OFFLOAD_UBUFS 1
/* A task. A plugin fills one in, the host copies it; all fields but engine are the plugin's from then on. */
struct uwsgi_offload_request {
    int s;                   /* the client: of the request, which the thread closes at the end when it took it over */
    int fd;                  /* two more descriptors, closed at the end; -1: none */
    int fd2;
    uint8_t takeover;        /* 1: the request ends here, the rest of the answer is the engine's */
    int status;
    char *name;
    off_t pos;
    char *buf;               /* free()d at the end */
    off_t buf_pos;
    size_t to_write;
    size_t len;
    size_t written;
    struct uwsgi_buffer *ubuf; /* these nine are destroyed at the end */
    struct uwsgi_offload_engine *engine;
    int pipe[2];             /* the host's */
    struct uwsgi_offload_request *prev; /* not used */
    struct uwsgi_offload_request *next;
    struct uwsgi_buffer *ubuf1;
    struct uwsgi_buffer *ubuf2;
    struct uwsgi_buffer *ubuf3;
    struct uwsgi_buffer *ubuf4;
    struct uwsgi_buffer *ubuf5;
    struct uwsgi_buffer *ubuf6;
    struct uwsgi_buffer *ubuf7;
    struct uwsgi_buffer *ubuf8;
    int64_t custom1;
    int64_t custom2;
    int64_t custom3;
    int64_t custom4;
    int64_t custom5;
    int64_t custom6;
    int64_t custom7;
    int64_t custom8;
    void *data;
    void (*free)(struct uwsgi_offload_request *); /* called last, or NULL */
};
/* [master] in on_load or init. prepare(request, task) runs in [request] when the task is handed over, not 0: it is not; it
 * may be NULL. event(thread, task, fd) runs in [worker] in a thread that has many tasks and must not block: first with fd
 * -1, then whenever one of the task's descriptors that it put into thread->queue (event_queue_...) is ready; 0: go on, else
 * the task has ended. The record is opaque. */
struct uwsgi_offload_engine *uwsgi_offload_register_engine(char *name,
                                                           int (*prepare)(struct wsgi_request *,
                                                                          struct uwsgi_offload_request *),
                                                           int (*event)(struct uwsgi_thread *,
                                                                        struct uwsgi_offload_request *, int));
/* [request] Fills a task in: the client's descriptor, no others. */
void uwsgi_offload_setup(struct uwsgi_offload_engine *, struct uwsgi_offload_request *, struct wsgi_request *,
                         uint8_t takeover);
/* [request] Hands a task over, if --offload-threads allows it (req->socket->can_offload): 0, or -1. wait NULL, or the place
 * for a descriptor, yours, that becomes readable when the task has ended. With takeover what the plugin still writes is
 * dropped, and the client's connection ends with the task; the head, sent by uwsgi_response_write_headers_do(), says so. */
int uwsgi_offload_run(struct wsgi_request *, struct uwsgi_offload_request *, int *wait);

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: sources of vassals, and what is not here (layer 3). The emperor has one process and one thread.
 * ------------------------------------------------------------------------------------------------------------ */
struct uwsgi_imperial_monitor;
/* One --emperor SCHEME://... of a plugin's kind. */
struct uwsgi_emperor_scanner {
    char *arg;               /* the whole text */
    int fd;                  /* -1; init may set one that is watched: event_func is called when it is readable */
    void *data;              /* the plugin's */
    void (*event_func)(struct uwsgi_emperor_scanner *);
    struct uwsgi_imperial_monitor *monitor; /* opaque */
    struct uwsgi_emperor_scanner *next;
};
/* A vassal. In the hooks vassal and vassal_before_exec: name, pid, uid, gid and pipe[1], the vassal's end of its link. */
struct uwsgi_instance {
    struct uwsgi_instance *ui_prev; /* NULL */
    struct uwsgi_instance *ui_next;
    char name[255];
    pid_t pid;
    int status;              /* 0 */
    time_t born;
    time_t last_mod;
    uint64_t respawns;
    int use_config;          /* 1: its configuration is a text of the plugin */
    int pipe[2];
    int pipe_config[2];      /* -1 */
    char *config;            /* set both before emperor_respawn() for another text, which is copied then */
    uint32_t config_len;
    int loyal;               /* these three are 0: the emperor's statistics tell them */
    int ready;
    int accepting;
    struct uwsgi_emperor_scanner *scanner;
    uid_t uid;
    gid_t gid;
    int on_demand_fd;        /* -1 */
    char *socket_name;
    uint64_t reserved[8];
};
/* [master] in on_load or init: --emperor SCHEME://... init(scanner) runs in the emperor once, func(scanner) at its first
 * look and then every --emperor-freq seconds; both, and event_func, call the functions below. */
void uwsgi_register_imperial_monitor(char *scheme, void (*init)(struct uwsgi_emperor_scanner *),
                                     void (*func)(struct uwsgi_emperor_scanner *));
/* [emperor] A vassal that a plugin has asked for; NULL: there is none of this name. The record is the host's. */
struct uwsgi_instance *emperor_get(char *name);
/* [emperor] Asks for a vassal. config: its configuration as text (the end of the name says in which format, ini without
 * one), copied; NULL: the name is a file. socket is not used. It is started right after func or event_func. */
void emperor_add(struct uwsgi_emperor_scanner *, char *name, time_t modified, char *config, uint32_t config_len, uid_t uid,
                 gid_t gid, char *socket);
void emperor_stop(struct uwsgi_instance *);                      /* [emperor] it is not wanted any more */
void emperor_respawn(struct uwsgi_instance *, time_t modified);  /* [emperor] it is reloaded */
/* [emperor] Asks for it if there is none of the name, reloads it if modified is later than before. */
void uwsgi_emperor_simple_do(struct uwsgi_emperor_scanner *, char *name, char *config, time_t modified, uid_t uid, gid_t gid,
                             char *socket);
#define uwsgi_instance_is_reloading (uwsgi.status.gracefully_reloading || uwsgi.status.brutally_reloading)
#define uwsgi_instance_is_dying (uwsgi.status.gracefully_destroying || uwsgi.status.brutally_destroying)
#define UWSGI_GO_CHEAP_CODE 15
#define UWSGI_END_CODE 30
/* [master] Nothing to do but uwsgi.ssl_initialized = 1: OpenSSL makes itself ready. */
void uwsgi_ssl_init(void);
/* Says in the log that there is no such proxy. */
void uwsgi_master_manage_emperor_proxy(void);
/* Legions are not here: the action is never called, which the log says. The record is the host's. */
struct uwsgi_legion;
struct uwsgi_legion_action {
    char *name;
    int (*func)(struct uwsgi_legion *, char *);
    char *log_msg;
    struct uwsgi_legion_action *next;
};
struct uwsgi_legion_action *uwsgi_legion_action_register(char *name, int (*func)(struct uwsgi_legion *, char *));

/* A way to compute metrics: --metric name=N,collector=NAME, and uwsgi_register_metric(.., NAME, ..). */
struct uwsgi_metric_collector {
    char *name;
    int64_t (*func)(struct uwsgi_metric *);
    struct uwsgi_metric_collector *next; /* NULL */
};
/* [master] in on_load: func(metric) runs in [master] each second, or as seldom as freq says, and returns the value. It must
 * not block. The record is the host's. The host's own names are kept. */
struct uwsgi_metric_collector *uwsgi_register_metric_collector(char *name, int64_t (*func)(struct uwsgi_metric *));

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: small things (layer 2 and 3).
 * ------------------------------------------------------------------------------------------------------------ */
/* [request] "Name: value", copied; it is added when the head leaves, whatever the application prepares. */
void uwsgi_additional_header_add(struct wsgi_request *, char *line, uint16_t len);
int64_t uwsgi_metric_getn(char *name, size_t, char *oid, size_t); /* [any] uwsgi_metric_get(); the name before the id */
/* [request] A text of a shared area as a message: 0, or -1. */
int uwsgi_websocket_send_from_sharedarea(struct wsgi_request *, int id, uint64_t pos, uint64_t len);
int uwsgi_websocket_send_binary_from_sharedarea(struct wsgi_request *, int id, uint64_t pos, uint64_t len);
int uwsgi_sharedarea_update(int id);        /* [any] counts one more update: 0, or -1: no such area */
/* [request] Sends bytes, or a part of a file (len 0: to its end), as the rest of the answer: 0, or -1. buf is free()d, fd
 * closed. */
int uwsgi_offload_request_memory_do(struct wsgi_request *, char *buf, size_t len);
int uwsgi_offload_request_sendfile_do(struct wsgi_request *, int fd, size_t pos, size_t len);
ssize_t uwsgi_sendfile_do(int out, int in, size_t pos, size_t len); /* [any] as sendfile(2) */
int uwsgi_tmpfd(void);                      /* [any] a nameless file, yours: close(); -1: errno */
int uwsgi_fcntl_lock(int fd);               /* [any] waits for the whole file's lock for writing: 0, or -1 */
int uwsgi_is_connected(int fd);             /* [any] 1: the other side is there */
int uwsgi_accept(int fd);                   /* [any] a connection, non-blocking; -1: errno */
void uwsgi_protected_close(int fd);         /* [any] close() that leaves errno */
void uwsgi_exec_command_with_args(char *);  /* [any] becomes the program; its words are cut at spaces. Ends the process */
char *uwsgi_binsh(void);                    /* [any] the shell; the host's */
void get_memusage(uint64_t *resident, uint64_t *address_space); /* [any] of this process, bytes */
struct uwsgi_plugin *uwsgi_plugin_get(const char *name); /* [any] the host's copy of a loaded plugin, or NULL */
int uwsgi_count_options(struct uwsgi_option *);          /* [any] rows in front of the last */
int uwsgi_list_has_str(char *words, char *word);         /* [any] 1: it is one of the words, which spaces part */
char *uwsgi_concat2nn(char *, int, char *, int, int *len); /* [any] as uwsgi_concat2n(), with the length */
int uwsgi_legion_i_am_the_lord(char *name);              /* [any] 0: there are no legions */
/* [master], a logger: renames its file, to the name given or to itself with the second behind it, and puts a new one in the
 * place of its descriptor. size is how large it has become. */
static inline void uwsgi_log_do_rotate(char *file, char *renamed, off_t size, int fd) {
    char name[PATH_MAX];
    int made;
    snprintf(name, sizeof name, "%s.%llu", file, (unsigned long long) uwsgi_now());
    uwsgi_log_safe("rotating a log file that has become too large\n");
    (void) size;
    if (rename(file, renamed ? renamed : name)) return;
    made = open(file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR | S_IRGRP);
    if (made < 0) return;
    (void) dup2(made, fd);
    close(made);
}
/* [request] that of this thread */
static inline struct wsgi_request *current_wsgi_req(void) { return uwsgi.current_wsgi_req(); }

/* ------------------------------------------------------------------------------------------------------------
 * Since 1.1: with zlib and OpenSSL (layer 3), where their headers are installed. [any] Part of the plugin, not of the host.
 * ------------------------------------------------------------------------------------------------------------ */
extern char gzheader[10]; /* what a gzip document begins with */
#ifdef UWSGI_ZLIB
static inline void uwsgi_crc32(uint32_t *sum, char *data, size_t len) {
    *sum = (uint32_t) crc32(*sum, (const Bytef *) data, (uInt) len);
}
/* Begins a raw stream, with a dictionary or NULL; 0, or -1. */
static inline int uwsgi_deflate_init(z_stream *z, char *dictionary, size_t len) {
    memset(z, 0, sizeof(z_stream));
    if (deflateInit2(z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK) return -1;
    return dictionary && deflateSetDictionary(z, (const Bytef *) dictionary, (uInt) len) != Z_OK ? -1 : 0;
}
/* The next part of the stream, complete for a reader; data NULL: its end. New memory, yours; NULL: it failed. */
static inline char *uwsgi_deflate(z_stream *z, char *data, size_t len, size_t *packed) {
    size_t room = deflateBound(z, (uLong) len) + 64;
    char *text = (char *) uwsgi_malloc(room);
    z->next_in = (Bytef *) data;
    z->avail_in = (uInt) len;
    z->next_out = (Bytef *) text;
    z->avail_out = (uInt) room;
    for (;;) {
        int ret = deflate(z, data ? Z_SYNC_FLUSH : Z_FINISH);
        if (ret == Z_STREAM_END || (data && ret == Z_OK && z->avail_out > 0)) break;
        size_t used = room - z->avail_out;
        char *larger = ret == Z_OK ? (char *) realloc(text, room * 2) : NULL;
        if (!larger) {
            free(text);
            return NULL;
        }
        text = larger;
        room *= 2;
        z->next_out = (Bytef *) text + used;
        z->avail_out = (uInt) (room - used);
    }
    *packed = room - z->avail_out;
    if (!data) deflateEnd(z);
    return text;
}
/* These make the body of a gzip document: begin; each part; the end, which is appended to a buffer (size: of all parts). */
static inline int uwsgi_gzip_prepare(z_stream *z, char *dictionary, size_t len, uint32_t *sum) {
    *sum = (uint32_t) crc32(0, NULL, 0);
    return uwsgi_deflate_init(z, dictionary, len);
}
static inline char *uwsgi_gzip_chunk(z_stream *z, uint32_t *sum, char *data, size_t len, size_t *packed) {
    uwsgi_crc32(sum, data, len);
    return uwsgi_deflate(z, data, len, packed);
}
static inline int uwsgi_gzip_fix(z_stream *z, uint32_t sum, struct uwsgi_buffer *ub, size_t size) {
    size_t packed = 0;
    char *last = uwsgi_deflate(z, NULL, 0, &packed);
    int ret = !last || uwsgi_buffer_append(ub, last, packed) || uwsgi_buffer_u32le(ub, sum)
              || uwsgi_buffer_u32le(ub, (uint32_t) size);
    free(last);
    return ret ? -1 : 0;
}
/* The whole of a gzip document, in a new buffer, yours; NULL: it failed. */
static inline struct uwsgi_buffer *uwsgi_gzip(char *data, size_t len) {
    z_stream z;
    uint32_t sum;
    size_t packed = 0;
    if (uwsgi_gzip_prepare(&z, NULL, 0, &sum)) return NULL;
    char *text = uwsgi_gzip_chunk(&z, &sum, data, len, &packed);
    struct uwsgi_buffer *ub = uwsgi_buffer_new(packed + 32);
    if (!text || uwsgi_buffer_append(ub, gzheader, 10) || uwsgi_buffer_append(ub, text, packed)
        || uwsgi_gzip_fix(&z, sum, ub, len)) {
        uwsgi_buffer_destroy(ub);
        ub = NULL;
    }
    free(text);
    return ub;
}
#endif
#ifdef UWSGI_SSL
/* The digest of a text, 16 and 20 bytes, into dst; dst, or NULL: it failed. */
static inline char *uwsgi_md5(char *text, size_t len, char *dst) {
    return EVP_Digest(text, len, (unsigned char *) dst, NULL, EVP_md5(), NULL) == 1 ? dst : NULL;
}
static inline char *uwsgi_sha1(char *text, size_t len, char *dst) {
    return EVP_Digest(text, len, (unsigned char *) dst, NULL, EVP_sha1(), NULL) == 1 ? dst : NULL;
}
#endif

#ifdef __cplusplus
}
#endif
#endif
