/* A kind of alarm: --alarm "fire siren:LOUD"; each request raises it. */
#include <uwsgi.h>

static void init(struct uwsgi_alarm_instance *alarm) { alarm->data_ptr = alarm->arg; }

static void sound(struct uwsgi_alarm_instance *alarm, char *message, size_t len) {
    uwsgi_log("siren %s: %.*s\n", (char *) alarm->data_ptr, (int) len, message);
}

static int request(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    uwsgi_alarm_trigger((char *) "fire", req->path_info, req->path_info_len);
    return uwsgi_response_prepare_headers(req, (char *) "204 No Content", 14);
}

static void on_load(void) { uwsgi_register_alarm((char *) "siren", init, sound); }

struct uwsgi_plugin siren_plugin = { .name = "siren", .modifier1 = 250, .on_load = on_load, .request = request };
