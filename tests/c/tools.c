/* Queues, sockets, files, texts, threads, areas, and what the server runs beside workers; a path of the request each. */
#include <uwsgi.h>

static struct uwsgi_regexp_list *patterns;
static struct uwsgi_sharedarea *area;
static char *placeholder;
static uid_t owner;
static int raiser[2];
static struct uwsgi_lock_item *lock;

static struct uwsgi_option options[] = {
    { "tools-pattern", required_argument, 0, "", uwsgi_opt_add_regexp_list, &patterns, 0 },
    { "tools-mule", no_argument, 0, "", uwsgi_opt_add_mule, NULL, UWSGI_OPT_MASTER },
    { "tools-define", required_argument, 0, "", uwsgi_opt_set_placeholder, NULL, 0 },
    { "tools-text", required_argument, 0, "", uwsgi_opt_set_str, &placeholder, 0 },
    { "tools-owner", required_argument, 0, "", uwsgi_opt_uid, &owner, 0 },
    { "tools-old", no_argument, 0, "", uwsgi_opt_deprecated, (void *) "use nothing", 0 },
    { "tools-flags", required_argument, 0, "", uwsgi_opt_set_str, &placeholder,
      UWSGI_OPT_THREADS | UWSGI_OPT_METRICS | UWSGI_OPT_MEMORY | UWSGI_OPT_POST_BUFFERING | UWSGI_OPT_LAZY },
    { "tools-logger", required_argument, 0, "", uwsgi_opt_set_logger, (void *) "file", 0 },
    UWSGI_END_OF_OPTIONS
};

static void on_load(void) { lock = uwsgi.lock_ops.rwlock_init((char *) "tools"); }

static void post_init(void) {
    char *memory = (char *) mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    area = uwsgi_sharedarea_init_ptr(memory, 4096);
    area->fd = 7;
    if (pipe(raiser)) exit(1);
    uwsgi_add_alarm_fd(raiser[0], (char *) "bell", 1, (char *) "the bell rang", 13);
}

static void say(struct wsgi_request *req, const char *format, ...) {
    char text[4096];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    uwsgi_response_write_body_do(req, text, strlen(text));
}

static void queues(struct wsgi_request *req) {
    int queue = event_queue_init(), fd = -1, pair[2], count;
    void *events = event_queue_alloc(4);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return;
    event_queue_add_fd_read(queue, pair[0]);
    say(req, "%d", event_queue_wait(queue, 0, &fd));
    if (write(pair[1], "x", 1) != 1) return;
    count = event_queue_wait(queue, 1, &fd);
    say(req, " %d %d", count, fd == pair[0]);
    event_queue_fd_read_to_write(queue, pair[0]);
    count = event_queue_wait_multi(queue, 1, events, 4);
    say(req, " %d %d %d%d%d", count, event_queue_interesting_fd(events, 0) == pair[0],
        event_queue_interesting_fd_is_read(events, 0), event_queue_interesting_fd_is_write(events, 0),
        event_queue_interesting_fd_has_error(events, 0));
    event_queue_fd_write_to_readwrite(queue, pair[0]);
    event_queue_fd_readwrite_to_read(queue, pair[0]);
    close(pair[1]);
    count = event_queue_wait_multi(queue, 1, events, 4);
    say(req, " %d %d%d", count, event_queue_interesting_fd_is_read(events, 0),
        event_queue_interesting_fd_has_error(events, 0));
    say(req, " %d", event_queue_del_fd(queue, pair[0], event_queue_read()));
    say(req, " %d", event_queue_wait(queue, 0, &fd));
    close(pair[0]);
    close(queue);
    free(events);
}

