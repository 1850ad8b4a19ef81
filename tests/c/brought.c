/* What uWSGI's header and server bring along for plugins, which name none of it: libraries, pipes, ways to end, to run a
 * mule and to scale; a path of the request each. */
#include <uwsgi.h>

static int idle = 1;
static char *port;
static struct uwsgi_stats_pusher *pusher;

static struct uwsgi_option options[] = {
    /* the host has one of this name too */
    { "cheaper-idle", required_argument, 0, "", uwsgi_opt_set_int, &idle, 0 },
    { "brought-listen", required_argument, 0, "", uwsgi_opt_set_str, &port, 0 },
    UWSGI_END_OF_OPTIONS
};

static void goodbye(void) {
    static int refused;
    uwsgi_log("worker %d (%d) has done enough, busy %d\n", uwsgi.mywid, getpid(), uwsgi_worker_is_busy(uwsgi.mywid));
    if (refused++) exit(0);
}

static int scale(int can_spawn) {
    uwsgi_log_verbose("scaled by the plugin: %d %d\n", idle, can_spawn);
    return 0;
}

static void push(struct uwsgi_stats_pusher_instance *pushing, time_t now, char *json, size_t len) {
    int of_all = -1, of_one = -1;
    (void) pushing, (void) now, (void) json, (void) len;
    if (ioctl(uwsgi.shared->worker_signal_pipe[1], FIONREAD, &of_all)) uwsgi_error("of all");
    if (ioctl(uwsgi.workers[1].signal_pipe[1], FIONREAD, &of_one)) uwsgi_error("of one");
    uwsgi_log("signals that wait: %d %d\n", of_all, of_one);
}

void brought_mule(void) {
    uwsgi_log("mule %d runs a function\n", uwsgi.muleid);
    pause();
}

/* a thread of the master answers on a port of its own, and figures come in as datagrams */
static void answer(struct uwsgi_thread *thread) {
    int fd = bind_to_tcp(port, 10, strchr(port, ':')), client, datagrams;
    (void) thread;
    datagrams = bind_to_udp(port, 0, 0);
    uwsgi_log("listening: %d %d\n", fd >= 0, datagrams >= 0);
    while ((client = accept(fd, NULL, NULL)) >= 0) {
        struct uwsgi_buffer *ub = uwsgi_buffer_new(64);
        uwsgi_buffer_append(ub, (char *) "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfrom ", 43);
        uwsgi_buffer_num64(ub, getpid());
        uwsgi_buffer_send(ub, client);
        uwsgi_buffer_destroy(ub);
        shutdown(client, SHUT_WR);
        /* the request is of no interest, but an unread one would reset the connection */
        char drop[256];
        while (read(client, drop, sizeof drop) > 0) continue;
        close(client);
    }
    exit(1);
}

static void master_cleanup(void) {
    uwsgi_rawlog("cleaned up");
    uwsgi_log(", dying: %d, reloading: %d\n", uwsgi_instance_is_dying, uwsgi_instance_is_reloading);
}

static int init(void) {
    uwsgi.honour_range = !getenv("BROUGHT_GOODBYE");
    if (port && !uwsgi_thread_new(answer)) exit(1);
    return 0;
}

static void on_load(void) {
    if (getenv("BROUGHT_GOODBYE")) uwsgi.gbcw_hook = goodbye;
    uwsgi_register_cheaper_algo((char *) "spare2", scale);
    pusher = uwsgi_register_stats_pusher((char *) "brought", push);
    pusher->raw = 1;
}

static void say(struct wsgi_request *req, struct uwsgi_buffer *ub) {
    uwsgi_response_write_body_do(req, ub->buf, ub->pos);
    uwsgi_buffer_destroy(ub);
}

static void hexadecimal(struct uwsgi_buffer *ub, char *digest, int len) {
    char digits[3];
    int at;
    for (at = 0; at < len; at++) {
        snprintf(digits, sizeof digits, "%02x", (unsigned char) digest[at]);
        uwsgi_buffer_append(ub, digits, 2);
    }
}

static void digests(struct wsgi_request *req) {
    struct uwsgi_buffer *ub = uwsgi_buffer_new(64);
#ifdef UWSGI_SSL
    char digest[20];
    if (!uwsgi_md5((char *) "abc", 3, digest)) return;
    hexadecimal(ub, digest, 16);
    uwsgi_buffer_append(ub, (char *) " ", 1);
    if (!uwsgi_sha1((char *) "abc", 3, digest)) return;
    hexadecimal(ub, digest, 20);
#else
    hexadecimal(ub, (char *) "", 0);
#endif
    say(req, ub);
}

