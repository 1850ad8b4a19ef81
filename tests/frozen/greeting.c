/* The source of greeting_1_0.x86_64.so, which is never built again: every later rsgi loads that file as it is. */
#include <uwsgi.h>

static char *greeting = "hello";
static int loud;

static struct uwsgi_option options[] = {
    { "frozen-greeting", required_argument, 0, "what to say", uwsgi_opt_set_str, &greeting, 0 },
    { "frozen-loud", no_argument, 0, "say it louder", uwsgi_opt_true, &loud, 0 },
    UWSGI_END_OF_OPTIONS
};

static void on_load(void) { uwsgi_log("FROZEN on_load\n"); }
static int init(void) { uwsgi_log("FROZEN init %s\n", greeting); return 0; }
static void post_fork(void) { uwsgi_log("FROZEN post_fork in worker %d\n", uwsgi.mywid); }
static void cleanup(void) { uwsgi_log("FROZEN master_cleanup\n"); }

static int request(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    uint16_t len = 0;
    char *query = uwsgi_get_var(req, "QUERY_STRING", 12, &len);
    if (uwsgi_response_prepare_headers(req, "200 OK", 6)) return -1;
    if (uwsgi_response_add_header(req, "X-Frozen", 8, "1.0", 3)) return -1;
    struct uwsgi_buffer *body = uwsgi_buffer_new(64);
    uwsgi_buffer_append(body, greeting, strlen(greeting));
    uwsgi_buffer_append(body, " ", 1);
    uwsgi_buffer_append(body, req->method, req->method_len);
    uwsgi_buffer_append(body, " ", 1);
    uwsgi_buffer_append(body, req->path_info, req->path_info_len);
    if (query && len) { uwsgi_buffer_append(body, "?", 1); uwsgi_buffer_append(body, query, len); }
    if (loud) uwsgi_buffer_append(body, "!", 1);
    ssize_t got = 0;
    char *posted = uwsgi_request_body_read(req, 0, &got);
    if (posted && got > 0) { uwsgi_buffer_append(body, " ", 1); uwsgi_buffer_append(body, posted, got); }
    int rc = uwsgi_response_write_body_do(req, body->buf, body->pos);
    uwsgi_buffer_destroy(body);
    return rc;
}

static void after_request(struct wsgi_request *req) { uwsgi_log("FROZEN status %d\n", req->status); log_request(req); }

struct uwsgi_plugin greeting_plugin = {
    .name = "greeting", .modifier1 = 204, .options = options, .on_load = on_load, .init = init, .post_fork = post_fork,
    .master_cleanup = cleanup, .request = request, .after_request = after_request,
};
