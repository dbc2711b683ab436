/*
 * run.c - the story of `brig run`. START READING HERE.
 *
 *	engine_create (create.c)	pull?, name, root file system, config.json
 *	monitor_start (monitor.c)	forks the container's parent, which does
 *	  launch_up (launch.c)		  spec, clone, cgroup, network, go
 *	    init_run (runtime/init.c)	    and in the child: mounts, pivot_root, confinement, execve
 *	attach_run (attach.c)		copies until the monitor reports the exit
 */
#include "engine/run.h"

#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "engine/control.h"
#include "engine/launch.h"
#include "engine/volumes.h"

/* A container that did not come to run leaves nothing behind. */
static void forget(struct engine *engine, struct container *container)
{
	struct err ignored;

	if (container->lock < 0 && container_wait_unlocked(&engine->containers, container->slot) == 0 &&
		container_lock(&engine->containers, container) < 0)
		return;
	/* A monitor that was killed has left everything. */
	launch_clean_lost(engine, container);
	launch_remove_cgroup(container);
	container_discard(engine, container, true, &ignored);
	container_unlock(container);
}

/* Stays with a container that runs. */
static int stay(struct monitor_client *client, const struct attach_options *attaching,
	struct run_result *result, struct err *e)
{
	int rc = attach_run(client, attaching, &result->end, &result->status, e);
	monitor_client_close(client);
	if (rc == 0 && result->end == ATTACH_LOST) {
		err_set(e, ERR_SYSTEM, 0, "the monitor of the container was lost");
		rc = err_hint(e, "brig ps tells whether the container still runs");
	}
	return rc;
}

int engine_run(
	struct engine *engine, const struct run_options *options, struct run_result *result, struct err *e)
{
	struct container container;
	struct container_config config;
	struct monitor_client client;
	sigset_t before;

	*result = (struct run_result){.end = ATTACH_EXITED};
	struct create_options create = options->create;
	create.start_follows = true;
	if (engine_create(engine, &create, &container, &config, e) < 0)
		return -1;
	log_trace("parent", "created %s", container.record.identity.name);
	memcpy(result->id, container.id, sizeof result->id);
	/* From here on a Ctrl-C is for the container. */
	if (!options->detach)
		attach_block_signals(&before);
	if (monitor_start(engine, &container, &config, options->detach ? 0 : options->attach, &client, e) <
		0) {
		forget(engine, &container);
		return -1;
	}
	log_trace("parent", "started");
	if (options->detach) {
		monitor_client_close(&client);
		return 0;
	}
	return stay(&client, &options->attaching, result, e);
}

/* What the user's terminal or pipes are joined with, as the container was made. */
static unsigned wanted_streams(const struct container_config *config, const struct start_options *options,
	struct attach_options *attaching)
{
	*attaching = (struct attach_options){
		.terminal = config->terminal,
		.input = options->interactive && config->open_stdin,
		.no_signals = options->no_signals,
	};
	return MONITOR_STDOUT | (config->terminal ? 0 : MONITOR_STDERR) |
	       (attaching->input ? MONITOR_STDIN : 0);
}

int engine_start(struct engine *engine, const char *name, const struct start_options *options,
	struct run_result *result, struct err *e)
{
	struct container container;
	struct container_config config;
	struct attach_options attaching;
	struct monitor_client client;
	sigset_t before;

	*result = (struct run_result){.end = ATTACH_EXITED};
	if (container_find(&engine->containers, name, &container, e) < 0)
		return -1;
	memcpy(result->id, container.id, sizeof result->id);
	int rc = control_lock(engine, &container, e);
	if (rc > 0)
		return options->attach || options->interactive
			       ? engine_attach(engine, name, options, result, e)
			       : 0;
	if (rc < 0)
		return -1;
	auto_close int dir = container_open_dir(&engine->containers, &container, e);
	if (dir < 0 || container_config_load(engine->arena, dir, &config, e) < 0) {
		container_unlock(&container);
		return -1;
	}
	unsigned streams = wanted_streams(&config, options, &attaching);
	bool attach = options->attach || options->interactive;
	if (attach_parse_keys(options->detach_keys, &attaching, e) < 0) {
		container_unlock(&container);
		return -1;
	}
	if (attach)
		attach_block_signals(&before);
	if (monitor_start(engine, &container, &config, attach ? streams : 0, &client, e) < 0) {
		container_unlock(&container);
		return -1;
	}
	if (attach)
		return stay(&client, &attaching, result, e);
	monitor_client_close(&client);
	return 0;
}

int engine_attach(struct engine *engine, const char *name, const struct start_options *options,
	struct run_result *result, struct err *e)
{
	struct container container;
	struct container_config config;
	struct attach_options attaching;
	struct monitor_client client;

	*result = (struct run_result){.end = ATTACH_EXITED};
	if (container_find(&engine->containers, name, &container, e) < 0)
		return -1;
	memcpy(result->id, container.id, sizeof result->id);
	if (control_observe(engine, &container) == CONTROL_UNATTENDED) {
		err_set(e, ERR_CONFLICT, 0,
			"container %s runs, but its monitor was killed: its output cannot be joined", name);
		return err_hint(e, "brig exec still works; brig stop and brig start give it a new monitor");
	}
	auto_close int dir = container_open_dir(&engine->containers, &container, e);
	if (dir < 0 || container_config_load(engine->arena, dir, &config, e) < 0)
		return -1;
	unsigned streams = wanted_streams(&config, options, &attaching);
	if (attach_parse_keys(options->detach_keys, &attaching, e) < 0 ||
		monitor_connect(engine, &container, streams, &client, e) < 0)
		return -1;
	return stay(&client, &attaching, result, e);
}
