/* A logger: a datagram for each line, to host:port or a unix socket, with a word in front. --logger tosocket:ADDRESS,WORD */
#include <uwsgi.h>
static ssize_t send_line(struct uwsgi_logger *logger, char *line, size_t len) {
    if (!logger->configured) {
        char *comma = strchr(logger->arg, ','), *colon;
        if (comma) { *comma = 0; logger->buf = comma + 1; }
        colon = strchr(logger->arg, ':');
        logger->fd = socket(colon ? AF_INET : AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (logger->fd < 0) return -1;
        logger->addr_len = colon ? socket_to_in_addr(logger->arg, colon, 0, &logger->addr.sa_in)
                                 : socket_to_un_addr(logger->arg, &logger->addr.sa_un);
        logger->count = logger->buf ? 3 : 1;
        logger->msg.msg_iov = (struct iovec *) uwsgi_calloc(3 * sizeof(struct iovec));
        logger->msg.msg_name = &logger->addr;
        logger->msg.msg_namelen = logger->addr_len;
        logger->configured = 1;
    }
    logger->msg.msg_iovlen = (size_t) logger->count;
    if (logger->buf) {
        logger->msg.msg_iov[0].iov_base = logger->buf;
        logger->msg.msg_iov[0].iov_len = strlen(logger->buf);
        logger->msg.msg_iov[1].iov_base = (void *) " ";
        logger->msg.msg_iov[1].iov_len = 1;
    }
    logger->msg.msg_iov[logger->count - 1].iov_base = line;
    logger->msg.msg_iov[logger->count - 1].iov_len = len;
    return sendmsg(logger->fd, &logger->msg, 0);
}
static void on_load(void) { uwsgi_register_logger((char *) "tosocket", send_line); }
struct uwsgi_plugin tosocket_plugin = { .name = "tosocket", .on_load = on_load };
