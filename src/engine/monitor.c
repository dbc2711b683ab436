/* monitor.c - the process that looks after one container. monitor.h has the protocol. */
#include "engine/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/idle.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/time.h"
#include "engine/launch.h"
#include "engine/logs.h"
#include "engine/volumes.h"
#include "store/volume.h"

/* SETTLE: milliseconds without news after which the monitor makes itself at home; QUIET: after which
 * it expects none soon. */
enum { CLIENTS = 16, CHUNK = 32 * 1024, BACKLOG = 64, SETTLE = 10, QUIET = 1000 };

/* What can still lie in a pipe of the container's when it has ended: the kernel's limit of a
 * pipe. More can only come from somebody outside who holds the other end. */
enum { LEFT_AT_END = 1 << 20 };

/* Somebody attached, or waiting for the end. pipes are their output; -1 where they want
 * none or have gone. */
struct client {
	int socket;
	int pipes[2];
	struct buf pending[2];
};

struct monitor {
	struct engine *engine;
	struct container *container;
	const struct container_config *config;
	struct launch launch;
	struct logs_writer logs;
	int folder;     /* containers/ID */
	int input;      /* the write end of the container's stdin, kept for those who attach; or -1 */
	int outputs[2]; /* stdout (or the terminal) and stderr; -1 at their end */
	int listener;
	struct client clients[CLIENTS];
	size_t clients_count;
	struct idle idle;
	/* Once the start is over: see shrink(). */
	struct engine kept_engine;
	struct container_config kept_config;
	struct container kept_container;
};

int monitor_send(int socket, enum monitor_type type, int value)
{
	struct monitor_message message = {.type = type, .value = value};
	return fd_send(socket, &message, offsetof(struct monitor_message, err), NULL, 0);
}

int monitor_receive(int socket, struct monitor_message *message, int *fds, size_t *count, struct err *e)
{
	memset(message, 0, offsetof(struct monitor_message, err));
	ssize_t n = fd_receive(socket, message, sizeof *message, fds, count);
	if (n == -ECONNRESET || n == -EPIPE)
		n = 0;
	if (n < 0)
		return err_errno(e, (int)n, "cannot hear from the container's monitor");
	return n > 0;
}

void monitor_client_close(struct monitor_client *client)
{
	close_fd(&client->socket);
	close_fd(&client->process);
	close_fd(&client->input);
	close_fd(&client->output);
	close_fd(&client->error);
}

/* ---- the monitor's side ---- */

static void drop_client(struct monitor *monitor, size_t at)
{
	struct client *client = &monitor->clients[at];

	close_fd(&client->socket);
	for (int i = 0; i < 2; i++) {
		close_fd(&client->pipes[i]);
		buf_free(&client->pending[i]);
	}
	monitor->clients[at] = monitor->clients[--monitor->clients_count];
}

/* Gives a client what waits for it; a pipe that nobody reads any more is closed. */
static void feed(struct client *client, int stream)
{
	struct buf *pending = &client->pending[stream];
	size_t done = 0;

	while (done < pending->length) {
		ssize_t n = write(client->pipes[stream], pending->data + done, pending->length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			close_fd(&client->pipes[stream]);
			done = pending->length;
		}
		if (n < 0)
			break;
		done += (size_t)n;
	}
	memmove(pending->data, pending->data + done, pending->length - done);
	pending->length -= done;
}

/* Reads once from the container and hands it to the log and to all clients. Returns
 * false when there was nothing to read. Not inlined: its chunk would be in the frame that
 * stays for as long as the container lives. */
__attribute__((noinline)) static bool pump(struct monitor *monitor, int stream)
{
	char chunk[CHUNK] not_zeroed;
	ssize_t n = read(monitor->outputs[stream], chunk, sizeof chunk);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		/* EIO: the last one let go of the terminal. */
		close_fd(&monitor->outputs[stream]);
		return false;
	}
	logs_write(&monitor->logs, stream ? LOGS_STDERR : LOGS_STDOUT, chunk, (size_t)n);
	for (size_t i = 0; i < monitor->clients_count; i++) {
		struct client *client = &monitor->clients[i];
		if (client->pipes[stream] < 0)
			continue;
		buf_append(&client->pending[stream], chunk, (size_t)n);
		feed(client, stream);
	}
	return true;
}

