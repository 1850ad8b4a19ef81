/* Changes answers on their way: --route-run rot13: */
#include <uwsgi.h>

static int turn(struct wsgi_request *req, struct uwsgi_transformation *step) {
    size_t i;
    (void) req;
    for (i = 0; i < step->chunk->pos; i++) {
        char c = step->chunk->buf[i], low = (char) (c | 32);
        if (low >= 'a' && low <= 'z') step->chunk->buf[i] = (char) (c + (low < 'n' ? 13 : -13));
    }
    return 0;
}

static int add(struct wsgi_request *req, struct uwsgi_route *route) {
    (void) route;
    uwsgi_add_transformation(req, turn, NULL)->can_stream = 1;
    return UWSGI_ROUTE_NEXT;
}

static int configure(struct uwsgi_route *route, char *args) {
    (void) args;
    route->func = add;
    return 0;
}

static void on_load(void) { uwsgi_register_router((char *) "rot13", configure); }

struct uwsgi_plugin rot13_plugin = { .name = "rot13", .on_load = on_load };
