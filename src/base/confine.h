/*
 * confine.h - taking rights away from the calling process, for good.
 *
 * Everything here changes the process that calls it, so it runs in a child that is about
 * to execute a container's program (or in one of brig's own helpers). The one thing to
 * know is the order, in which each step needs a right that a later one takes away:
 *
 *	confine_reset, confine_rlimits, confine_oom_score_adj, confine_session_keyring
 *	confine_apply    bounding set, ids, filter and capabilities, checked by reading back
 *	confine_close_fds, execve
 *
 * Functions return 0 or -errno, and print nothing; parsers fill an error.
 */
#ifndef BASE_CONFINE_H
#define BASE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/seccomp.h"

/* ---- capabilities: sets are masks of bits by number (capabilities(7)) ---- */

#define CONFINE_CAPABILITIES_CLASSIC 0xa80425fbULL /* docker's 14 */
#define CONFINE_CAPABILITIES_DEFAULT 0xa00425fbULL /* the same without MKNOD */

/* "CAP_CHOWN", … or NULL past the last that is known here (41 of them). */
const char *confine_capability_name(unsigned capability);
/* Takes CAP_NET_ADMIN, net_admin, …; -ENOENT. */
int confine_capability_find(const char *name);

/* What this process could give to a child: its permitted set. */
int confine_capabilities_held(uint64_t *out);

/*
 * --cap-add and --cap-drop as docker has them: ALL among the added means all that are
 * held but those dropped; ALL among the dropped means just those added; else base
 * without the dropped, with the added. The lists end with NULL and may be NULL. Fails
 * with ERR_INVALID in docker's words on a name nobody knows and on one that is added but
 * not held.
 */
int confine_capabilities_adjust(uint64_t base, uint64_t held, const char *const *add, const char *const *drop,
	uint64_t *out, struct err *e);

struct confine_capabilities {
	uint64_t bounding;
	uint64_t effective;
	uint64_t permitted;
	uint64_t inheritable;
	uint64_t ambient;
};

/* docker's way from one set to five: root gets it all, anybody else only the bounding set,
 * and of the rest what is in ambient too: what was asked for by name, and nothing that root
 * would have without asking. */
void confine_capabilities_for(uint64_t set, uid_t uid, uint64_t ambient, struct confine_capabilities *out);

/* ---- ids, capabilities, filter ---- */

struct confine {
	struct confine_capabilities capabilities;
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary; gid is added where it is missing */
	size_t group_count;
	bool keep_groups; /* leave them alone: a user namespace where setgroups(2) is denied */
	bool no_new_privs;
	const struct seccomp_program *filter; /* or NULL */
	unsigned filter_flags;
	int status; /* /proc/self/status, opened on a procfs that is one; -1: open /proc's own */

	int listener;       /* out: with SECCOMP_FLAG_NEW_LISTENER, else -1 */
	uint64_t ungranted; /* out: capabilities that were wanted and not held: a warning */
};

/*
 * Gives up everything that is not named: bounding set, ambient set, groups, gid, uid,
 * capabilities, and the filter where it belongs: without no_new_privs it has to go in
 * while there is CAP_SYS_ADMIN, before capabilities are dropped; with it, last. Then
 * reads /proc/self/status back; -EPROTO where that does not say what was asked for. On
 * failure *step (if not NULL) is what could not be done, for "cannot %s". The filter
 * has to allow capset, read, and prctl where there is an ambient set.
 */
int confine_apply(struct confine *confine, const char **step);

/* ---- resource limits ---- */

struct confine_rlimit {
	int resource;
	uint64_t soft; /* UINT64_MAX is unlimited */
	uint64_t hard;
	bool asked; /* by the user: then it is an error where the hard limit cannot be had */
};

/* nofile 1024:524288, core 0:unlimited, nproc unlimited, memlock 8 MiB; stack 8 MiB:unlimited;
 * fsize, cpu, as and data unlimited. */
extern const struct confine_rlimit confine_rlimit_defaults[];
extern const size_t confine_rlimit_default_count;

/* "nofile" or "RLIMIT_NOFILE" to the resource; -ENOENT. */
int confine_rlimit_find(const char *name);
/* "RLIMIT_NOFILE", or NULL. */
const char *confine_rlimit_name(int resource);
/* docker's --ulimit NAME=SOFT[:HARD], -1 for unlimited. Fails with ERR_INVALID. */
int confine_rlimit_parse(const char *text, struct confine_rlimit *out, struct err *e);
/* Sets them in order. One that was not asked for and is above the hard limit that cannot
 * be raised (no CAP_SYS_RESOURCE) is lowered to it. On failure *failed is its index. */
int confine_rlimits(const struct confine_rlimit *limits, size_t count, size_t *failed);

/* ---- what a process inherits ---- */

/* umask, signal mask and dispositions, nice value, I/O priority, scheduling policy, CPU
 * affinity, personality and parent-death signal as a fresh process has them. personality
 * is 0 or PER_LINUX32. What needs a right that is missing stays as it is. */
int confine_reset(mode_t umask_wanted, unsigned long personality_wanted);
/* proc_self is a folder of procfs. Lowering a value that was not asked for may fail. */
int confine_oom_score_adj(int proc_self, int value, bool asked);
/* A session keyring of its own named _ses.ID; 0 as well where the kernel has none or a
 * filter around us denies it. */
int confine_session_keyring(const char *id);
/* Nobody may look into this process or at its descriptors until it calls execve. */
int confine_undumpable(void);
/* Makes all descriptors from 3 + preserve on close-on-exec. */
int confine_close_fds(unsigned preserve);

/* ---- namespaces ---- */

struct confine_namespace {
	const char *name; /* runtime-spec's: "network" */
	const char *file; /* in /proc/PID/ns: "net" */
	uint64_t flag;    /* CLONE_NEW* */
};

/* All eight; the last row's name is NULL. */
extern const struct confine_namespace confine_namespaces[];
/* By name; NULL where there is no such kind. */
const struct confine_namespace *confine_namespace_find(const char *name);
/* Opens a namespace by path; -EINVAL where it is no namespace or one of another kind. */
int confine_namespace_open(int dir, const char *path, uint64_t flag);
int confine_namespace_join(int fd, uint64_t flag);

#endif
