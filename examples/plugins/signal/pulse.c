/* A handler and a source of uWSGI signals: signal 30 comes each second to a worker. */
#include <uwsgi.h>

static int handle(uint8_t number, void *handler) {
    uwsgi_log("%s %d in worker %d\n", (char *) handler, number, uwsgi.mywid);
    return 0;
}

static void post_init(void) {
    uwsgi_register_signal(30, (char *) "worker", (void *) "pulse", 250);
    uwsgi_add_timer(30, 1);
}

static int request(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    uwsgi_signal_send(uwsgi.signal_socket, 30);
    return uwsgi_response_prepare_headers(req, (char *) "204 No Content", 14);
}

struct uwsgi_plugin pulse_plugin = {
    .name = "pulse", .modifier1 = 250, .post_init = post_init, .request = request, .signal_handler = handle,
};
