/*
 * spec.h - the runtime's configuration: what a container is to be made of.
 *
 * The OCI runtime-spec's config.json as plain structs, with what an engine in the same
 * process can hand over directly (descriptors, a compiled filter). A zeroed field is
 * the spec's default. Everything it points to belongs to whoever built it and
 * outlives the call that takes it.
 */
#ifndef OCI_SPEC_H
#define OCI_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/confine.h"
#include "base/seccomp.h"

struct spec_mount {
	const char *destination; /* absolute, in the container */
	const char *type;        /* a file system's name, "bind", or "cgroup" for what this host has */
	const char *source;      /* a bind's path on the host */
	int tree;                /* a bind's detached mount, which is taken: a descriptor + 1; 0 by path */
	const char *data;        /* the file system's own options, "mode=755,size=64k", or NULL */
	uint64_t attributes;     /* KERNEL_MOUNT_ATTR_* to set */
	uint64_t attributes_clear;
	unsigned long propagation; /* MS_PRIVATE, MS_SLAVE, MS_SHARED; 0 is private */
	bool recursive_propagation;
	bool recursive;            /* a bind with what is mounted below it */
	bool recursive_attributes; /* attributes hold below it too */
	bool engine;               /* the engine's own: its folder may not be a link */
	bool late;                 /* made after all others, when the parent has prepared what it shows */
};

struct spec_device {
	const char *path; /* in the container */
	char type;        /* c, b, p */
	unsigned major, minor;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	const char *host_path; /* where it is bound from when nodes cannot be made */
};

struct spec_user {
	/* As `--user` has it: NAME|UID[:GROUP|GID]; NULL or "" is root. Looked up in the
	 * container's own passwd and group files, where numbers need no entry. */
	const char *text;
	const char *const *add_groups; /* names or numbers, NULL-terminated, or NULL */
	mode_t umask;                  /* 0 is 0022 */
};

struct spec_process {
	const char *const *args; /* NULL-terminated, at least one */
	const char *const *env;  /* NULL-terminated NAME=VALUE */
	const char *cwd;
	bool make_cwd; /* where it is missing */
	struct spec_user user;
	bool terminal;
	unsigned short rows, columns; /* of the terminal, 0 unknown */
	bool no_new_privileges;
	bool keep_groups; /* a user namespace in which setgroups(2) is denied */
	/* The five sets, or NULL: those that docker gives to the user for this one set, bit
	 * n for CAP number n, which a user other than root gets only with ambient. */
	const struct confine_capabilities *capabilities;
	uint64_t capability_set;
	uint64_t ambient; /* those of the set that were asked for by name */
	const struct confine_rlimit *rlimits;
	size_t rlimits_count;
	int oom_score_adj;
	bool set_oom_score_adj;
	const char *keyring;                   /* the container's id, which names its session keyring */
	const struct seccomp_program *seccomp; /* NULL: unconfined */
	unsigned seccomp_flags;                /* SECCOMP_FLAG_* */
	bool init;                             /* a reaper of our own is process 1 (--init) */
};

/* Namespaces: a bit of CLONE_NEW* for each new one; joined are those with a descriptor. */
enum spec_namespace {
	SPEC_NS_MOUNT,
	SPEC_NS_PID,
	SPEC_NS_NETWORK,
	SPEC_NS_IPC,
	SPEC_NS_UTS,
	SPEC_NS_CGROUP,
	SPEC_NS_COUNT
};

struct spec_sysctl {
	const char *key; /* with dots */
	const char *value;
};

struct spec {
	struct spec_process process;
	const char *hostname;
	const char *domainname;
	bool readonly;           /* the root file system */
	bool loopback;           /* the new network namespace gets its lo up, and nothing else */
	uint64_t new_namespaces; /* CLONE_NEW* */
	int join[SPEC_NS_COUNT]; /* descriptors + 1; 0: none */
	const struct spec_mount *mounts;
	size_t mounts_count;
	const struct spec_device *devices;
	size_t devices_count;
	const char *const *masked_paths;   /* NULL-terminated, or NULL */
	const char *const *readonly_paths; /* NULL-terminated, or NULL */
	const struct spec_sysctl *sysctls;
	size_t sysctls_count;
};

#endif
