/*
 * The work of the three variadic functions of the C API, which stable Rust cannot define: each gathers its arguments and
 * calls the function that does the rest. src/exports/variadic.rs gives them their names.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

void uwsgi_log_str(const char *text, size_t len);
void rsgi_log_verbose_str(const char *text, size_t len);
int uwsgi_kvlist_parse_pairs(char *text, size_t len, char list_separator, int kv_separator, char **keys,
                             char ***values, size_t count);

static void format_to(void (*sink)(const char *, size_t), const char *format, va_list ap) {
    char small[4096];
    va_list again;
    int n;
    va_copy(again, ap);
    n = vsnprintf(small, sizeof small, format, ap);
    if (n >= 0 && (size_t) n < sizeof small) {
        sink(small, (size_t) n);
    } else if (n >= 0) {
        char *big = malloc((size_t) n + 1);
        if (big) {
            vsnprintf(big, (size_t) n + 1, format, again);
            sink(big, (size_t) n);
            free(big);
        } else {
            sink(small, sizeof small - 1);
        }
    }
    va_end(again);
}

void rsgi_c_log(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    format_to(uwsgi_log_str, format, ap);
    va_end(ap);
}

void rsgi_c_log_verbose(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    format_to(rsgi_log_verbose_str, format, ap);
    va_end(ap);
}

#define MAX_PAIRS 128

int rsgi_c_kvlist_parse(char *text, size_t len, char list_separator, int kv_separator, ...) {
    char *keys[MAX_PAIRS];
    char **values[MAX_PAIRS];
    size_t count = 0;
    char *key;
    va_list ap;
    va_start(ap, kv_separator);
    while ((key = va_arg(ap, char *))) {
        char **value = va_arg(ap, char **);
        if (!value) break;
        if (count == MAX_PAIRS) {
            va_end(ap);
            return -1;
        }
        keys[count] = key;
        values[count++] = value;
    }
    va_end(ap);
    return uwsgi_kvlist_parse_pairs(text, len, list_separator, kv_separator, keys, values, count);
}
