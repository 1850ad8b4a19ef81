/* A mule's script and its messages: --mule=scribe:WORD, and each request sends its path to the mule. */
#include <uwsgi.h>

static int run(char *script) {
    char message[256];
    ssize_t len;
    if (uwsgi_startswith(script, (char *) "scribe:", 7)) return 0;
    uwsgi_log("scribe %d begins with %s\n", uwsgi.muleid, script + 7);
    for (;;) {
        len = uwsgi_mule_get_msg(1, 1, message, sizeof message, -1);
        if (len > 0) uwsgi_log("scribe writes %.*s\n", (int) len, message);
    }
    return 1;
}

static int request(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    rsgi_mule_send(1, req->path_info, req->path_info_len);
    return uwsgi_response_prepare_headers(req, (char *) "204 No Content", 14);
}

struct uwsgi_plugin scribe_plugin = { .name = "scribe", .modifier1 = 250, .mule = run, .request = request };
