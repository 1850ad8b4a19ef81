/* myexpires:SECONDS adds an Expires header to the answer. */
#include <uwsgi.h>
static int expires(struct wsgi_request *req, struct uwsgi_route *route) {
    char line[64] = "Expires: ";
    int len = uwsgi_http_date(uwsgi_now() + (time_t) uwsgi_str_num((char *) route->data, (int) route->data_len), line + 9);
    uwsgi_additional_header_add(req, line, (uint16_t) (9 + len));
    return UWSGI_ROUTE_NEXT;
}
static int configure(struct uwsgi_route *route, char *args) {
    route->func = expires;
    route->data = args;
    route->data_len = strlen(args);
    return 0;
}
static void on_load(void) { uwsgi_register_router((char *) "myexpires", configure); }
struct uwsgi_plugin expires_plugin = { .name = "myexpires", .on_load = on_load };
