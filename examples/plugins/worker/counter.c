/* The worker override: --counter SECONDS makes each worker count instead of serving. */
#include <uwsgi.h>

static int seconds;

static struct uwsgi_option options[] = {
    { "counter", required_argument, 0, "count for so many seconds", uwsgi_opt_set_int, &seconds, 0 },
    UWSGI_END_OF_OPTIONS
};

static int work(void) {
    int i;
    if (!seconds) return 0;
    uwsgi_set_processname((char *) "counter");
    for (i = 1; i <= seconds; i++) {
        uwsgi_log("worker %d counts %d\n", uwsgi.mywid, i);
        sleep(1);
    }
    return 1;
}

struct uwsgi_plugin counter_plugin = { .name = "counter", .options = options, .worker = work };
