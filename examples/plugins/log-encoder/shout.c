/* Changes log lines on their way: --log-encoder shout */
#include <uwsgi.h>

static char *shout(struct uwsgi_log_encoder *encoder, char *line, size_t len, size_t *newlen) {
    char *louder = (char *) uwsgi_malloc(len);
    size_t i;
    (void) encoder;
    for (i = 0; i < len; i++) louder[i] = (char) toupper((unsigned char) line[i]);
    *newlen = len;
    return louder;
}

static void on_load(void) { uwsgi_register_log_encoder((char *) "shout", shout); }

struct uwsgi_plugin shout_plugin = { .name = "shout", .on_load = on_load };
