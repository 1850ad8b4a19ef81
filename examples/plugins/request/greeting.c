/* Answers requests: --http-socket :8080 --http-socket-modifier1 250 */
#include <uwsgi.h>

static int answer(struct wsgi_request *req) {
    struct uwsgi_buffer *text;
    if (uwsgi_parse_vars(req)) return -1;
    text = uwsgi_buffer_new(64);
    uwsgi_buffer_append(text, (char *) "Hello ", 6);
    uwsgi_buffer_append(text, req->path_info, req->path_info_len);
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    uwsgi_response_add_content_type(req, (char *) "text/plain", 10);
    uwsgi_response_write_body_do(req, text->buf, text->pos);
    uwsgi_buffer_destroy(text);
    return UWSGI_OK;
}

struct uwsgi_plugin greeting_plugin = { .name = "greeting", .modifier1 = 250, .request = answer };
