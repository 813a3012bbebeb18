/* The system calls of a running device: those that were measured, and those that Node, libuv and
 * the C library make instead of them on other kernels
 * (docs/security-notes.md#the-system-call-filter). The most frequent ones come first. A call that
 * an architecture lacks is left out there. */
#ifndef WG_SANDBOX_CALLS_H
#define WG_SANDBOX_CALLS_H
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* The check of a call:
 * WG_ANY: allowed. WG_ABSENT: fails with ENOSYS. WG_THREAD: only to start a thread.
 * WG_SOCKET, WG_IOCTL, WG_PRCTL: only the families, requests and options that the device uses.
 * WG_OWN_PID: only this process. WG_LIMIT: only to read a limit of this process.
 * WG_MODE1..3: no file mode with set-user-ID or set-group-ID, in argument 1 to 3 (from 0).
 * WG_NETNS, WG_RING: only with the option; WG_NETNS only for network namespaces. */
enum wg_check { WG_ANY, WG_ABSENT, WG_THREAD, WG_SOCKET, WG_IOCTL, WG_PRCTL, WG_OWN_PID, WG_LIMIT, WG_MODE1, WG_MODE2, WG_MODE3, WG_NETNS, WG_RING };

struct wg_call {
  uint32_t number;
  enum wg_check check;
};

/* Linux 5.1 and later add calls from this number on, the same for all architectures. A newer C
 * library or libuv tries one of them first and, on ENOSYS alone, uses an older call. So a call from
 * here on that is not in the tables fails with ENOSYS, as on an older kernel, which is no less
 * closed than EPERM. Calls that no such program tries, but an attacker may, fail with EPERM like
 * all older calls, so that the error names the filter: rings, mounts, other processes, attributes.
 * The last number known here is 469 (Linux 6.18). */
enum { WG_FIRST_PROBED = 424 };

static const uint32_t WG_FORBIDDEN[] = {
    424, 425, 426, 427,           /* pidfd_send_signal, io_uring_setup, _enter and _register */
    428, 429, 430, 431, 432, 433, /* open_tree, move_mount, fsopen, fsconfig, fsmount, fspick */
    434, 438, 440, 448,           /* pidfd_open, pidfd_getfd, process_madvise, process_mrelease */
    442, 443, 447, 460,           /* mount_setattr, quotactl_fd, memfd_secret, lsm_set_self_attr */
    463, 466, 467, 469,           /* setxattrat, removexattrat, open_tree_attr, file_setattr */
};
enum { WG_FORBIDDEN_COUNT = sizeof WG_FORBIDDEN / sizeof *WG_FORBIDDEN };

static const struct wg_call WG_CALLS[] = {
    /* packets, and the loop that waits for them */
    {SYS_read, WG_ANY}, {SYS_write, WG_ANY}, {SYS_writev, WG_ANY}, {SYS_recvmmsg, WG_ANY}, {SYS_sendmmsg, WG_ANY},
    {SYS_epoll_pwait, WG_ANY}, {SYS_futex, WG_ANY}, {SYS_clock_gettime, WG_ANY}, {SYS_madvise, WG_ANY}, {SYS_mprotect, WG_ANY},
    {SYS_munmap, WG_ANY}, {SYS_mmap, WG_ANY}, {SYS_epoll_ctl, WG_ANY}, {SYS_ioctl, WG_IOCTL}, {SYS_ppoll, WG_ANY},
    {SYS_readv, WG_ANY}, {SYS_close, WG_ANY}, {SYS_sendmsg, WG_ANY}, {SYS_recvmsg, WG_ANY}, {SYS_sendto, WG_ANY},
    {SYS_recvfrom, WG_ANY}, {SYS_epoll_pwait2, WG_ANY}, {SYS_epoll_create1, WG_ANY}, {SYS_eventfd2, WG_ANY},
    {SYS_pipe2, WG_ANY}, {SYS_timerfd_create, WG_ANY}, {SYS_timerfd_settime, WG_ANY},
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, WG_ANY}, {SYS_poll, WG_ANY},
#endif
    /* memory, of V8 and of the C library */
    {SYS_brk, WG_ANY}, {SYS_mremap, WG_ANY}, {SYS_mlock, WG_ANY}, {SYS_munlock, WG_ANY}, {SYS_mincore, WG_ANY},
    {SYS_membarrier, WG_ANY}, {SYS_pkey_alloc, WG_ANY}, {SYS_pkey_free, WG_ANY}, {SYS_pkey_mprotect, WG_ANY},
    {SYS_get_mempolicy, WG_ANY},
    /* threads and signals */
    {SYS_clone, WG_THREAD}, {SYS_clone3, WG_ABSENT}, {SYS_exit, WG_ANY}, {SYS_exit_group, WG_ANY}, {SYS_gettid, WG_ANY},
    {SYS_getpid, WG_ANY}, {SYS_set_robust_list, WG_ANY}, {SYS_get_robust_list, WG_ANY}, {SYS_rseq, WG_ANY},
    {SYS_set_tid_address, WG_ANY}, {SYS_sched_yield, WG_ANY}, {SYS_sched_getaffinity, WG_ANY}, {SYS_getcpu, WG_ANY},
    {SYS_sched_getparam, WG_ANY}, {SYS_sched_getscheduler, WG_ANY}, {SYS_getpriority, WG_ANY}, {SYS_prctl, WG_PRCTL},
    {SYS_rt_sigaction, WG_ANY}, {SYS_rt_sigprocmask, WG_ANY}, {SYS_rt_sigreturn, WG_ANY}, {SYS_rt_sigpending, WG_ANY},
    {SYS_rt_sigtimedwait, WG_ANY}, {SYS_sigaltstack, WG_ANY}, {SYS_restart_syscall, WG_ANY}, {SYS_tgkill, WG_OWN_PID},
    {SYS_kill, WG_OWN_PID}, {SYS_setns, WG_NETNS},
    /* time and facts about this process */
    {SYS_clock_getres, WG_ANY}, {SYS_clock_nanosleep, WG_ANY}, {SYS_nanosleep, WG_ANY}, {SYS_gettimeofday, WG_ANY},
    {SYS_getrandom, WG_ANY}, {SYS_getuid, WG_ANY}, {SYS_geteuid, WG_ANY}, {SYS_getgid, WG_ANY}, {SYS_getegid, WG_ANY},
    {SYS_getppid, WG_ANY}, {SYS_capget, WG_ANY}, {SYS_uname, WG_ANY}, {SYS_sysinfo, WG_ANY}, {SYS_getrusage, WG_ANY},
    {SYS_times, WG_ANY}, {SYS_prlimit64, WG_LIMIT}, {SYS_umask, WG_ANY},
