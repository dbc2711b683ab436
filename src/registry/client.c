/* client.c - brig's end of the socket to brig-net. */
#include "registry/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/reexec.h"

enum { PATH_ROOM = 4096 };

/* The helper's path: beside this program while developing, else where it is installed. */
static void find_helper(char path[PATH_ROOM])
{
	const char *origin = getenv(REEXEC_ORIGIN);
	ssize_t n = origin ? snprintf(path, PATH_ROOM - 16, "%s", origin)
			   : readlink("/proc/self/exe", path, PATH_ROOM - 16);
	if (n > 0 && n < PATH_ROOM - 16) {
		path[n] = '\0';
		char *slash = strrchr(path, '/');
		if (slash) {
			memcpy(slash + 1, "brig-net", sizeof "brig-net");
			auto_close int there = fd_open(AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0);
			if (there >= 0)
				return;
		}
	}
	snprintf(path, PATH_ROOM, "%s/brig-net", BRIG_LIBEXECDIR);
}

bool net_client_locate(char *path, size_t size)
{
	char found[PATH_ROOM];

	find_helper(found);
	snprintf(path, size, "%s", found);
	return faccessat(AT_FDCWD, found, X_OK, 0) == 0;
}

/* The proxy settings of our own environment, and nothing else. */
static void clean_environment(
	char *const environment[], const char *out[], size_t room, char *http_proxy, size_t http_proxy_size)
{
	static const char *const kept[] = {
		"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"};
	size_t n = 0;
	bool lower = false;

	for (size_t i = 0; environment[i] && n + 2 < room; i++)
		for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
			size_t length = strlen(kept[k]);
			if (strncmp(environment[i], kept[k], length) != 0 || environment[i][length] != '=')
				continue;
			out[n++] = environment[i];
			lower = lower || k == 0;
		}
	/* libcurl reads this one in lower case only; docker reads both. */
	const char *upper = getenv("HTTP_PROXY");
	if (!lower && upper && strlen(upper) + sizeof "http_proxy=" <= http_proxy_size) {
		snprintf(http_proxy, http_proxy_size, "http_proxy=%s", upper);
		out[n++] = http_proxy;
	}
	out[n] = NULL;
}

/* The child's half: one socket, no other descriptor, no new privileges. */
static void become_helper(const char *path, int socket, const char *environment[])
{
	char *const arguments[] = {(char[]){"brig-net"}, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = fd_open(AT_FDCWD, "/dev/null", O_RDWR, 0);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(127);
	/* dup2 onto itself would leave it close-on-exec. */
	if (socket == NET_FD ? fcntl(socket, F_SETFD, 0) < 0 : dup2(socket, NET_FD) < 0)
		_exit(127);
	kernel_close_range(NET_FD + 1, ~0U, KERNEL_CLOSE_RANGE_CLOEXEC);
	execve(path, arguments, (char **)(uintptr_t)environment);
	_exit(127);
}

int net_client_start(struct net_client *client, struct err *e)
{
	char path[PATH_ROOM], http_proxy[1024];
	const char *environment[16];
	int ends[2], pidfd = -1;
	extern char **environ;

	find_helper(path);
	clean_environment(environ, environment, sizeof environment / sizeof *environment, http_proxy,
		sizeof http_proxy);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, errno, "cannot make a socket");
	struct kernel_clone_args args = {
		.flags = KERNEL_CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = kernel_clone3(&args);
	if (pid == 0)
		become_helper(path, ends[1], environment);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_errno(e, (int)pid, "cannot start %s", path);
	}
	*client = (struct net_client){.socket = ends[0], .pidfd = pidfd, .pid = pid};
	return 0;
}

