/* Says when any of its code runs: a refused file must keep silent. */
#include <stdio.h>
#ifdef WITH_HEADER
#include <uwsgi.h>
#else
struct uwsgi_plugin { const char *name; void *rest[60]; };
#endif
#ifdef FOREIGN_MAJOR
static const struct { unsigned a, b, c; char name[8]; unsigned words[4]; } note
    __attribute__((section(".note.uwsgi.abi"), used, aligned(4))) = { 6, 16, 1, "uWSGI\0\0", { 99, 0, 408, 100 } };
#endif
__attribute__((constructor)) static void constructed(void) { fputs("CONSTRUCTOR RAN\n", stderr); }
struct uwsgi_plugin constructor_plugin = { .name = "constructor" };
