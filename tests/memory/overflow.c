/* A plugin that writes beyond its memory, for asan.sh to see that this is seen. */
#include <uwsgi.h>

static int init(void) {
    volatile char *text = malloc(8);
    volatile int beyond = 8;
    text[beyond] = 'x';
    free((void *) text);
    return 0;
}

struct uwsgi_plugin overflow_plugin = { .name = "overflow", .init = init };
