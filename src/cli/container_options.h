/*
 * container_options.h - the options that run and create share, and what becomes of them.
 */
#ifndef CLI_CONTAINER_OPTIONS_H
#define CLI_CONTAINER_OPTIONS_H

#include "base/arena.h"
#include "base/opt.h"
#include "cli/cli.h"
#include "engine/create.h"

/* Filled by the rows below; a member of the verb's own struct. */
struct container_options {
	struct strings attach, cap_add, cap_drop, env, env_file, expose, group_add, label, label_file, mount,
		publish, security_opt, sysctl, tmpfs, volume, volumes_from;
	const char *cidfile, *cpus, *cpuset_cpus, *cpuset_mems, *domainname, *entrypoint, *hostname, *name,
		*network, *platform, *pull;
	const char *stop_signal, *user, *volume_driver, *workdir;
	int64_t cpu_period, cpu_quota, cpu_shares, memory, memory_reservation, memory_swap, pids_limit,
		shm_size, stop_timeout;
	bool init, interactive, privileged, publish_all, quiet, read_only, rm, tty;
};

/* Reads a value of --attach. */
int container_options_attach(
	void *options, const struct opt *opt, const char *value, struct arena *arena, struct err *e);

/* What is not zero when it is not given. */
#define CONTAINER_DEFAULTS                                                                                   \
	{                                                                                                    \
		.pids_limit = INT64_MIN, .stop_timeout = INT64_MIN                                           \
	}

#define CONTAINER_ROW(type, at, name, letter, kind, member, value, help)                                     \
	{                                                                                                    \
		name, letter, kind, offsetof(type, at.member), value, help, NULL, 0                          \
	}