static void sockets(struct wsgi_request *req) {
    char address[] = "127.0.0.1:0", *name, word[8] = "", *udp;
    int fd = bind_to_tcp(address, 5, strchr(address, ':')), client, server, unix_fd, modes[2];
    struct stat st;
    name = uwsgi_getsockname(fd);
    client = uwsgi_connectn(name, (uint16_t) strlen(name), 2, 0);
    server = accept(fd, NULL, NULL);
    modes[0] = fcntl(fd, F_GETFL) & O_NONBLOCK;
    say(req, "%d%d%d %d", fd >= 0, client >= 0, server >= 0, modes[0]);
    say(req, " %d", uwsgi_waitfd(server, 1) == 0);
    if (uwsgi_write_true_nb(client, (char *) "hello", 5, 1)) return;
    say(req, " %d", uwsgi_waitfd(server, 1));
    say(req, " %d", (int) uwsgi_read_true_nb(server, word, 7, 1));
    say(req, " %s", word);
    say(req, " %d %d", uwsgi_waitfd_write(server, 1), uwsgi_simple_wait_read_hook(server, 1));
    unlink("tools.socket");
    unix_fd = bind_to_unix((char *) "tools.socket", 5, 1, 0);
    say(req, " %d %o", unix_fd >= 0, stat("tools.socket", &st) ? 0 : (int) (st.st_mode & 0777));
    say(req, " %d", bind_to_unix((char *) "tools-abstract", 5, 0, 1) >= 0);
    close(unix_fd);
    unix_fd = bind_to_unix_dgram((char *) "tools.datagrams");
    say(req, " %d%d", unix_fd >= 0, uwsgi_socket_passcred(unix_fd));
    close(unix_fd);
    fd = bind_to_udp(address, 0, 0);
    udp = uwsgi_getsockname(fd);
    unix_fd = uwsgi_connect_udp(udp);
    if (write(unix_fd, "udp", 3) != 3) return;
    say(req, " %d", (int) read(fd, word, 7));
    say(req, " %d %d", bind_to_tcp((char *) "nonsense", 1, NULL), uwsgi_get_socket_by_num(0) == uwsgi.sockets);
    free(name);
    free(udp);
    close(fd); close(client); close(server); close(unix_fd);
}

static void texts(struct wsgi_request *req) {
    char room[128], path[PATH_MAX + 1], *text;
    size_t len = 0;
    uint16_t short_len = 7;
    struct uwsgi_dyn_dict *dict = NULL;
    struct uwsgi_stats *stats = uwsgi_stats_new(16);
    FILE *file = fopen("tools.txt", "w");
    fputs("content", file);
    fclose(file);
    say(req, "%d%d%d%d", uwsgi_file_exists((char *) "tools.txt"), uwsgi_file_exists((char *) "no"),
        uwsgi_is_file((char *) "tools.txt"), uwsgi_is_dir((char *) "."));
    text = uwsgi_simple_file_read((char *) "tools.txt");
    say(req, " %s", text);
    free(text);
    uwsgi_expand_path((char *) "./tools.txt!", 11, path);
    say(req, " %d", uwsgi_endswith(path, (char *) "/tools.txt") && path[0] == '/');
    say(req, " %d", uwsgi_expand_path((char *) "no", 2, NULL) == NULL && errno == ENOENT);
    text = uwsgi_get_mime_type((char *) "a/b.css", 7, &len);
    say(req, " %.*s", (int) len, text);
    text = uwsgi_base64_encode((char *) "hi there", 8, &len);
    say(req, " %s", text);
    text = uwsgi_base64_decode(text, len, &len);
    say(req, " %s/%d", text, (int) len);
    http_url_decode((char *) "a%20b+c", &short_len, room);
    say(req, " %.*s", short_len, room);
    http_url_encode((char *) "a b", (short_len = 3, &short_len), room);
    say(req, " %.*s", short_len, room);
    say(req, " %d", uwsgi_http_date(784111777, room));
    say(req, " %s", room);
    text = uwsgi_str_split_nget((char *) "a:bc:d", 6, ':', 1, &len);
    say(req, " %.*s %d %s", (int) len, text, (int) uwsgi_str_occurence((char *) "a:bc:d", 6, ':'),
        uwsgi_str_contains((char *) "a:bc:d", 6, 'c'));
    uwsgi_dyn_dict_new(&dict, (char *) "k", 1, (char *) "v", 1);
    uwsgi_dyn_dict_new(&dict, (char *) "k2", 2, (char *) "v2", 2)->status = 200;
    say(req, " %s=%s", dict->next->key, dict->next->prev->value);
    uwsgi_stats_keylong_comma(stats, (char *) "n", 7);
    uwsgi_stats_keyval(stats, (char *) "s", (char *) "t");
    uwsgi_stats_object_close(stats);
    say(req, " %.*s", (int) stats->pos, stats->base);
    say(req, " %d %d", uwsgi_regexp_match(patterns->pattern, patterns->pattern_extra, req->uri, req->uri_len),
        uwsgi_regexp_match(patterns->next->pattern, NULL, req->uri, req->uri_len));
    say(req, " %s %d", placeholder, (int) owner);
}

static void double_it(struct uwsgi_thread *thread) {
    int fd;
    char byte;
    for (;;) {
        if (event_queue_wait(thread->queue, -1, &fd) <= 0 || fd != thread->pipe[1]) continue;
        if (read(fd, &byte, 1) != 1) return;
        byte = (char) (byte * 2 + *(char *) thread->data);
        if (write(fd, &byte, 1) != 1) return;
    }
}

