/* A protocol: --protocol line takes one line, a path, and answers with the body alone: printf '/a\n' | nc HOST PORT */
#include <uwsgi.h>

#define ROOM 1024

static int parse(struct wsgi_request *req) {
    if (!req->proto_parser_buf) req->proto_parser_buf = uwsgi_malloc(ROOM); /* the host frees it */
    char *line = req->proto_parser_buf;
    while (req->proto_parser_pos < ROOM) {
        ssize_t got = read(req->fd, line + req->proto_parser_pos, ROOM - req->proto_parser_pos);
        if (got < 0 && errno == EAGAIN) return UWSGI_AGAIN;
        if (got <= 0) return -1;
        req->proto_parser_pos += got;
        char *end = memchr(line, '\n', req->proto_parser_pos);
        if (!end) continue;
        req->uh->pktsize += proto_base_add_uwsgi_var(req, (char *) "REQUEST_METHOD", 14, (char *) "GET", 3);
        req->uh->pktsize += proto_base_add_uwsgi_var(req, (char *) "PATH_INFO", 9, line, end - line);
        req->uh->modifier1 = 250;
        return UWSGI_OK;
    }
    return -1; /* too long */
}

static struct uwsgi_buffer *no_status(struct wsgi_request *req, char *status, uint16_t len) {
    (void) req; (void) status; (void) len;
    return uwsgi_buffer_new(0);
}

static struct uwsgi_buffer *no_header(struct wsgi_request *req, char *k, uint16_t klen, char *v, uint16_t vlen) {
    (void) req; (void) k; (void) klen; (void) v; (void) vlen;
    return uwsgi_buffer_new(0);
}

static int no_end(struct wsgi_request *req) { (void) req; return 0; }

static void setup(struct uwsgi_socket *sock) {
    sock->proto = parse;
    sock->proto_prepare_headers = no_status;
    sock->proto_add_header = no_header;
    sock->proto_fix_headers = no_end;
}

static int answer(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    uwsgi_response_write_body_do(req, (char *) "you asked for ", 14);
    uwsgi_response_write_body_do(req, req->path_info, req->path_info_len);
    return UWSGI_OK;
}

static void on_load(void) { uwsgi_register_protocol((char *) "line", setup); }

struct uwsgi_plugin line_plugin = { .name = "line", .modifier1 = 250, .on_load = on_load, .request = answer };
