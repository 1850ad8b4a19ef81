/* Vassals by orders that come through a pipe: --emperor orders://PATH; a line is "add NAME", "again NAME" or "stop NAME". */
#include <uwsgi.h>

static char *config_of(const char *name, const char *word) {
    char *text = (char *) uwsgi_malloc(512);
    snprintf(text, 512, "[uwsgi]\nprint = vassal %s says %s\nhttp-socket = 127.0.0.1:0\nstatic-map = /x=/tmp\n", name, word);
    return text;
}

static void order(struct uwsgi_emperor_scanner *scanner, char *verb, char *name) {
    struct uwsgi_instance *vassal = emperor_get(name);
    char *text;
    if (!strcmp(verb, "add")) {
        text = config_of(name, "hello");
        uwsgi_emperor_simple_do(scanner, name, text, 100, 0, 0, NULL);
        vassal = emperor_get(name);
        uwsgi_log("asked for %s, %d %d\n", vassal->name, vassal->use_config, (int) vassal->last_mod);
    } else if (!strcmp(verb, "again") && vassal) {
        vassal->config = config_of(name, "again");
        vassal->config_len = (uint32_t) strlen(vassal->config);
        emperor_respawn(vassal, 200);
    } else if (!strcmp(verb, "stop") && vassal) {
        emperor_stop(vassal);
        uwsgi_log("%s is %s\n", name, emperor_get(name) ? "there" : "gone");
    }
}

static void event(struct uwsgi_emperor_scanner *scanner) {
    char text[256], *line, *rest, *name;
    ssize_t len = read(scanner->fd, text, sizeof text - 1);
    if (len <= 0) return;
    text[len] = 0;
    uwsgi_foreach_token(text, "\n", line, rest) {
        name = strchr(line, ' ');
        if (!name) continue;
        *name = 0;
        order(scanner, line, name + 1);
    }
}

static void init(struct uwsgi_emperor_scanner *scanner) {
    char *path = scanner->arg + strlen("orders://");
    if (mkfifo(path, 0600)) uwsgi_error_open(path);
    scanner->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    scanner->event_func = event;
    scanner->data = path;
}

static void look(struct uwsgi_emperor_scanner *scanner) { uwsgi_log("looking at %s\n", (char *) scanner->data); }

static void before_exec(struct uwsgi_instance *vassal) {
    uwsgi_log("vassal %s: mine %d, link %d\n", vassal->name, vassal->pid == getpid(), fcntl(vassal->pipe[1], F_GETFD) >= 0);
}

static int never(struct uwsgi_legion *legion, char *arg) { return (void) legion, (void) arg, 0; }

static void on_load(void) {
    uwsgi_register_imperial_monitor((char *) "orders", init, look);
    uwsgi_legion_action_register((char *) "march", never)->log_msg = (char *) "marching";
    uwsgi_ssl_init();
    if (!uwsgi.ssl_initialized || uwsgi_instance_is_dying) exit(UWSGI_GO_CHEAP_CODE);
}

struct uwsgi_plugin monitor_plugin = { .name = "monitor", .on_load = on_load, .vassal_before_exec = before_exec };
