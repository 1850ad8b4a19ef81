/* A plugin that brings its own stamp instead of including uwsgi.h: one built against an older, shorter struct
 * (SIZE smaller than ours, and junk behind it), or against a newer, longer one. */
#include <stdint.h>
#include <stdio.h>

#ifndef MAJOR
#define MAJOR 1
#endif
#ifndef MINOR
#define MINOR 0
#endif
struct stamp { uint32_t a, b, c; char name[8]; uint32_t words[4]; };
#define STAMP __attribute__((section(".note.uwsgi.abi"), used, aligned(4)))
#ifndef WITHOUT_STAMP
static const struct stamp note STAMP = { 6, 16, 1, "uWSGI\0\0", { MAJOR, MINOR, SIZE, 64 } };
#endif
#ifdef SECOND_MINOR
static const struct stamp second STAMP = { 6, 16, 1, "uWSGI\0\0", { MAJOR, SECOND_MINOR, SIZE, 64 } };
#endif

/* what a host would meet that believed a stamp with far too large a size */
char nothing[1 << 20];

__attribute__((constructor)) static void constructed(void) { fputs("CONSTRUCTOR RAN\n", stderr); }

static void on_load(void) { fputs("STAMPED on_load\n", stderr); }
static int init(void) { fputs("STAMPED init\n", stderr); return 0; }
static void junk(void) { fputs("JUNK CALLED\n", stderr); }

struct option { char *name; int type, shortcut; char *help; void (*func)(void); void *data; uint64_t flags; };
static struct option options[] = { { "junk-option", 0, 0, "no option at all", junk, 0, 0 }, { 0, 0, 0, 0, 0, 0, 0 } };

struct {
    const char *name, *alias;
    uint8_t modifier1;
    void *data;
    void (*on_load)(void);
    int (*init)(void);
    void (*post_init)(void);
    void (*post_fork)(void);
    void *options;
    void (*others[57])(void);
    void (*newer[2])(void);
} stamped_plugin = {
    .name = "stamped",
    .on_load = on_load,
    .init = init,
#if SIZE < 528
    .post_init = junk, .post_fork = junk, .options = options,
    .others = { [0 ... 56] = junk },
#endif
#if SIZE < 1000
    .newer = { junk, junk },
#endif
};
