/* A request plugin that shows what the request and response functions do. */
#include <uwsgi.h>

static int is(struct wsgi_request *req, const char *path) {
    return !uwsgi_strncmp(req->path_info, req->path_info_len, (char *) path, strlen(path));
}

static int request(struct wsgi_request *wsgi_req) {
    if (uwsgi_parse_vars(wsgi_req)) return -1;
    if (is(wsgi_req, "/error")) return -1;
    if (is(wsgi_req, "/split")) {
        uwsgi_response_prepare_headers(wsgi_req, (char *) "200 OK", 6);
        int rc = uwsgi_response_add_header(wsgi_req, (char *) "X-A", 3, (char *) "b\r\nX-Evil: 1", 12);
        uwsgi_response_write_body_do(wsgi_req, rc ? (char *) "refused" : (char *) "accepted", rc ? 7 : 8);
        return UWSGI_OK;
    }
    if (is(wsgi_req, "/body")) {
        uwsgi_response_prepare_headers(wsgi_req, (char *) "201 Created", 11);
        for (;;) {
            ssize_t len = 0;
            char *part = uwsgi_request_body_read(wsgi_req, 1000, &len);
            if (!part || len <= 0) break;
            if (uwsgi_response_write_body_do(wsgi_req, part, len)) break;
        }
        return UWSGI_OK;
    }
    if (is(wsgi_req, "/lines")) {
        int lines = 0;
        for (;;) {
            ssize_t len = 0;
            if (!uwsgi_request_body_readline(wsgi_req, 0, &len) || len <= 0) break;
            lines++;
        }
        struct uwsgi_buffer *ub = uwsgi_buffer_new(16);
        uwsgi_buffer_num64(ub, lines);
        uwsgi_response_prepare_headers_int(wsgi_req, 200);
        uwsgi_response_add_content_length(wsgi_req, ub->pos);
        uwsgi_response_write_body_do(wsgi_req, ub->buf, ub->pos);
        uwsgi_buffer_destroy(ub);
        return UWSGI_OK;
    }
    if (is(wsgi_req, "/file")) {
        uwsgi_response_prepare_headers(wsgi_req, (char *) "200 OK", 6);
        return uwsgi_response_sendfile_do(wsgi_req, open("data.txt", O_RDONLY), 2, 0) ? -1 : UWSGI_OK;
    }
    if (is(wsgi_req, "/again")) {
        if (wsgi_req->async_status != UWSGI_AGAIN) uwsgi_response_prepare_headers(wsgi_req, (char *) "200 OK", 6);
        uwsgi_response_write_body_do(wsgi_req, (char *) "again ", 6);
        return wsgi_req->switches < 3 ? UWSGI_AGAIN : UWSGI_OK;
    }
    if (is(wsgi_req, "/404")) {
        uwsgi_404(wsgi_req);
        return UWSGI_OK;
    }
    char *added = uwsgi_req_append(wsgi_req, (char *) "ADDED", 5, (char *) "value", 5);
    uint16_t len = 0, qlen = 0, clen = 0;
    char *var = uwsgi_get_var(wsgi_req, (char *) "ADDED", 5, &len);
    char *qs = uwsgi_get_qs(wsgi_req, (char *) "q", 1, &qlen);
    char *cookie = uwsgi_get_cookie(wsgi_req, (char *) "c", 1, &clen);
    char out[512];
    int n = snprintf(out, sizeof out, "%.*s %.*s vars=%d added=%d qs=%.*s cookie=%.*s mod=%d/%d", wsgi_req->method_len,
                     wsgi_req->method, wsgi_req->uri_len, wsgi_req->uri, wsgi_req->var_cnt / 2, added && var == added && len == 5,
                     qlen, qs ? qs : "", clen, cookie ? cookie : "", wsgi_req->uh->modifier1, wsgi_req->uh->modifier2);
    struct iovec parts[2] = { { out, n / 2 }, { out + n / 2, n - n / 2 } };
    uwsgi_response_prepare_headers(wsgi_req, (char *) "202 Accepted Here", 17);
    rsgi_response_writev(wsgi_req, parts, 2, 1);
    return UWSGI_OK;
}

struct uwsgi_plugin answers_plugin = { .name = "answers", .modifier1 = 200, .request = request };
