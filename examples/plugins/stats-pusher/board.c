/* Statistics that go out by themselves: --stats-push board:FILE writes all metrics to a file. */
#include <uwsgi.h>

static void push(struct uwsgi_stats_pusher_instance *pusher, time_t now, char *json, size_t len) {
    struct uwsgi_metric *metric;
    FILE *board = fopen(pusher->arg, "w");
    (void) json;
    (void) len;
    if (!board) {
        uwsgi_error_open(pusher->arg);
        return;
    }
    pusher->freq = 1;
    fprintf(board, "at %lld\n", (long long) now);
    uwsgi_foreach(metric, uwsgi.metrics) fprintf(board, "%s %lld\n", metric->name, (long long) *metric->value);
    fclose(board);
}

static void on_load(void) { uwsgi_register_stats_pusher((char *) "board", push)->raw = 1; }

struct uwsgi_plugin board_plugin = { .name = "board", .on_load = on_load };
