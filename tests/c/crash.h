/* Going wrong once, where and how the file that $CRASH names says: "PLACE WAY". */
#include <uwsgi.h>
#include <fcntl.h>
#undef exit

static void maybe(const char *hook) {
    char text[64] = "", name[32], way[32];
    int fd = open(getenv("CRASH"), O_RDONLY);
    if (fd < 0) return;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0 || sscanf(text, "%31s %31s", name, way) != 2 || strcmp(name, hook)) return;
    unlink(getenv("CRASH"));
    if (!strcmp(way, "segv")) *(volatile int *) 0 = 1;
    if (!strcmp(way, "abort")) abort();
    if (!strcmp(way, "exit")) uwsgi_exit(7);
    if (!strcmp(way, "c-exit")) exit(7);
    if (!strcmp(way, "_exit")) _exit(7);
    if (!strcmp(way, "hang")) for (;;) usleep(1000);
    if (!strcmp(way, "leak")) while (open("/dev/null", O_RDONLY) >= 0) {}
}
