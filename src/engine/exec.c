/* exec.c - one more command in a running container. */
#include "engine/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/report.h"
#include "engine/container.h"
#include "engine/control.h"
#include "engine/launch.h"
#include "engine/spec.h"
#include "runtime/runtime.h"

/* The container's own environment, then what was given; a later NAME replaces an earlier. */
static struct strings merge_env(struct arena *arena, const char *const *base, const struct strings *given)
{
	struct strings env = {0};
	const char *const *lists[] = {base, given->items};

	for (size_t k = 0; k < 2; k++)
		for (const char *const *item = lists[k]; item && *item; item++) {
			size_t name = strcspn(*item, "="), i = 0;
			while (i < env.count &&
				!(strcspn(env.items[i], "=") == name && !strncmp(env.items[i], *item, name)))
				i++;
			if (i < env.count)
				env.items[i] = *item;
			else
				strings_add(arena, &env, *item);
		}
	return env;
}

/* A command whose user has left goes on, so somebody has to keep its terminal and read what it
 * writes there: a process that ends with the last that has it open. own is our pid namespace. */
static void hold_terminal(int master, int own)
{
	char dropped[4096];
	/* Our children are born in the container's pid namespace by now; this one is none of its. */
	if (own >= 0 && setns(own, CLONE_NEWPID) < 0)
		log_trace("parent", "the terminal is held inside the container");
	pid_t pid = fork();

	if (pid != 0)
		return; /* without one it is hung up on, as a terminal that was closed does */
	setsid();
	fcntl(master, F_SETFL, 0);
	int held = fcntl(master, F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 3; i++)
		close(i);
	while (read(held, dropped, sizeof dropped) > 0 || errno == EINTR)
		errno = 0;
	_exit(0);
}

/* What becomes of a process that has started a detached command: its parent, until it has ended, so
 * that it is reaped wherever we run. A container cannot end before all in it were, and not every
 * host's process 1 reaps. It reads what is written to the command's terminal, if it has one. */
static _Noreturn void keep(pid_t command, int console)
{
	char dropped[4096];
	bool terminal = console >= 0 && dup3(console, 0, O_CLOEXEC) == 0;

	kernel_close_range(terminal ? 1 : 0, ~0U, 0);
	if (terminal)
		fcntl(0, F_SETFL, 0);
	while (terminal && (read(0, dropped, sizeof dropped) > 0 || errno == EINTR))
		errno = 0;
	while (waitpid(command, NULL, 0) < 0 && errno == EINTR)
		;
	_exit(0);
}

/* As runtime_exec, in a process of its own that stays as the command's parent. */
static int exec_detached(const struct runtime_exec *exec, struct err *e)
{
	int ends[2], console = -1, rc;
	struct runtime_process process;

	rc = fd_pipe(ends, 0);
	if (rc < 0)
		return err_errno(e, rc, "cannot make a pipe");
	pid_t keeper = fork();
	if (keeper == 0) {
		struct err failure;
		setsid();
		close(ends[0]);
		rc = runtime_exec(exec, &process, &console, &failure);
		if (report_send(ends[1], rc, &failure) < 0 || rc < 0)
			_exit(1);
		keep(process.pid, console);
	}
	rc = keeper < 0 ? err_errno(e, errno, "cannot make a process") : 0;
	close(ends[1]);
	if (rc == 0)
		rc = report_receive(ends[0], e);
	close(ends[0]);
	if (rc == 0 || keeper < 0)
		return rc;
	waitpid(keeper, NULL, 0);
	return rc > 0 ? err_set(e, ERR_SYSTEM, 0, "the process that starts the command was killed") : -1;
}

/* The container's own spec, with another process in it; config is changed to that. */
static int build_spec(struct engine *engine, const struct exec_options *options,
	struct container_config *config, struct spec *spec, struct err *e)
{
	struct spec_host host = {
		.user_namespace = engine->user_namespace, .ready_network = -1, .joined_network = true};
	struct winsize size;

	config->privileged |= options->privileged;
	config->terminal = options->terminal;
	config->init = false;
	config->entrypoint = (struct strings){0};
	config->command = options->args;
	if (options->user)
		config->user = options->user;
	if (options->working_dir)
		config->working_dir = options->working_dir;
	if (options->terminal && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
		host.rows = size.ws_row;
		host.columns = size.ws_col;
	}
	if (spec_build(engine->arena, config, &host, spec, e) < 0)
		return -1;
	spec->process.make_cwd = false;
	spec->process.env = merge_env(engine->arena, spec->process.env, &options->env).items;
	return 0;
}

