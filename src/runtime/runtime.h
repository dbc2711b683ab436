/*
 * runtime.h - making a container's first process from a spec, and joining it later.
 *
 * The one thing to know: the child is a fork of the caller, which must not have threads.
 * create.c is the parent's half, init.c the child's; sync.h is what they say.
 */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/cgroup.h"

struct runtime_options {
	const struct spec *spec;
	/* Called in the parent while the child makes its own file systems: returns a detached
	 * mount of the root file system. */
	int (*open_root)(void *context, struct err *e);
	/* Called in the parent while the child works on its first mounts; when it returns, what
	 * late mounts show has to be there. May be NULL. */
	int (*prepare)(void *context, struct err *e);
	void *context;
	/* The path of a folder of the engine's own; the child attaches the root there, in
	 * its own mount namespace. A path, as a descriptor would lead back into ours. */
	const char *anchor;
	int stdio[3]; /* become 0, 1 and 2 unless the spec asks for a terminal; -1: /dev/null */
	const struct cgroup_host *cgroup_host; /* outlives the process struct */
	const char *cgroup_path;               /* NULL: it stays in the caller's cgroup */
	const struct cgroup_limits *limits;
};

struct runtime_process {
	pid_t pid;
	int pidfd;
	int sync; /* the parent's end of the handshake */
	struct cgroup cgroup;
};

/* Clones the child, which starts on its mounts at once, and gives it its cgroup. On
 * failure nothing is left. */
int runtime_create(const struct runtime_options *options, struct runtime_process *process, struct err *e);

/* Its network stands: waits until everything is mounted, then lets the child go on to
 * execve and returns once the command runs. *console is the terminal's master, or -1.
 * ERR_NO_COMMAND and ERR_CANNOT_EXECUTE are the command's fault. */
int runtime_go(struct runtime_process *process, int *console, struct err *e);

/* Somebody failed at something because the child was gone: if the child has said why it failed,
 * that becomes the error. */
void runtime_reason(const struct runtime_process *process, struct err *e);

/* Kills and reaps a process that did not come to run, and removes its cgroup; takes
 * zeroed structs. */
void runtime_abandon(struct runtime_process *process);

struct runtime_exec {
	const struct spec_process *process;
	int pidfd;                   /* of the container's first process */
	bool join_user;              /* it lives in a user namespace of its own */
	int stdio[3];                /* as above */
	const struct cgroup *cgroup; /* the container's; NULL: it has none */
};

/* Runs one more process inside. As runtime_clone and runtime_go in one. The caller
 * is in the container's namespaces afterwards (but for its pid's own); it must hold no descriptor
 * of a folder of the host's, and its later children belong to the container. */
int runtime_exec(
	const struct runtime_exec *options, struct runtime_process *process, int *console, struct err *e);

#endif
