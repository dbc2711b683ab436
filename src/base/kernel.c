/* kernel.c - system calls that the C libraries do not wrap. */
#include "base/kernel.h"

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The numbers of calls added since 5.1 are the same on every architecture. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_open_tree
#define SYS_open_tree  428
#define SYS_move_mount 429
#define SYS_fsopen     430
#define SYS_fsconfig   431
#define SYS_fsmount    432
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

static long result(long value)
{
	return value < 0 ? -errno : value;
}

int kernel_openat2(int dir, const char *path, const struct kernel_open_how *how)
{
	return (int)result(syscall(SYS_openat2, dir, path, how, sizeof *how));
}

int kernel_fsopen(const char *type, unsigned flags)
{
	return (int)result(syscall(SYS_fsopen, type, flags));
}

int kernel_fsconfig(int fs, unsigned command, const char *key, const void *value, int aux)
{
	return (int)result(syscall(SYS_fsconfig, fs, command, key, value, aux));
}

int kernel_fsmount(int fs, unsigned flags, unsigned attributes)
{
	return (int)result(syscall(SYS_fsmount, fs, flags, attributes));
}

int kernel_open_tree(int dir, const char *path, unsigned flags)
{
	return (int)result(syscall(SYS_open_tree, dir, path, flags));
}

int kernel_is_mount_point(int folder, const char *name)
{
	enum { DONT_SYNC = 0x4000, MOUNT_ROOT = 0x2000 };
	/* struct statx; musl has it since 1.2.5 only. */
	struct {
		uint32_t mask, block_size;
		uint64_t attributes;
		uint64_t rest[30];
	} found = {0};
	long rc = result(syscall(
		SYS_statx, folder, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | DONT_SYNC, 0, &found));

	return rc < 0 ? (int)rc : (found.attributes & MOUNT_ROOT) != 0;
}

int kernel_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags)
{
	return (int)result(syscall(SYS_move_mount, from, from_path, to, to_path, flags));
}

int kernel_mount_setattr(int dir, const char *path, unsigned flags, const struct kernel_mount_attr *attr)
{
	return (int)result(syscall(SYS_mount_setattr, dir, path, flags, attr, sizeof *attr));
}

int kernel_pivot_root(const char *new_root, const char *put_old)
{
	return (int)result(syscall(SYS_pivot_root, new_root, put_old));
}

pid_t kernel_clone3(struct kernel_clone_args *args)
{
	return (pid_t)result(syscall(SYS_clone3, args, sizeof *args));
}

int kernel_execveat(int dir, const char *path, char *const *argv, char *const *envp, int flags)
{
	return (int)result(syscall(SYS_execveat, dir, path, argv, envp, flags));
}

int kernel_pidfd_open(pid_t pid, unsigned flags)
{
	return (int)result(syscall(SYS_pidfd_open, pid, flags));
}

int kernel_pidfd_send_signal(int pidfd, int signal)
{
	return (int)result(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

int kernel_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)result(syscall(SYS_close_range, first, last, flags));
}

long kernel_keyctl_join(const char *name)
{
	return result(syscall(SYS_keyctl, KERNEL_KEYCTL_JOIN_SESSION_KEYRING, name));
}

int kernel_seccomp(unsigned operation, unsigned flags, void *args)
{
	return (int)result(syscall(SYS_seccomp, operation, flags, args));
}
