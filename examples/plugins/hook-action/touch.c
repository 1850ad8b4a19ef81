/* An action of operators' hooks: --hook-post-app touch:FILE */
#include <uwsgi.h>

static int touch(char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        uwsgi_error_open(path);
        return -1;
    }
    close(fd);
    return 0;
}

static void on_load(void) { uwsgi_register_hook((char *) "touch", touch); }

struct uwsgi_plugin touch_plugin = { .name = "touch", .on_load = on_load };
