/* One function of each kind that plugins register, which goes wrong once when $CRASH says so. */
#include "crash.h"

static struct uwsgi_offload_engine *engine;
static int in_loop;

static void option(char *name, char *value, void *data) { (void) name; (void) value; (void) data; maybe("option"); }
static ssize_t logger(struct uwsgi_logger *record, char *line, size_t len) {
    (void) record;
    if (uwsgi_contains_n(line, len, "in its", 6)) return (ssize_t) fwrite(line, 1, len, stderr);
    if (uwsgi.mypid && getpid() == uwsgi.workers[0].pid) maybe("logger");
    return (ssize_t) fwrite(line, 1, len, stderr);
}
static char *encoder(struct uwsgi_log_encoder *record, char *line, size_t len, size_t *newlen) {
    (void) record; (void) line; (void) len; (void) newlen;
    maybe("encoder");
    return NULL;
}
static ssize_t chunk(struct wsgi_request *req, char **text) {
    (void) req;
    maybe("chunk");
    *text = "chunk";
    return 5;
}
static void gateway(int number, void *data) {
    (void) number; (void) data;
    maybe("gateway");
    for (;;) pause();
}
static void pusher(struct uwsgi_stats_pusher_instance *record, time_t now, char *json, size_t len) {
    (void) now; (void) json; (void) len;
    record->freq = 1;
    maybe("pusher");
}
static void alarm_init(struct uwsgi_alarm_instance *record) { (void) record; maybe("alarm_init"); }
static void alarm_run(struct uwsgi_alarm_instance *record, char *text, size_t len) {
    (void) record; (void) text; (void) len;
    maybe("alarm");
}
static int action(struct wsgi_request *req, struct uwsgi_route *route) {
    (void) req; (void) route;
    maybe("action");
    return UWSGI_ROUTE_NEXT;
}
static int prepare_action(struct uwsgi_route *route, char *arguments) {
    (void) arguments;
    maybe("prepare_action");
    route->func = action;
    return 0;
}
static int condition(struct wsgi_request *req, struct uwsgi_route *route) {
    (void) req; (void) route;
    maybe("condition");
    return 0;
}
static char *variable(struct wsgi_request *req, char *key, uint16_t len, uint16_t *vallen) {
    (void) req; (void) key; (void) len;
    maybe("variable");
    *vallen = 1;
    return "v";
}
static int transformation(struct wsgi_request *req, struct uwsgi_transformation *step) {
    (void) req; (void) step;
    maybe("transformation");
    return 0;
}
static int cheaper(int can_spawn) { (void) can_spawn; maybe("cheaper"); return 0; }
static int exception(struct uwsgi_exception_handler_instance *record, char *packet, size_t len) {
    (void) record; (void) packet; (void) len;
    maybe("exception");
    return 0;
}
static int64_t collector(struct uwsgi_metric *metric) { (void) metric; maybe("collector"); return 1; }
static time_t seconds(void) {
    /* not in the master */
    if (uwsgi.mywid > 0) maybe("clock");
    return time(NULL);
}
static struct uwsgi_clock crash_clock = { "crash", seconds, NULL, NULL };
static int offload_prepare(struct wsgi_request *req, struct uwsgi_offload_request *task) {
    (void) req; (void) task;
    maybe("offload_prepare");
    return 0;
}
static int offload_event(struct uwsgi_thread *thread, struct uwsgi_offload_request *task, int fd) {
    (void) thread; (void) task; (void) fd;
    maybe("offload_event");
    return 1;
}
static void loop(void) {
    in_loop = 1;
    maybe("loop");
    while (uwsgi.workers[uwsgi.mywid].manage_next_request) usleep(1000);
}
static void *core_loop(void *core) {
    if (core) maybe("core_loop");
    while (uwsgi.workers[uwsgi.mywid].manage_next_request) usleep(1000);
    return NULL;
}
static void threads(void) { uwsgi_loop_cores_run(core_loop); }
static void monitor(struct uwsgi_emperor_scanner *record) { (void) record; maybe("monitor"); }
static void monitor_init(struct uwsgi_emperor_scanner *record) { (void) record; maybe("monitor_init"); }
static int hook_action(char *argument) { (void) argument; maybe("hook_action"); return 0; }
static void thread(struct uwsgi_thread *record) { (void) record; maybe("thread"); for (;;) pause(); }

void crash_function(char *argument) { (void) argument; maybe("function"); }
void crash_entry(void) { maybe("entry"); }
int64_t crash_symbol(struct uwsgi_metric *metric) { (void) metric; maybe("symbol"); return 1; }
void crash_after(struct wsgi_request *req) { (void) req; maybe("after"); }

static void on_load(void) {
    uwsgi_register_logger("crash", logger);
    uwsgi_register_log_encoder("crash", encoder);
    uwsgi_register_logchunk("crash", chunk, 0);
    if (getenv("GATEWAY")) register_gateway("crash", gateway, NULL);
    uwsgi_register_stats_pusher("crash", pusher)->raw = 1;
    uwsgi_register_alarm("crash", alarm_init, alarm_run);
    uwsgi_register_router("crash", prepare_action);
    uwsgi_register_route_condition("crash", condition);
    uwsgi_register_route_var("crash", variable);
    uwsgi_register_cheaper_algo("crash", cheaper);
    uwsgi_register_exception_handler("crash", exception);
    uwsgi_register_metric_collector("crash", collector);
    uwsgi_register_clock(&crash_clock);
    engine = uwsgi_offload_register_engine("crash", offload_prepare, offload_event);
    uwsgi_register_loop("crash", loop);
    uwsgi_register_loop("threads", threads);
    uwsgi_register_imperial_monitor("crash", monitor_init, monitor);
    uwsgi_register_hook("crash", hook_action);
}
static void post_fork(void) {
    if (uwsgi.mywid == 1 && getenv("THREAD")) uwsgi_thread_new(thread);
}

#define DESCRIBES(name) static struct uwsgi_buffer *name(struct wsgi_request *req) { (void) req; maybe(#name); return NULL; }
DESCRIBES(exception_class) DESCRIBES(exception_msg) DESCRIBES(exception_repr) DESCRIBES(backtrace)
static void exception_log(struct wsgi_request *req) { (void) req; maybe("exception_log"); }

static int request(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/alarm", 6)) uwsgi_alarm_trigger("a", "text", 4);
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/exception", 10)) uwsgi_manage_exception(req, 1);
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/transform", 10))
        uwsgi_add_transformation(req, transformation, NULL);
    uwsgi_response_prepare_headers(req, "200 OK", 6);
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/offload", 8)) {
        struct uwsgi_offload_request task;
        uwsgi_offload_setup(engine, &task, req, 0);
        uwsgi_offload_run(req, &task, NULL);
    }
    uwsgi_response_write_body_do(req, "calm", 4);
    return UWSGI_OK;
}

static struct uwsgi_option options[] = {
    { "crash-option", required_argument, 0, "goes wrong", option, NULL, 0 },
    UWSGI_END_OF_OPTIONS
};
struct uwsgi_plugin crasher_kinds_plugin = {
    .name = "kinds", .modifier1 = 205, .on_load = on_load, .post_fork = post_fork, .request = request, .options = options,
    .exception_class = exception_class, .exception_msg = exception_msg, .exception_repr = exception_repr,
    .backtrace = backtrace, .exception_log = exception_log,
};
