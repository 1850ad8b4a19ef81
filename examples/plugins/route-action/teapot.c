/* An action of routing: --route "^/tea teapot:short and stout" */
#include <uwsgi.h>

static int answer(struct wsgi_request *req, struct uwsgi_route *route) {
    uwsgi_response_prepare_headers(req, (char *) "418 I'm a teapot", 16);
    uwsgi_response_write_body_do(req, (char *) route->data, route->data_len);
    return UWSGI_ROUTE_BREAK;
}

static int configure(struct uwsgi_route *route, char *args) {
    route->func = answer;
    route->data = args;
    route->data_len = strlen(args);
    return 0;
}

static void on_load(void) { uwsgi_register_router((char *) "teapot", configure); }

struct uwsgi_plugin teapot_plugin = { .name = "teapot", .on_load = on_load };
