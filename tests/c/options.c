/* A generic plugin with options of each kind, a key-value list and string helpers. */
#include <uwsgi.h>

static struct {
    char *text;
    int number;
    uint64_t big;
    int flag;
    struct uwsgi_string_list *items;
} o;

static void custom(char *opt, char *value, void *data) {
    (void) data;
    uwsgi_log("CUSTOM %s=%s\n", opt, value ? value : "(null)");
}

static struct uwsgi_option options[] = {
    { (char *) "opts-text", required_argument, 0, (char *) "set the text of the opts plugin", uwsgi_opt_set_str, &o.text, 0 },
    { (char *) "opts-number", required_argument, 0, (char *) "set the number", uwsgi_opt_set_int, &o.number, 0 },
    { (char *) "opts-big", required_argument, 0, (char *) "set the big number", uwsgi_opt_set_64bit, &o.big, 0 },
    { (char *) "opts-flag", no_argument, 0, (char *) "set the flag", uwsgi_opt_true, &o.flag, 0 },
    { (char *) "opts-item", required_argument, 0, (char *) "add an item", uwsgi_opt_add_string_list, &o.items, 0 },
    { (char *) "opts-func", optional_argument, 0, (char *) "call a function", custom, NULL, 0 },
    UWSGI_END_OF_OPTIONS
};

static int init(void) {
    struct uwsgi_string_list *item;
    char *a = NULL, *b = NULL;
    char list[] = "a=1,b=two";
    uwsgi_log("OPTS text=%s number=%d big=%llu flag=%d\n", o.text ? o.text : "-", o.number, (unsigned long long) o.big, o.flag);
    uwsgi_foreach(item, o.items) uwsgi_log("ITEM %s (%d)\n", item->value, (int) item->len);
    if (!uwsgi_kvlist_parse(list, strlen(list), ',', '=', "a", &a, "b", &b, NULL)) uwsgi_log("KV a=%s b=%s\n", a, b);
    if (!uwsgi_kvlist_parse(list, strlen(list), ',', '=', "b", &b, NULL)) uwsgi_log("KV b=%s\n", b);
    char *joined = uwsgi_concat3((char *) "con", (char *) "cat", (char *) "enated");
    uwsgi_log("STR %s %d %d\n", joined, uwsgi_startswith(joined, (char *) "con", 3), uwsgi_endswith(joined, (char *) "ted"));
    free(joined);
    return 0;
}

struct uwsgi_plugin options_plugin = { .name = "options", .options = options, .init = init };
