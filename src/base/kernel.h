/*
 * kernel.h - system calls that the C libraries do not wrap, and newer constants.
 *
 * The one place where kernel numbers are written by hand: build machines have headers
 * of 6.1, musl has fewer still. Every function returns the call's result or -errno.
 */
#ifndef BASE_KERNEL_H
#define BASE_KERNEL_H

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

/* openat2(2) */
#define KERNEL_RESOLVE_NO_XDEV       0x01
#define KERNEL_RESOLVE_NO_MAGICLINKS 0x02
#define KERNEL_RESOLVE_NO_SYMLINKS   0x04
#define KERNEL_RESOLVE_BENEATH       0x08
#define KERNEL_RESOLVE_IN_ROOT       0x10

struct kernel_open_how {
	uint64_t flags;
	uint64_t mode;
	uint64_t resolve;
};

int kernel_openat2(int dir, const char *path, const struct kernel_open_how *how);

/* The mount API: fsopen(2), open_tree(2), move_mount(2), mount_setattr(2). */
#define KERNEL_FSOPEN_CLOEXEC         0x1
#define KERNEL_FSCONFIG_SET_FLAG      0
#define KERNEL_FSCONFIG_SET_STRING    1
#define KERNEL_FSCONFIG_SET_FD        5
#define KERNEL_FSCONFIG_CMD_CREATE    6
#define KERNEL_FSMOUNT_CLOEXEC        0x1
#define KERNEL_OPEN_TREE_CLONE        0x1
#define KERNEL_OPEN_TREE_CLOEXEC      O_CLOEXEC
#define KERNEL_MOVE_MOUNT_F_EMPTY     0x04
#define KERNEL_MOVE_MOUNT_T_SYMLINKS  0x10
#define KERNEL_MOVE_MOUNT_T_EMPTY     0x40
#define KERNEL_MOUNT_ATTR_RDONLY      0x01
#define KERNEL_MOUNT_ATTR_NOSUID      0x02
#define KERNEL_MOUNT_ATTR_NODEV       0x04
#define KERNEL_MOUNT_ATTR_NOEXEC      0x08
#define KERNEL_MOUNT_ATTR__ATIME      0x70
#define KERNEL_MOUNT_ATTR_NOATIME     0x10
#define KERNEL_MOUNT_ATTR_STRICTATIME 0x20
#define KERNEL_MOUNT_ATTR_NODIRATIME  0x80
#define KERNEL_MOUNT_ATTR_IDMAP       0x00100000
#define KERNEL_MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#define KERNEL_AT_RECURSIVE           0x8000

struct kernel_mount_attr {
	uint64_t attr_set;
	uint64_t attr_clr;
	uint64_t propagation;
	uint64_t userns_fd;
};

int kernel_fsopen(const char *type, unsigned flags);
int kernel_fsconfig(int fs, unsigned command, const char *key, const void *value, int aux);
int kernel_fsmount(int fs, unsigned flags, unsigned attributes);
int kernel_open_tree(int dir, const char *path, unsigned flags);
int kernel_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags);
int kernel_mount_setattr(int dir, const char *path, unsigned flags, const struct kernel_mount_attr *attr);
/* Whether something is mounted on name in folder, which is not followed: 1, 0, -errno. */
int kernel_is_mount_point(int folder, const char *name);
int kernel_pivot_root(const char *new_root, const char *put_old);

/* clone3(2) */
#define KERNEL_CLONE_NEWTIME     0x00000080ULL
#define KERNEL_CLONE_PIDFD       0x00001000ULL
#define KERNEL_CLONE_INTO_CGROUP 0x200000000ULL

struct kernel_clone_args {
	uint64_t flags;
	uint64_t pidfd;
	uint64_t child_tid;
	uint64_t parent_tid;
	uint64_t exit_signal;
	uint64_t stack;
	uint64_t stack_size;
	uint64_t tls;
	uint64_t set_tid;
	uint64_t set_tid_size;
	uint64_t cgroup;
};

/* As fork(2): 0 in the child, the pid in the parent. The child shares the parent's
 * stack contents as a copy, so CLONE_VM may not be among the flags. */
pid_t kernel_clone3(struct kernel_clone_args *args);

int kernel_execveat(int dir, const char *path, char *const *argv, char *const *envp, int flags);

int kernel_pidfd_open(pid_t pid, unsigned flags);
int kernel_pidfd_send_signal(int pidfd, int signal);
#define KERNEL_P_PIDFD 3 /* waitid(2)'s P_PIDFD */

#define KERNEL_CLOSE_RANGE_CLOEXEC 0x4
int kernel_close_range(unsigned first, unsigned last, unsigned flags);

#define KERNEL_KEYCTL_JOIN_SESSION_KEYRING 1
long kernel_keyctl_join(const char *name);

int kernel_seccomp(unsigned operation, unsigned flags, void *args);

/* memfd_create(2) flags newer than the headers. */
#define KERNEL_MFD_EXEC        0x0010U
#define KERNEL_MFD_NOEXEC_SEAL 0x0008U
#define KERNEL_F_SEAL_EXEC     0x0020

/* Magic numbers of statfs(2) that musl has no header for. */
#define KERNEL_PROC_SUPER_MAGIC    0x9fa0
#define KERNEL_CGROUP_SUPER_MAGIC  0x27e0eb
#define KERNEL_CGROUP2_SUPER_MAGIC 0x63677270
#define KERNEL_OVERLAYFS_MAGIC     0x794c7630
#define KERNEL_TMPFS_MAGIC         0x01021994
#define KERNEL_BTRFS_MAGIC         0x9123683e
#define KERNEL_ZFS_MAGIC           0x2fc12fc1
#define KERNEL_EXT4_MAGIC          0xef53
#define KERNEL_XFS_MAGIC           0x58465342
#define KERNEL_DEVPTS_MAGIC        0x1cd1

#endif
