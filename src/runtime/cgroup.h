/*
 * cgroup.h - control groups: limits, device rules, freezing, killing, counting.
 *
 * One interface over two kernels' worth of files: cgroup v1 (and hybrid hosts, whose
 * controllers are v1's) and v2. A container has one path, "brig/ID", below the top of
 * each v1 hierarchy or of the one v2 tree. The one thing to know: nothing is read to find
 * out what is there; files are written, and only a failure looks for the reason.
 *
 * Order: cgroup_probe, cgroup_create (limits and device rules are in force from here
 * on), then the process gets in (v1: it calls cgroup_enter itself; v2: clone3 with
 * CLONE_INTO_CGROUP and cgroup.fd), then it unshares its cgroup namespace. Later
 * commands find the group again with cgroup_open and the path from the state.
 */
#ifndef RUNTIME_CGROUP_H
#define RUNTIME_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define CGROUP_PATH      512 /* bytes of a path with its NUL */
#define CGROUP_UNLIMITED (-1)

enum cgroup_controller {
	CGROUP_CPU,
	CGROUP_CPUACCT, /* v1 */
	CGROUP_CPUSET,
	CGROUP_MEMORY,
	CGROUP_DEVICES, /* v1; v2 has a BPF program */
	CGROUP_FREEZER, /* v1 */
	CGROUP_PIDS,
	CGROUP_IO, /* v1 calls it blkio */
	CGROUP_HUGETLB,
	CGROUP_RDMA,
	CGROUP_MISC,
	CGROUP_NET_CLS,    /* v1 */
	CGROUP_NET_PRIO,   /* v1 */
	CGROUP_PERF_EVENT, /* v1 */
	CGROUP_CONTROLLERS,
};

enum { CGROUP_HIERARCHIES = 16 };

struct cgroup_hierarchy {
	uint32_t controllers; /* bits by enum cgroup_controller; 0 for name=systemd */
	char options[56];     /* v1's mount options: "cpu,cpuacct", "name=systemd" */
	char mount[64];       /* "/sys/fs/cgroup/cpu,cpuacct" */
};

/* What this host has. */
struct cgroup_host {
	const struct cgroup_ops *ops;
	int version; /* 1 or 2; 0: no cgroups at all */
	unsigned hierarchy_count;
	struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES]; /* v2: one */
};

enum { CGROUP_READ = 1, CGROUP_WRITE = 2, CGROUP_MKNOD = 4 };

struct cgroup_device_rule {
	char type;      /* 'b', 'c', or 'a' for every device there is */
	bool allow;     /* else deny */
	uint8_t access; /* CGROUP_READ | … */
	int32_t major;  /* -1: all */
	int32_t minor;
};

/* What every container may use: null, zero, full, random, urandom, tty, console, ptmx
 * and terminals. For "c *:* m" (mknod of anything, with CAP_MKNOD only) add a rule. */
extern const struct cgroup_device_rule cgroup_device_defaults[];
extern const size_t cgroup_device_default_count;

/* A limit on one block device. */
struct cgroup_device_limit {
	uint32_t major;
	uint32_t minor;
	uint64_t value; /* bytes or operations a second, or a weight */
};

struct cgroup_device_limits {
	const struct cgroup_device_limit *list;
	size_t count;
};

struct cgroup_hugepage_limit {
	const char *size; /* "2MB" */
	uint64_t limit;   /* bytes */
};

struct cgroup_pair {
	const char *key;
	const char *value;
};

/* Limits that nobody asked for: where they cannot be had there is a warning, no error. */
enum { CGROUP_DEFAULT_PIDS = 1, CGROUP_DEFAULT_SWAP = 2 };

/* Zero is "leave it as it is" everywhere. */
struct cgroup_limits {
	int64_t memory;             /* bytes, or CGROUP_UNLIMITED */
	int64_t memory_swap;        /* memory and swap together, as docker counts; or CGROUP_UNLIMITED */
	int64_t memory_reservation; /* bytes, or CGROUP_UNLIMITED */
	int64_t swappiness;         /* 1 to 100, v1 only; -1 for 0 */
	bool oom_kill_disable;      /* v1 only */

	uint64_t cpu_shares;    /* v1's, 2 to 262144; v2 gets a weight from it */
	int64_t cpu_quota;      /* microseconds a period, or CGROUP_UNLIMITED */
	uint64_t cpu_period;    /* microseconds; 0 with a quota: 100,000 */
	uint64_t cpu_burst;     /* microseconds */
	int64_t cpu_rt_runtime; /* microseconds, v1 only */
	uint64_t cpu_rt_period;
	bool cpu_idle;
	const char *cpuset_cpus; /* "0-3,7" */
	const char *cpuset_mems;

	int64_t pids;   /* or CGROUP_UNLIMITED */
	bool pids_none; /* pids is a limit of 0: no further process */

	uint16_t io_weight; /* 10 to 1000 */
	struct cgroup_device_limits io_weights;
	struct cgroup_device_limits read_bps, write_bps, read_iops, write_iops;

	const struct cgroup_hugepage_limit *hugepages;
	size_t hugepage_count;
	const struct cgroup_pair *unified; /* v2's files by name, written last */
	size_t unified_count;

	/* NULL: no rules, every device is allowed that the parent group allows. Else all
	 * are denied but those that the rules allow, read in their order. */
	const struct cgroup_device_rule *devices;
	size_t device_count;
	/* In a user namespace mknod makes nothing usable, and BPF is not to be had. */
	bool devices_optional;

	uint32_t defaults;    /* CGROUP_DEFAULT_* */
	bool shared;          /* the group may be there already and have processes: join it */
	bool every_hierarchy; /* v1: also those that brig itself needs nothing from */
};

