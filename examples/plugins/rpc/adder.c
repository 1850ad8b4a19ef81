/* A remote procedure: sum(a, b ...), for uwsgi.rpc() of any application and instance; a request calls it too. */
#include <uwsgi.h>

extern struct uwsgi_plugin adder_plugin;

static uint64_t call(void *function, uint8_t argc, char **argv, uint16_t argvs[], char **response) {
    uint64_t sum = 0;
    int i;
    (void) function;
    for (i = 0; i < argc; i++) sum += uwsgi_str_num(argv[i], argvs[i]);
    *response = uwsgi_64bit2str((int64_t) sum);
    return strlen(*response);
}

static int init(void) { return uwsgi_register_rpc((char *) "sum", &adder_plugin, 2, (void *) "sum"); }

static int request(struct wsgi_request *req) {
    char *argv[] = { (char *) "40", (char *) "2" }, *sum;
    uint16_t argvs[] = { 2, 1 };
    uint64_t len = uwsgi_rpc((char *) "sum", 2, argv, argvs, &sum);
    if (uwsgi_parse_vars(req)) return -1;
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    uwsgi_response_write_body_do(req, sum, len);
    free(sum);
    return UWSGI_OK;
}

struct uwsgi_plugin adder_plugin = { .name = "adder", .modifier1 = 250, .init = init, .rpc = call, .request = request };
