/* Gives back the body of a request and a count of its variables. */
#include <uwsgi.h>
static int echo(struct wsgi_request *req) {
    ssize_t len = 0;
    char *part;
    char count[16];
    if (uwsgi_parse_vars(req)) return -1;
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    uwsgi_response_add_header(req, (char *) "X-Vars", 6, count, (uint16_t) uwsgi_num2str2(req->var_cnt / 2 > 5, count));
    while ((part = uwsgi_request_body_read(req, 16, &len)) && len > 0) uwsgi_response_write_body_do(req, part, (size_t) len);
    return UWSGI_OK;
}
struct uwsgi_plugin echo_plugin = { .name = "echo", .modifier1 = 101, .request = echo };
