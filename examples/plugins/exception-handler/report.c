/* Told of every uncaught exception of an application: --exception-handler report:FILE */
#include <uwsgi.h>

static void line(char *key, uint16_t keylen, char *value, uint16_t len, void *data) {
    if (!uwsgi_strncmp(key, keylen, (char *) "class", 5) || !uwsgi_strncmp(key, keylen, (char *) "msg", 3))
        fprintf((FILE *) data, "%.*s: %.*s\n", keylen, key, len, value);
}

static int report(struct uwsgi_exception_handler_instance *handler, char *packet, size_t len) {
    FILE *file = fopen(handler->arg, "a");
    if (!file) return -1;
    uwsgi_hooked_parse(packet, len, line, file);
    return fclose(file);
}

static void on_load(void) { uwsgi_register_exception_handler((char *) "report", report); }

struct uwsgi_plugin report_plugin = { .name = "report", .on_load = on_load };