void net_client_stop(struct net_client *client)
{
	if (client->socket < 0)
		return;
	close_fd(&client->socket);
	kernel_pidfd_send_signal(client->pidfd, SIGKILL);
	while (waitpid(client->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close_fd(&client->pidfd);
}

/* The socket's other end is gone: says why. */
static int helper_ended(struct net_client *client, struct err *e)
{
	struct pollfd ended = {.fd = client->pidfd, .events = POLLIN};
	int status = 0;

	/* It is about to end; unless it only closed its socket. */
	if (poll(&ended, 1, 1000) != 1)
		kernel_pidfd_send_signal(client->pidfd, SIGKILL);
	while (waitpid(client->pid, &status, 0) < 0 && errno == EINTR)
		;
	close_fd(&client->socket);
	close_fd(&client->pidfd);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		err_set(e, ERR_UNSUPPORTED, 0, "the helper program brig-net cannot be started");
		return err_hint(e, "it belongs into " BRIG_LIBEXECDIR ", or beside brig itself");
	}
	if (WIFSIGNALED(status))
		return err_set(e, ERR_SYSTEM, 0, "the helper program brig-net was ended by signal %d",
			WTERMSIG(status));
	return err_set(e, ERR_SYSTEM, 0, "the helper program brig-net ended before its work was done");
}

static int send_request(struct net_client *client, const void *message, size_t size, const int *fds,
	size_t count, struct err *e)
{
	int r = fd_send(client->socket, message, size, fds, count);
	if (r == -EPIPE || r == -ECONNRESET)
		return helper_ended(client, e);
	if (r < 0)
		return err_errno(e, r, "cannot talk to brig-net");
	return 0;
}

int net_client_setup(
	struct net_client *client, struct net_setup *setup, const int *certificates, struct err *e)
{
	int fds[NET_ENDPOINTS];
	size_t count = 0;

	setup->header = (struct net_header){NET_SETUP, 0};
	setup->version = NET_VERSION;
	for (unsigned i = 0; certificates && i < setup->count && i < NET_ENDPOINTS; i++)
		if (certificates[i] >= 0) {
			setup->endpoints[i].flags |= NET_ENDPOINT_CA;
			fds[count++] = certificates[i];
		}
	return send_request(client, setup, sizeof *setup, fds, count, e);
}

static int set_text(char *to, size_t size, const char *text, struct err *e)
{
	size_t length = strlen(text);
	if (length >= size)
		return err_set(e, ERR_INVALID, 0, "the reference is too long");
	memcpy(to, text, length + 1);
	return 0;
}

int net_client_get_manifest(
	struct net_client *client, const char *repository, const char *reference, int file, struct err *e)
{
	struct net_get_manifest m = {.header = {NET_GET_MANIFEST, ++client->last_id}};
	if (set_text(m.repository, sizeof m.repository, repository, e) < 0 ||
		set_text(m.reference, sizeof m.reference, reference, e) < 0 ||
		send_request(client, &m, sizeof m, &file, 1, e) < 0)
		return -1;
	return (int)m.header.id;
}

int net_client_get_blob(struct net_client *client, const char *repository, const char *digest, int64_t size,
	int file, int tar, struct err *e)
{
	struct net_get_blob m = {
		.header = {NET_GET_BLOB, ++client->last_id}, .size = size, .with_tar = tar >= 0};
	int fds[2] = {file, tar};
	if (set_text(m.repository, sizeof m.repository, repository, e) < 0 ||
		set_text(m.digest, sizeof m.digest, digest, e) < 0 ||
		send_request(client, &m, sizeof m, fds, tar >= 0 ? 2 : 1, e) < 0)
		return -1;
	return (int)m.header.id;
}

int net_client_inflate(struct net_client *client, int in, int tar, struct err *e)
{
	struct net_inflate m = {.header = {NET_INFLATE, ++client->last_id}, .version = NET_VERSION};
	int fds[2] = {in, tar};
	if (send_request(client, &m, sizeof m, fds, 2, e) < 0)
		return -1;
	return (int)m.header.id;
}

int net_client_login(struct net_client *client, struct err *e)
{
	struct net_login m = {.header = {NET_LOGIN, ++client->last_id}};
	return send_request(client, &m, sizeof m, NULL, 0, e) < 0 ? -1 : (int)m.header.id;
}

static int malformed(struct err *e)
{
	return err_set(e, ERR_INVALID, 0, "brig-net does not keep to the protocol");
}

int net_client_receive(struct net_client *client, struct net_event *event, struct err *e)
{
	union {
		struct net_header header;
		struct net_progress progress;
		struct net_done done;
		struct net_failed failed;
	} m;
	int fds[1];
	size_t count = 0;
	struct net_event out = {0};

	if (client->socket < 0)
		return err_set(e, ERR_SYSTEM, 0, "brig-net is not running");
	ssize_t n = fd_receive(client->socket, &m, sizeof m, fds, &count);
	if (n == 0 || n == -ECONNRESET)
		return helper_ended(client, e);
	if (n == -EMSGSIZE)
		return malformed(e);
	if (n < 0)
		return err_errno(e, (int)n, "cannot talk to brig-net");
	if ((size_t)n < sizeof m.header || m.header.id > client->last_id)
		return malformed(e);
	out.type = (enum net_type)m.header.type;
	out.id = m.header.id;
	if (m.header.type == NET_PROGRESS && (size_t)n == sizeof m.progress && out.id) {
		if (m.progress.done < 0 || m.progress.inflated < 0 ||
			(m.progress.state != NET_STATE_RUNNING && m.progress.state != NET_STATE_WAITING))
			return malformed(e);
		out.progress = m.progress;
	} else if (m.header.type == NET_DONE && (size_t)n == sizeof m.done && out.id) {
		if (m.done.size < 0 || m.done.inflated < 0 || !NET_TEXT_OK(m.done.media_type) ||
			!NET_TEXT_OK(m.done.digest))
			return malformed(e);
		out.done = m.done;
	} else if (m.header.type == NET_FAILED && (size_t)n == sizeof m.failed) {
		if (!NET_TEXT_OK(m.failed.what) || !NET_TEXT_OK(m.failed.hint) || m.failed.kind == ERR_NONE ||
			m.failed.kind > ERR_NO_COMMAND || m.failed.status > 999)
			return malformed(e);
		out.failure.kind = (enum err_kind)m.failed.kind;
		out.status = m.failed.status;
		err_sanitize(out.failure.what, sizeof out.failure.what, m.failed.what);
		err_sanitize(out.failure.hint, sizeof out.failure.hint, m.failed.hint);
	} else {
		return malformed(e);
	}
	*event = out;
	return 0;
}
