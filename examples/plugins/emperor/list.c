/* A source of vassals: --emperor list://FILE; each line of the file is a vassal's port. */
#include <uwsgi.h>

static void look(struct uwsgi_emperor_scanner *scanner) {
    char line[32], name[64], config[128];
    FILE *file = fopen(scanner->arg + 7, "r");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        snprintf(name, sizeof name, "port-%s", line);
        snprintf(config, sizeof config, "[uwsgi]\nhttp-socket = 127.0.0.1:%s\nprint = I am %%n\n", line);
        uwsgi_emperor_simple_do(scanner, name, config, 1, 0, 0, NULL);
    }
    fclose(file);
}

static void on_load(void) { uwsgi_register_imperial_monitor((char *) "list", NULL, look); }

struct uwsgi_plugin list_plugin = { .name = "list", .on_load = on_load };
