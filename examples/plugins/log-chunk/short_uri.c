/* A piece of request lines: --log-format "%(short_uri)" is the path without its query. */
#include <uwsgi.h>

static ssize_t short_uri(struct wsgi_request *req, char **text) {
    char *question = (char *) memchr(req->uri, '?', req->uri_len);
    *text = req->uri;
    return question ? question - req->uri : req->uri_len;
}

static void on_load(void) { uwsgi_register_logchunk((char *) "short_uri", short_uri, 0); }

struct uwsgi_plugin short_uri_plugin = { .name = "short_uri", .on_load = on_load };
