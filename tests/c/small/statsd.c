/* A raw pusher: each metric as a datagram NAME:VALUE|c or |g. --stats-push mystatsd:HOST:PORT,PREFIX */
#include <uwsgi.h>
struct node { int fd; struct sockaddr_in addr; socklen_t len; char *prefix; };
static void push(struct uwsgi_stats_pusher_instance *pusher, time_t now, char *json, size_t len) {
    struct node *node = (struct node *) pusher->data;
    struct uwsgi_metric *metric;
    (void) now; (void) json; (void) len;
    if (!pusher->configured) {
        char *comma = strchr(pusher->arg, ',');
        node = (struct node *) uwsgi_calloc(sizeof *node);
        node->prefix = (char *) "uwsgi";
        if (comma) { node->prefix = comma + 1; *comma = 0; }
        node->fd = socket(AF_INET, SOCK_DGRAM, 0);
        node->len = socket_to_in_addr(pusher->arg, strchr(pusher->arg, ':'), 0, &node->addr);
        uwsgi_socket_nb(node->fd);
        if (comma) *comma = ',';
        pusher->data = node;
        pusher->freq = 1;
        pusher->configured = 1;
    }
    uwsgi_foreach(metric, uwsgi.metrics) {
        struct uwsgi_buffer *line = uwsgi_buffer_new(uwsgi.page_size);
        uwsgi_rlock(uwsgi.metrics_lock);
        int64_t value = *metric->value;
        uwsgi_rwunlock(uwsgi.metrics_lock);
        uwsgi_buffer_append(line, node->prefix, strlen(node->prefix));
        uwsgi_buffer_append(line, (char *) ".", 1);
        uwsgi_buffer_append(line, metric->name, metric->name_len);
        uwsgi_buffer_append(line, (char *) ":", 1);
        uwsgi_buffer_num64(line, value);
        uwsgi_buffer_append(line, (char *) (metric->type == UWSGI_METRIC_GAUGE ? "|g" : "|c"), 2);
        if (sendto(node->fd, line->buf, line->pos, 0, (struct sockaddr *) &node->addr, node->len) < 0) uwsgi_error("sendto()");
        uwsgi_buffer_destroy(line);
    }
}
static void on_load(void) { uwsgi_register_stats_pusher((char *) "mystatsd", push)->raw = 1; }
struct uwsgi_plugin statsd_plugin = { .name = "mystatsd", .on_load = on_load };
