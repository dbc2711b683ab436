/* control.c - look at, signal, stop, wait for and remove a container. */
#include "engine/control.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/auto.h"
#include "base/kernel.h"
#include "base/opt.h"
#include "base/time.h"
#include "engine/commit.h"
#include "engine/container.h"
#include "engine/image.h"
#include "engine/launch.h"
#include "engine/monitor.h"
#include "engine/volumes.h"

/* LOCK_TRIES: milliseconds. */
enum { STOP_TIMEOUT = 10, LOCK_TRIES = 60000 };

enum control_state control_observe(const struct engine *engine, const struct container *container)
{
	const struct container_status *status = &container->record.status;

	switch (status->state) {
	case CONTAINER_CREATED:
		return CONTROL_CREATED;
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
		if (container_locked(&engine->containers, container->slot))
			return CONTROL_RUNNING;
		return container_process_alive(status) ? CONTROL_UNATTENDED : CONTROL_LOST;
	case CONTAINER_EXITED:
		return CONTROL_EXITED;
	default:
		return CONTROL_BUSY;
	}
}

static bool is_running(const struct container *container)
{
	return container->record.status.state == CONTAINER_RUNNING ||
	       container->record.status.state == CONTAINER_PAUSED;
}

/* Where nobody holds its lock: whoever made, started, ended or removed it was killed. */
static bool is_cut_short(const struct container_status *status)
{
	return status->state == CONTAINER_CREATING || status->state == CONTAINER_REMOVING ||
	       ((status->state == CONTAINER_CREATED || status->state == CONTAINER_EXITED) &&
		       status->flags & (CONTAINER_UNCLEAN | CONTAINER_COMMITTING));
}

/* With its lock held. */
static void settle_locked(struct engine *engine, struct container *container)
{
	struct err ignored;

	/* Somebody may have been quicker. */
	if (is_running(container)) {
		struct container_status status = container->record.status;
		launch_clean_lost(engine, container);
		if (container->record.identity.flags & CONTAINER_AUTO_REMOVE) {
			container_discard(engine, container, true, &ignored);
		} else {
			status.state = CONTAINER_EXITED;
			status.exit_code = 255;
			status.finished = time_now();
			status.pid = 0;
			container_write_status(&engine->containers, container, &status, &ignored);
		}
	} else if (is_cut_short(&container->record.status)) {
		struct container_status status = container->record.status;
		launch_clean_lost(engine, container);
		if (status.state == CONTAINER_CREATING || status.state == CONTAINER_REMOVING) {
			container_discard(engine, container,
				status.state == CONTAINER_CREATING || status.flags & CONTAINER_TAKES_VOLUMES,
				&ignored);
		} else {
			status.flags &= ~(uint32_t)CONTAINER_UNCLEAN;
			if (status.flags & CONTAINER_COMMITTING &&
				commit_recover(engine, container, &ignored) == 0)
				status.flags &= ~(uint32_t)CONTAINER_COMMITTING;
			container_write_status(&engine->containers, container, &status, &ignored);
		}
	}
}

void control_settle(struct engine *engine, struct container *container)
{
	if (container_lock(&engine->containers, container) < 0)
		return;
	settle_locked(engine, container);
	container_unlock(container);
}

/* Reads the record anew; false where the container is gone. */
static bool look_again(const struct engine *engine, struct container *container)
{
	struct container now;

	if (!container_read(&engine->containers, container->slot, &now) || strcmp(now.id, container->id) ||
		now.record.status.state == CONTAINER_REMOVING)
		return false;
	*container = now;
	return true;
}

int control_lock(struct engine *engine, struct container *container, struct err *e)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	char name[CONTAINER_NAME];
	int rc;

	snprintf(name, sizeof name, "%s", container->record.identity.name);
	/* Who makes, starts, ends or removes it holds the lock for a moment; a monitor, for as
	 * long as it runs. */
	for (int tries = 0; (rc = container_lock(&engine->containers, container)) == -EAGAIN; tries++) {
		bool going = !look_again(engine, container);
		if (!going && is_running(container))
			return 1;
		if (tries == LOCK_TRIES)
			return err_set(
				e, ERR_CONFLICT, 0, "container %s is being changed by another command", name);
		nanosleep(&pause, NULL);
	}
	if (rc < 0 && rc != -ENOENT)
		return err_errno(e, rc, "cannot lock container %s", name);
	if (rc == 0 && is_running(container) && container_process_alive(&container->record.status)) {
		container_unlock(container);
		return 1;
	}
	if (rc == 0)
		settle_locked(engine, container);
	/* A lost container of --rm, or what a killed rm left. */
	enum container_state state = (enum container_state)container->record.status.state;
	if (rc < 0 || (state != CONTAINER_CREATED && state != CONTAINER_EXITED)) {
		container_unlock(container);
		return err_set(e, ERR_NOT_FOUND, 0, "No such container: %s", name);
	}
	return 0;
}

