/* attach.c - copying between the user and a container. */
#include "engine/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/kernel.h"

enum { CHUNK = 32 * 1024, PIECE = 4096 };

int attach_parse_keys(const char *text, struct attach_options *options, struct err *e)
{
	const char *all = text && *text ? text : "ctrl-p,ctrl-q";

	options->keys_count = 0;
	for (const char *at = all; *at;) {
		size_t length = strcspn(at, ",");
		unsigned char key;
		if (length == 1) {
			key = (unsigned char)*at;
		} else if (length == 6 && !strncmp(at, "ctrl-", 5)) {
			char letter = at[5];
			if (letter >= 'a' && letter <= 'z')
				key = (unsigned char)(letter - 'a' + 1);
			else if (letter >= '@' && letter <= '_')
				key = (unsigned char)(letter - '@');
			else
				return err_set(e, ERR_INVALID, 0, "invalid detach keys (%s) provided", all);
		} else {
			return err_set(e, ERR_INVALID, 0, "invalid detach keys (%s) provided", all);
		}
		if (options->keys_count == ATTACH_KEYS)
			return err_set(
				e, ERR_INVALID, 0, "the detach keys %s are more than %d", all, ATTACH_KEYS);
		options->keys[options->keys_count++] = key;
		at += length;
		at += *at == ',';
	}
	return 0;
}

static void passed_on(sigset_t *set)
{
	/* Not those that tell of the client's own faults and children. */
	static const int kept[] = {
		SIGCHLD, SIGPIPE, SIGURG, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

	sigfillset(set);
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		sigdelset(set, kept[i]);
}

void attach_block_signals(sigset_t *before)
{
	sigset_t set;
	passed_on(&set);
	sigprocmask(SIG_BLOCK, &set, before);
}

struct copier {
	struct monitor_client *client;
	const struct attach_options *options;
	struct buf to_user[2];   /* read from the container, for our stdout and stderr */
	struct buf to_container; /* read from our stdin */
	bool input_open;         /* our stdin has not ended */
	size_t keys_seen;
	bool detached;
};

static void set_size(const struct copier *copier)
{
	struct winsize size;
	if (copier->options->terminal && copier->client->input >= 0 &&
		(ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 || ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0))
		ioctl(copier->client->input, TIOCSWINSZ, &size);
}

/* Adds what the user typed but the detach keys; held-back keys that turn out to be
 * something else go along. */
static void take_input(struct copier *copier, const char *bytes, size_t length)
{
	const struct attach_options *options = copier->options;

	if (!options->terminal || !options->keys_count) {
		buf_append(&copier->to_container, bytes, length);
		return;
	}
	for (size_t i = 0; i < length && !copier->detached; i++) {
		if ((unsigned char)bytes[i] == options->keys[copier->keys_seen]) {
			copier->detached = ++copier->keys_seen == options->keys_count;
			continue;
		}
		buf_append(&copier->to_container, options->keys, copier->keys_seen);
		copier->keys_seen = 0;
		if ((unsigned char)bytes[i] == options->keys[0])
			copier->keys_seen = 1;
		else
			buf_append(&copier->to_container, bytes + i, 1);
	}
}

static void read_input(struct copier *copier)
{
	char chunk[CHUNK] not_zeroed;
	ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		copier->input_open = false;
	else
		take_input(copier, chunk, (size_t)n);
}

/* Drops the first done bytes. */
static void consume(struct buf *buf, size_t done)
{
	memmove(buf->data, buf->data + done, buf->length - done);
	buf->length -= done;
}

static void write_input(struct copier *copier)
{
	ssize_t n = write(copier->client->input, copier->to_container.data, copier->to_container.length);
	if (n > 0)
		consume(&copier->to_container, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		copier->input_open = false, copier->to_container.length = 0;
}

/* In pieces that a pipe which polls writable takes without blocking us. */
static int write_user(struct copier *copier, int stream, struct err *e)
{
	struct buf *buf = &copier->to_user[stream];
	ssize_t n = write(
		stream ? STDERR_FILENO : STDOUT_FILENO, buf->data, buf->length < PIECE ? buf->length : PIECE);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0 && errno == EPIPE)
		return 1;
	if (n < 0)
		return err_errno(e, errno, "cannot write to standard %s", stream ? "error" : "output");
	consume(buf, (size_t)n);
	return 0;
}

static void read_container(struct copier *copier, int *from, int stream)
{
	struct buf *buf = &copier->to_user[stream];
	ssize_t n = read(*from, buf_reserve(buf, CHUNK), CHUNK);

	if (n > 0)
		buf->length += (size_t)n;
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		close_fd(from);
}

/* Reads what has arrived and no more. */
static void drain(struct copier *copier)
{
	int *from[] = {&copier->client->output, &copier->client->error};

	for (int i = 0; i < 2; i++) {
		if (*from[i] >= 0)
			fcntl(*from[i], F_SETFL, O_NONBLOCK);
		for (size_t before = SIZE_MAX; *from[i] >= 0 && before != copier->to_user[i].length;) {
			before = copier->to_user[i].length;
			read_container(copier, from[i], i);
		}
		close_fd(from[i]);
	}
}

static void pass_signal(struct copier *copier, int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof info) != sizeof info)
		return;
	if (info.ssi_signo == SIGWINCH && copier->options->terminal)
		set_size(copier);
	else if (copier->options->no_signals)
		return;
	else if (copier->client->process >= 0)
		kernel_pidfd_send_signal(copier->client->process, (int)info.ssi_signo);
	else
		monitor_send(copier->client->socket, MONITOR_SIGNAL, (int)info.ssi_signo);
}

