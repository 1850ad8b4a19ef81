/* A sink of log lines: --logger append:/var/log/lines */
#include <uwsgi.h>

static ssize_t write_line(struct uwsgi_logger *logger, char *line, size_t len) {
    if (!logger->configured) {
        logger->fd = open(logger->arg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (logger->fd < 0) {
            uwsgi_error_safe(logger->arg);
            return -1;
        }
        logger->configured = 1;
    }
    return write(logger->fd, line, len);
}

static void on_load(void) { uwsgi_register_logger((char *) "append", write_line); }

struct uwsgi_plugin append_plugin = { .name = "append", .on_load = on_load };
