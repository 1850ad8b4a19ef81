/* An action, a condition and a variable for internal routing. */
#include <uwsgi.h>
extern struct uwsgi_server uwsgi;

static int stamp(struct wsgi_request *req, struct uwsgi_route *route) {
    char **subject = (char **) (((char *) req) + route->subject);
    uint16_t *subject_len = (uint16_t *) (((char *) req) + route->subject_len);
    struct uwsgi_buffer *text = uwsgi_routing_translate(req, route, *subject, *subject_len, route->data, route->data_len);
    if (!text) return UWSGI_ROUTE_BREAK;
    uwsgi_req_append(req, "STAMP", 5, text->buf, text->pos);
    uwsgi_buffer_destroy(text);
    return route->custom ? UWSGI_ROUTE_CONTINUE : UWSGI_ROUTE_NEXT;
}

static int answer(struct wsgi_request *req, struct uwsgi_route *route) {
    uwsgi_response_prepare_headers(req, "200 OK", 6);
    uwsgi_response_write_body_do(req, route->data, route->data_len);
    return UWSGI_ROUTE_BREAK;
}

static int prepare_stamp(struct uwsgi_route *route, char *args) {
    if (!*args) return -1;
    route->func = stamp;
    route->custom = *args == '!';
    route->data = args + route->custom;
    route->data_len = strlen(route->data);
    return 0;
}

static int prepare_answer(struct uwsgi_route *route, char *args) {
    route->func = answer;
    route->data = args;
    route->data_len = strlen(args);
    return 0;
}

static int is_long(struct wsgi_request *req, struct uwsgi_route *route) {
    return req->path_info_len > atoi(route->subject_str);
}

static char *twice(struct wsgi_request *req, char *key, uint16_t keylen, uint16_t *len) {
    char *text = uwsgi_malloc(2 * keylen);
    memcpy(text, key, keylen);
    memcpy(text + keylen, key, keylen);
    *len = 2 * keylen;
    return text;
}

static void on_load(void) {
    uwsgi_register_router("stamp", prepare_stamp);
    uwsgi_register_router("answer", prepare_answer);
    uwsgi_register_route_condition("longer", is_long);
    uwsgi_register_route_var("twice", twice)->need_free = 1;
}

struct uwsgi_plugin routing_plugin = { .name = "routing", .on_load = on_load };
