/* A request plugin that has every hook a server without mules or spoolers calls, and says so in the log. */
#include <uwsgi.h>

static int cycles;

static void say(const char *hook) { uwsgi_log("HOOK %s wid=%d\n", hook, uwsgi.mywid); }

static void on_load(void) { say("on_load"); }
static int init(void) { say("init"); return 0; }
static void post_init(void) { say("post_init"); }
static void enable_threads(void) { say("enable_threads"); }
static void preinit_apps(void) { say("preinit_apps"); }
static void init_apps(void) { say("init_apps"); }
static int mount_app(char *mountpoint, char *app) {
    uwsgi_log("HOOK mount_app %s %s\n", mountpoint, app);
    struct uwsgi_app *record = uwsgi_add_app(0, 201, mountpoint, strlen(mountpoint), (void *) app, (void *) app);
    return record ? 0 : -1;
}
static void postinit_apps(void) { say("postinit_apps"); }
static void master_fixup(int step) { uwsgi_log("HOOK master_fixup %d wid=%d\n", step, uwsgi.mywid); }
static void pre_uwsgi_fork(void) { say("pre_uwsgi_fork"); }
static void post_uwsgi_fork(int step) { uwsgi_log("HOOK post_uwsgi_fork %d\n", step); }
static void post_fork(void) { say("post_fork"); }
static int worker(void) { say("worker"); return 0; }
static void fixup(void) { say("fixup"); }
static void hijack_worker(void) { say("hijack_worker"); }
static void init_thread(int core) { uwsgi_log("HOOK init_thread %d\n", core); }
static void master_cycle(void) { if (cycles++ < 2) say("master_cycle"); }
static void do_harakiri(int wid) { uwsgi_log("HOOK harakiri %d\n", wid); }
static void do_atexit(void) { say("atexit"); }
static void master_cleanup(void) { say("master_cleanup"); }

static int request(struct wsgi_request *wsgi_req) {
    if (uwsgi_parse_vars(wsgi_req)) return -1;
    if (!uwsgi_startswith(wsgi_req->path_info, (char *) "/sleep", 6)) sleep(30);
    if (!uwsgi_startswith(wsgi_req->path_info, (char *) "/crash", 6)) *(volatile int *) 0 = 1;
    uwsgi_response_prepare_headers(wsgi_req, (char *) "200 OK", 6);
    uwsgi_response_add_content_type(wsgi_req, (char *) "text/plain", 10);
    uwsgi_response_write_body_do(wsgi_req, (char *) "hooked", 6);
    return UWSGI_OK;
}
static void after_request(struct wsgi_request *wsgi_req) {
    uwsgi_log("HOOK after_request %d %d\n", wsgi_req->status, (int) wsgi_req->response_size);
    log_request(wsgi_req);
}

struct uwsgi_plugin every_hook_plugin = {
    .name = "every_hook",
    .modifier1 = 201,
    .on_load = on_load,
    .init = init,
    .post_init = post_init,
    .post_fork = post_fork,
    .enable_threads = enable_threads,
    .init_thread = init_thread,
    .request = request,
    .after_request = after_request,
    .preinit_apps = preinit_apps,
    .init_apps = init_apps,
    .postinit_apps = postinit_apps,
    .fixup = fixup,
    .master_fixup = master_fixup,
    .master_cycle = master_cycle,
    .mount_app = mount_app,
    .harakiri = do_harakiri,
    .hijack_worker = hijack_worker,
    .atexit = do_atexit,
    .master_cleanup = master_cleanup,
    .worker = worker,
    .pre_uwsgi_fork = pre_uwsgi_fork,
    .post_uwsgi_fork = post_uwsgi_fork,
};