/* Rows for a verb whose struct `type` has a `struct container_options at`. */
#define CONTAINER_ROWS(type, at)                                                                             \
	{"attach", 'a', OPT_PARSE, offsetof(type, at.attach), "list", "Attach to STDIN, STDOUT or STDERR",   \
		container_options_attach, 0},                                                                \
		CONTAINER_ROW(type, at, "cap-add", 0, OPT_LIST, cap_add, NULL, "Add Linux capabilities"),    \
		CONTAINER_ROW(type, at, "cap-drop", 0, OPT_LIST, cap_drop, NULL, "Drop Linux capabilities"), \
		CONTAINER_ROW(type, at, "cidfile", 0, OPT_STRING, cidfile, NULL,                             \
			"Write the container ID to the file"),                                               \
		CONTAINER_ROW(type, at, "cpu-period", 0, OPT_INTEGER, cpu_period, NULL,                      \
			"Limit CPU CFS (Completely Fair Scheduler) period, in microseconds"),                \
		CONTAINER_ROW(type, at, "cpu-quota", 0, OPT_INTEGER, cpu_quota, NULL,                        \
			"Limit CPU CFS (Completely Fair Scheduler) quota, in microseconds"),                 \
		CONTAINER_ROW(type, at, "cpu-shares", 'c', OPT_INTEGER, cpu_shares, NULL,                    \
			"CPU shares (relative weight)"),                                                     \
		CONTAINER_ROW(type, at, "cpus", 0, OPT_STRING, cpus, "decimal", "Number of CPUs"),           \
		CONTAINER_ROW(type, at, "cpuset-cpus", 0, OPT_STRING, cpuset_cpus, NULL,                     \
			"CPUs in which to allow execution (0-3, 0,1)"),                                      \
		CONTAINER_ROW(type, at, "cpuset-mems", 0, OPT_STRING, cpuset_mems, NULL,                     \
			"MEMs in which to allow execution (0-3, 0,1)"),                                      \
		CONTAINER_ROW(type, at, "domainname", 0, OPT_STRING, domainname, NULL,                       \
			"Container NIS domain name"),                                                        \
		CONTAINER_ROW(type, at, "entrypoint", 0, OPT_STRING, entrypoint, NULL,                       \
			"Overwrite the default ENTRYPOINT of the image"),                                    \
		CONTAINER_ROW(type, at, "env", 'e', OPT_LIST, env, NULL, "Set environment variables"),       \
		CONTAINER_ROW(type, at, "env-file", 0, OPT_LIST, env_file, NULL,                             \
			"Read in a file of environment variables"),                                          \
		CONTAINER_ROW(                                                                               \
			type, at, "expose", 0, OPT_LIST, expose, NULL, "Expose a port or a range of ports"), \
		CONTAINER_ROW(type, at, "group-add", 0, OPT_LIST, group_add, NULL,                           \
			"Add additional groups to join"),                                                    \
		CONTAINER_ROW(type, at, "hostname", 'h', OPT_STRING, hostname, NULL, "Container host name"), \
		CONTAINER_ROW(type, at, "init", 0, OPT_BOOL, init, NULL,                                     \
			"Run an init inside the container that forwards signals and reaps processes"),       \
		CONTAINER_ROW(type, at, "interactive", 'i', OPT_BOOL, interactive, NULL,                     \
			"Keep STDIN open even if not attached"),                                             \
		CONTAINER_ROW(                                                                               \
			type, at, "label", 'l', OPT_LIST, label, NULL, "Set meta data on a container"),      \
		CONTAINER_ROW(type, at, "label-file", 0, OPT_LIST, label_file, NULL,                         \
			"Read in a line delimited file of labels"),                                          \
		CONTAINER_ROW(type, at, "memory", 'm', OPT_SIZE, memory, NULL, "Memory limit"),              \
		CONTAINER_ROW(type, at, "memory-reservation", 0, OPT_SIZE, memory_reservation, NULL,         \
			"Memory soft limit"),                                                                \
		{"memory-swap", 0, OPT_SIZE, offsetof(type, at.memory_swap), NULL,                           \
			"Swap limit equal to memory plus swap: '-1' to enable unlimited swap", NULL,         \
			OPT_MINUS_ONE},                                                                      \
		CONTAINER_ROW(type, at, "mount", 0, OPT_LIST, mount, "mount",                                \
			"Attach a filesystem mount to the container"),                                       \
		CONTAINER_ROW(                                                                               \
			type, at, "name", 0, OPT_STRING, name, NULL, "Assign a name to the container"),      \
		CONTAINER_ROW(type, at, "network", 0, OPT_STRING, network, "network",                        \
			"Connect a container to a network"),                                                 \
		{"net", 0, OPT_STRING, offsetof(type, at.network), "network",                                \
			"Connect a container to a network", NULL, OPT_HIDDEN},                               \
		CONTAINER_ROW(type, at, "pids-limit", 0, OPT_INTEGER, pids_limit, NULL,                      \
			"Tune container pids limit (set -1 for unlimited)"),                                 \
		CONTAINER_ROW(type, at, "platform", 0, OPT_STRING, platform, NULL,                           \
			"Set platform if server is multi-platform capable"),                                 \
		CONTAINER_ROW(type, at, "privileged", 0, OPT_BOOL, privileged, NULL,                         \
			"Give extended privileges to this container"),                                       \
		CONTAINER_ROW(type, at, "publish", 'p', OPT_LIST, publish, NULL,                             \
			"Publish a container's port(s) to the host"),                                        \
		CONTAINER_ROW(type, at, "publish-all", 'P', OPT_BOOL, publish_all, NULL,                     \
			"Publish all exposed ports to random ports"),                                        \
		CONTAINER_ROW(type, at, "pull", 0, OPT_STRING, pull, NULL,                                   \
			"Pull image before running (\"always\", \"missing\", \"never\") (default "           \
			"\"missing\")"),                                                                     \
		CONTAINER_ROW(type, at, "quiet", 'q', OPT_BOOL, quiet, NULL, "Suppress the pull output"),    \
		CONTAINER_ROW(type, at, "read-only", 0, OPT_BOOL, read_only, NULL,                           \
			"Mount the container's root filesystem as read only"),                               \
		CONTAINER_ROW(type, at, "rm", 0, OPT_BOOL, rm, NULL,                                         \
			"Automatically remove the container when it exits"),                                 \
		CONTAINER_ROW(                                                                               \
			type, at, "security-opt", 0, OPT_LIST, security_opt, NULL, "Security Options"),      \
		CONTAINER_ROW(type, at, "shm-size", 0, OPT_SIZE, shm_size, NULL, "Size of /dev/shm"),        \
		CONTAINER_ROW(type, at, "stop-signal", 0, OPT_STRING, stop_signal, NULL,                     \
			"Signal to stop the container"),                                                     \
		CONTAINER_ROW(type, at, "stop-timeout", 0, OPT_INTEGER, stop_timeout, NULL,                  \
			"Timeout (in seconds) to stop a container"),                                         \
		CONTAINER_ROW(type, at, "sysctl", 0, OPT_LIST, sysctl, "map", "Sysctl options"),             \
		CONTAINER_ROW(type, at, "tmpfs", 0, OPT_LIST, tmpfs, NULL, "Mount a tmpfs directory"),       \
		CONTAINER_ROW(type, at, "tty", 't', OPT_BOOL, tty, NULL, "Allocate a pseudo-TTY"),           \
		CONTAINER_ROW(type, at, "user", 'u', OPT_STRING, user, NULL,                                 \
			"Username or UID (format: <name|uid>[:<group|gid>])"),                               \
		CONTAINER_ROW(type, at, "volume", 'v', OPT_LIST, volume, NULL, "Bind mount a volume"),       \
		CONTAINER_ROW(type, at, "volume-driver", 0, OPT_STRING, volume_driver, NULL,                 \
			"Optional volume driver for the container"),                                         \
		CONTAINER_ROW(type, at, "volumes-from", 0, OPT_LIST, volumes_from, NULL,                     \
			"Mount volumes from the specified container(s)"),                                    \
		CONTAINER_ROW(type, at, "workdir", 'w', OPT_STRING, workdir, NULL,                           \
			"Working directory inside the container")

/* Turns what was typed into wishes: argv is IMAGE [COMMAND [ARG...]]. Strings are the
 * cli's arena's or argv's. */
int container_options_apply(struct cli *cli, const struct container_options *options, int argc, char **argv,
	struct create_options *create, struct err *e);

/* Makes the file for the identifier, which must not be there yet, and has create fill it. */
int container_options_cidfile(
	const struct container_options *options, struct create_options *create, struct err *e);
/* There is no such container after all. */
void container_options_no_cidfile(const struct container_options *options);

/* Whether such a container can be: what docker's engine looks at, and not its command line. */
int container_options_check(const struct create_options *create, struct err *e);

/* -e and --env-file as docker merges them: files first, NAME alone is the caller's. */
int container_options_env(struct arena *arena, const struct strings *given, const struct strings *files,
	struct strings *env, struct err *e);

#endif
