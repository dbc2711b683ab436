/*
 * container.h - what a container was asked to be: the document config.json.
 *
 * Made once by create from the user's wishes and the image's configuration, kept in the
 * container's folder, read by every start, inspect and exec. How it is (running, exit
 * status) is not here but in the index (store/container.h).
 */
#ifndef ENGINE_CONTAINER_H
#define ENGINE_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* The numbers are config.json's. */
enum container_mount_type { CONTAINER_MOUNT_BIND, CONTAINER_MOUNT_TMPFS, CONTAINER_MOUNT_VOLUME };

struct container_mount {
	enum container_mount_type type;
	const char *source;      /* a bind's absolute path on the host */
	const char *target;      /* absolute, cleaned */
	const char *options;     /* a tmpfs's "size=64m,mode=1777"; NULL none */
	const char *propagation; /* "rprivate" and so on; NULL is rprivate */
	bool readonly;
	bool not_recursive;            /* binds: without what is mounted below */
	bool readonly_recursive_not;   /* read-only at the top only */
	bool readonly_recursive_force; /* what is mounted below is read-only for certain */
	bool exec, suid, dev;          /* a tmpfs's "exec", …, which are off by default */

	const char *name;                      /* a volume's */
	const char *subpath;                   /* in the volume: what is mounted of it; NULL all */
	struct strings labels, volume_options; /* of the volume, if it is made for this */
	bool anonymous;                        /* the volume was made for this container, and goes with it */
	bool nocopy;                           /* the image's files are not copied into it */
	bool borrowed;                         /* --volumes-from */
	bool create_source;                    /* a bind's folder is made where it is missing */

	/* How it was asked for, which inspect shows. */
	const char *mode; /* -v's options, or NULL */
	const char *bind; /* -v with a source: the whole; NULL otherwise */
	bool detailed;    /* --mount */
};

struct container_limits {
	int64_t memory;      /* bytes; 0 no limit */
	int64_t memory_swap; /* memory and swap together; 0 not set, -1 unlimited */
	int64_t memory_reservation;
	int64_t nano_cpus;  /* 10^-9 processors */
	int64_t cpu_shares; /* 0: the kernel's 1024 */
	int64_t cpu_quota, cpu_period;
	const char *cpuset_cpus, *cpuset_mems;
	int64_t pids; /* 0: the default; -1 unlimited */
};

struct container_config {
	const char *id;
	const char *name;
	const char *image;         /* as the user gave it */
	const char *image_id;      /* 64 hex digits */
	const char *driver;        /* storage driver */
	struct strings layers;     /* chain ids in hex, the lowest first */
	int64_t layers_hidden;     /* between the last two: see store/layer_commit.h */
	const char *committed;     /* the config, in hex, that commit made of just these layers */
	struct strings entrypoint; /* in force: the image's or the user's */
	struct strings command;
	struct strings env;
	struct strings labels; /* KEY=VALUE */
	const char *user;
	const char *working_dir;
	const char *hostname; /* "" or NULL: the id's first 12 digits */
	const char *domainname;
	const char *stop_signal; /* name or number; NULL SIGTERM */
	int64_t stop_timeout;    /* seconds; -1 for ever; where has_stop_timeout is set */
	const char *network;     /* bridge, bridge0, host, none */
	const char *interface;   /* in the container; NULL: eth0 */
	bool host_cgroups;       /* no cgroup namespace: it sees the host's paths */
	struct container_mount *mounts;
	size_t mounts_count;
	struct strings volumes;      /* places that the image, or -v /PATH, wants volumes on */
	struct strings volumes_from; /* as given */
	struct container_limits limits;
	struct strings cap_add, cap_drop;
	struct strings security_opt; /* as given, but seccomp=FILE */
	const char *seccomp;         /* NULL the default, "unconfined", or a profile's text */
	struct strings group_add;
	struct strings sysctls; /* KEY=VALUE */
	struct strings publish; /* of oci/port.h's grammar, one port of the container each */
	struct strings expose;  /* "80/tcp", the image's and the user's */
	bool has_stop_timeout;
	bool no_new_privileges;
	bool unconfined_paths; /* systempaths=unconfined */
	bool privileged;
	bool readonly_root;
	bool init;
	bool terminal;
	bool open_stdin;
	bool stdin_once;
	bool one_output; /* stderr is the same pipe as stdout: what is written keeps its order */
	bool attach_stdin, attach_stdout, attach_stderr;
	bool publish_all;
	bool auto_remove;
	int64_t created;      /* ns */
	int64_t shm_size;     /* bytes; 0: 64 MiB */
	int64_t log_max_size; /* bytes */
	int64_t log_max_files;
};

/* Appends the document. */
void container_config_write(const struct container_config *config, struct buf *out);
/* Parses it; strings are the arena's. A document of another shape is ERR_CORRUPT. */
int container_config_read(
	struct arena *arena, const char *text, size_t length, struct container_config *config, struct err *e);

/* From and to containers/ID/config.json; dir is that folder. */
int container_config_load(struct arena *arena, int dir, struct container_config *config, struct err *e);
int container_config_save(int dir, const struct container_config *config, bool durable, struct err *e);

/* A new mount at the end, zeroed. */
struct container_mount *container_add_mount(struct arena *arena, struct container_config *config);
/* The one on that place, or NULL. */
struct container_mount *container_find_mount(const struct container_config *config, const char *target);

/* entrypoint and command as one list. */
struct strings container_args(struct arena *arena, const struct container_config *config);
/* The words on one line as docker shows them: those with a blank in single quotes. */
const char *container_command(struct arena *arena, const struct strings *words);

#endif
