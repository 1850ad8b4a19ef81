/* A task for the worker's thread: three ticks to the client after the request has ended; and one that is waited for. */
#include <uwsgi.h>
#include <sys/timerfd.h>

static struct uwsgi_offload_engine *engine;

static int prepare(struct wsgi_request *req, struct uwsgi_offload_request *task) {
    (void) task;
    return req->query_string_len ? -1 : 0;
}

static int event(struct uwsgi_thread *thread, struct uwsgi_offload_request *task, int fd) {
    uint64_t times;
    char line[32];
    if (fd == -1) return event_queue_add_fd_read(thread->queue, task->fd);
    if (read(fd, &times, 8) != 8) return -1;
    snprintf(line, sizeof line, "%s %d\n", task->buf, (int) ++task->written);
    if (task->takeover && write(task->s, line, strlen(line)) < 0) return -1;
    return task->written == task->to_write ? 1 : 0;
}

static void gone(struct uwsgi_offload_request *task) {
    uwsgi_log("task ended after %d of %s\n", (int) task->written, (char *) task->data);
}

static int request(struct wsgi_request *req) {
    struct uwsgi_offload_request task;
    struct itimerspec every = { { 0, 5000000 }, { 0, 5000000 } };
    int waits, wait = -1, ran;
    if (uwsgi_parse_vars(req)) return -1;
    waits = !uwsgi_strncmp(req->path_info, req->path_info_len, (char *) "/wait", 5);
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    uwsgi_response_add_content_type(req, (char *) "text/plain", 10);
    if (!waits) uwsgi_response_write_headers_do(req);
    uwsgi_offload_setup(engine, &task, req, waits ? 0 : 1);
    task.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    timerfd_settime(task.fd, 0, &every, NULL);
    task.buf = uwsgi_str((char *) "tick");
    task.ubuf3 = uwsgi_buffer_new(10);
    task.to_write = 3;
    task.data = (void *) "three";
    task.free = gone;
    ran = uwsgi_offload_run(req, &task, waits ? &wait : NULL);
    if (ran) {
        close(task.fd);
        uwsgi_response_write_body_do(req, (char *) "not taken", 9);
    } else if (waits) {
        ran = uwsgi_waitfd_event(wait, 2, POLLIN | POLLHUP);
        close(wait);
        uwsgi_response_write_body_do(req, (char *) (ran > 0 ? "ended" : "late"), ran > 0 ? 5 : 4);
    } else {
        uwsgi_response_write_body_do(req, (char *) "dropped", 7);
    }
    return UWSGI_OK;
}

static int act(struct wsgi_request *req, struct uwsgi_route *route) {
    (void) route;
    if (request(req) == UWSGI_OK) req->via = UWSGI_VIA_OFFLOAD;
    return UWSGI_ROUTE_BREAK;
}

static int configure(struct uwsgi_route *route, char *args) { (void) args; route->func = act; return 0; }

static void on_load(void) {
    engine = uwsgi_offload_register_engine((char *) "ticks", prepare, event);
    uwsgi_register_router((char *) "ticks", configure);
}

struct uwsgi_plugin offload_plugin = { .name = "offload", .modifier1 = 204, .on_load = on_load, .request = request };
