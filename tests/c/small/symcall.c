/* Answers by a function that an option names: --symcall-function NAME, looked up among all that is loaded. */
#include <uwsgi.h>
static struct uwsgi_string_list *names;
static int (*function)(struct wsgi_request *);
static struct uwsgi_option options[] = {
    { "symcall-function", required_argument, 0, "answer by this function", uwsgi_opt_add_string_list, &names, 0 },
    UWSGI_END_OF_OPTIONS
};
int example_of_symcall(struct wsgi_request *req) {
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    uwsgi_response_write_body_do(req, (char *) "called by name", 14);
    return UWSGI_OK;
}
static void init_apps(void) {
    struct uwsgi_string_list *name;
    uwsgi_foreach(name, names) {
        void *found = dlsym(RTLD_DEFAULT, name->value);
        if (!found) { uwsgi_log("unable to find symbol \"%s\"\n", name->value); exit(1); }
        memcpy(&function, &found, sizeof function);
        uwsgi_log("symcall function ptr: %d\n", function != NULL);
    }
}
static int request(struct wsgi_request *req) { return uwsgi_parse_vars(req) || !function ? -1 : function(req); }
struct uwsgi_plugin symcall_plugin = {
    .name = "mysymcall", .modifier1 = 118, .options = options, .init_apps = init_apps, .request = request,
};
