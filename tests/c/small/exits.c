/* Says the moments of a process's life. */
#include <uwsgi.h>
static void post_fork(void) { uwsgi_log("moments: worker %d forked\n", uwsgi.mywid); }
static void at_exit(void) { uwsgi_log("moments: %d ends\n", uwsgi.mywid); }
static void cleanup(void) { uwsgi_log("moments: the master cleans up\n"); }
struct uwsgi_plugin exits_plugin = { .name = "exits", .post_fork = post_fork, .atexit = at_exit, .master_cleanup = cleanup };