#ifdef SYS_getrlimit
    {SYS_getrlimit, WG_ANY},
#endif
#ifdef SYS_time
    {SYS_time, WG_ANY},
#endif
    /* sockets: UDP at a new port, netlink, the control socket and its clients */
    {SYS_socket, WG_SOCKET}, {SYS_bind, WG_ANY}, {SYS_listen, WG_ANY}, {SYS_accept, WG_ANY}, {SYS_accept4, WG_ANY},
    {SYS_connect, WG_ANY}, {SYS_shutdown, WG_ANY}, {SYS_setsockopt, WG_ANY}, {SYS_getsockopt, WG_ANY}, {SYS_getsockname, WG_ANY},
    {SYS_getpeername, WG_ANY},
    /* files: the log and its rotation, the control socket's path, modules that load late, /proc */
    {SYS_openat, WG_MODE3}, {SYS_fstat, WG_ANY}, {SYS_newfstatat, WG_ANY}, {SYS_statx, WG_ANY}, {SYS_statfs, WG_ANY},
    {SYS_fstatfs, WG_ANY}, {SYS_lseek, WG_ANY}, {SYS_pread64, WG_ANY}, {SYS_pwrite64, WG_ANY}, {SYS_preadv, WG_ANY},
    {SYS_pwritev, WG_ANY}, {SYS_ftruncate, WG_ANY}, {SYS_fsync, WG_ANY}, {SYS_fdatasync, WG_ANY}, {SYS_fcntl, WG_ANY},
    {SYS_dup, WG_ANY}, {SYS_dup3, WG_ANY}, {SYS_getdents64, WG_ANY}, {SYS_getcwd, WG_ANY}, {SYS_readlinkat, WG_ANY},
    {SYS_faccessat, WG_ANY}, {SYS_unlinkat, WG_ANY}, {SYS_renameat, WG_ANY}, {SYS_mkdirat, WG_MODE2}, {SYS_fchmod, WG_MODE1},
    {SYS_fchmodat, WG_MODE2}, {SYS_inotify_init1, WG_ANY}, {SYS_inotify_add_watch, WG_ANY}, {SYS_inotify_rm_watch, WG_ANY},
#ifdef SYS_faccessat2
    {SYS_faccessat2, WG_ANY},
#endif
#ifdef SYS_renameat2
    {SYS_renameat2, WG_ANY},
#endif
#ifdef SYS_open
    {SYS_open, WG_MODE2}, {SYS_stat, WG_ANY}, {SYS_lstat, WG_ANY}, {SYS_readlink, WG_ANY}, {SYS_access, WG_ANY},
    {SYS_unlink, WG_ANY}, {SYS_rename, WG_ANY}, {SYS_mkdir, WG_MODE1}, {SYS_chmod, WG_MODE1}, {SYS_dup2, WG_ANY},
    {SYS_pipe, WG_ANY},
#endif
    /* rings that libuv made before the filter; no new one can be made */
#ifdef SYS_io_uring_enter
    {SYS_io_uring_enter, WG_RING},
#endif
};
enum { WG_CALL_COUNT = sizeof WG_CALLS / sizeof *WG_CALLS };

/* Of a TUN, of links by name, and what libuv and isatty(3) ask of descriptors. Creating another TUN
 * (TUNSETIFF) and writing into a terminal's input (TIOCSTI) are not among them. */
static const uint32_t WG_IOCTLS[] = {
    TUNGETIFF, TUNGETDEVNETNS, TUNSETOFFLOAD, TUNSETPERSIST, TUNSETVNETHDRSZ, TUNSETVNETLE, SIOCGIFMTU, SIOCSIFMTU, SIOCGIFFLAGS, SIOCGIFADDR,
    SIOCGIFINDEX, SIOCGIFNAME, SIOCGIFTXQLEN, SIOCSIFTXQLEN, FIONBIO, FIONREAD, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ,
};
enum { WG_IOCTL_COUNT = sizeof WG_IOCTLS / sizeof *WG_IOCTLS };

/* Names of threads and of memory, and reads. */
static const uint32_t WG_PRCTLS[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ};
enum { WG_PRCTL_COUNT = sizeof WG_PRCTLS / sizeof *WG_PRCTLS };
#endif