/* Whether some client has yet to take what was read: the container waits then. */
static bool held_up(const struct monitor *monitor, int stream)
{
	for (size_t i = 0; i < monitor->clients_count; i++)
		if (monitor->clients[i].pending[stream].length)
			return true;
	return false;
}

static void attach(struct monitor *monitor, struct client *client, unsigned streams)
{
	struct monitor_message message = {.type = MONITOR_ATTACHED};
	int fds[4], theirs[2] = {-1, -1};
	size_t count = 0;

	for (int i = 0; i < 2; i++) {
		int ends[2];
		if (!(streams & (i ? MONITOR_STDERR : MONITOR_STDOUT)) || (i && monitor->config->terminal) ||
			client->pipes[i] >= 0 || fd_pipe(ends, 0) < 0)
			continue;
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
		client->pipes[i] = ends[1];
		theirs[i] = fds[count++] = ends[0];
		message.value |= i ? MONITOR_STDERR : MONITOR_STDOUT;
	}
	int input = monitor->config->terminal ? monitor->launch.console : monitor->input;
	if ((streams & MONITOR_STDIN) && monitor->config->open_stdin && input >= 0) {
		fds[count++] = input;
		message.value |= MONITOR_STDIN;
	} else if (monitor->config->terminal) {
		/* Not for writing: the window's size is set through it. */
		fds[count++] = input;
	}
	fd_send(client->socket, &message, offsetof(struct monitor_message, err), fds, count);
	for (int i = 0; i < 2; i++)
		close_fd(&theirs[i]);
}

/* Returns false where the client is gone. */
static bool serve(struct monitor *monitor, struct client *client)
{
	struct monitor_message message;
	struct err ignored;
	int rc = monitor_receive(client->socket, &message, NULL, NULL, &ignored);

	if (rc <= 0)
		return false;
	switch (message.type) {
	case MONITOR_ATTACH:
		attach(monitor, client, (unsigned)message.value);
		return true;
	case MONITOR_SIGNAL:
		kernel_pidfd_send_signal(monitor->launch.process.pidfd, message.value);
		return true;
	case MONITOR_DETACH:
		return false;
	default:
		return false;
	}
}

