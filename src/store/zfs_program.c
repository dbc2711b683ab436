/* zfs_program.c - running zfs(8), and understanding why it failed. */
#include "store/zfs_program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"

enum {
	TIME_LIMIT = 120,        /* seconds: a pool under load makes one wait */
	OUTPUT_LIMIT = 64 << 20, /* a list of very many datasets */
	MESSAGE_LIMIT = 64 << 10,
};

/* What zfs of OpenZFS and of zfs-fuse says. */
static const struct {
	const char *text;
	enum zfs_reason reason;
	enum err_kind kind;
	const char *pool_is; /* behind "the pool NAME"; NULL: the program's own words are shown */
	const char *command; /* what to do, with the pool's name behind it */
} messages[] = {
	{"has dependent clones", ZFS_CLONED, ERR_CONFLICT, NULL, NULL},
	{"has children", ZFS_CLONED, ERR_CONFLICT, NULL, NULL},
	{"no such pool", ZFS_MISSING, ERR_NOT_FOUND, "is not there", "zpool import"},
	{"dataset does not exist", ZFS_MISSING, ERR_NOT_FOUND, NULL, "zfs list -r"},
	{"could not find any snapshots", ZFS_MISSING, ERR_NOT_FOUND, NULL, NULL},
	{"is busy", ZFS_BUSY, ERR_CONFLICT, NULL, NULL},
	{"evice busy", ZFS_BUSY, ERR_CONFLICT, NULL, NULL},
	{"out of space", ZFS_FAILED, ERR_NO_SPACE, "is full", "zpool list"},
	{"No space left", ZFS_FAILED, ERR_NO_SPACE, "is full", "zpool list"},
	{"uota exceeded", ZFS_FAILED, ERR_NO_SPACE, "has a quota that is used up", "zfs list -o space -r"},
	{"ermission denied", ZFS_FAILED, ERR_DENIED, NULL, NULL},
	{"suspended", ZFS_FAILED, ERR_UNREACHABLE, "is suspended", "zpool status"},
	{"read-only", ZFS_FAILED, ERR_DENIED, "is read-only", "zpool get readonly"},
	{"daemon is running", ZFS_FAILED, ERR_UNREACHABLE, "belongs to zfs-fuse, which does not run",
		"start zfs-fuse, then zpool import"},
	{"modules are not loaded", ZFS_FAILED, ERR_UNREACHABLE, "needs ZFS, which is not loaded",
		"modprobe zfs; zpool import"},
	{"cannot be auto-loaded", ZFS_FAILED, ERR_UNREACHABLE, "needs ZFS, which is not loaded",
		"modprobe zfs; zpool import"},
};

enum zfs_reason zfs_explain(const char *text, const char *pool, struct err *e)
{
	char shown[400], name[200], line[400];
	size_t length = strcspn(text, "\n");

	err_sanitize(name, sizeof name, pool);
	if (length >= sizeof line)
		length = sizeof line - 1;
	memcpy(line, text, length);
	line[length] = '\0';
	err_sanitize(shown, sizeof shown, line);
	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		if (!strstr(text, messages[i].text))
			continue;
		if (messages[i].pool_is)
			err_set(e, messages[i].kind, 0, "the pool %s %s", name, messages[i].pool_is);
		else
			err_set(e, messages[i].kind, 0, "ZFS: %s", shown);
		if (messages[i].command)
			err_hint(e, "%s %s", messages[i].command, name);
		return messages[i].reason;
	}
	err_set(e, ERR_SYSTEM, 0, "ZFS: %s", *shown ? shown : "the program zfs failed and did not say why");
	return ZFS_FAILED;
}