void control_settle_all(struct engine *engine)
{
	struct container container;

	for (size_t slot = 0; slot < engine->containers.count; slot++) {
		const struct container_status *status = &engine->containers.records[slot].status;
		bool cut_short = is_cut_short(status) && !container_locked(&engine->containers, slot);
		if ((cut_short || status->state == CONTAINER_RUNNING || status->state == CONTAINER_PAUSED) &&
			container_read(&engine->containers, slot, &container) &&
			(cut_short || control_observe(engine, &container) == CONTROL_LOST))
			control_settle(engine, &container);
	}
}

int control_open_process(struct engine *engine, const struct container *container, struct err *e)
{
	enum control_state state = control_observe(engine, container);

	if (state != CONTROL_RUNNING && state != CONTROL_UNATTENDED)
		return err_set(
			e, ERR_CONFLICT, 0, "container %s is not running", container->record.identity.name);
	commit_thaw_lost(engine, container);
	/* Opened first, compared after: the pid cannot be another's between the two. */
	auto_close int pidfd = kernel_pidfd_open(container->record.status.pid, 0);
	if (pidfd < 0 || !container_process_alive(&container->record.status))
		return err_set(
			e, ERR_CONFLICT, 0, "container %s is not running", container->record.identity.name);
	return steal_fd(&pidfd);
}

int control_signal_number(const char *text, int *number, struct err *e)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
		{"HUP", SIGHUP},
		{"INT", SIGINT},
		{"QUIT", SIGQUIT},
		{"ILL", SIGILL},
		{"TRAP", SIGTRAP},
		{"ABRT", SIGABRT},
		{"IOT", SIGABRT},
		{"BUS", SIGBUS},
		{"FPE", SIGFPE},
		{"KILL", SIGKILL},
		{"USR1", SIGUSR1},
		{"SEGV", SIGSEGV},
		{"USR2", SIGUSR2},
		{"PIPE", SIGPIPE},
		{"ALRM", SIGALRM},
		{"TERM", SIGTERM},
		{"STKFLT", SIGSTKFLT},
		{"CHLD", SIGCHLD},
		{"CLD", SIGCHLD},
		{"CONT", SIGCONT},
		{"STOP", SIGSTOP},
		{"TSTP", SIGTSTP},
		{"TTIN", SIGTTIN},
		{"TTOU", SIGTTOU},
		{"URG", SIGURG},
		{"XCPU", SIGXCPU},
		{"XFSZ", SIGXFSZ},
		{"VTALRM", SIGVTALRM},
		{"PROF", SIGPROF},
		{"WINCH", SIGWINCH},
		{"IO", SIGIO},
		{"POLL", SIGIO},
		{"PWR", SIGPWR},
		{"SYS", SIGSYS},
		{"RTMIN", 34},
		{"RTMAX", 64},
	};
	const char *name = strncasecmp(text, "SIG", 3) ? text : text + 3;
	int64_t value;

	if (opt_integer(text, &value) == 0) {
		if (value >= 1 && value <= 64) {
			*number = (int)value;
			return 0;
		}
	} else {
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			if (!strcasecmp(name, names[i].name)) {
				*number = names[i].number;
				return 0;
			}
		/* RTMIN+n and RTMAX-n */
		if (!strncasecmp(name, "RT", 2) && strlen(name) > 6 && (name[5] == '+' || name[5] == '-') &&
			opt_integer(name + 6, &value) == 0 && value >= 0 && value <= 30) {
			if (!strncasecmp(name, "RTMIN+", 6)) {
				*number = 34 + (int)value;
				return 0;
			}
			if (!strncasecmp(name, "RTMAX-", 6)) {
				*number = 64 - (int)value;
				return 0;
			}
		}
	}
	char shown[64];
	return err_set(e, ERR_INVALID, 0, "invalid signal: %s", err_sanitize(shown, sizeof shown, text));
}

int control_kill(struct engine *engine, const struct container *container, int signal, struct err *e)
{
	auto_close int pidfd = control_open_process(engine, container, e);
	if (pidfd < 0)
		return -1;
	int rc = kernel_pidfd_send_signal(pidfd, signal);
	if (rc == -ESRCH)
		return err_set(
			e, ERR_CONFLICT, 0, "container %s is not running", container->record.identity.name);
	return rc < 0 ? err_errno(e, rc, "cannot signal container %s", container->record.identity.name) : 0;
}

/* After the first process is gone: waits until the monitor has recorded it, or does so in its place. */
static void wait_recorded(struct engine *engine, struct container *container)
{
	container_wait_unlocked(&engine->containers, container->slot);
	struct container now;
	if (container_read(&engine->containers, container->slot, &now) && !strcmp(now.id, container->id)) {
		*container = now;
		if (control_observe(engine, container) == CONTROL_LOST) {
			control_settle(engine, container);
			if (container_read(&engine->containers, container->slot, &now) &&
				!strcmp(now.id, container->id))
				*container = now;
			/* It could not be recorded: the disk is read-only. */
			if (is_running(container))
				container->record.status.exit_code = 255;
		}
	}
}

