/* An alarm of a plugin's own kind: --alarm "NAME cshout:TEXT" */
#include <uwsgi.h>
extern struct uwsgi_server uwsgi;

static void shout_init(struct uwsgi_alarm_instance *alarm) {
    alarm->data_ptr = uwsgi_concat2(alarm->arg, "!");
    alarm->data64 = 7;
}

static void shout(struct uwsgi_alarm_instance *alarm, char *message, size_t len) {
    uwsgi_log("%s %s %s: %.*s (%d)\n", alarm->name, alarm->alarm->name, (char *) alarm->data_ptr, (int) len, message,
              (int) alarm->data64++);
}

static void on_load(void) { uwsgi_register_alarm("cshout", shout_init, shout); }

static int request(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    uwsgi_alarm_trigger("mine", req->path_info, req->path_info_len);
    uwsgi_response_prepare_headers(req, "200 OK", 6);
    return UWSGI_OK;
}

struct uwsgi_plugin alarm_plugin = { .name = "alarm", .modifier1 = 200, .on_load = on_load, .request = request };
