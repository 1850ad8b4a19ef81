/* A pusher of the document: appended to a file with a separator. --stats-push tofile:path=PATH,separator=TEXT,freq=N */
#include <uwsgi.h>
struct place { char *path, *separator, *freq; };
static void push(struct uwsgi_stats_pusher_instance *pusher, time_t now, char *json, size_t len) {
    struct place *place = (struct place *) pusher->data;
    int fd;
    (void) now;
    if (!pusher->configured) {
        place = (struct place *) uwsgi_calloc(sizeof *place);
        if (uwsgi_kvlist_parse(pusher->arg, strlen(pusher->arg), ',', '=', "path", &place->path, "separator", &place->separator, "freq", &place->freq, NULL)) return;
        if (!place->separator) place->separator = (char *) "\n\n";
        if (place->freq) pusher->freq = atoi(place->freq);
        pusher->data = place;
        pusher->configured = 1;
    }
    fd = open(place->path, O_RDWR | O_CREAT | O_APPEND, 0640);
    if (fd < 0) { uwsgi_error_open(place->path); return; }
    if (write(fd, json, len) != (ssize_t) len) uwsgi_error("write()");
    if (write(fd, place->separator, strlen(place->separator)) < 0) uwsgi_error("write()");
    close(fd);
}
static void on_load(void) { uwsgi_register_stats_pusher((char *) "tofile", push); }
struct uwsgi_plugin statsfile_plugin = { .name = "statsfile", .on_load = on_load };
