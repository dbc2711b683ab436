/* init.h - the child's half of making a container (internal to runtime). */
#ifndef RUNTIME_INIT_H
#define RUNTIME_INIT_H

#include "runtime/runtime.h"

/* The child: sets up everything and executes the command, or sends FAILED over sync. */
_Noreturn void init_run(const struct runtime_options *options, int sync);

/* 0, 1 and 2 become the given descriptors; one that is -1 is opened from null, an O_PATH
 * descriptor of the null device. */
int init_set_stdio(const int stdio[3], int null, struct err *e);
/* The terminal's other end becomes 0, 1, 2 and controls the session. */
int init_take_terminal(int slave, const struct spec_process *process, struct err *e);

/* The last steps, which exec.c shares: user, limits, confinement, execve. The process
 * stands in the container's root with 0, 1 and 2 in place; proc is a descriptor of a
 * procfs of the engine's own (or the container's own, verified). Returns only on
 * failure. */
int init_execute(const struct spec_process *process, int proc, struct err *e);

/* mounts.c: in the child's mount namespace, before pivot_root. */
struct mounts {
	const struct spec *spec;
	int *copies; /* for each of the spec's mounts a descriptor + 1, or 0; NULL: none at all */
	int root;    /* the attached root file system */
	dev_t root_device;
	ino_t root_inode;
	int proc;   /* the container's procfs, or -1 when none was mounted there */
	int devpts; /* the mount on /dev/pts, or -1 */
	int null;   /* the null device, verified: the host's until the container has its own */
	bool null_is_own;
	int empty;         /* an empty read-only tmpfs, detached; made when first needed */
	int *made;         /* for each of the spec's mounts what was made ahead + 1, or 0; NULL: nothing */
	bool devices_left; /* some of the devices have to be bound */
};

/* First of all: copies the sources of binds that stay joined with the host's mounts (slave,
 * shared), which ours then part from. */
int mounts_copy(struct mounts *mounts, const struct spec *spec, struct err *e);
/* What of the engine's own needs no root to stand on, detached. */
int mounts_make_ahead(struct mounts *mounts, struct err *e);
int mounts_begin(struct mounts *mounts, int root, struct err *e);
/* All that needs nothing of the parent's; then what needs the cgroup namespace, what the parent
 * has prepared, and at last masks and read-only paths. */
int mounts_make(struct mounts *mounts, struct err *e);
int mounts_make_late(struct mounts *mounts, struct err *e);
int mounts_make_cgroup(struct mounts *mounts, const struct cgroup *cgroup, struct err *e);
int mounts_hide(struct mounts *mounts, struct err *e);
/* A detached mount of the null device, through which the host's own cannot be changed
 * (its mode, its owner). Or -errno. */
int mounts_null(const struct mounts *mounts);
/* mkdir -p inside root, also where a link of the image leads to what is not there. */
int mounts_make_folder(int root, const char *path);
/* Makes a new terminal in the container's devpts, mounts it on /dev/console where root
 * is still outside (with_console); gives both ends. */
int mounts_terminal(struct mounts *mounts, bool with_console, int *master, int *slave, struct err *e);

/* user.c: who a spec_user is, by the passwd and group files below root (a directory
 * descriptor). groups has room for USER_GROUPS. */
enum { USER_GROUPS = 1024 };
struct user {
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS]; /* supplementary ones, the primary one among them */
	size_t groups_count;
	char home[256];
};

int user_resolve(int root, const struct spec_user *wanted, struct user *user, struct err *e);

#endif