/* The process's streams and our ends of them. 0 or -errno. */
static int make_pipes(bool input, int stdio[3], struct monitor_client *client)
{
	int ends[2], rc = 0;

	if (input && (rc = fd_pipe(ends, 0)) == 0) {
		stdio[0] = ends[0];
		client->input = ends[1];
	}
	for (int i = 0; rc == 0 && i < 2; i++)
		if ((rc = fd_pipe(ends, 0)) == 0) {
			*(i ? &client->error : &client->output) = ends[0];
			stdio[1 + i] = ends[1];
		}
	return rc;
}

int engine_exec(struct engine *engine, const struct exec_options *options, enum attach_end *end,
	int *exit_code, struct err *e)
{
	struct container container;
	struct container_config config;
	struct monitor_client client = {.socket = -1, .process = -1, .input = -1, .output = -1, .error = -1};
	struct runtime_process process;
	struct spec spec;
	int stdio[3] = {-1, -1, -1}, console = -1, rc = 0;

	*end = ATTACH_EXITED;
	*exit_code = 0;
	if (container_find(&engine->containers, options->container, &container, e) < 0)
		return -1;
	auto_close int pidfd = control_open_process(engine, &container, e);
	if (pidfd < 0)
		return -1;
	auto_close int dir = container_open_dir(&engine->containers, &container, e);
	if (dir < 0 || container_config_load(engine->arena, dir, &config, e) < 0)
		return -1;

	if (build_spec(engine, options, &config, &spec, e) < 0)
		return -1;
	if (!options->terminal && !options->detach) {
		rc = make_pipes(options->input, stdio, &client);
		if (rc < 0)
			return err_errno(e, rc, "cannot make a pipe");
	}
	sigset_t before;
	if (!options->detach)
		attach_block_signals(&before);
	struct cgroup_host cgroup_host;
	struct cgroup cgroup = {.fd = -1};
	bool grouped = launch_open_cgroup(&container, &cgroup_host, &cgroup, e) == 0;
	/* Only where the container has none does its next process do without. */
	if (!grouped && e->kind != ERR_NOT_FOUND && e->kind != ERR_UNSUPPORTED && !engine->user_namespace)
		return -1;
	struct runtime_exec exec = {
		.process = &spec.process,
		.pidfd = pidfd,
		.join_user = engine->user_namespace,
		.stdio = {stdio[0], stdio[1], stdio[2]},
		.cgroup = grouped ? &cgroup : NULL,
	};
	/* Descriptors go along: what leads to the host's folders is closed first. */
	close_fd(&dir);
	engine_close(engine);
	/* Looked up while /proc is still the host's. */
	bool may_leave = options->terminal && !options->detach;
	auto_close int own = may_leave ? fd_open(AT_FDCWD, "/proc/self/ns/pid", O_RDONLY, 0) : -1;
	if (options->detach)
		rc = exec_detached(&exec, e);
	else
		rc = runtime_exec(&exec, &process, &console, e);
	if (grouped)
		cgroup_close(&cgroup);
	for (int i = 0; i < 3; i++)
		close_fd(&stdio[i]);
	if (rc < 0) {
		/* docker's statuses: 127 for what is not there, be it the working directory, 1 for a user
		   that cannot be, 126 for all else that keeps a command from running. */
		if (e->kind == ERR_NOT_FOUND)
			e->kind = ERR_NO_COMMAND;
		else if (e->kind != ERR_NO_COMMAND && e->kind != ERR_CONFLICT && e->kind != ERR_INVALID)
			e->kind = ERR_CANNOT_EXECUTE;
		monitor_client_close(&client);
		return -1;
	}
	if (options->detach)
		return 0;
	client.process = process.pidfd;
	if (options->terminal) {
		client.output = console;
		client.input = fcntl(console, F_DUPFD_CLOEXEC, 3);
	}
	rc = attach_run(&client, &options->attaching, end, exit_code, e);
	if (rc == 0 && *end == ATTACH_DETACHED && options->terminal)
		hold_terminal(client.input, own);
	monitor_client_close(&client);
	return rc;
}