/* Waits for the end of the process; milliseconds may be -1. Returns whether it ended. */
static bool ended(int pidfd, int milliseconds)
{
	struct pollfd polls = {.fd = pidfd, .events = POLLIN};
	int64_t until = time_since_boot() + (int64_t)milliseconds * 1000000;
	for (;;) {
		int rc = poll(&polls, 1, milliseconds);
		if (rc >= 0)
			return rc > 0;
		if (milliseconds >= 0) {
			int64_t left = (until - time_since_boot()) / 1000000;
			milliseconds = left > 0 ? (int)left : 0;
		}
	}
}

int control_stop(
	struct engine *engine, struct container *container, int signal, int64_t timeout, struct err *e)
{
	enum control_state state = control_observe(engine, container);

	if (state != CONTROL_RUNNING && state != CONTROL_UNATTENDED)
		return 0;
	if (!signal || timeout == -2) {
		auto_arena struct arena arena = {0};
		struct container_config config;
		auto_close int dir = container_open_dir(&engine->containers, container, e);
		if (dir < 0 || container_config_load(&arena, dir, &config, e) < 0)
			return -1;
		if (!signal) {
			signal = SIGTERM;
			if (config.stop_signal && control_signal_number(config.stop_signal, &signal, e) < 0)
				return -1;
		}
		if (timeout == -2)
			timeout = config.has_stop_timeout ? config.stop_timeout : STOP_TIMEOUT;
	}
	auto_close int pidfd = control_open_process(engine, container, e);
	if (pidfd < 0)
		return e->kind == ERR_CONFLICT ? 0 : -1; /* it ended by itself just now */
	int rc = kernel_pidfd_send_signal(pidfd, signal);
	if (rc < 0 && rc != -ESRCH)
		return err_errno(e, rc, "cannot signal container %s", container->record.identity.name);
	if (!ended(pidfd, timeout < 0 ? -1 : timeout > 86400 ? 86400000 : (int)timeout * 1000)) {
		kernel_pidfd_send_signal(pidfd, SIGKILL);
		ended(pidfd, -1);
	}
	wait_recorded(engine, container);
	return 0;
}

/* The process has ended: reads the status that its monitor writes next, which a container of
 * --rm has for no longer than its removal takes. */
static void catch_end(struct engine *engine, struct container *container)
{
	const struct timespec pause = {.tv_nsec = 100000};
	struct container now;

	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		if (!container_read(&engine->containers, container->slot, &now) ||
			strcmp(now.id, container->id))
			return;
		*container = now;
		if (!is_running(container) || !container_locked(&engine->containers, container->slot))
			return;
		nanosleep(&pause, NULL);
	}
}

int control_wait(struct engine *engine, struct container *container, int *exit_code, struct err *e)
{
	struct monitor_client client;
	struct monitor_message message;
	enum control_state state = control_observe(engine, container);

	if (state == CONTROL_RUNNING && monitor_connect(engine, container, 0, &client, e) == 0) {
		int rc;
		while ((rc = monitor_receive(client.socket, &message, NULL, NULL, e)) == 1)
			if (message.type == MONITOR_EXITED) {
				*exit_code = message.value;
				break;
			}
		monitor_client_close(&client);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	/* The monitor has too many clients, or is gone, or is about to go. */
	if (state == CONTROL_RUNNING || state == CONTROL_UNATTENDED) {
		auto_close int pidfd = control_open_process(engine, container, e);
		if (pidfd >= 0)
			ended(pidfd, -1);
		catch_end(engine, container);
	}
	wait_recorded(engine, container);
	container_read_left(&engine->containers, container);
	*exit_code = container->record.status.exit_code;
	return 0;
}

int control_remove(
	struct engine *engine, struct container *container, const struct control_removal *how, struct err *e)
{
	char name[CONTAINER_NAME];
	int rc;

	snprintf(name, sizeof name, "%s", container->record.identity.name);
	while ((rc = control_lock(engine, container, e)) == 1) {
		if (!how->force) {
			err_set(e, ERR_CONFLICT, 0, "cannot remove container \"%s\": container is running",
				name);
			return err_hint(
				e, "stop the container before removing it, or force it: brig rm -f %s", name);
		}
		if (control_kill(engine, container, SIGKILL, e) < 0 && e->kind != ERR_CONFLICT)
			return -1;
		auto_close int pidfd = kernel_pidfd_open(container->record.status.pid, 0);
		if (pidfd >= 0 && container_process_alive(&container->record.status))
			ended(pidfd, -1);
		wait_recorded(engine, container);
	}
	if (rc < 0)
		return e->kind == ERR_NOT_FOUND ? 0 : -1; /* --rm, or the other rm, was quicker */
	/* First, since nobody finds it later. */
	launch_remove_cgroup(container);
	rc = container_discard(engine, container, how->volumes, e);
	container_unlock(container);
	/* Its image may have been removed from below it. */
	if (rc == 0)
		engine_collect_garbage(engine);
	return rc;
}
