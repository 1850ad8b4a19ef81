/* Transformations of an answer: part by part, of the whole, and at the end; actions of routing add them. */
#include <uwsgi.h>

static int upper(struct wsgi_request *req, struct uwsgi_transformation *step) {
    size_t i;
    (void) req;
    for (i = 0; i < step->chunk->pos; i++) step->chunk->buf[i] = (char) toupper((int) step->chunk->buf[i]);
    return 0;
}

static int brackets(struct wsgi_request *req, struct uwsgi_transformation *step) {
    if (step->round == 1) uwsgi_response_add_header(req, (char *) "X-Brackets", 10, (char *) "yes", 3);
    if (uwsgi_buffer_insert(step->chunk, 0, (char *) "[", 1)) return -1;
    return uwsgi_buffer_append(step->chunk, (char *) "]", 1);
}

static int backwards(struct wsgi_request *req, struct uwsgi_transformation *step) {
    struct uwsgi_buffer *turned = uwsgi_buffer_new(step->chunk->pos);
    size_t i;
    (void) req;
    for (i = step->chunk->pos; i > 0; i--) uwsgi_buffer_append(turned, step->chunk->buf + i - 1, 1);
    uwsgi_buffer_destroy(step->chunk);
    step->chunk = turned;
    return 0;
}

static int rounds(struct wsgi_request *req, struct uwsgi_transformation *step) {
    (void) req;
    return uwsgi_buffer_append(step->chunk, (char *) step->data, strlen((char *) step->data));
}

static int fails(struct wsgi_request *req, struct uwsgi_transformation *step) { return (void) req, (void) step, -1; }

static int add(struct wsgi_request *req, struct uwsgi_route *route) {
    char *name = (char *) route->data;
    struct uwsgi_transformation *step;
    if (!strcmp(name, "backwards")) uwsgi_add_transformation(req, backwards, NULL);
    else if (!strcmp(name, "end")) uwsgi_add_transformation(req, rounds, (void *) "/end")->is_final = 1;
    else if (!strcmp(name, "fails")) uwsgi_add_transformation(req, fails, NULL)->can_stream = 1;
    else {
        step = uwsgi_add_transformation(req, strcmp(name, "upper") ? brackets : upper, NULL);
        step->can_stream = 1;
    }
    return UWSGI_ROUTE_NEXT;
}

static int configure(struct uwsgi_route *route, char *args) {
    route->func = add;
    route->data = args;
    return 0;
}

static void on_load(void) { uwsgi_register_router((char *) "make", configure); }

static int request(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    if (req->query_string_len) uwsgi_response_add_content_length(req, 6);
    uwsgi_response_write_body_do(req, (char *) "abc", 3);
    uwsgi_response_write_body_do(req, (char *) "def", 3);
    return UWSGI_OK;
}

struct uwsgi_plugin transform_plugin = { .name = "transform", .modifier1 = 203, .on_load = on_load, .request = request };
