/* A variable of routing: --route-run "addheader:X-Upper: ${upper[PATH_INFO]}" */
#include <uwsgi.h>

static char *upper(struct wsgi_request *req, char *name, uint16_t len, uint16_t *size) {
    char *value = uwsgi_get_var(req, name, len, size), *louder;
    int i;
    if (!value) return NULL;
    louder = uwsgi_strncopy(value, *size);
    for (i = 0; i < *size; i++) louder[i] = (char) toupper((unsigned char) louder[i]);
    return louder;
}

static void on_load(void) { uwsgi_register_route_var((char *) "upper", upper)->need_free = 1; }

struct uwsgi_plugin upper_plugin = { .name = "upper", .on_load = on_load };