/* In the child. */
static _Noreturn void execute(const char *const *words, int holds, int out, int errors)
{
	static const char *const places[] = {
		"/usr/sbin/zfs", "/sbin/zfs", "/usr/local/sbin/zfs", "/usr/bin/zfs", "/bin/zfs"};
	static const char *const environment[] = {
		"PATH=/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin", "LC_ALL=C", NULL};
	sigset_t none;
	int null = fd_open(AT_FDCWD, "/dev/null", O_RDWR, 0);

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(errors, 2) < 0 ||
		(holds >= 0 && dup(holds) < 0)) /* NOLINT: not CLOEXEC is what it is for */
		_exit(126);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		execve(places[i], (char *const *)(uintptr_t)words, (char *const *)(uintptr_t)environment);
	_exit(127);
}

/* Milliseconds until the deadline, at least 0. */
static int left(const struct timespec *deadline)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t ms =
		(int64_t)(deadline->tv_sec - now.tv_sec) * 1000 + (deadline->tv_nsec - now.tv_nsec) / 1000000;
	return ms < 0 ? 0 : (int)ms;
}

/* Reads both pipes to their end; false where that took too long. Closes them. */
static bool collect(int out, int errors, struct buf *text, struct buf *message)
{
	struct pollfd fds[2] = {{.fd = out, .events = POLLIN}, {.fd = errors, .events = POLLIN}};
	struct buf *into[2] = {text, message};
	const size_t limits[2] = {OUTPUT_LIMIT, MESSAGE_LIMIT};
	struct timespec deadline;
	bool in_time = true;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += TIME_LIMIT;
	while (in_time && (fds[0].fd >= 0 || fds[1].fd >= 0)) {
		int rc = poll(fds, 2, left(&deadline));
		in_time = rc > 0 || (rc < 0 && errno == EINTR);
		for (int i = 0; rc > 0 && i < 2; i++) {
			char bytes[4096];
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			ssize_t n = read(fds[i].fd, bytes, sizeof bytes);
			if (n > 0 && into[i]->length + (size_t)n <= limits[i])
				buf_append(into[i], bytes, (size_t)n);
			if (n == 0 || (n < 0 && errno != EINTR))
				close_fd(&fds[i].fd);
		}
	}
	close_fd(&fds[0].fd);
	close_fd(&fds[1].fd);
	return in_time;
}

int zfs_run(const char *const *words, const char *pool, int holds, struct buf *out, enum zfs_reason *reason,
	struct err *e)
{
	auto_buf struct buf text = {0}, message = {0};
	int output[2], errors[2], status = 0;
	enum zfs_reason why = ZFS_FAILED;

	if (reason)
		*reason = ZFS_FAILED;
	int rc = fd_pipe(output, 0);
	if (rc == 0 && (rc = fd_pipe(errors, 0)) < 0) {
		close(output[0]);
		close(output[1]);
	}
	if (rc < 0)
		return err_errno(e, rc, "cannot run zfs");
	pid_t pid = fork();
	if (pid == 0)
		execute(words, holds, output[1], errors[1]);
	int number = errno;
	close(output[1]);
	close(errors[1]);
	if (pid < 0) {
		close(output[0]);
		close(errors[0]);
		return err_errno(e, number, "cannot run zfs");
	}
	bool in_time = collect(output[0], errors[0], &text, &message);
	if (!in_time) {
		auto_close int pidfd = kernel_pidfd_open(pid, 0);
		if (pidfd >= 0)
			kernel_pidfd_send_signal(pidfd, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!in_time) {
		err_set(e, ERR_UNREACHABLE, 0, "zfs %s did not end within %d seconds", words[1], TIME_LIMIT);
		return err_hint(e, "zpool status %s tells how the pool is", pool);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		err_set(e, ERR_UNSUPPORTED, 0, "the program zfs is not there, which the pool %s needs", pool);
		return err_hint(e, "install OpenZFS's programs (zfsutils-linux), or zfs-fuse");
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		why = zfs_explain(message.data ? message.data : "", pool, e);
		if (reason)
			*reason = why;
		return -1;
	}
	if (out && text.length)
		buf_append(out, text.data, text.length);
	return 0;
}
