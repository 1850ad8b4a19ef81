/* A request plugin that goes wrong once, where and how the file that $CRASH names says: "HOOK WAY". */
#include "crash.h"

extern struct uwsgi_plugin crasher_plugin;

#define HOOK(name) static void at_##name(void) { maybe(#name); }
#define CHECKED(name) static int at_##name(void) { maybe(#name); return 0; }
HOOK(on_load) HOOK(preinit_apps) HOOK(init_apps) HOOK(postinit_apps) HOOK(fixup) HOOK(hijack_worker)
HOOK(post_fork) HOOK(master_cycle) HOOK(atexit) HOOK(master_cleanup) HOOK(enable_threads) HOOK(pre_uwsgi_fork)
HOOK(on_reload) HOOK(pre_exec) HOOK(on_exit) HOOK(spooler_init)
CHECKED(configure) CHECKED(on_starting) CHECKED(when_ready) CHECKED(worker)

static void at_post_init(void) {
    uwsgi_register_signal(5, "worker", NULL, 203);
    maybe("post_init");
}
static int at_init(void) {
    uwsgi_register_rpc("crash", &crasher_plugin, 0, (void *) 1);
    maybe("init");
    return 0;
}
static void at_master_fixup(int step) { maybe(step ? "master_fixup_child" : "master_fixup"); }
static void at_post_uwsgi_fork(int step) { if (step) maybe("post_uwsgi_fork"); }
static void at_init_thread(int core) { (void) core; maybe("init_thread"); }
static int at_pre_fork(int wid) { (void) wid; maybe("pre_fork"); return 0; }
static void at_child_exit(int wid, int pid, int status) { (void) wid; (void) pid; (void) status; maybe("child_exit"); }
static void at_worker_exit(int wid) { (void) wid; maybe("worker_exit"); }
static int at_signal(uint8_t number, void *handler) { (void) number; (void) handler; maybe("signal_handler"); return 0; }
static int at_mule_msg(char *message, size_t len) { (void) message; (void) len; maybe("mule_msg"); return 1; }
static int at_spooler(char *name, char *packet, uint16_t len, char *body, size_t body_len) {
    (void) name; (void) packet; (void) len; (void) body; (void) body_len;
    maybe("spooler");
    return -2;
}
static uint64_t at_rpc(void *function, uint8_t argc, char **argv, uint16_t *argvs, char **answer) {
    (void) function; (void) argc; (void) argv; (void) argvs;
    maybe("rpc");
    *answer = strdup("called");
    return 6;
}
static void at_pre_request(struct wsgi_request *req) { (void) req; maybe("pre_request"); }
static void at_post_request(struct wsgi_request *req) { (void) req; maybe("post_request"); }
static void at_after_request(struct wsgi_request *req) { maybe("after_request"); log_request(req); }

static int at_request(struct wsgi_request *req) {
    if (uwsgi_parse_vars(req)) return -1;
    maybe("request");
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/signal", 7)) uwsgi_signal_send(-1, 5);
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/mule", 5)) rsgi_mule_send(1, "x", 1);
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/spool", 6)) {
        char packet[] = "\1\0a\1\0b";
        free(uwsgi_spool_request(NULL, packet, 6, NULL, 0));
    }
    if (!uwsgi_strncmp(req->path_info, req->path_info_len, "/rpc", 4)) {
        uint64_t len = 0;
        free(uwsgi_do_rpc(NULL, "crash", 0, NULL, NULL, &len));
    }
    uwsgi_response_prepare_headers(req, "200 OK", 6);
    uwsgi_response_write_body_do(req, "calm", 4);
    return UWSGI_OK;
}

struct uwsgi_plugin crasher_plugin = {
    .name = "crasher", .modifier1 = 203,
    .on_load = at_on_load, .init = at_init, .post_init = at_post_init, .post_fork = at_post_fork,
    .enable_threads = at_enable_threads, .init_thread = at_init_thread, .request = at_request,
    .after_request = at_after_request, .preinit_apps = at_preinit_apps, .init_apps = at_init_apps,
    .postinit_apps = at_postinit_apps, .fixup = at_fixup, .master_fixup = at_master_fixup,
    .master_cycle = at_master_cycle, .hijack_worker = at_hijack_worker, .spooler_init = at_spooler_init,
    .atexit = at_atexit, .signal_handler = at_signal, .spooler = at_spooler, .rpc = at_rpc, .mule_msg = at_mule_msg,
    .master_cleanup = at_master_cleanup, .worker = at_worker, .pre_uwsgi_fork = at_pre_uwsgi_fork,
    .post_uwsgi_fork = at_post_uwsgi_fork, .configure = at_configure, .on_starting = at_on_starting,
    .on_reload = at_on_reload, .when_ready = at_when_ready, .pre_fork = at_pre_fork, .child_exit = at_child_exit,
    .pre_exec = at_pre_exec, .worker_exit = at_worker_exit, .pre_request = at_pre_request,
    .post_request = at_post_request, .on_exit = at_on_exit,
};
