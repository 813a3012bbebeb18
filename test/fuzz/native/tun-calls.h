/* What the linker gives the files of native/ that handle a TUN in place of the C library's
 * functions. Each target of such files defines them. */
#ifndef WG_FUZZ_TUN_CALLS_H
#define WG_FUZZ_TUN_CALLS_H
#include <sys/socket.h>
#include <sys/types.h>

int __wrap_ioctl(int fd, unsigned long what, ...);
int __wrap_socket(int family, int type, int protocol);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
ssize_t __wrap_send(int fd, const void *data, size_t length, int flag);
ssize_t __wrap_recv(int fd, void *to, size_t room, int flag);
int __wrap_open(const char *path, int how, ...);
int __real_open(const char *path, int how, ...);
ssize_t __wrap_read(int fd, void *to, size_t room);
ssize_t __real_read(int fd, void *to, size_t room);
ssize_t __wrap_write(int fd, const void *data, size_t length);
ssize_t __real_write(int fd, const void *data, size_t length);
int __wrap_close(int fd);
int __real_close(int fd);
#endif
