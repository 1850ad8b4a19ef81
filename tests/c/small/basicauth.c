/* myauth:REALM,USER:PASSWORD lets those in who know them. */
#include <uwsgi.h>
static int check(struct wsgi_request *req, struct uwsgi_route *route) {
    char *known = (char *) route->data2;
    size_t len = 0;
    char *given, *realm;
    if (req->authorization_len > 6 && !uwsgi_strnicmp(req->authorization, 6, (char *) "Basic ", 6)) {
        given = uwsgi_base64_decode(req->authorization + 6, req->authorization_len - 6u, &len);
        if (given && !uwsgi_strncmp(given, (int) len, known, (int) strlen(known))) {
            req->remote_user = uwsgi_req_append(req, (char *) "REMOTE_USER", 11, given, (uint16_t) (strchr(given, ':') - given));
            req->remote_user_len = (uint16_t) (strchr(given, ':') - given);
            free(given);
            return UWSGI_ROUTE_NEXT;
        }
        free(given);
    }
    uwsgi_response_prepare_headers(req, (char *) "401 Authorization Required", 26);
    realm = uwsgi_concat3((char *) "Basic realm=\"", (char *) route->data, (char *) "\"");
    uwsgi_response_add_header(req, (char *) "WWW-Authenticate", 16, realm, (uint16_t) strlen(realm));
    uwsgi_response_write_body_do(req, (char *) "Unauthorized", 12);
    free(realm);
    return UWSGI_ROUTE_BREAK;
}
static int configure(struct uwsgi_route *route, char *args) {
    char *comma = strchr(args, ',');
    if (!comma) { uwsgi_log("give REALM,USER:PASSWORD\n"); return -1; }
    *comma = 0;
    route->func = check;
    route->data = args;
    route->data2 = comma + 1;
    return 0;
}
static void on_load(void) { uwsgi_register_router((char *) "myauth", configure); }
struct uwsgi_plugin basicauth_plugin = { .name = "myauth", .on_load = on_load };