/* Returns whether somebody stood at the door. */
static bool welcome(struct monitor *monitor)
{
	/* Never waited for: a client that sends and does not read only harms itself. */
	int socket = accept4(monitor->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (socket < 0)
		return false;
	struct ucred peer;
	socklen_t size = sizeof peer;
	/* The folder is ours alone; this holds even where somebody opened it up. */
	if (monitor->clients_count == CLIENTS ||
		getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
		(peer.uid != 0 && peer.uid != geteuid())) {
		close(socket);
		return true;
	}
	monitor->clients[monitor->clients_count++] = (struct client){.socket = socket, .pipes = {-1, -1}};
	return true;
}

/* The path of a socket in the run root can be longer than sun_path: by descriptor. */
static void socket_address(int run, const char *id, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/attach/%.64s", run, id);
}

void monitor_forget(const struct engine *engine, const char *id)
{
	char name[80];

	snprintf(name, sizeof name, "attach/%.64s", id);
	unlinkat(engine->run, name, 0);
}

static void listen_for_clients(struct monitor *monitor)
{
	struct sockaddr_un address;
	int run = monitor->engine->run;

	socket_address(run, monitor->container->id, &address);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	mode_t before = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
	if (rc < 0 && errno == ENOENT) {
		mkdirat(run, "attach", 0700);
		rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
	} else if (rc < 0 && errno == EADDRINUSE) {
		/* A monitor that was killed left it: the lock that we hold says so. */
		monitor_forget(monitor->engine, monitor->container->id);
		rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
	}
	umask(before);
	if (rc < 0 || listen(fd, BACKLOG) < 0) {
		close(fd);
		return;
	}
	monitor->listener = fd;
}

/* The monitor holds on to nothing of its caller's but the trace. */
static void let_go(void)
{
	int null = fd_open(AT_FDCWD, "/dev/null", O_RDWR, 0);
	if (null < 0)
		return;
	for (int i = 0; i < 3; i++)
		if (i != STDERR_FILENO || !log_traced())
			dup2(null, i);
	close(null);
	/* A working folder would keep its file system from being unmounted. */
	if (chdir("/") < 0)
		return;
}

/* Gives back the stack above the monitor: what called us never hears of us again. Arguments and
 * environment, which lie above that, are what ps shows. */
static void shrink_callers(const struct monitor *monitor)
{
	enum { PAGE = 4096, FAR = 64 * PAGE };
	uintptr_t start = ((uintptr_t)(monitor + 1) + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
	uintptr_t end = (uintptr_t)environ & ~(uintptr_t)(PAGE - 1);

	/* It is elsewhere where somebody has changed it. */
	if (end > start && end - start < FAR)
		madvise((void *)start, end - start, MADV_DONTNEED); /* NOLINT(performance-no-int-to-ptr) */
}

/*
 * What a monitor keeps in memory is there as often as there are containers, so what
 * starting one needed is given back: the command's arena, but for the little that the end
 * will ask for.
 */
static void shrink(struct monitor *monitor)
{
	struct arena *arena = monitor->engine->arena;

	monitor->kept_engine = *monitor->engine;
	engine_moved(&monitor->kept_engine);
	monitor->kept_config = (struct container_config){
		.terminal = monitor->config->terminal,
		.open_stdin = monitor->config->open_stdin,
		.auto_remove = monitor->config->auto_remove,
		.network = monitor->launch.network.network,
	};
	monitor->kept_container = *monitor->container;
	monitor->container = monitor->launch.container = &monitor->kept_container;
	monitor->engine = monitor->launch.engine = &monitor->kept_engine;
	monitor->config = monitor->launch.config = &monitor->kept_config;
	arena_free(arena);
	idle_prepare(&monitor->idle);
	shrink_callers(monitor);
}

/* Others can come from now on; nothing of the caller's is held any more. */
static void settle(struct monitor *monitor)
{
	let_go();
	listen_for_clients(monitor);
	launch_prepare(&monitor->launch);
	shrink(monitor);
}

static int wait_for_news(
	struct monitor *monitor, struct pollfd *polls, nfds_t count, bool settled, bool quiet)
{
	if (settled && quiet)
		return idle_poll(&monitor->idle, polls, count);
	return poll(polls, count, settled ? QUIET : SETTLE);
}

/* The container is gone: what it wrote last is read whether or not clients have taken what
 * came before, so that a client which does not read holds up its own output and nothing else. */
static void read_rest(struct monitor *monitor)
{
	for (int i = 0; i < 2; i++) {
		for (size_t left = LEFT_AT_END / CHUNK; left && monitor->outputs[i] >= 0; left--)
			if (!pump(monitor, i))
				break;
		close_fd(&monitor->outputs[i]);
	}
}

/* Returns when the container has ended and its output was read to the end. */
static void look_after(struct monitor *monitor)
{
	int64_t began = time_since_boot();
	bool alive = true, settled = false, quiet = false;

	while (alive) {
		struct pollfd polls[5 + 3 * CLIENTS];
		size_t count = 0, first;

		polls[count++] = (struct pollfd){.fd = monitor->launch.process.pidfd, .events = POLLIN};
		polls[count++] = (struct pollfd){.fd = monitor->listener, .events = POLLIN};
		for (int i = 0; i < 2; i++)
			polls[count++] = (struct pollfd){
				.fd = held_up(monitor, i) ? -1 : monitor->outputs[i], .events = POLLIN};
		polls[count++] =
			(struct pollfd){.fd = ports_forward_fd(&monitor->launch.ports), .events = POLLIN};
		first = count;
		for (size_t i = 0; i < monitor->clients_count; i++) {
			struct client *client = &monitor->clients[i];
			polls[count++] = (struct pollfd){.fd = client->socket, .events = POLLIN};
			for (int k = 0; k < 2; k++)
				polls[count++] = (struct pollfd){
					.fd = client->pending[k].length ? client->pipes[k] : -1,
					.events = POLLOUT};
		}
		/* Most containers that CI runs are gone before anybody could come for them. By the
		 * clock: one that writes all the time never leaves us idle. */
		int ready = wait_for_news(monitor, polls, count, settled, quiet);
		quiet = settled && ready == 0;
		if (!settled && ready >= 0 && time_since_boot() - began >= SETTLE * 1000000) {
			settle(monitor);
			settled = true;
			quiet = true;
		}
		if (ready <= 0)
			continue;
		for (int i = 0; i < 2; i++)
			if (polls[2 + i].revents)
				pump(monitor, i);
		if (polls[4].revents)
			ports_forward(&monitor->launch.ports);
		for (size_t i = monitor->clients_count; i-- > 0;) {
			struct client *client = &monitor->clients[i];
			const struct pollfd *poll_of = &polls[first + 3 * i];
			for (int k = 0; k < 2; k++)
				if (poll_of[1 + k].revents)
					feed(client, k);
			if (poll_of[0].revents && !serve(monitor, client))
				drop_client(monitor, i);
		}
		if (polls[1].revents)
			welcome(monitor);
		if (polls[0].revents)
			alive = false;
	}
	read_rest(monitor);
}

/* Everybody was told, and nothing of the container's is held any more: what clients have yet
 * to read is given to them, however long they take, until they have it or have gone. */
static void deliver(struct monitor *monitor)
{
	for (;;) {
		struct pollfd polls[2 * CLIENTS];
		nfds_t count = 0;
		for (size_t i = monitor->clients_count; i-- > 0;) {
			struct client *client = &monitor->clients[i];
			nfds_t before = count;
			for (int k = 0; k < 2; k++) {
				if (client->pending[k].length)
					feed(client, k);
				if (client->pending[k].length)
					polls[count++] =
						(struct pollfd){.fd = client->pipes[k], .events = POLLOUT};
				else
					close_fd(&client->pipes[k]);
			}
			if (count == before)
				drop_client(monitor, i);
		}
		if (!count)
			return;
		poll(polls, count, -1);
	}
}

static int reap(struct monitor *monitor)
{
	siginfo_t info = {0};

	while (waitid((idtype_t)KERNEL_P_PIDFD, (id_t)monitor->launch.process.pidfd, &info, WEXITED) < 0)
		if (errno != EINTR)
			return 255;
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/* Everything that the container's end means, in the order in which it matters to somebody
 * who waits: the record, the name and the address, the report; then the cleaning. */
__attribute__((noinline)) static void finish(struct monitor *monitor, int exit_code)
{
	struct container_status status = monitor->container->record.status;
	struct containers *containers = &monitor->engine->containers;
	struct err ignored;
	bool remove = monitor->config->auto_remove;
	bool volumes = remove && monitor->container->record.identity.flags & CONTAINER_VOLUMES;
	struct store_stage taken = {.fd = -1};

	logs_end(&monitor->logs);
	status.state = CONTAINER_EXITED;
	status.exit_code = exit_code;
	status.finished = time_now();
	status.pid = 0;
	if (!remove && monitor->launch.process.cgroup.host &&
		cgroup_oom_kills(&monitor->launch.process.cgroup))
		status.flags |= CONTAINER_OOM_KILLED;
	status.address[0] = '\0';
	if (remove) {
		status.flags |= volumes ? CONTAINER_TAKES_VOLUMES : 0;
		monitor->container->record.status = status;
		container_remove_begin(containers, monitor->container, &ignored);
		/* Out of sight before anybody hears of the end. */
		if (volumes)
			volumes_take(monitor->engine, monitor->container, &taken);
	} else {
		status.flags |= CONTAINER_UNCLEAN;
		container_write_status(containers, monitor->container, &status, &ignored);
	}
	launch_release(&monitor->launch);
	if (monitor->listener >= 0) {
		/* Who has come meanwhile is told too. */
		while (welcome(monitor))
			;
		monitor_forget(monitor->engine, monitor->container->id);
		close_fd(&monitor->listener);
	}
	for (size_t i = monitor->clients_count; i-- > 0;) {
		struct client *client = &monitor->clients[i];
		monitor_send(client->socket, MONITOR_EXITED, exit_code);
		if (client->pending[0].length || client->pending[1].length)
			close_fd(&client->socket);
		else
			drop_client(monitor, i);
	}
	log_trace("monitor", "exit %d reported", exit_code);
	launch_down(&monitor->launch);
	volume_stage_drop(&monitor->engine->store, &taken, &ignored);
	if (remove) {
		container_remove_finish(containers, monitor->container, &ignored);
	} else {
		status.flags &= ~(uint32_t)CONTAINER_UNCLEAN;
		container_write_status(containers, monitor->container, &status, &ignored);
	}
	container_unlock(monitor->container);
	log_trace("monitor", "cleaned up");
	launch_prepare(&monitor->launch);
}

static void ignore_signals(void)
{
	static const int ignored[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
		SIGXFSZ, /* a log that meets the caller's limit of file sizes */
	};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t none;

	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		sigaction(ignored[i], &ignore, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void monitor_run(struct monitor *monitor, const int stdio[3])
{
	struct err e = {0};
	struct monitor_message message = {.type = MONITOR_FAILED};

	setsid();
	ignore_signals();
	if (launch_up(&monitor->launch, stdio, &e) < 0) {
		message.err = e;
		fd_send(monitor->clients[0].socket, &message, sizeof message, NULL, 0);
		_exit(1);
	}
	for (int i = 0; i < 3; i++)
		if (stdio[i] >= 0)
			close(stdio[i]);
	if (monitor->config->terminal)
		monitor->outputs[0] = fcntl(monitor->launch.console, F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 2; i++)
		if (monitor->outputs[i] >= 0)
			fcntl(monitor->outputs[i], F_SETFL, O_NONBLOCK);
	message =
		(struct monitor_message){.type = MONITOR_STARTED, .value = (int)monitor->launch.process.pid};
	int console = monitor->config->terminal ? monitor->launch.console : -1;
	fd_send(monitor->clients[0].socket, &message, offsetof(struct monitor_message, err), &console,
		console >= 0);
	log_trace("monitor", "running");
	/* Whoever reads our caller's output to its end must not wait for us. */
	if (monitor->clients[0].pipes[0] < 0)
		let_go();
	look_after(monitor);
	finish(monitor, reap(monitor));
	deliver(monitor);
	_exit(0);
}

/* ---- the client's side ---- */

/* The socket between the two, the container's own streams, and the client's copies of
 * them. 0 or -errno; what was made by then is in the structs. */
static int make_streams(
	struct monitor *monitor, unsigned attach_to, int stdio[3], struct monitor_client *client)
{
	const struct container_config *config = monitor->config;
	int pair[2], ends[2];
	int rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;

	if (rc < 0)
		return rc;
	client->socket = pair[0];
	monitor->clients[0].socket = pair[1];
	if (!config->terminal) {
		if (config->open_stdin && (rc = fd_pipe(ends, 0)) == 0) {
			stdio[0] = ends[0];
			if (attach_to & MONITOR_STDIN)
				client->input = ends[1];
			else
				monitor->input = ends[1];
			/* Somebody may come back to it, unless its end is the first client's. */
			if ((attach_to & MONITOR_STDIN) && !config->stdin_once)
				monitor->input = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
		}
		for (int i = 0; rc == 0 && i < (config->one_output ? 1 : 2); i++)
			if ((rc = fd_pipe(ends, 0)) == 0) {
				monitor->outputs[i] = ends[0];
				stdio[1 + i] = ends[1];
			}
		if (rc == 0 && config->one_output && (stdio[2] = fcntl(stdio[1], F_DUPFD_CLOEXEC, 3)) < 0)
			rc = -errno;
	}
	for (int i = 0; rc == 0 && i < 2; i++) {
		if (!(attach_to & (i ? MONITOR_STDERR : MONITOR_STDOUT)) ||
			(i && (config->terminal || config->one_output)))
			continue;
		if ((rc = fd_pipe(ends, 0)) == 0) {
			*(i ? &client->error : &client->output) = ends[0];
			fcntl(ends[1], F_SETFL, O_NONBLOCK);
			monitor->clients[0].pipes[i] = ends[1];
		}
	}
	return rc;
}

int monitor_start(struct engine *engine, struct container *container, const struct container_config *config,
	unsigned attach_to, struct monitor_client *client, struct err *e)
{
	int stdio[3] = {-1, -1, -1};
	struct monitor monitor = {
		.engine = engine,
		.container = container,
		.config = config,
		.folder = -1,
		.input = -1,
		.outputs = {-1, -1},
		.listener = -1,
		.launch = {.engine = engine,
			.container = container,
			.config = config,
			.files = -1,
			.console = -1,
			.mounts = -1},
		.clients_count = 1,
		.clients = {{.socket = -1, .pipes = {-1, -1}}},
	};

	*client =
		(struct monitor_client){.socket = -1, .process = -1, .input = -1, .output = -1, .error = -1};
	if (engine_run_root(engine, e) < 0)
		return -1;
	monitor.folder = container_open_dir(&engine->containers, container, e);
	if (monitor.folder < 0)
		return -1;
	logs_begin(&monitor.logs, monitor.folder, config->log_max_size, config->log_max_files);

	int rc = make_streams(&monitor, attach_to, stdio, client);
	struct winsize size;
	if (config->terminal && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
		monitor.launch.rows = size.ws_row;
		monitor.launch.columns = size.ws_col;
	}
	pid_t pid = rc == 0 ? fork() : -1;
	if (pid < 0)
		rc = rc < 0 ? rc : -errno;
	if (pid == 0) {
		monitor_client_close(client);
		monitor_run(&monitor, stdio);
	}

	for (int i = 0; i < 3; i++)
		close_fd(&stdio[i]);
	for (int i = 0; i < 2; i++) {
		close_fd(&monitor.outputs[i]);
		close_fd(&monitor.clients[0].pipes[i]);
	}
	close_fd(&monitor.clients[0].socket);
	close_fd(&monitor.input);
	close_fd(&monitor.folder);
	if (rc < 0) {
		monitor_client_close(client);
		return err_errno(e, rc, "cannot start the container's monitor");
	}
	/* The lock is the monitor's now: ours shares its description, and would outlive it. */
	container_unlock(container);

	struct monitor_message message;
	int console = -1;
	size_t count = 1;
	rc = monitor_receive(client->socket, &message, &console, &count, e);
	if (rc == 1 && message.type == MONITOR_STARTED) {
		if (count)
			client->input = console;
		return 0;
	}
	if (rc == 0)
		rc = err_set(e, ERR_SYSTEM, 0, "the container's monitor died while starting it");
	else if (rc == 1)
		*e = message.err;
	monitor_client_close(client);
	waitpid(pid, NULL, 0);
	return -1;
}

int monitor_connect(struct engine *engine, const struct container *container, unsigned attach_to,
	struct monitor_client *client, struct err *e)
{
	struct sockaddr_un address;
	struct monitor_message message;
	const struct timespec pause = {.tv_nsec = 5 * 1000000};
	int fds[4];
	size_t count = 4;

	*client =
		(struct monitor_client){.socket = -1, .process = -1, .input = -1, .output = -1, .error = -1};
	if (engine_run_root(engine, e) < 0)
		return -1;
	socket_address(engine->run, container->id, &address);
	client->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (client->socket < 0)
		return err_errno(e, errno, "cannot make a socket");
	/* It listens a moment after it runs. */
	for (int tries = 0; connect(client->socket, (const struct sockaddr *)&address, sizeof address) < 0;
		tries++) {
		int why = errno;
		if ((why != ENOENT && why != ECONNREFUSED) || tries > 100 ||
			!container_locked(&engine->containers, container->slot)) {
			close_fd(&client->socket);
			return err_set(e, ERR_CONFLICT, 0, "container %s is not running",
				container->record.identity.name);
		}
		nanosleep(&pause, NULL);
	}
	if (!attach_to)
		return 0;
	int rc = monitor_send(client->socket, MONITOR_ATTACH, (int)attach_to);
	if (rc == 0)
		rc = monitor_receive(client->socket, &message, fds, &count, e);
	if (rc != 1 || message.type != MONITOR_ATTACHED) {
		monitor_client_close(client);
		return err_set(
			e, ERR_CONFLICT, 0, "container %s has just ended", container->record.identity.name);
	}
	size_t at = 0;
	if ((message.value & MONITOR_STDOUT) && at < count)
		client->output = fds[at++];
	if ((message.value & MONITOR_STDERR) && at < count)
		client->error = fds[at++];
	if (at < count)
		client->input = fds[at++];
	return 0;
}
