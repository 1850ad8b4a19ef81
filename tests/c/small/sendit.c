/* sendit:PATH answers with a file and its type. */
#include <uwsgi.h>
static int send_file(struct wsgi_request *req, struct uwsgi_route *route) {
    struct uwsgi_buffer *path = uwsgi_routing_translate(req, route, NULL, 0, (char *) route->data, route->data_len);
    size_t len = 0;
    char *type;
    struct stat st;
    int fd;
    if (!path || uwsgi_buffer_append(path, (char *) "\0", 1)) return UWSGI_ROUTE_BREAK;
    fd = open(path->buf, O_RDONLY);
    if (fd < 0 || fstat(fd, &st)) { uwsgi_404(req); return UWSGI_ROUTE_BREAK; }
    type = uwsgi_get_mime_type(path->buf, (int) path->pos - 1, &len);
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    if (type) uwsgi_response_add_content_type(req, type, (uint16_t) len);
    uwsgi_response_add_content_length(req, (uint64_t) st.st_size);
    uwsgi_response_add_last_modified(req, (uint64_t) st.st_mtime);
    uwsgi_response_sendfile_do(req, fd, 0, (size_t) st.st_size);
    uwsgi_buffer_destroy(path);
    return UWSGI_ROUTE_BREAK;
}
static int configure(struct uwsgi_route *route, char *args) {
    route->func = send_file;
    route->data = args;
    route->data_len = strlen(args);
    return 0;
}
static void on_load(void) { uwsgi_register_router((char *) "sendit", configure); }
struct uwsgi_plugin sendit_plugin = { .name = "sendit", .on_load = on_load };