static void threads(struct wsgi_request *req) {
    static char one = 1;
    struct uwsgi_thread *thread = uwsgi_thread_new_with_data(double_it, &one);
    char byte = 20;
    if (write(thread->pipe[0], &byte, 1) != 1 || read(thread->pipe[0], &byte, 1) != 1) return;
    say(req, "%d", byte);
}

static void rest(struct wsgi_request *req) {
    struct uwsgi_cache *cache = uwsgi_cache_by_name((char *) "second");
    struct uwsgi_spooler *spooler;
    struct uwsgi_daemon *daemon;
    uint64_t len = 0;
    uwsgi_rlock(lock);
    uwsgi.lock_ops.rwunlock(lock);
    uwsgi_sharedarea_write(area->id, 2, (char *) "area", 4);
    say(req, "%.4s %d %d %d", area->area + 2, (int) area->max_pos, uwsgi_sharedarea_get_by_id(area->id, 0)->fd,
        uwsgi_sharedarea_get_by_id(area->id, 4096) == NULL);
    say(req, " %d %d %d", uwsgi_cache_set2(cache, (char *) "k", 1, (char *) "value", 5, 0, UWSGI_CACHE_FLAG_UPDATE),
        (int) uwsgi_cache_exists2(cache, (char *) "k", 1), uwsgi_cache_by_name((char *) "third") == NULL);
    say(req, " %.5s %s %d", uwsgi_cache_get3(cache, (char *) "k", 1, &len, NULL), uwsgi.caches->name,
        (int) uwsgi.caches->next->blocksize);
    uwsgi_foreach(spooler, uwsgi.spoolers) say(req, " %d %d", uwsgi_endswith(spooler->dir, (char *) "/tasks"),
                                              spooler->pid > 0);
    uwsgi_foreach(daemon, uwsgi.daemons) say(req, " %s %d %d", daemon->command, daemon->status, (int) daemon->respawns);
    say(req, " %d %d %d", (int) ushared->backlog_errors, uwsgi.alarm_thread != NULL, uwsgi.wsgi_req == req);
    say(req, " %d %d", (int) uwsgi_worker_exceptions(1), (int) cache->n_items);
    if (write(raiser[1], "!", 1) != 1) return;
}

static void small(struct wsgi_request *req) {
    uint64_t resident = 0, address_space = 0;
    int pair[2], fd = uwsgi_tmpfd(), len = 0;
    char *both = uwsgi_concat2nn((char *) "ab", 2, (char *) "cd", 1, &len);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return;
    uwsgi_additional_header_add(req, (char *) "X-Line: of a plugin", 19);
    get_memusage(&resident, &address_space);
    say(req, "%s %d %d", both, len, resident > 0 && address_space > resident);
    say(req, " %d%d", fd >= 0, uwsgi_fcntl_lock(fd));
    say(req, " %d", uwsgi_is_connected(pair[0]));
    errno = 77;
    uwsgi_protected_close(pair[1]);
    say(req, "%d %d", uwsgi_is_connected(pair[0]), errno == 77 || errno == 0);
    say(req, " %d %d", uwsgi_plugin_get("tools")->modifier1, uwsgi_plugin_get("nobody") == NULL);
    say(req, " %d %d%d", uwsgi_count_options(options), uwsgi_list_has_str((char *) "a bc d", (char *) "bc"),
        uwsgi_list_has_str((char *) "a bc d", (char *) "b"));
    say(req, " %d", uwsgi_sharedarea_update(area->id));
    say(req, " %d", (int) area->updates);
    say(req, " %d %s %.3s", uwsgi_legion_i_am_the_lord((char *) "x"), uwsgi_binsh(), req->buffer);
    say(req, " %s %d %d", uwsgi.requested_cheaper_algo, uwsgi.mules_cnt, uwsgi.original_log_fd);
    say(req, " %d", (int) uwsgi_metric_getn((char *) "worker.1.requests!", 17, NULL, 0));
    uwsgi_offload_request_memory_do(req, uwsgi_str((char *) " memory"), 7);
    close(pair[0]);
    close(fd);
    free(both);
}

static int request(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    switch (req->path_info_len > 1 ? req->path_info[1] : 0) {
        case 'q': queues(req); break;
        case 's': sockets(req); break;
        case 't': texts(req); break;
        case 'T': threads(req); break;
        case 'r': rest(req); break;
        case 'm': small(req); break;
        case 'f':
            say(req, "%d %d %d %d", uwsgi.has_metrics, uwsgi.memory_report, (int) uwsgi.post_buffering, uwsgi.lazy_apps);
            break;
        default: break;
    }
    return UWSGI_OK;
}

struct uwsgi_plugin tools_plugin = {
    .name = "tools", .modifier1 = 201, .options = options, .on_load = on_load, .post_init = post_init, .request = request,
};
