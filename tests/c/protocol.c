/* A protocol with all its functions: "PATH LENGTH\n" and a body; answers in netstrings ("3:abc,"), the head in one. */
#include <uwsgi.h>

#define ROOM 256

static int parse(struct wsgi_request *req) {
    char *line = req->proto_parser_buf ? req->proto_parser_buf : (req->proto_parser_buf = uwsgi_malloc(ROOM));
    for (;;) {
        ssize_t got = read(req->fd, line + req->proto_parser_pos, ROOM - req->proto_parser_pos);
        if (got < 0 && errno == EAGAIN) return UWSGI_AGAIN;
        if (got <= 0) return -1;
        req->proto_parser_pos += got;
        req->proto_parser_status++;
        char *end = memchr(line, '\n', req->proto_parser_pos);
        if (!end) continue;
        char *blank = memchr(line, ' ', end - line);
        if (!blank) return -1;
        if (!strncmp(line, "/abort ", 7)) abort();
        char pieces[16];
        int len = snprintf(pieces, sizeof(pieces), "%d", (int) req->proto_parser_status);
        req->uh->pktsize += proto_base_add_uwsgi_var(req, "REQUEST_METHOD", 14, "POST", 4);
        req->uh->pktsize += proto_base_add_uwsgi_var(req, "PATH_INFO", 9, line, blank - line);
        req->uh->pktsize += proto_base_add_uwsgi_header(req, "Content-Length", 14, blank + 1, end - blank - 1);
        req->uh->pktsize += proto_base_add_uwsgi_header(req, "X-Pieces", 8, pieces, len);
        req->proto_parser_remains_buf = end + 1;
        req->proto_parser_remains = line + req->proto_parser_pos - end - 1;
        req->uh->modifier1 = 203;
        uwsgi_log("has read a line\n");
        return UWSGI_OK;
    }
}

static struct uwsgi_buffer *status(struct wsgi_request *req, char *text, uint16_t len) {
    (void) req;
    struct uwsgi_buffer *made = uwsgi_buffer_new(16);
    uwsgi_buffer_append(made, "status ", 7);
    uwsgi_buffer_append(made, text, len);
    return made;
}

static struct uwsgi_buffer *header(struct wsgi_request *req, char *name, uint16_t len, char *value, uint16_t vlen) {
    (void) req; (void) value; (void) vlen;
    if (!uwsgi_strncmp(name, len, "X-Bad", 5)) return NULL;
    struct uwsgi_buffer *made = uwsgi_buffer_new(16);
    uwsgi_buffer_append(made, ";", 1);
    uwsgi_buffer_append(made, name, len);
    return made;
}

static int fix(struct wsgi_request *req) { return uwsgi_buffer_append(req->headers, ".", 1); }

/* The number first, the comma last; write_pos counts the bytes between, so that none is sent twice. */
static int write_part(struct wsgi_request *req, char *bytes, size_t len) {
    if (!req->write_pos) {
        char number[32];
        int digits = snprintf(number, sizeof(number), "%lu:", (unsigned long) len);
        if (write(req->fd, number, digits) != digits) return -1;
    }
    int outcome = uwsgi_proto_base_write(req, bytes, len);
    if (outcome == UWSGI_OK && write(req->fd, ",", 1) != 1) return -1;
    return outcome;
}

static int write_head(struct wsgi_request *req, char *bytes, size_t len) {
    if (write(req->fd, "head ", 5) != 5) return -1;
    return write_part(req, bytes, len);
}

/* What a client sends is upper case to the application. */
static ssize_t read_body(struct wsgi_request *req, char *place, size_t room) {
    ssize_t got = read(req->fd, place, room);
    for (ssize_t at = 0; at < got; at++) place[at] = toupper((unsigned char) place[at]);
    return got;
}

static void close_it(struct wsgi_request *req) {
    uwsgi_log("closed after %d pieces\n", (int) req->proto_parser_status);
}

static void setup(struct uwsgi_socket *sock) {
    uwsgi_log("set up for %s\n", sock->proto_name);
    sock->proto = parse;
    sock->proto_prepare_headers = status;
    sock->proto_add_header = header;
    sock->proto_fix_headers = fix;
    sock->proto_write = write_part;
    sock->proto_write_headers = write_head;
    sock->proto_read_body = read_body;
    sock->proto_close = close_it;
}

static void no_parser(struct uwsgi_socket *sock) { sock->proto = NULL; }

static void plain(struct uwsgi_socket *sock) { sock->proto = parse; }

static void base(struct uwsgi_socket *sock) {
    sock->proto = parse;
    sock->proto_prepare_headers = uwsgi_proto_base_cgi_prepare_headers;
    sock->proto_add_header = uwsgi_proto_base_add_header;
    sock->proto_fix_headers = uwsgi_proto_base_fix_headers;
    sock->proto_write = uwsgi_proto_base_write;
    sock->proto_write_headers = uwsgi_proto_base_write_header;
    sock->proto_read_body = uwsgi_proto_noop_read_body;
}

static int answer(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/crash", 6)) return -1;
    uwsgi_response_prepare_headers(req, "200 OK", 6);
    uint16_t len = 0;
    char *pieces = uwsgi_get_var(req, "HTTP_X_PIECES", 13, &len);
    if (uwsgi_response_add_header(req, "X-Pieces", 8, pieces, len)) return -1;
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/bad", 4)
        && !uwsgi_response_add_header(req, "X-Bad", 5, "1", 1)) return -1;
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/file", 5)) {
        int fd = open("big", O_RDONLY);
        return uwsgi_response_sendfile_do(req, fd, 0, 0) ? -1 : UWSGI_OK;
    }
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/long", 5)) {
        size_t size = 4 * 1024 * 1024;
        char *zeros = uwsgi_malloc(size);
        memset(zeros, 'z', size);
        uwsgi_response_write_body_do(req, zeros, size);
        free(zeros);
        return UWSGI_OK;
    }
    size_t left = req->post_cl;
    while (left > 0) {
        ssize_t got = 0;
        char *part = uwsgi_request_body_read(req, left, &got);
        if (!part || got <= 0) break;
        uwsgi_response_write_body_do(req, part, got);
        left -= got;
    }
    return UWSGI_OK;
}

static void on_load(void) {
    uwsgi_register_protocol("netstrings", setup);
    uwsgi_register_protocol("deaf", no_parser);
    uwsgi_register_protocol("plain", plain);
    uwsgi_register_protocol("base", base);
    if (uwsgi_register_protocol("", setup) || uwsgi_register_protocol("none", NULL)) uwsgi_exit(1);
}

struct uwsgi_plugin protocol_plugin = { .name = "protocol", .modifier1 = 203, .on_load = on_load, .request = answer };
