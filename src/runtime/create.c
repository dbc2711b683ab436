/* create.c - the parent's half of making a container. */
#include "runtime/runtime.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/kernel.h"
#include "base/log.h"
#include "runtime/init.h"
#include "runtime/sync.h"

/* Two processes work at once now, so two processors: the kernel often leaves a new process on its
 * parent's, where it begins when the parent waits for it, half a millisecond later. It takes all of
 * them again before it executes the command (confine_reset). */
static void start_elsewhere(pid_t pid)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	if (cpu < 0 || sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) < 2)
		return;
	CPU_CLR(cpu, &set);
	sched_setaffinity(pid, sizeof set, &set);
}

static int clone_child(const struct runtime_options *options, struct runtime_process *process, struct err *e)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, errno, "cannot make a socket pair");
	auto_close int ours = pair[0];
	auto_close int theirs = pair[1];

	int pidfd = -1;
	/* The cgroup namespace is left out: it must be made after the child was moved
	 * into its cgroup, whose folder becomes its root. */
	struct kernel_clone_args args = {
		.flags = (options->spec->new_namespaces & ~(uint64_t)CLONE_NEWCGROUP) | KERNEL_CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	if (process->cgroup.host && process->cgroup.fd >= 0) {
		args.flags |= KERNEL_CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)process->cgroup.fd;
	}
	pid_t pid = kernel_clone3(&args);
	if (pid == 0) {
		close(ours);
		init_run(options, theirs);
	}
	if (pid < 0) {
		err_errno(e, pid, "cannot make the container's namespaces");
		if (pid == -ENOSPC)
			err_hint(e, "raise the limits in /proc/sys/user/max_*_namespaces");
		return -1;
	}
	start_elsewhere(pid);
	process->pid = pid;
	process->pidfd = pidfd;
	process->sync = steal_fd(&ours);
	log_trace("parent", "clone3: pid %d", (int)pid);
	return 0;
}

/* The child waits for its root file system soon: it comes first. */
static int give_root(const struct runtime_options *options, struct runtime_process *process, struct err *e)
{
	auto_close int root = options->open_root(options->context, e);
	if (root < 0)
		return -1;
	int rc = sync_send(process->sync, SYNC_ROOT, 0, NULL, root);
	/* EPIPE: the child has failed already, and says why when it is next waited for. */
	return rc < 0 && rc != -EPIPE ? err_errno(e, rc, "cannot talk to the container's first process") : 0;
}

int runtime_create(const struct runtime_options *options, struct runtime_process *process, struct err *e)
{
	bool grouped = options->cgroup_path != NULL;
	/* On v2 the child is born in its cgroup, since moving it costs a grace period of the
	 * kernel's; on v1 it starts on its mounts while its cgroups are made, and then moves
	 * itself, which alone needs no grace period there. */
	bool before = grouped && options->cgroup_host->version == 2;
	int rc = 0;

	*process = (struct runtime_process){.pidfd = -1, .sync = -1, .cgroup = {.fd = -1}};
	if (before)
		rc = cgroup_create(
			options->cgroup_host, options->cgroup_path, options->limits, &process->cgroup, e);
	if (rc == 0)
		rc = clone_child(options, process, e);
	if (rc == 0)
		rc = give_root(options, process, e);
	if (rc == 0 && grouped && !before)
		rc = cgroup_create(
			options->cgroup_host, options->cgroup_path, options->limits, &process->cgroup, e);
	if (rc == 0 && options->prepare)
		rc = options->prepare(options->context, e);
	if (rc == 0) {
		rc = sync_send(process->sync, SYNC_MAPPED, (int)process->cgroup.joined, NULL, -1);
		rc = rc < 0 && rc != -EPIPE ? err_errno(e, rc, "cannot talk to the container's first process")
					    : 0;
	}
	if (rc < 0)
		runtime_abandon(process);
	return rc;
}

int runtime_go(struct runtime_process *process, int *console, struct err *e)
{
	auto_close int master = -1;
	int rc = sync_wait(process->sync, SYNC_MOUNTED, NULL, &master, e);
	if (rc > 0)
		return err_set(
			e, ERR_SYSTEM, 0, "the container's first process died while it was being set up");
	if (rc < 0)
		return -1;
	rc = sync_send(process->sync, SYNC_GO, 1, NULL, -1);
	if (rc < 0 && rc != -EPIPE)
		return err_errno(e, rc, "cannot talk to the container's first process");
	/* The end of the file is good news here: execve closed the child's end. */
	rc = sync_wait(process->sync, SYNC_READY, NULL, NULL, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_SYSTEM, 0, "the container's set-up is out of step");
	close_fd(&process->sync);
	*console = steal_fd(&master);
	return 0;
}

void runtime_reason(const struct runtime_process *process, struct err *e)
{
	struct pollfd polls = {.fd = process->sync, .events = POLLIN};

	while (poll(&polls, 1, 0) > 0) {
		struct err why;
		auto_close int master = -1;
		int rc = sync_wait(process->sync, SYNC_MOUNTED, NULL, &master, &why);
		if (rc < 0)
			*e = why;
		if (rc)
			return;
	}
}

void runtime_abandon(struct runtime_process *process)
{
	struct err ignored;

	if (process->pid > 0) {
		kernel_pidfd_send_signal(process->pidfd, SIGKILL);
		waitpid(process->pid, NULL, 0);
		close_fd(&process->sync);
		close_fd(&process->pidfd);
		process->pid = 0;
	}
	if (process->cgroup.host)
		cgroup_remove(&process->cgroup, &ignored);
	cgroup_close(&process->cgroup);
	process->cgroup.host = NULL;
}
