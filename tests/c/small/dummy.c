/* Nothing at all: a plugin that is loaded and has a name. */
#include <uwsgi.h>
struct uwsgi_plugin dummy_plugin = { .name = "dummy" };
