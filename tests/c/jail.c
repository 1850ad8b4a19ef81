/* A generic plugin that makes a "jail" (it only says so) and takes a bare argument. */
#include <uwsgi.h>

static void jail(int (*start)(void *), char **argv) {
    uwsgi_log("JAIL made\n");
    start(argv);
    uwsgi_log("JAIL left\n");
}
static void early_post_jail(void) { uwsgi_log("JAIL early_post_jail\n"); }
static void post_jail(void) { uwsgi_log("JAIL post_jail\n"); }
static void before_privileges_drop(void) { uwsgi_log("JAIL before_privileges_drop\n"); }
static int magic(char *mountpoint, char *file) {
    (void) mountpoint;
    if (!uwsgi_endswith(file, (char *) ".thing")) return 0;
    uwsgi_log("MAGIC %s\n", file);
    return 1;
}

struct uwsgi_plugin jail_plugin = {
    .name = "jail",
    .jail = jail,
    .early_post_jail = early_post_jail,
    .post_jail = post_jail,
    .before_privileges_drop = before_privileges_drop,
    .magic = magic,
};
