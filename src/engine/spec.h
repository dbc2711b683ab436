/*
 * spec.h - from what was asked for (container.h) to what the runtime is to make
 * (oci/spec.h). Pure: it opens nothing and asks the host nothing, so that golden files
 * can test it; what the host contributes comes in struct spec_host.
 */
#ifndef ENGINE_SPEC_H
#define ENGINE_SPEC_H

#include "base/arena.h"
#include "base/err.h"
#include "engine/container.h"
#include "oci/spec.h"

/* What the default sandbox hides, and what it makes read-only; NULL at the end. */
extern const char *const spec_masked_paths[];
extern const char *const spec_readonly_paths[];

/* What a mount of config's is made from, where that is not its source: a volume. */
struct spec_source {
	int tree;            /* a detached mount's descriptor + 1; 0: by type and source */
	const char *type;    /* a file system's name, or "bind" */
	const char *source;  /* its device, or the path that is bound; with a tree, what to call it */
	const char *data;    /* the file system's own options, or NULL */
	uint64_t attributes; /* KERNEL_MOUNT_ATTR_* */
	bool not_recursive;
};

struct spec_host {
	const char *files;   /* folder on the host with hosts, hostname, resolv.conf; NULL: none */
	bool user_namespace; /* the engine has the rights of an ordinary user */
	bool lonely;         /* no network but the loopback interface */
	int ready_network;   /* a namespace that is all set up and to be joined; -1 none */
	bool joined_network; /* host networking: the container's /sys shows the host's */
	unsigned short rows, columns;
	const struct spec_device *devices; /* of a privileged container */
	size_t devices_count;
	const struct spec_source *sources; /* by config's mounts, those of other types unused; or NULL */
};

/* The spec and all it points to are the arena's; config must outlive it. Fails with
 * ERR_INVALID for a capability or security option that does not exist. */
int spec_build(struct arena *arena, const struct container_config *config, const struct spec_host *host,
	struct spec *spec, struct err *e);

/* Whether the capabilities and the seccomp profile that config names are any: what create can
 * say before there is a container. */
int spec_check(struct arena *arena, const struct container_config *config, struct err *e);

/* The capabilities that config asks for, bit n for CAP number n. */
int spec_capabilities(const struct container_config *config, uint64_t *mask, struct err *e);

#endif
