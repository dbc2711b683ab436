/*
 * init.c - the child's half of making a container: from clone3 to execve.
 *
 * init_run is one straight list of named steps, each saying why it stands before the
 * next. The process is a fork of the engine: it has the engine's rights over the host
 * until the confinement, and none of the container's code runs before execve.
 */
#include "runtime/init.h"

#include <errno.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/confine.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/seccomp.h"
#include "runtime/sync.h"

/* Exit status of a child that told its parent why; nobody sees it. */
enum { TOLD = 125 };

int init_set_stdio(const int stdio[3], int null, struct err *e)
{
	int from[3];

	/* Out of the way first: one of them may be 0, 1 or 2 already. */
	for (int i = 0; i < 3; i++) {
		int fd = stdio[i];
		if (fd < 0) {
			char path[32];
			snprintf(path, sizeof path, "/proc/self/fd/%d", null);
			fd = fd_open(AT_FDCWD, path, i == 0 ? O_RDONLY : O_WRONLY, 0);
			if (fd < 0)
				return err_errno(e, fd, "cannot open /dev/null");
		}
		from[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (from[i] < 0)
			return err_errno(e, errno, "cannot set up the standard streams");
	}
	for (int i = 0; i < 3; i++) {
		if (dup2(from[i], i) < 0)
			return err_errno(e, errno, "cannot set up the standard streams");
		close(from[i]);
	}
	return 0;
}

static int join_namespaces(const struct spec *spec, struct err *e)
{
	for (int i = 0; i < SPEC_NS_COUNT; i++)
		if (spec->join[i] && setns(spec->join[i] - 1, 0) < 0)
			return err_errno(e, errno, "cannot join a namespace");
	return 0;
}

static int set_names(const struct spec *spec, struct err *e)
{
	if (spec->hostname && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
		return err_errno(e, errno, "cannot set the host name \"%s\"", spec->hostname);
	if (spec->domainname && setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
		return err_errno(e, errno, "cannot set the domain name \"%s\"", spec->domainname);
	return 0;
}

/* Done in here, where it takes no rights but those that an ordinary user has too. */
static int raise_loopback(struct err *e)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return err_errno(e, errno, "cannot bring up the container's loopback interface");
	return 0;
}

static int make_private(struct err *e)
{
	struct kernel_mount_attr private_tree = {.propagation = MS_PRIVATE};
	/* Before anything is mounted: what we do must not show up on the host. */
	int rc = kernel_mount_setattr(AT_FDCWD, "/", KERNEL_AT_RECURSIVE, &private_tree);
	return rc < 0 ? err_errno(e, rc, "cannot make the mounts private") : 0;
}

/* Attaches the root, which the parent has made, at the engine's anchor, in our mount namespace
 * only, and gives a descriptor of its top. */
static int attach_root(const struct runtime_options *options, int sync, struct err *e)
{
	auto_close int root = -1;
	int rc = sync_wait(sync, SYNC_ROOT, NULL, &root, e);
	if (rc)
		return rc < 0 ? -1 : err_set(e, ERR_SYSTEM, 0, "the engine went away");
	rc = kernel_move_mount(root, "", AT_FDCWD, options->anchor, KERNEL_MOVE_MOUNT_F_EMPTY);
	if (rc < 0)
		return err_errno(e, rc, "cannot attach the root file system");
	return steal_fd(&root);
}

/* The container's own /proc/sys, through our own mount of it, verified. */
static int set_sysctls(const struct spec *spec, int proc, struct err *e)
{
	for (size_t i = 0; i < spec->sysctls_count; i++) {
		char path[256] = "sys/";
		size_t at = 4;
		for (const char *p = spec->sysctls[i].key; *p && at + 1 < sizeof path; p++)
			path[at++] = *p == '.' ? '/' : *p;
		path[at] = '\0';
		struct kernel_open_how how = {
			.flags = O_WRONLY | O_CLOEXEC,
			.resolve = KERNEL_RESOLVE_BENEATH | KERNEL_RESOLVE_NO_XDEV |
				   KERNEL_RESOLVE_NO_SYMLINKS | KERNEL_RESOLVE_NO_MAGICLINKS,
		};
		auto_close int fd = kernel_openat2(proc, path, &how);
		int rc = fd < 0 ? fd
				: fd_write_full(fd, spec->sysctls[i].value, strlen(spec->sysctls[i].value));
		if (rc < 0)
			return err_errno(e, rc, "cannot set the sysctl %s to %s", spec->sysctls[i].key,
				spec->sysctls[i].value);
	}
	return 0;
}

static int enter_root(const struct mounts *mounts, struct err *e)
{
	if (mounts->spec->readonly) {
		struct kernel_mount_attr attr = {.attr_set = KERNEL_MOUNT_ATTR_RDONLY};
		int rc = kernel_mount_setattr(mounts->root, "", AT_EMPTY_PATH, &attr);
		if (rc < 0)
			return err_errno(e, rc, "cannot make the root file system read-only");
	}
	/* pivot_root(".", ".") stacks the old root on the new one; umount2 takes it away. */
	if (fchdir(mounts->root) < 0)
		return err_errno(e, errno, "cannot enter the root file system");
	int rc = kernel_pivot_root(".", ".");
	if (rc < 0)
		return err_errno(e, rc, "cannot make it the root file system");
	if (umount2(".", MNT_DETACH) < 0)
		return err_errno(e, errno, "cannot let go of the host's file systems");
	if (chdir("/") < 0)
		return err_errno(e, errno, "cannot enter the root file system");
	return 0;
}

int init_take_terminal(int slave, const struct spec_process *process, struct err *e)
{
	struct winsize size = {.ws_row = process->rows, .ws_col = process->columns};

	if (process->rows && ioctl(slave, TIOCSWINSZ, &size) < 0)
		return err_errno(e, errno, "cannot set the terminal's size");
	/* With a reaper the command leads the terminal's session, not process 1. */
	if (!process->init && ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_errno(e, errno, "cannot take the terminal");
	int stdio[3] = {slave, slave, slave};
	return init_set_stdio(stdio, -1, e);
}

static int run_steps(const struct runtime_options *options, int sync, struct err *e)
{
	const struct spec *spec = options->spec;
	struct mounts mounts;
	int ignored;

	/* Nothing of the container's may trace or read us while we hold host rights. */
	confine_undumpable();
	umask(0); /* modes are meant as they are written here */
	/* A session of its own: signals of the caller's terminal are not the container's. */
	setsid();
	if (join_namespaces(spec, e) < 0 || set_names(spec, e) < 0 ||
		(spec->loopback && raise_loopback(e) < 0))
		return -1;

	if (mounts_copy(&mounts, spec, e) < 0 || make_private(e) < 0 || mounts_make_ahead(&mounts, e) < 0)
		return -1;
	log_trace("child", "file systems made");
	auto_close int root = attach_root(options, sync, e);
	if (root < 0 || mounts_begin(&mounts, root, e) < 0)
		return -1;
	log_trace("child", "root file system attached");
	if (mounts_make(&mounts, e) < 0)
		return -1;
	/* From the container's own /dev, which is there now. */
	auto_close int null =
		mounts.null_is_own ? fcntl(mounts.null, F_DUPFD_CLOEXEC, 3) : mounts_null(&mounts);
	if (null < 0)
		return err_errno(e, null, "cannot open /dev/null");
	if (!spec->process.terminal && init_set_stdio(options->stdio, null, e) < 0)
		return -1;
	auto_close int master = -1;
	auto_close int slave = -1;
	if (spec->process.terminal && mounts_terminal(&mounts, true, &master, &slave, e) < 0)
		return -1;
	log_trace("child", "file systems mounted");

	/* While the parent makes the cgroup: sysctls need our own /proc, and must be written before
	 * it becomes read-only; nothing that is mounted later lies in what is hidden. */
	if ((mounts.proc >= 0 && set_sysctls(spec, mounts.proc, e) < 0) || mounts_hide(&mounts, e) < 0)
		return -1;
	log_trace("child", "paths hidden");

	/* Our cgroup stands: its folder becomes our namespace's root, so we move first. */
	int joined = 0;
	int rc = sync_wait(sync, SYNC_MAPPED, &joined, NULL, e);
	if (rc)
		return rc < 0 ? -1 : err_set(e, ERR_SYSTEM, 0, "the engine went away");
	struct cgroup cgroup = {.host = options->cgroup_host, .fd = -1, .joined = (uint32_t)joined};
	if (options->cgroup_path) {
		snprintf(cgroup.path, sizeof cgroup.path, "%s", options->cgroup_path);
		if (options->cgroup_host->version == 1 && cgroup_join(&cgroup, 0, e) < 0)
			return -1;
	}
	if ((spec->new_namespaces & CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		return err_errno(e, errno, "cannot make a cgroup namespace");
	if ((options->cgroup_path && mounts_make_cgroup(&mounts, &cgroup, e) < 0) ||
		mounts_make_late(&mounts, e) < 0)
		return -1;
	rc = sync_send(sync, SYNC_MOUNTED, 0, NULL, master);
	if (rc < 0)
		return err_errno(e, rc, "cannot talk to the engine");
	close_fd(&master);

	if (enter_root(&mounts, e) < 0)
		return -1;
	log_trace("child", "in the new root");
	if (spec->process.terminal && init_take_terminal(slave, &spec->process, e) < 0)
		return -1;

	/* Nothing of the container's may run before its network stands. */
	int go = 0;
	rc = sync_wait(sync, SYNC_GO, &go, NULL, e);
	if (rc == 0 && !go) {
		rc = sync_send(sync, SYNC_READY, 0, NULL, -1);
		rc = rc < 0 ? err_errno(e, rc, "cannot talk to the engine")
			    : sync_wait(sync, SYNC_START, &ignored, NULL, e);
	}
	if (rc)
		return rc < 0 ? -1 : err_set(e, ERR_SYSTEM, 0, "the engine went away");
	return init_execute(&spec->process, mounts.proc, e);
}

_Noreturn void init_run(const struct runtime_options *options, int sync)
{
	struct err e = {0};

	run_steps(options, sync, &e);
	sync_send(sync, SYNC_FAILED, 0, &e, -1);
	_exit(TOLD);
}

/* mkdir -p of the working directory, which we stand above as root still. */
static int enter_working_directory(const struct spec_process *process, int root, struct err *e)
{
	const char *cwd = process->cwd;
	char real[4096] not_zeroed;

	if (!cwd || !*cwd)
		cwd = "/";
	if (*cwd != '/')
		return err_set(e, ERR_INVALID, 0, "the working directory %s is not an absolute path", cwd);
	/* The image names it: /proc/self/fd/N would be the host's, by a descriptor of ours, so
	 * such links are not followed. */
	auto_close int fd = fd_open_in_root(root, cwd, O_PATH | O_DIRECTORY, 0);
	if (fd == -ENOENT && process->make_cwd) {
		int rc = mounts_make_folder(root, cwd);
		fd = rc < 0 ? rc : fd_open_in_root(root, cwd, O_PATH | O_DIRECTORY, 0);
	}
	if (fd < 0 || fchdir(fd) < 0)
		return err_errno(e, fd < 0 ? fd : errno, "cannot enter the working directory %s", cwd);
	/* A descriptor of the host's that leaked would show here as an unreachable path. */
	if (!getcwd(real, sizeof real) || *real != '/')
		return err_set(e, ERR_DENIED, 0, "the working directory %s lies outside the container", cwd);
	return 0;
}

/* The value of NAME in env, or NULL. */
static const char *lookup(const char *const *env, const char *name)
{
	size_t length = strlen(name);
	for (; *env; env++)
		if (!strncmp(*env, name, length) && (*env)[length] == '=')
			return *env + length + 1;
	return NULL;
}

/* Executes args[0] as execvp would with the container's PATH, and says what failed in
 * the words that callers look for: not found is 127, not executable 126. */
static int execute(const char *const *args, const char *const *env, struct err *e)
{
	const char *file = args[0];
	char **argv = (char **)(uintptr_t)args, **envp = (char **)(uintptr_t)env;
	char shown[256];
	int why = ENOENT;

	err_sanitize(shown, sizeof shown, file);
	if (strchr(file, '/')) {
		execve(file, argv, envp);
		why = errno;
		struct stat st;
		if (why == ENOENT && stat(file, &st) == 0) {
			err_set(e, ERR_CANNOT_EXECUTE, 0,
				"cannot execute \"%s\": the interpreter or loader that it names is missing",
				shown);
			return err_hint(e, "the file is there: look at its first line, or at the "
					   "architecture it was built for");
		}
		if (why == ENOENT || why == ENOTDIR)
			return err_set(
				e, ERR_NO_COMMAND, 0, "cannot run \"%s\": no such file or directory", shown);
	} else {
		const char *path = lookup(env, "PATH");
		char candidate[4096] not_zeroed;
		if (!path)
			path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
		while (*file && *path) {
			const char *end = strchrnul(path, ':');
			int n = snprintf(candidate, sizeof candidate, "%.*s%s%s", (int)(end - path), path,
				end == path ? "." : "/", file);
			if (end == path)
				n = snprintf(candidate, sizeof candidate, "./%s", file);
			/* A look costs a tenth of what an execve that fails does. */
			struct stat st;
			if (n > 0 && (size_t)n < sizeof candidate &&
				(stat(candidate, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))) {
				execve(candidate, argv, envp);
				if (errno != ENOENT && errno != ENOTDIR) {
					why = errno;
					if (why != EACCES)
						break;
				}
			}
			path = *end ? end + 1 : end;
		}
		if (why == ENOENT)
			return err_set(e, ERR_NO_COMMAND, 0,
				"cannot run \"%s\": executable file not found in $PATH", shown);
	}
	if (why == ENOEXEC) {
		err_set(e, ERR_CANNOT_EXECUTE, 0, "cannot execute \"%s\": exec format error", shown);
		return err_hint(e, "it was built for another architecture, or is a script without a #! line");
	}
	return err_set(e, ERR_CANNOT_EXECUTE, why, "cannot execute \"%s\"", shown);
}

/* The command line that brig was called with, host's paths and all, is not for the container to
 * read: it becomes what process 1 is. (proc(5): stat's fields 48 to 51) */
static void hide_arguments(int proc)
{
	char text[2048];
	unsigned long edges[4] = {0};
	auto_close int fd = fd_open(proc, "self/stat", O_RDONLY, 0);
	ssize_t n = fd < 0 ? -1 : fd_read_full(fd, text, sizeof text - 1);

	if (n <= 0)
		return;
	text[n] = '\0';
	char *p = strrchr(text, ')');
	for (int field = 2; p && field < 52; field++) {
		if (field >= 48)
			edges[field - 48] = strtoul(p, NULL, 10);
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	for (int i = 0; i < 4; i += 2)
		if (edges[i] && edges[i] < edges[i + 1])
			memset((void *)(uintptr_t)edges[i], 0, edges[i + 1] - edges[i]);
	if (edges[0] && edges[1] - edges[0] > 4)
		memcpy((void *)(uintptr_t)edges[0], "init", 4);
	prctl(PR_SET_NAME, "init", 0, 0, 0);
}

/* Process 1 of --init: passes signals on, reaps everything, ends with the command. All
 * signals are blocked. */
static _Noreturn void reap(pid_t command)
{
	sigset_t all;
	int status;

	sigfillset(&all);
	kernel_close_range(0, ~0U, 0);
	for (;;) {
		siginfo_t info;
		int signal = sigwaitinfo(&all, &info);
		if (signal < 0)
			continue;
		if (signal != SIGCHLD) {
			int pidfd = kernel_pidfd_open(command, 0);
			if (pidfd >= 0) {
				kernel_pidfd_send_signal(pidfd, signal);
				close(pidfd);
			}
			continue;
		}
		for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
			if (pid == command)
				_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	}
}

/* The user may open /dev/stdout and its like by name. The terminal and the pipes are the
 * container's own; the null device belongs to everybody, and what else there is (a file of
 * the host's) is not ours to give away. */
static int give_streams(const struct spec_process *process, const struct user *user, struct err *e)
{
	struct stat st;

	for (int i = 0; user->uid != 0 && i < 3; i++) {
		if (fstat(i, &st) < 0 || st.st_uid == user->uid ||
			(!process->terminal && !S_ISFIFO(st.st_mode)))
			continue;
		if (fchown(i, user->uid, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL)
			return err_errno(e, errno, "cannot give the standard streams to the user");
	}
	return 0;
}

/* Takes all rights away that are not the container's, in the order of confine.h. */
static int confine_last(const struct spec_process *process, const struct user *user, int proc, struct err *e)
{
	const char *step = "";
	size_t failed;

	/* No key of the engine's session may be reachable from inside. */
	int rc = confine_session_keyring(process->keyring ? process->keyring : "brig");
	if (rc < 0)
		return err_errno(e, rc, "cannot make a session keyring");
	rc = confine_reset(process->user.umask ? process->user.umask : 0022, 0);
	if (rc < 0)
		return err_errno(e, rc, "cannot reset what a process inherits");
	if (process->set_oom_score_adj && proc >= 0) {
		auto_close int self = fd_open(proc, "self", O_PATH | O_DIRECTORY, 0);
		rc = self < 0 ? self : confine_oom_score_adj(self, process->oom_score_adj, false);
		if (rc < 0)
			return err_errno(e, rc, "cannot set the OOM score to %d", process->oom_score_adj);
	}
	/* Before the limits: as many files as the new one allows may be open already. */
	auto_close int status = proc < 0 ? -1 : fd_open(proc, "self/status", O_RDONLY, 0);
	rc = confine_rlimits(process->rlimits, process->rlimits_count, &failed);
	if (rc < 0)
		return err_errno(e, rc, "cannot set the limit %s",
			confine_rlimit_name(process->rlimits[failed].resource));
	if (give_streams(process, user, e) < 0)
		return -1;

	struct confine confine = {
		.uid = user->uid,
		.gid = user->gid,
		.groups = user->groups,
		.group_count = user->groups_count,
		.keep_groups = process->keep_groups,
		.no_new_privs = process->no_new_privileges,
		.filter = process->seccomp,
		.filter_flags = process->seccomp_flags,
		.status = status < 0 ? -1 : status,
	};
	if (process->capabilities)
		confine.capabilities = *process->capabilities;
	else
		confine_capabilities_for(
			process->capability_set, user->uid, process->ambient, &confine.capabilities);
	rc = confine_apply(&confine, &step);
	if (rc < 0)
		return err_errno(e, rc, "cannot %s", step);
	return 0;
}

int init_execute(const struct spec_process *process, int proc, struct err *e)
{
	struct user user;
	auto_arena struct arena arena = {0};
	struct strings env = {0};

	/* By the container's own files, which can be seen only now. */
	auto_close int root = fd_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
	if (root < 0)
		return err_errno(e, root, "cannot open the container's root");
	if (user_resolve(root, &process->user, &user, e) < 0)
		return -1;
	for (const char *const *item = process->env; item && *item; item++)
		strings_add(&arena, &env, *item);
	if (!env.items)
		strings_add(&arena, &env, "container=brig");
	if (!lookup(env.items, "HOME"))
		strings_add(&arena, &env, arena_printf(&arena, "HOME=%s", user.home));

	/* While we may still make folders as root. */
	if (enter_working_directory(process, root, e) < 0)
		return -1;

	if (confine_last(process, &user, proc, e) < 0)
		return -1;
	if (process->init) {
		/* Already confined: the reaper has no more rights than its command. */
		sigset_t all, before;
		/* Before the fork: a SIGCHLD that comes before it is blocked is lost. */
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, &before);
		pid_t command = fork();
		if (command < 0)
			return err_errno(e, errno, "cannot start the command");
		if (command > 0) {
			hide_arguments(proc);
			reap(command);
		}
		sigprocmask(SIG_SETMASK, &before, NULL);
		setsid();
		if (process->terminal)
			ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	}
	/* Immediately before execve: whatever is still open does not go through it. */
	int rc = confine_close_fds(0);
	if (rc < 0)
		return err_errno(e, rc, "cannot close the engine's files");
	return execute(process->args, env.items, e);
}
