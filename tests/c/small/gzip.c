/* A transformation: the whole answer packed with zlib. --route-run pack: */
#include <uwsgi.h>
#include <zlib.h>
static int pack(struct wsgi_request *req, struct uwsgi_transformation *step) {
    z_stream z;
    struct uwsgi_buffer *packed;
    if (!step->chunk->pos) return 0;
    memset(&z, 0, sizeof z);
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK) return -1;
    packed = uwsgi_buffer_new(deflateBound(&z, step->chunk->pos));
    z.next_in = (unsigned char *) step->chunk->buf;
    z.avail_in = (unsigned) step->chunk->pos;
    z.next_out = (unsigned char *) packed->buf;
    z.avail_out = (unsigned) packed->len;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) return -1;
    packed->pos = z.total_out;
    deflateEnd(&z);
    uwsgi_buffer_destroy(step->chunk);
    step->chunk = packed;
    return uwsgi_response_add_header(req, (char *) "Content-Encoding", 16, (char *) "gzip", 4);
}
static int add(struct wsgi_request *req, struct uwsgi_route *route) {
    (void) route;
    return uwsgi_add_transformation(req, pack, NULL) ? UWSGI_ROUTE_NEXT : UWSGI_ROUTE_BREAK;
}
static int configure(struct uwsgi_route *route, char *args) { (void) args; route->func = add; return 0; }
static void on_load(void) { uwsgi_register_router((char *) "pack", configure); }
struct uwsgi_plugin gzip_plugin = { .name = "packing", .on_load = on_load };
