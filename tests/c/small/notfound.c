/* Answers 404 to everybody; with --notfound-log it says who was sent away. */
#include <uwsgi.h>
static int say;
static struct uwsgi_option options[] = {
    { "notfound-log", no_argument, 0, "say what was not found", uwsgi_opt_true, &say, 0 }, UWSGI_END_OF_OPTIONS
};
static int answer(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    if (say) uwsgi_log_verbose("nothing for %.*s at %.*s\n", req->remote_addr_len, req->remote_addr, req->uri_len, req->uri);
    uwsgi_404(req);
    return UWSGI_OK;
}
struct uwsgi_plugin notfound_plugin = { .name = "notfound", .modifier1 = 102, .options = options, .request = answer };