/* The other side has something to say: that it is over, or nothing any more. Returns
 * whether to go on listening, or -1. */
static int hear(struct copier *copier, enum attach_end *end, int *exit_code, struct err *e)
{
	struct monitor_client *client = copier->client;
	struct monitor_message message;

	if (client->process >= 0) {
		siginfo_t info = {0};
		if (waitid((idtype_t)KERNEL_P_PIDFD, (id_t)client->process, &info, WEXITED) < 0)
			return errno == EINTR ? 1 : err_errno(e, errno, "cannot wait for the process");
		*exit_code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
		*end = ATTACH_EXITED;
		return 0;
	}
	int rc = monitor_receive(client->socket, &message, NULL, NULL, e);
	if (rc == 1 && message.type == MONITOR_EXITED) {
		*exit_code = message.value;
		*end = ATTACH_EXITED;
		return 0;
	}
	return rc;
}

static int copy(struct copier *copier, int signals, enum attach_end *end, int *exit_code, struct err *e)
{
	struct monitor_client *client = copier->client;
	bool connected = true;

	*end = ATTACH_LOST;
	while (connected || client->output >= 0 || client->error >= 0 || copier->to_user[0].length ||
		copier->to_user[1].length) {
		/* One buffer of output at a time; input is read when the last was taken. */
		bool want_input = copier->input_open && client->input >= 0 && !copier->to_container.length;
		struct pollfd polls[] = {
			{.fd = !connected              ? -1
				: client->process >= 0 ? client->process
						       : client->socket,
				.events = POLLIN},
			{.fd = copier->to_user[0].length ? -1 : client->output, .events = POLLIN},
			{.fd = copier->to_user[1].length ? -1 : client->error, .events = POLLIN},
			{.fd = copier->to_user[0].length ? STDOUT_FILENO : -1, .events = POLLOUT},
			{.fd = copier->to_user[1].length ? STDERR_FILENO : -1, .events = POLLOUT},
			{.fd = want_input && connected ? STDIN_FILENO : -1, .events = POLLIN},
			{.fd = copier->to_container.length && connected ? client->input : -1,
				.events = POLLOUT},
			{.fd = signals, .events = POLLIN},
		};
		if (poll(polls, sizeof polls / sizeof *polls, -1) < 0)
			continue;
		for (int i = 0; i < 2; i++) {
			int *from = i ? &client->error : &client->output;
			/* Nothing is left in it, and nobody writes any more. */
			if (polls[1 + i].revents == POLLHUP)
				close_fd(from);
			else if (polls[1 + i].revents)
				read_container(copier, from, i);
		}
		for (int i = 0; i < 2; i++) {
			int rc = polls[3 + i].revents ? write_user(copier, i, e) : 0;
			if (rc < 0)
				return -1;
			if (rc > 0) {
				/* Our reader is gone: so are we; the container goes on. */
				*end = ATTACH_DETACHED;
				*exit_code = 128 + SIGPIPE;
				return 0;
			}
		}
		if (polls[5].revents)
			read_input(copier);
		if (polls[6].revents)
			write_input(copier);
		/* The end of our stdin is the end of the container's, unless that is a terminal. */
		if (!copier->input_open && !copier->to_container.length && !copier->options->terminal)
			close_fd(&client->input);
		if (copier->detached) {
			if (client->socket >= 0)
				monitor_send(client->socket, MONITOR_DETACH, 0);
			*end = ATTACH_DETACHED;
			return 0;
		}
		if (polls[7].revents)
			pass_signal(copier, signals);
		if (polls[0].revents) {
			int rc = hear(copier, end, exit_code, e);
			if (rc < 0)
				return -1;
			connected = rc > 0;
			/* A process that was started by exec leaves its pipes to whom it started:
			 * what is in them by now is all that is waited for. */
			if (!connected && client->process >= 0)
				drain(copier);
		}
	}
	return 0;
}

int attach_run(struct monitor_client *client, const struct attach_options *options, enum attach_end *end,
	int *exit_code, struct err *e)
{
	struct copier copier = {.client = client, .options = options, .input_open = options->input};
	struct sigaction ignore = {.sa_handler = SIG_IGN}, pipe_before;
	struct termios before, raw;
	sigset_t set, mask;
	bool restore = false;

	passed_on(&set);
	sigprocmask(SIG_BLOCK, &set, &mask);
	auto_close int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return err_errno(e, errno, "cannot wait for signals");
	/* A container that reads no further is no reason for us to end. */
	sigaction(SIGPIPE, &ignore, &pipe_before);
	if (client->input >= 0)
		fcntl(client->input, F_SETFL, O_NONBLOCK);
	if (options->terminal && options->input && tcgetattr(STDIN_FILENO, &before) == 0) {
		raw = before;
		cfmakeraw(&raw);
		restore = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
	}
	if (options->terminal)
		set_size(&copier);
	int rc = copy(&copier, signals, end, exit_code, e);
	if (restore)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	sigaction(SIGPIPE, &pipe_before, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	buf_free(&copier.to_user[0]);
	buf_free(&copier.to_user[1]);
	buf_free(&copier.to_container);
	return rc;
}
