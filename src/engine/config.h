/*
 * config.h - brig.conf(5), and where this user's brig keeps things.
 *
 * The file is lines of `key = value` under [section] headings. Everything has a default:
 * a missing file is an empty one, and costs one openat. An unknown key or a bad value is
 * an error with its line, never skipped.
 */
#ifndef ENGINE_CONFIG_H
#define ENGINE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* [registry "NAME"] */
struct config_registry {
	const char *name;       /* as in references: "docker.io", "localhost:5000" */
	struct strings mirrors; /* HOST[:PORT][/PREFIX], tried in order before the registry itself */
	bool insecure;          /* plain HTTP, or HTTPS with a certificate nobody vouches for */
	struct config_registry *next;
};

struct config {
	const char *data_root;       /* [storage] root; NULL: the default place */
	const char *run_root;        /* [storage] run_root; NULL: the default place */
	const char *driver;          /* [storage] driver; NULL: chosen by where the data root lies */
	const char *zfs_dataset;     /* [storage] zfs_dataset; NULL: the one under the data root */
	bool ready_networks;         /* [network] ready: namespaces may be made ahead of time */
	struct strings dns;          /* [network] dns, once for each server; empty: the host's */
	const char *publish_address; /* [network] publish_address: where -p without one publishes */
	int64_t pids_limit;          /* [container] pids_limit; 0: none */
	bool no_new_privileges;      /* [container] no_new_privileges */
	int64_t log_max_size;        /* [log] max_size: bytes of one file; 0: no limit */
	int64_t log_max_file;        /* [log] max_file: how many files are kept */
	struct config_registry *registries;
};

/* The defaults, as if the file were empty. */
void config_init(struct config *config);

/* Parses text into config (which starts from config_init). path is the name for messages.
 * ERR_INVALID with "path:line: ..."; strings are the arena's. */
int config_parse(struct config *config, struct arena *arena, const char *text, size_t length,
	const char *path, struct err *e);

/* Reads the file at path; where it is missing, config is left as it is, unless it has to exist. */
int config_load(struct config *config, struct arena *arena, const char *path, bool must_exist, struct err *e);

/* The section for a registry, or NULL. */
const struct config_registry *config_registry(const struct config *config, const char *name);

/* The default places: /var/lib/brig, /run/brig and /etc/brig/brig.conf for root, else under
 * XDG_DATA_HOME, XDG_RUNTIME_DIR and XDG_CONFIG_HOME or what stands in for them in HOME.
 * NULL where the environment does not tell. */
const char *config_default_data_root(struct arena *arena);
const char *config_default_run_root(struct arena *arena);
const char *config_default_path(struct arena *arena);

/* The keys, for brig.conf(5)'s check and for completion: "section.key", NULL past the last. */
const char *config_key(struct arena *arena, size_t index);

#endif
