/*
 * create.h - a new container: its name, its root file system, its configuration.
 */
#ifndef ENGINE_CREATE_H
#define ENGINE_CREATE_H

#include "base/err.h"
#include "engine/container.h"
#include "engine/engine.h"
#include "engine/pull.h"
#include "store/container.h"

enum create_pull { CREATE_PULL_MISSING, CREATE_PULL_ALWAYS, CREATE_PULL_NEVER };

/* Told of a pull on the way, and of the container that was made; functions may be NULL. */
struct create_watch {
	void (*missing)(void *context, const char *familiar); /* a pull begins as it is not here */
	void (*tell)(void *context, const struct pull_event *event);
	void (*pulled)(void *context, const struct pull_result *result);
	void (*made)(void *context, const char *id);
	void *context;
};

struct create_options {
	const char *image; /* as the user named it */
	const char *platform;
	enum create_pull pull;
	struct create_watch watch;
	const char *entrypoint; /* NULL: the image's; "": none */
	struct strings command; /* empty: the image's */
	/* It is started at once: config.json and the state CREATED are left to monitor_start, which
	 * writes config.json while the kernel makes the container. */
	bool start_follows;
	/* As the classic dialect has it: cgroup and interface are called after the container, the
	 * cgroup is seen from inside and stays until rm. */
	bool classic;
	/* The user's wishes; what they leave open comes from the image. */
	struct container_config config;
};

/* Pulls the image if that is asked for, claims the name, makes the root file system and
 * writes config.json. *container is CREATED and its lock is held; *config is what was
 * written, in engine->arena. On failure nothing is left. */
int engine_create(struct engine *engine, const struct create_options *options, struct container *container,
	struct container_config *config, struct err *e);

/* Whether its documents are synced: somebody who named it means to keep it. */
bool create_durable(const struct container_config *config);

#endif
