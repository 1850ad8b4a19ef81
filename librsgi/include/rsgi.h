/*
 * rsgi.h - the server inside of another program: link with -lrsgi (pkg-config librsgi).
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The names are those of uWSGI built as a shared library. Call them from the main thread, before the program has made any
 * other: the server forks. A reload executes the program again, with the command line that it was started with; so
 * it must come to this call by itself again. Signals and the log are the server's while it runs.
 */
#ifndef RSGI_H
#define RSGI_H

#ifdef __cplusplus
extern "C" {
#endif

/* Reads the configuration from these arguments (argv[0] is a name), and from the environment (NULL: the program's own). */
void uwsgi_setup(int argc, char *argv[], char *envp[]);
/* Serves to the end of the server, and returns its exit code, in the process that called it alone; workers and other
 * processes of the server end inside. */
int uwsgi_run(void);
/* Both. */
int uwsgi_init(int argc, char *argv[], char *envp[]);

#ifdef __cplusplus
}
#endif
#endif
