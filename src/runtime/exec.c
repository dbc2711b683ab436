/*
 * exec.c - one more process in a running container.
 *
 * The caller joins all of the container's namespaces, in one call by the pidfd of its
 * first process (the pid namespace for its children only), and clones the new process,
 * which is its own child, so that the exit status needs no go-between. In this order,
 * because the container sees a process of its pid namespace from its first moment: with
 * CAP_SYS_PTRACE it may look at that process's root and descriptors, and neither may lead
 * to the host. So the caller keeps no folder of the host's open either; it stays outside the
 * pid namespace and the cgroups itself. The new process may do nothing before it is in
 * the container's cgroups.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "runtime/init.h"
#include "runtime/sync.h"

enum {
	NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWPID
};

/* What is not given comes from the container's own null device: through the host's, which
 * is another file, the container could change its mode for everybody. */
static int set_stdio(const struct runtime_exec *options, struct err *e)
{
	int stdio[3] = {options->stdio[0], options->stdio[1], options->stdio[2]};
	struct stat st;

	if (stdio[0] >= 0 && stdio[1] >= 0 && stdio[2] >= 0)
		return init_set_stdio(stdio, -1, e);
	auto_close int null = fd_open(AT_FDCWD, "/dev/null", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (null < 0 || fstat(null, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)) {
		err_set(e, ERR_DENIED, 0, "the container's /dev/null is not the null device");
		return err_hint(e, "exec -i does without it");
	}
	for (int i = 0; i < 3; i++)
		if (stdio[i] < 0)
			stdio[i] = null;
	return init_set_stdio(stdio, -1, e);
}

/* The way into the container's cgroups. */
struct entry {
	int fds[CGROUP_HIERARCHIES]; /* v1 */
	int count;
	int group; /* v2: for CLONE_INTO_CGROUP; or -1 */
};

static int open_entry(const struct cgroup *cgroup, struct entry *entry, struct err *e)
{
	*entry = (struct entry){.group = -1};
	if (!cgroup)
		return 0;
	entry->count = cgroup_open_entries(cgroup, entry->fds, e);
	if (entry->count < 0)
		return -1;
	struct kernel_mount_attr attr = {.attr_set = KERNEL_MOUNT_ATTR_RDONLY};
	if (cgroup->fd < 0)
		return 0;
	/* A mount of that folder alone, through which nothing can be written: for a moment a container that
	 * may trace sees it among the descriptors of the new process, and ".." leads nowhere. */
	entry->group = kernel_open_tree(
		cgroup->fd, "", AT_EMPTY_PATH | KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC);
	if (entry->group >= 0)
		kernel_mount_setattr(entry->group, "", AT_EMPTY_PATH, &attr);
	else
		entry->group = fcntl(cgroup->fd, F_DUPFD_CLOEXEC, 3);
	return 0;
}

static void close_entry(struct entry *entry)
{
	for (int i = 0; i < entry->count; i++)
		close_fd(&entry->fds[i]);
	close_fd(&entry->group);
}

static int run_steps(const struct runtime_exec *options, struct entry *entry, int sync, struct err *e)
{
	const struct spec_process *process = options->process;
	struct spec spec = {.process = *process};
	int go;

	setsid();
	/* First: from here on we count as the container's. On v2 we were born there. */
	for (int i = 0; i < entry->count; i++) {
		int rc = fd_write_full(entry->fds[i], "0", 1);
		if (rc < 0)
			return err_errno(e, rc, "cannot join the container's cgroups");
		close_fd(&entry->fds[i]);
	}
	close_fd(&entry->group);
	if (!process->terminal && set_stdio(options, e) < 0)
		return -1;
	auto_close int master = -1;
	auto_close int slave = -1;
	if (process->terminal) {
		struct mounts mounts = {.spec = &spec, .root = -1, .proc = -1, .null = -1, .empty = -1};
		mounts.devpts = fd_open(AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY, 0);
		if (mounts_terminal(&mounts, false, &master, &slave, e) < 0)
			return -1;
		close_fd(&mounts.devpts);
	}
	int rc = sync_send(sync, SYNC_MOUNTED, 0, NULL, master);
	if (rc < 0)
		return err_errno(e, rc, "cannot talk to the engine");
	close_fd(&master);
	if (process->terminal && init_take_terminal(slave, process, e) < 0)
		return -1;
	rc = sync_wait(sync, SYNC_GO, &go, NULL, e);
	if (rc)
		return rc < 0 ? -1 : err_set(e, ERR_SYSTEM, 0, "the engine went away");
	return init_execute(process, -1, e);
}

/* Joins what the new process is to live in. The mount namespace brings the container's root
 * and working folder with it: the host's files are out of sight from here on. */
static int join(const struct runtime_exec *options, int namespaces, struct err *e)
{
	if (options->join_user && setns(options->pidfd, CLONE_NEWUSER) < 0)
		return err_errno(e, errno, "cannot join the container's user namespace");
	if (setns(options->pidfd, namespaces) == 0)
		return 0;
	if (errno == ESRCH)
		return err_set(e, ERR_CONFLICT, 0, "the container has just ended");
	return err_errno(e, errno, "cannot join the container's namespaces");
}

int runtime_exec(
	const struct runtime_exec *options, struct runtime_process *process, int *console, struct err *e)
{
	int pair[2], pidfd = -1;
	struct entry entry;

	/* Whatever runs in the container may see the new process from its first moment. */
	confine_undumpable();
	if (options->process->set_oom_score_adj) {
		auto_close int self = fd_open(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY, 0);
		if (self >= 0)
			confine_oom_score_adj(self, options->process->oom_score_adj, false);
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, errno, "cannot make a socket pair");
	auto_close int ours = pair[0];
	auto_close int theirs = pair[1];
	if (open_entry(options->cgroup, &entry, e) < 0)
		return -1;
	/* From inside a cgroup namespace nobody can be put into a group whose mover stands outside of it,
	 * where the tree is mounted with nsdelegate: so on v2 the child joins that one, in its group. */
	bool born_inside = entry.group >= 0;
	if (join(options, NAMESPACES & ~(born_inside ? CLONE_NEWCGROUP : 0), e) < 0) {
		close_entry(&entry);
		return -1;
	}
	struct kernel_clone_args args = {
		.flags = KERNEL_CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	if (entry.group >= 0) {
		args.flags |= KERNEL_CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)entry.group;
	}
	pid_t pid = kernel_clone3(&args);
	if (pid == 0) {
		struct err failure = {0};
		close(ours);
		if (born_inside && setns(options->pidfd, CLONE_NEWCGROUP) < 0)
			err_errno(&failure, errno, "cannot join the container's cgroup namespace");
		else
			run_steps(options, &entry, theirs, &failure);
		sync_send(theirs, SYNC_FAILED, 0, &failure, -1);
		_exit(125);
	}
	close_entry(&entry);
	if (pid == -ENOMEM)
		/* What the kernel says when a pid namespace has lost its first process. */
		return err_set(e, ERR_CONFLICT, 0, "the container has just ended");
	if (pid < 0)
		return err_errno(e, pid, "cannot start a process in the container");
	*process = (struct runtime_process){
		.pid = pid, .pidfd = pidfd, .sync = steal_fd(&ours), .cgroup = {.fd = -1}};
	close_fd(&theirs);
	int rc = runtime_go(process, console, e);
	if (rc < 0)
		runtime_abandon(process);
	return rc;
}
