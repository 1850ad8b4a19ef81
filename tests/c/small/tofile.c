/* A logger: a file that is begun anew when it is larger than maxsize. --logger tofile:file=PATH,maxsize=N */
#include <uwsgi.h>
struct place { char *file, *maxsize; off_t size; };
static ssize_t write_line(struct uwsgi_logger *logger, char *line, size_t len) {
    struct place *place = (struct place *) logger->data;
    if (!logger->configured) {
        place = (struct place *) uwsgi_calloc(sizeof *place);
        if (uwsgi_kvlist_parse(logger->arg, strlen(logger->arg), ',', '=', "file", &place->file, "maxsize", &place->maxsize, NULL)) exit(1);
        logger->fd = open(place->file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (logger->fd < 0) { uwsgi_error_safe("open()"); return -1; }
        logger->data = place;
        logger->configured = 1;
    }
    if (place->maxsize && (place->size += (off_t) len) > (off_t) uwsgi_n64(place->maxsize)) {
        place->size = (off_t) len;
        if (ftruncate(logger->fd, 0)) uwsgi_error_safe("ftruncate()");
    }
    return write(logger->fd, line, len);
}
static void on_load(void) { uwsgi_register_logger((char *) "tofile", write_line); }
struct uwsgi_plugin tofile_plugin = { .name = "tofile", .on_load = on_load };
