/* myrewrite:PATH puts another path in the place of the request's; rules that follow see it. */
#include <uwsgi.h>
static int rewrite(struct wsgi_request *req, struct uwsgi_route *route) {
    struct uwsgi_buffer *path = uwsgi_routing_translate(req, route, NULL, 0, (char *) route->data, route->data_len);
    char *place;
    if (!path) return UWSGI_ROUTE_BREAK;
    place = uwsgi_req_append(req, (char *) "PATH_INFO", 9, path->buf, (uint16_t) path->pos);
    if (!place) return UWSGI_ROUTE_BREAK;
    req->path_info = place;
    req->path_info_len = (uint16_t) path->pos;
    uwsgi_buffer_destroy(path);
    return UWSGI_ROUTE_NEXT;
}
static int configure(struct uwsgi_route *route, char *args) {
    route->func = rewrite;
    route->data = args;
    route->data_len = strlen(args);
    return 0;
}
static void on_load(void) { uwsgi_register_router((char *) "myrewrite", configure); }
struct uwsgi_plugin rewrite_plugin = { .name = "myrewrite", .on_load = on_load };