static void packed(struct wsgi_request *req) {
    size_t size = 200000, at, len = 0, piece = 0;
    char *text = (char *) uwsgi_malloc(size);
    z_stream z;
    uint32_t sum;
    struct uwsgi_buffer *ub;
    for (at = 0; at < size; at++) text[at] = (char) ('a' + (at * at / 7) % 26);
    uwsgi_response_add_header(req, (char *) "Content-Encoding", 16, (char *) "gzip", 4);
    if (req->query_string_len) {
        say(req, uwsgi_gzip(text, size));
    } else {
        if (uwsgi_gzip_prepare(&z, NULL, 0, &sum)) return;
        for (at = 0; at < size; at += len) {
            len = size - at < 70000 ? size - at : 70000;
            ub = uwsgi_buffer_new(16);
            char *part = uwsgi_gzip_chunk(&z, &sum, text + at, len, &piece);
            uwsgi_buffer_map(ub, part, piece);
            if (!at) uwsgi_buffer_insert(ub, 0, gzheader, 10);
            say(req, ub);
        }
        ub = uwsgi_buffer_new(0);
        if (uwsgi_gzip_fix(&z, sum, ub, size)) return;
        say(req, ub);
    }
    free(text);
}

static void range(struct wsgi_request *req) {
    struct uwsgi_buffer *ub = uwsgi_buffer_new(64);
    if (req->range_to && uwsgi_response_prepare_headers_int(req, 206)) return;
    if (req->range_to) uwsgi_response_add_content_range(req, req->range_from, req->range_to, 16);
    uwsgi_buffer_num64(ub, req->range_from);
    uwsgi_buffer_append(ub, (char *) " ", 1);
    uwsgi_buffer_num64(ub, req->range_to);
    say(req, ub);
}

static int sees(struct wsgi_request *req, struct uwsgi_transformation *step) {
    return uwsgi_buffer_num64(step->chunk, req->status);
}

/* What uWSGI answers about lists with keys nobody asked for, empty words, and descriptors that give nothing. */
static void texts(struct wsgi_request *req) {
    struct uwsgi_buffer *ub = uwsgi_buffer_new(64);
    char *list = (char *) "addr=here,colour=blue,bare,name=x", *addr = NULL, *name = NULL, byte;
    size_t words = 0;
    int64_t waited = -2, ended = -2;
    int ends[2];
    int told = uwsgi_kvlist_parse(list, strlen(list), ',', '=', "addr", &addr, "name", &name, NULL);
    char **parts = uwsgi_split_quoted((char *) "a::b:", 5, (char *) ":", &words);
    if (!pipe2(ends, O_NONBLOCK)) {
        waited = uwsgi_read_true_nb(ends[0], &byte, 1, 1);
        close(ends[1]);
        errno = EIO;
        ended = uwsgi_read_true_nb(ends[0], &byte, 1, 1);
        if (errno) ended = -3;
        close(ends[0]);
    }
    char *all = uwsgi_concat3(addr, (char *) " ", name);
    uwsgi_buffer_append(ub, all, strlen(all));
    int64_t numbers[] = {told, (int64_t) words, waited, ended};
    for (size_t i = 0; i < 4; i++) {
        uwsgi_buffer_append(ub, (char *) " ", 1);
        uwsgi_buffer_num64(ub, numbers[i]);
    }
    for (size_t i = 0; i < words; i++) free(parts[i]);
    free(parts);
    free(all);
    free(addr);
    free(name);
    say(req, ub);
}

static int request(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req) || current_wsgi_req() != req) return -1;
    if (!req->uh->pktsize) return -1;
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, (char *) "/bare", 5)) {
        uwsgi_add_transformation(req, sees, NULL);
        return uwsgi_response_write_body_do(req, (char *) "seen: ", 6);
    }
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, (char *) "/digests", 8)) digests(req);
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, (char *) "/packed", 7)) packed(req);
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, (char *) "/range", 6)) range(req);
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, (char *) "/texts", 6)) texts(req);
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, (char *) "/fields", 7)) {
        struct uwsgi_buffer *ub = uwsgi_buffer_new(64);
        uint64_t begin = uwsgi_micros();
        uwsgi_buffer_num64(ub, req->async_plagued);
        uwsgi_buffer_append(ub, (char *) " ", 1);
        req->async_plagued = 7;
        uwsgi_buffer_num64(ub, uwsgi.wait_milliseconds_hook(20) == 0 && uwsgi_micros() - begin >= 19000);
        uwsgi_buffer_append(ub, (char *) " ", 1);
        uwsgi_buffer_num64(ub, (int64_t) uwsgi.max_fd);
        uwsgi_buffer_append(ub, (char *) " ", 1);
        uwsgi_buffer_num64(ub, uwsgi.logging_options.enabled * 10 + uwsgi.logging_options.memory_report);
        say(req, ub);
    }
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, (char *) "/rotated", 8)) {
        int fd = open("turned.log", O_RDWR | O_CREAT | O_APPEND, 0644);
        if (write(fd, "old\n", 4) != 4) return -1;
        uwsgi_log_do_rotate((char *) "turned.log", (char *) "turned.old", 4, fd);
        if (write(fd, "new\n", 4) != 4) return -1;
        close(fd);
    }
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, (char *) "/lines", 6)) {
        uwsgi_response_prepare_headers(req, (char *) "404", 3);
        uwsgi_response_add_header(req, NULL, 0, (char *) "X-Line: a: b", 12);
        if (uwsgi_response_add_header(req, NULL, 0, (char *) "no line", 7) != -1) return -1;
    }
    return UWSGI_OK;
}

struct uwsgi_plugin brought_plugin = { .name = "brought", .modifier1 = 104, .on_load = on_load, .init = init,
                                       .master_cleanup = master_cleanup,
                                       .options = options, .request = request };
