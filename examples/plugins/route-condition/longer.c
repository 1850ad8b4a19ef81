/* A condition of routing: --route-if "longer:10 break:414 URI Too Long" */
#include <uwsgi.h>

static int longer(struct wsgi_request *req, struct uwsgi_route *route) {
    return req->uri_len > uwsgi_str_num(route->subject_str, (int) route->subject_str_len);
}

static void on_load(void) { uwsgi_register_route_condition((char *) "longer", longer); }

struct uwsgi_plugin longer_plugin = { .name = "longer", .on_load = on_load };
