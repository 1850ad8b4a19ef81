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
static int aborts;
static void post_fork(void) { say("post_fork"); aborts = getenv("ABORT") != NULL; }
static int worker(void) { say("worker"); return 0; }
static void fixup(void) { say("fixup"); }
static void hijack_worker(void) { say("hijack_worker"); }
static void init_thread(int core) { uwsgi_log("HOOK init_thread %d\n", core); }
static void master_cycle(void) { if (cycles++ < 2) say("master_cycle"); }
static void do_harakiri(int wid) { uwsgi_log("HOOK harakiri %d\n", wid); }
static void do_atexit(void) { say("atexit"); }
static void master_cleanup(void) { say("master_cleanup"); }

static int configure(void) { say("configure"); return 0; }
static void dump_stacks(int fd) { if (write(fd, "HOOK dump_stacks\n", 17) != 17) return; }
static int on_starting(void) { say("on_starting"); return 0; }
static void on_reload(void) { say("on_reload"); }
static int when_ready(void) { say("when_ready"); return 0; }
static int pre_fork(int wid) { uwsgi_log("HOOK pre_fork %d\n", wid); return getenv("REFUSE_FORK") ? -1 : 0; }
static void child_exit(int wid, int pid, int status) {
    (void) pid;
    uwsgi_log("HOOK child_exit %d signal=%d code=%d\n", wid, WTERMSIG(status), WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}
static void nworkers_changed(int now, int before) { uwsgi_log("HOOK nworkers_changed %d %d\n", now, before); }
static void pre_exec(void) { say("pre_exec"); }
static int worker_int(int step) { if (step == UWSGI_STEP_CALM) say("worker_int"); return 0; }
static int worker_abort(int step) { if (step == UWSGI_STEP_CALM) say("worker_abort"); return aborts; }
static void worker_exit(int wid) { uwsgi_log("HOOK worker_exit %d\n", wid); }
static void pre_request(struct wsgi_request *wsgi_req) {
    uwsgi_log("HOOK pre_request %.*s\n", wsgi_req->path_info_len, wsgi_req->path_info);
}
static void post_request(struct wsgi_request *wsgi_req) { uwsgi_log("HOOK post_request %d\n", wsgi_req->status); }
static void on_exit_(void) { say("on_exit"); }

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

void called_after(struct wsgi_request *wsgi_req) { uwsgi_log("CALLED AFTER %d\n", wsgi_req->status); }

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
    .configure = configure,
    .dump_stacks = dump_stacks,
    .on_starting = on_starting,
    .on_reload = on_reload,
    .when_ready = when_ready,
    .pre_fork = pre_fork,
    .child_exit = child_exit,
    .nworkers_changed = nworkers_changed,
    .pre_exec = pre_exec,
    .worker_int = worker_int,
    .worker_abort = worker_abort,
    .worker_exit = worker_exit,
    .pre_request = pre_request,
    .post_request = post_request,
    .on_exit = on_exit_,
};
