/* A loop engine: several requests at a time in one thread, each served when all of its head is there. */
#include <uwsgi.h>
#define MOST 8

static void serve(struct wsgi_request *req) {
    if (uwsgi_apply_routes(req) != UWSGI_ROUTE_BREAK) uwsgi.p[req->uh->modifier1]->request(req);
    uwsgi_close_request(req);
}

static void loop(void) {
    int queue = event_queue_init(), fd, i, status;
    struct wsgi_request *open[MOST] = { NULL };
    struct uwsgi_socket *socket;
    uwsgi_add_sockets_to_queue(queue, -1);
    uwsgi_log("engine with %d sockets\n", uwsgi_count_sockets(uwsgi.sockets));
    while (uwsgi.workers[uwsgi.mywid].manage_next_request) {
        if (event_queue_wait(queue, -1, &fd) <= 0) continue;
        uwsgi_foreach(socket, uwsgi.sockets) if (socket->fd == fd) break;
        if (socket) {
            struct wsgi_request *req = find_first_available_wsgi_req();
            if (!req) {
                uwsgi_async_queue_is_full(uwsgi_now());
                usleep(10000);
                continue;
            }
            wsgi_req_setup(req, req->async_id, socket);
            if (wsgi_req_simple_accept(req, fd)) {
                uwsgi_destroy_request(req);
                free_req_queue;
                continue;
            }
            open[req->async_id] = req;
            event_queue_add_fd_read(queue, req->fd);
            continue;
        }
        for (i = 0; i < MOST; i++) if (open[i] && open[i]->fd == fd) break;
        if (i == MOST) continue;
        status = open[i]->socket->proto(open[i]);
        if (status > 0) continue;
        event_queue_del_fd(queue, fd, event_queue_read());
        if (status == 0) serve(open[i]);
        else uwsgi_close_request(open[i]);
        open[i] = NULL;
    }
    uwsgi_log("engine ends\n");
}

static void *core_loop(void *core) {
    int queue = event_queue_init();
    struct wsgi_request *req = find_first_available_wsgi_req();
    uwsgi_setup_thread_req((long) core, req);
    uwsgi_add_sockets_to_queue(queue, (int) (long) core);
    while (uwsgi.workers[uwsgi.mywid].manage_next_request) {
        wsgi_req_setup(req, (int) (long) core, NULL);
        if (wsgi_req_accept(queue, req)) continue;
        wsgi_req_recv(queue, req);
        uwsgi_close_request(req);
    }
    return NULL;
}

static void threads(void) { uwsgi_loop_cores_run(core_loop); }

static void on_load(void) {
    uwsgi_register_loop((char *) "in-c", loop);
    uwsgi_register_loop((char *) "threads-in-c", threads);
}

static int request(struct wsgi_request *req) {
    ssize_t len = 0;
    char *body, answer[64];
    if (uwsgi_parse_vars(req)) return -1;
    body = uwsgi_request_body_read(req, 0, &len);
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    snprintf(answer, sizeof answer, "%d %.*s %.*s", uwsgi.current_wsgi_req() == req, req->path_info_len, req->path_info,
             (int) len, body ? body : "");
    uwsgi_response_write_body_do(req, answer, strlen(answer));
    return UWSGI_OK;
}

struct uwsgi_plugin loop_plugin = { .name = "loop", .modifier1 = 202, .on_load = on_load, .request = request };
