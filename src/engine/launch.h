/*
 * launch.h - bringing a container to life, and taking down what that needed.
 *
 * Runs in the monitor. launch_up goes through its stages in order and notes each; when
 * one fails, and when the container has ended, launch_down undoes the noted stages in
 * the reverse order. Two halves of the undoing: what the user can ask for next (address,
 * name) is free after launch_release; the rest may come after the exit was reported.
 */
#ifndef ENGINE_LAUNCH_H
#define ENGINE_LAUNCH_H

#include "base/err.h"
#include "engine/container.h"
#include "engine/engine.h"
#include "engine/spec.h"
#include "engine/ports.h"
#include "net/net.h"
#include "net/pool.h"
#include "runtime/cgroup.h"
#include "runtime/runtime.h"
#include "store/container.h"

struct launch {
	struct engine *engine;
	struct container *container;
	const struct container_config *config;
	unsigned short rows, columns; /* of the client's terminal */
	struct runtime_process process;
	struct cgroup_host cgroup_host;
	struct net_attachment network;
	int files;           /* the container's folder in the run root, until its hosts file is written */
	int console;         /* the terminal's master, or -1 */
	int mounts;          /* the mount namespace, held so that its end is not on the way of the exit */
	bool ready_networks; /* network namespaces are made ahead of time here */
	bool stale_network;  /* the one that was taken did not fit any more */
	struct net_pool_taken taken;
	struct spec_source *volumes; /* what the container's are mounted from, until it has them */
	struct ports ports;
	unsigned stages;
};

/* Brings it to execve; stdio are the container's ends. The status in the index is RUNNING
 * then. On failure everything is taken down and the status is as before. */
int launch_up(struct launch *launch, const int stdio[3], struct err *e);

/* After the first process was reaped: frees its address. Neither this nor launch_down
 * needs more of engine than the run root, or anything of config. */
void launch_release(struct launch *launch);
/* All the rest: cgroups, files in the run root, the mount namespace. */
void launch_down(struct launch *launch);

/* With nothing left to do: makes network namespaces ahead for those that follow. */
void launch_prepare(const struct launch *launch);

/* What a container leaves whose monitor was killed and whose processes are gone. */
void launch_clean_lost(struct engine *engine, const struct container *container);

/* Whether a cgroup of that name stands at the top of a hierarchy. */
bool launch_cgroup_exists(const char *name);
/* Removes the cgroup of a container whose cgroup outlives its run, and which does not run. */
void launch_remove_cgroup(const struct container *container);

/* A running container's cgroup, for one more process. ERR_NOT_FOUND where it has none. */
int launch_open_cgroup(
	const struct container *container, struct cgroup_host *host, struct cgroup *cgroup, struct err *e);

#endif
