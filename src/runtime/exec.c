/*
 * exec.c - one more process in a running container.
 *
 * The caller joins the pid namespace for its children only and clones one, which joins
 * all others by the pidfd of the container's first process, in one call. The new process
 * is the caller's own child, so its exit status needs no go-between. It may do nothing
 * before the parent has put it into the container's cgroups.
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

enum { NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP };

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
		err_set(e, ERR_INVALID, 0, "the container's /dev/null is not the null device");
		return err_hint(e, "exec -i does without it");
	}
	for (int i = 0; i < 3; i++)
		if (stdio[i] < 0)
			stdio[i] = null;
	return init_set_stdio(stdio, -1, e);
}

static int run_steps(const struct runtime_exec *options, int sync, struct err *e)
{
	const struct spec_process *process = options->process;
	struct spec spec = {.process = *process};
	int go;

	setsid();
	/* First: from here on we count as the container's. On v2 we were born there. */
	if (options->cgroup && options->cgroup->fd < 0 && cgroup_join(options->cgroup, 0, e) < 0)
		return -1;
	/* The mount namespace brings the container's root and working folder with it. */
	if (setns(options->pidfd, NAMESPACES) < 0)
		return err_errno(e, errno, "cannot join the container's namespaces");
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

int runtime_exec(
	const struct runtime_exec *options, struct runtime_process *process, int *console, struct err *e)
{
	int pair[2], pidfd = -1;

	/* Whatever runs in the container may see the new process from its first moment. */
	confine_undumpable();
	if (options->join_user && setns(options->pidfd, CLONE_NEWUSER) < 0)
		return err_errno(e, errno, "cannot join the container's user namespace");
	if (setns(options->pidfd, CLONE_NEWPID) < 0)
		return err_errno(e, errno, "cannot join the container's pid namespace");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, errno, "cannot make a socket pair");
	auto_close int ours = pair[0];
	auto_close int theirs = pair[1];
	struct kernel_clone_args args = {
		.flags = KERNEL_CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	if (options->cgroup && options->cgroup->fd >= 0) {
		args.flags |= KERNEL_CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)options->cgroup->fd;
	}
	pid_t pid = kernel_clone3(&args);
	if (pid == 0) {
		struct err failure = {0};
		close(ours);
		run_steps(options, theirs, &failure);
		sync_send(theirs, SYNC_FAILED, 0, &failure, -1);
		_exit(125);
	}
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
