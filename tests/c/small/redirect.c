/* Two actions: myredirect:URL and myredirect-permanent:URL, with the groups of the pattern filled in. */
#include <uwsgi.h>
static int redirect(struct wsgi_request *req, struct uwsgi_route *route) {
    char **subject = (char **) (((char *) req) + route->subject);
    uint16_t *len = (uint16_t *) (((char *) req) + route->subject_len);
    struct uwsgi_buffer *url = uwsgi_routing_translate(req, route, *subject, *len, (char *) route->data, route->data_len);
    if (!url) return UWSGI_ROUTE_BREAK;
    if (route->custom) uwsgi_response_prepare_headers(req, (char *) "301 Moved Permanently", 21);
    else uwsgi_response_prepare_headers(req, (char *) "302 Found", 9);
    uwsgi_response_add_header(req, (char *) "Location", 8, url->buf, (uint16_t) url->pos);
    uwsgi_response_write_body_do(req, (char *) "Moved", 5);
    uwsgi_buffer_destroy(url);
    return UWSGI_ROUTE_BREAK;
}
static int configure(struct uwsgi_route *route, char *args) {
    route->func = redirect;
    route->data = args;
    route->data_len = strlen(args);
    return 0;
}
static int permanently(struct uwsgi_route *route, char *args) { route->custom = 1; return configure(route, args); }
static void on_load(void) {
    uwsgi_register_router((char *) "myredirect", configure);
    uwsgi_register_router((char *) "myredirect-permanent", permanently);
}
struct uwsgi_plugin redirect_plugin = { .name = "myredirect", .on_load = on_load };
