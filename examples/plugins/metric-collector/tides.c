/* Computes a metric: --metric name=tide,collector=tides */
#include <uwsgi.h>

static int64_t tide(struct uwsgi_metric *metric) {
    (void) metric;
    return 42 + uwsgi_now() * 0;
}

static void on_load(void) { uwsgi_register_metric_collector((char *) "tides", tide); }

struct uwsgi_plugin tides_plugin = { .name = "tides", .on_load = on_load };
