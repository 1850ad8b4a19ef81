/* What a plugin offers by name: pushers, pieces of log lines, exception handlers, an algorithm, an encoder, a clock. */
#include <uwsgi.h>

static struct uwsgi_stats_pusher *quiet;

/* --stats-push document:PATH */
static void document(struct uwsgi_stats_pusher_instance *pusher, time_t now, char *json, size_t len) {
    FILE *file;
    if (!pusher->configured) {
        pusher->data = uwsgi_concat2(pusher->arg, ".json");
        pusher->freq = 1;
        pusher->configured = 1;
    }
    file = fopen((char *) pusher->data, "w");
    if (!file) return;
    fprintf(file, "%d %.*s\n", now > 0, (int) len, json);
    fclose(file);
}

/* --stats-push raw: the metrics; a metric that is reset after it was pushed; a pusher that fails twice */
static void raw(struct uwsgi_stats_pusher_instance *pusher, time_t now, char *json, size_t len) {
    struct uwsgi_metric *metric = uwsgi.metrics;
    (void) now;
    pusher->freq = 3600;
    if (++pusher->configured < 3) {
        pusher->needs_retry = 1;
        pusher->max_retries = 5;
        return;
    }
    for (; metric; metric = metric->next) {
        uwsgi_rlock(uwsgi.metrics_lock);
        if (!uwsgi_strncmp(metric->name, metric->name_len, (char *) "core.total_rss", 14) ||
            !uwsgi_strncmp(metric->name, metric->name_len, (char *) "own", 3))
            uwsgi_log("pushed %s=%d type %d json %d len %d\n", metric->name, (int) (*metric->value > 0), metric->type,
                      json != NULL, (int) len);
        uwsgi_rwunlock(uwsgi.metrics_lock);
        if (metric->reset_after_push) {
            uwsgi_wlock(uwsgi.metrics_lock);
            *metric->value = metric->initial_value;
            uwsgi_rwunlock(uwsgi.metrics_lock);
        }
    }
    uwsgi_log("pushed %s after %d retries, own is %d\n", pusher->pusher->name, pusher->retries,
              (int) uwsgi_metric_get((char *) "own", NULL));
}

static ssize_t owned(struct wsgi_request *req, char **text) {
    *text = uwsgi_concat2n(req->method, req->method_len, (char *) "\"!\n", 3);
    return req->method_len + 3;
}

static ssize_t constant(struct wsgi_request *req, char **text) {
    if (!req->query_string_len) return 0;
    *text = (char *) "constant";
    return 8;
}

static void vars(char *key, uint16_t keylen, char *value, uint16_t len, void *data) {
    (void) data;
    if (!uwsgi_strncmp(key, keylen, (char *) "PATH_INFO", 9)) uwsgi_log("handled var %.*s\n", len, value);
}

static void frame(uint16_t index, char *value, uint16_t len, void *data) {
    if (len) uwsgi_log("handled %s %d: %.*s\n", (char *) data, index, len, value);
}

static void parsed(char *key, uint16_t keylen, char *value, uint16_t len, void *data) {
    if (!uwsgi_strncmp(key, keylen, (char *) "vars", 4)) uwsgi_hooked_parse(value, len, vars, data);
    else if (!uwsgi_strncmp(key, keylen, (char *) "backtrace", 9)) uwsgi_hooked_parse_array(value, len, frame, data);
    else if (keylen != 4 || memcmp(key, "unix", 4)) uwsgi_log("handled %.*s=%.*s\n", keylen, key, len, value);
}

static int handle(struct uwsgi_exception_handler_instance *handler, char *packet, size_t len) {
    handler->configured++;
    handler->custom_ptr = handler->arg;
    uwsgi_hooked_parse(packet, len, parsed, handler->custom_ptr);
    return handler->configured > 1 ? -7 : 0;
}

/* no worker that does nothing: one for each that serves, and one more */
static int algorithm(int can_spawn) {
    int i, running = 0, busy = 0;
    for (i = 1; i <= uwsgi.numproc; i++) {
        if (uwsgi.workers[i].cheaped == 0 && uwsgi.workers[i].pid > 0) running++;
        if (uwsgi_worker_is_busy(i)) busy++;
    }
    if (!can_spawn) return 0;
    return running < uwsgi.numproc && busy == 0 ? uwsgi.numproc - running : 0;
}

