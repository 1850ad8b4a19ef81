/* How many workers there should be: --cheaper 1 --cheaper-algo eager always wants one idle worker, at once. */
#include <uwsgi.h>

static int decide(int can_spawn) {
    int i, idle = 0;
    for (i = 1; i <= uwsgi.numproc; i++)
        if (!uwsgi.workers[i].cheaped && uwsgi.workers[i].pid > 0 && !uwsgi_worker_is_busy(i)) idle++;
    if (idle < 2) return can_spawn;
    return idle > 2 ? -1 : 0;
}

static void on_load(void) { uwsgi_register_cheaper_algo((char *) "eager", decide); }

struct uwsgi_plugin eager_plugin = { .name = "eager", .on_load = on_load };
