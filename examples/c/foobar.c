/*
 * A plugin in C: says hello when the server starts, and answers requests of modifier1 180.
 *
 *   uwsgiconfig --plugin examples/c/foobar.c
 *   rsgi --plugin ./foobar_plugin.so --http-socket :9090 --http-socket-modifier1 180 --foobar-greeting Hi
 */
#include <uwsgi.h>

static char *greeting = "Hello";

/* --foobar-greeting TEXT; the setter writes the variable behind the last but one field */
static struct uwsgi_option foobar_options[] = {
    { "foobar-greeting", required_argument, 0, "greet with this word", uwsgi_opt_set_str, &greeting, 0 },
    UWSGI_END_OF_OPTIONS
};

/* in the master, once, when the options are read */
static int foobar_init(void) {
    uwsgi_log("%s World\n", greeting);
    return 0;
}

/* in a worker, per request */
static int foobar_request(struct wsgi_request *wsgi_req) {
    if (uwsgi_parse_vars(wsgi_req)) return -1;
    char *body = uwsgi_concat4n(greeting, strlen(greeting), " from ", 6, wsgi_req->path_info,
                                wsgi_req->path_info_len, "\n", 1);
    int result = UWSGI_OK;
    if (uwsgi_response_prepare_headers(wsgi_req, "200 OK", 6)
        || uwsgi_response_add_content_type(wsgi_req, "text/plain", 10)
        || uwsgi_response_write_body_do(wsgi_req, body, strlen(body)))
        result = -1;
    free(body);
    return result;
}

struct uwsgi_plugin foobar_plugin = {
    .name = "foobar",
    .modifier1 = 180,
    .options = foobar_options,
    .init = foobar_init,
    .request = foobar_request,
};
