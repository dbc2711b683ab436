/*
 * info.h - what this store holds and this host has, for `brig info` and the API's /info.
 */
#ifndef ENGINE_INFO_H
#define ENGINE_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "engine/engine.h"

struct engine_info {
	size_t containers, running, paused, stopped, images;
	const char *driver;      /* of the store, or the one that a new store would have */
	const char *driver_why;  /* in a few words: "it lies on btrfs" */
	bool driver_recorded;    /* the store was made with it */
	const char *file_system; /* that the data root lies on: "ext4", or "" */
	int cgroup_version;      /* 1 or 2 */
	bool cgroup_hybrid;      /* version 1 with an empty version 2 beside it */
	const char *kernel, *architecture, *hostname;
	const char *operating_system; /* "Debian GNU/Linux 12 (bookworm)" */
	const char *os_version;       /* "12", or "" */
	int cpus;
	int64_t memory; /* bytes */
	bool seccomp, apparmor;
	bool forwards; /* the host passes IPv4 on */
	bool debug;    /* -D: the caller sets it */
};

/* Strings are the engine's arena's. */
int engine_info(struct engine *engine, struct engine_info *info, struct err *e);

/* Writes it with docker's names. */
void engine_info_write(const struct engine *engine, const struct engine_info *info, struct json_writer *w);

#endif