static char *encode(struct uwsgi_log_encoder *encoder, char *line, size_t len, size_t *newlen) {
    char *made;
    if (!encoder->configured) {
        encoder->data = encoder->args ? encoder->args : (char *) "none";
        encoder->configured = 1;
    }
    if (uwsgi_contains_n(line, len, (char *) "leave", 5)) return NULL;
    made = uwsgi_concat3n((char *) encoder->data, (int) strlen((char *) encoder->data), (char *) "|", 1, line, (int) len);
    *newlen = strlen((char *) encoder->data) + 1 + len;
    return made;
}

static time_t seconds(void) { return 1000; }
static uint64_t microseconds(void) { return 1000000007; }
static struct uwsgi_clock stopped = { (char *) "stopped", seconds, microseconds, NULL };

static void on_load(void) {
    struct uwsgi_stats_pusher *kind = uwsgi_register_stats_pusher((char *) "raw", raw);
    kind->raw = 1;
    uwsgi_register_stats_pusher((char *) "document", document);
    quiet = uwsgi_register_stats_pusher((char *) "added", document);
    uwsgi_register_logchunk((char *) "owned", owned, 1);
    uwsgi_register_logchunk((char *) "method", owned, 1);
    uwsgi_register_logchunk((char *) "constant", constant, 0);
    uwsgi_register_exception_handler((char *) "tell", handle);
    uwsgi_register_cheaper_algo((char *) "all-at-once", algorithm);
    uwsgi_register_log_encoder((char *) "mark", encode);
    uwsgi_register_clock(&stopped);
}

static void post_init(void) {
    if (getenv("ADD_PUSHER")) uwsgi_stats_pusher_add(quiet, getenv("ADD_PUSHER"))->freq = 1;
}

static struct uwsgi_buffer *text(const char *what) {
    struct uwsgi_buffer *buffer = uwsgi_buffer_new(64);
    uwsgi_buffer_append(buffer, (char *) what, strlen(what));
    return buffer;
}
static struct uwsgi_buffer *backtrace(struct wsgi_request *req) {
    static const char *parts[] = { "file.c", "7", "request", "", "" };
    struct uwsgi_buffer *buffer = uwsgi_buffer_new(64);
    int i;
    (void) req;
    for (i = 0; i < 5; i++) {
        uwsgi_buffer_u16le(buffer, (uint16_t) strlen(parts[i]));
        uwsgi_buffer_append(buffer, (char *) parts[i], strlen(parts[i]));
    }
    return buffer;
}
static struct uwsgi_buffer *class_of(struct wsgi_request *req) { return (void) req, text("Mishap"); }
static struct uwsgi_buffer *message(struct wsgi_request *req) { return (void) req, text("it broke"); }
static struct uwsgi_buffer *repr(struct wsgi_request *req) { return (void) req, text("Mishap(it broke)"); }

static int request(struct wsgi_request *req) {
    struct uwsgi_logvar *variable;
    char answer[128];
    if (uwsgi_parse_vars(req)) return -1;
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, (char *) "/broken", 7)) {
        uwsgi_manage_exception(req, 1);
        return UWSGI_OK;
    }
    uwsgi_logvar_add(req, (char *) "key", 3, (char *) "value", 5);
    variable = uwsgi_logvar_get(req, (char *) "key", 3);
    snprintf(answer, sizeof answer, "%s %d %s %ld %ld", variable->val, variable->vallen,
             uwsgi_logvar_get(req, (char *) "other", 5) ? "?" : "none", (long) uwsgi_now(), (long) uwsgi_micros());
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    uwsgi_response_write_body_do(req, answer, strlen(answer));
    return UWSGI_OK;
}

struct uwsgi_plugin outward_plugin = {
    .name = "outward",
    .modifier1 = 200,
    .on_load = on_load,
    .post_init = post_init,
    .request = request,
    .backtrace = backtrace,
    .exception_class = class_of,
    .exception_msg = message,
    .exception_repr = repr,
};