struct cgroup {
	const struct cgroup_host *host; /* borrowed */
	char path[CGROUP_PATH];         /* below the top: "brig/ID"; this is what state keeps */
	int fd;                         /* v2: the folder, for CLONE_INTO_CGROUP; v1: -1 */
	uint32_t joined;                /* v1: bits of the hierarchies that have it */
	char warning[256];              /* "" or what defaults could not be had */
};

/* Looks at /sys/fs/cgroup: one statfs(2) on v2, and one file more on v1. */
int cgroup_probe(struct cgroup_host *host, struct err *e);

/* The controllers a container can be limited by, as bits. Reads a file on v2. */
uint32_t cgroup_controllers(const struct cgroup_host *host);
/* The kernel's name of a controller: "memory"; v1's is blkio where v2's is io. */
const char *cgroup_controller_name(enum cgroup_controller controller, int version);

/*
 * Makes the group with its limits and device rules. path is relative to the top or
 * absolute from it; each part holds letters, digits and _.:@- and is no "." or "..".
 * An empty group of that name that something left behind is replaced; one with
 * processes is ERR_CONFLICT unless limits->shared. A limit the host cannot hold is
 * ERR_UNSUPPORTED and names docker's option. On failure nothing is left. Close cg with
 * cgroup_close.
 */
int cgroup_create(const struct cgroup_host *host, const char *path, const struct cgroup_limits *limits,
	struct cgroup *cg, struct err *e);

/* Finds a group again by cg->path of before. ERR_NOT_FOUND. */
int cgroup_open(const struct cgroup_host *host, const char *path, struct cgroup *cg, struct err *e);
/* Closes what the struct holds; the group stays. Takes a zeroed struct and NULL. */
void cgroup_close(struct cgroup *cg);
#define auto_cgroup __attribute__((cleanup(cgroup_close)))

/*
 * Moves the calling process, which has one thread, into the group. This is how a
 * container's first process gets in on v1: moving another process makes the kernel wait
 * for all CPUs (1 to 20 ms where no group was joined just before), moving oneself does
 * not (20 µs a hierarchy at most). On v2 clone3 into cgroup.fd is free of that, this is
 * not. A group that could not be made (see warning) is left out.
 */
int cgroup_enter(const struct cgroup *cg, struct err *e);
/* Moves another process, as this process sees its pid, into the group: slow, see above.
 * 0 is cgroup_enter. */
int cgroup_join(const struct cgroup *cg, pid_t pid, struct err *e);
/* cgroup_enter in two halves, for a process that will not see /sys/fs/cgroup any more: opens
 * what it writes "0" into, one descriptor for each hierarchy of v1. Returns how many; none
 * on v2, where it is born in the group. */
int cgroup_open_entries(const struct cgroup *cg, int entries[CGROUP_HIERARCHIES], struct err *e);
/* Changes limits of a live group: only what is not zero. Device rules are replaced as a
 * whole. */
int cgroup_update(struct cgroup *cg, const struct cgroup_limits *limits, struct err *e);

/* Freezes all processes or lets them run again, and waits until they do; at most a
 * second, and then they are left running. */
int cgroup_freeze(const struct cgroup *cg, bool frozen, struct err *e);
/* Whether it is frozen: 1 or 0, or -errno. */
int cgroup_is_frozen(const struct cgroup *cg);
/* Sends a signal to every process, those of nested groups included, and none that
 * forks meanwhile gets away. SIGKILL also reaches the frozen. */
int cgroup_kill(const struct cgroup *cg, int signal, struct err *e);

struct cgroup_pids {
	pid_t *list;
	size_t count;
	size_t room;
};

/* All processes, those of nested groups included. Free list with cgroup_pids_free. */
int cgroup_list(const struct cgroup *cg, struct cgroup_pids *out, struct err *e);
void cgroup_pids_free(struct cgroup_pids *pids);
/* Whether there is any: 1 or 0, or -errno; -ENOENT where the group is gone. */
int cgroup_populated(const struct cgroup *cg);

/* Removes the group and those that the container made in it. Waits up to a second for
 * processes that are on their way out. What is not there any more is success. */
int cgroup_remove(const struct cgroup *cg, struct err *e);

#define CGROUP_NO_VALUE UINT64_MAX /* not counted here; as a limit: there is none */

struct cgroup_stats {
	uint64_t cpu_ns, cpu_user_ns, cpu_system_ns;
	uint64_t cpu_periods, cpu_throttled_periods, cpu_throttled_ns;
	uint64_t memory;          /* bytes */
	uint64_t memory_inactive; /* page cache that docker subtracts */
	uint64_t memory_limit, memory_peak, memory_swap;
	uint64_t oom_kills;
	uint64_t pids, pids_limit;
	uint64_t io_read, io_write; /* bytes */
};

int cgroup_read_stats(const struct cgroup *cg, struct cgroup_stats *out, struct err *e);
/* How many processes the kernel killed for want of memory; 0 where that is not counted. */
uint64_t cgroup_oom_kills(const struct cgroup *cg);

/* What to mount inside the container, read-only, after its cgroup namespace was made. */
struct cgroup_mount {
	const char *type;               /* "cgroup2"; NULL: the folder is bound */
	const char *name;               /* below /sys/fs/cgroup, which is a tmpfs; "": that place itself */
	char folder[CGROUP_PATH + 160]; /* the group's own on the host, on v1 */
};

/* The index'th of them, from 0; false past the last. Only hierarchies the group is in:
 * in others the container would see the host's groups. */
bool cgroup_mount_at(const struct cgroup *cg, unsigned index, struct cgroup_mount *out);

/* cpu.weight (1 to 10000) for v1's shares, as runc has it now: 1024 is 100, 512 is 59. */
uint64_t cgroup_weight_of_shares(uint64_t shares);

#endif
