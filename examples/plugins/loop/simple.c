/* A loop engine: --loop simple serves one request after the other. */
#include <uwsgi.h>

static void loop(void) {
    int queue = event_queue_init();
    struct wsgi_request *req = find_first_available_wsgi_req();
    uwsgi_add_sockets_to_queue(queue, 0);
    while (uwsgi.workers[uwsgi.mywid].manage_next_request) {
        wsgi_req_setup(req, 0, NULL);
        if (wsgi_req_accept(queue, req)) continue;
        wsgi_req_recv(queue, req);
        uwsgi_close_request(req);
    }
}

static int answer(struct wsgi_request *req) {
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    uwsgi_response_write_body_do(req, (char *) "by a loop", 9);
    return UWSGI_OK;
}

static void on_load(void) { uwsgi_register_loop((char *) "simple", loop); }

struct uwsgi_plugin simple_plugin = { .name = "simple", .modifier1 = 250, .on_load = on_load, .request = answer };
