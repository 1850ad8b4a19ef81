/* A process of its own in front of the workers: --relay :9090 says a word to every client and closes. */
#include <uwsgi.h>

static char *address;

static struct uwsgi_option options[] = {
    { "relay", required_argument, 0, "greet clients at this address", uwsgi_opt_set_str, &address, 0 },
    UWSGI_END_OF_OPTIONS
};

static volatile sig_atomic_t ends;
static void end(int number) { ends = number; }

static void run(int number, void *data) {
    int fd = *(int *) data, client;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = end;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    uwsgi_log("relay %d is at work\n", number);
    while (!ends) {
        if (uwsgi_waitfd(fd, 1) <= 0) continue;
        client = accept(fd, NULL, NULL);
        if (client < 0) continue;
        if (uwsgi_write_nb(client, (char *) "hello from the relay\n", 21, 4)) uwsgi_error("relay");
        close(client);
    }
}

static int init(void) {
    static int fd;
    if (!address) return 0;
    fd = bind_to_tcp(address, 0, strchr(address, ':'));
    if (fd < 0) exit(1);
    uwsgi_log("relay listens on %s\n", uwsgi_getsockname(fd));
    return register_gateway((char *) "relay", run, &fd) ? 0 : -1;
}

struct uwsgi_plugin relay_plugin = { .name = "relay", .options = options, .init = init };
