/* A source of time: --clock ahead is a day ahead. */
#include <uwsgi.h>

static time_t seconds(void) { return time(NULL) + 86400; }
static uint64_t microseconds(void) { return (uint64_t) seconds() * 1000000; }
static struct uwsgi_clock ahead = { (char *) "ahead", seconds, microseconds, NULL };

static void on_load(void) { uwsgi_register_clock(&ahead); }

struct uwsgi_plugin ahead_plugin = { .name = "ahead", .on_load = on_load };
