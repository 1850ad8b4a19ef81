/* Runs tasks of the spooler (--spooler FOLDER); each request writes one. */
#include <uwsgi.h>

static void find(char *key, uint16_t keylen, char *value, uint16_t len, void *data) {
    if (!uwsgi_strncmp(key, keylen, (char *) "errand", 6)) *(char **) data = uwsgi_strncopy(value, len);
}

static int run(char *file, char *packet, uint16_t len, char *body, size_t body_len) {
    char *errand = NULL;
    (void) file;
    uwsgi_hooked_parse(packet, len, find, &errand);
    if (!errand) return 0;
    uwsgi_log("errand %s with %.*s\n", errand, (int) body_len, body);
    free(errand);
    return -2;
}

static int request(struct wsgi_request *req) {
    struct uwsgi_buffer *packet = uwsgi_buffer_new(64);
    char *path;
    if (uwsgi_parse_vars(req)) return -1;
    uwsgi_buffer_append_keyval(packet, (char *) "errand", 6, req->path_info, req->path_info_len);
    path = uwsgi_spool_request(req, packet->buf, packet->pos, (char *) "a letter", 8);
    free(path);
    uwsgi_buffer_destroy(packet);
    return uwsgi_response_prepare_headers(req, (char *) "204 No Content", 14);
}

struct uwsgi_plugin errand_plugin = { .name = "errand", .modifier1 = 250, .spooler = run, .request = request };
