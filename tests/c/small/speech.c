/* A kind of alarm that says its message through another process: --alarm "x speech:COMMAND" */
#include <uwsgi.h>
static void init(struct uwsgi_alarm_instance *alarm) { alarm->data_ptr = uwsgi_concat2(alarm->arg, (char *) " "); }
static void speak(struct uwsgi_alarm_instance *alarm, char *message, size_t len) {
    char *words = uwsgi_concat2n((char *) alarm->data_ptr, (int) strlen((char *) alarm->data_ptr), message, (int) len);
    pid_t pid = fork();
    if (pid == 0) uwsgi_exec_command_with_args(words);
    if (pid > 0) waitpid(pid, NULL, 0);
    free(words);
}
static void on_load(void) { uwsgi_register_alarm((char *) "speech", init, speak); }
struct uwsgi_plugin speech_plugin = { .name = "speech", .on_load = on_load };
