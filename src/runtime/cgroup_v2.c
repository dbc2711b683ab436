/*
 * cgroup_v2.c - control groups of the one tree.
 *
 * Theory of operation. A controller works in a group only where its parent has it in
 * cgroup.subtree_control, and a group with that may hold no processes (the root is
 * exempt). So the parents of a container's group, the top and "brig", get all
 * controllers there are when brig's part of the tree is made; afterwards nothing of that
 * is looked at unless a limit's file turns out to be missing.
 *
 * The top is where /sys/fs/cgroup is. Where that is not the root of the tree but the
 * group that a cgroup namespace hides (brig in a container), its processes stand in the
 * way and are moved into a leaf below it, once. Where the top may not be written (a user
 * without rights), the group that brig runs in takes its place; a service manager has
 * to have delegated it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "runtime/cgroup_ops.h"

enum { FREEZE_MS = 1000, MOVES = 20 };

/* Where processes go that stand in a parent's way. */
#define LEAF "brig-leaf"

static const char *const handed_down[] = {"cpu", "cpuset", "io", "memory", "pids", "hugetlb", "rdma", "misc"};

/* ---- settings ---- */

static int put(struct cgroup_sink *sink, enum cgroup_controller controller, const char *file,
	const char *value, const char *option, enum cgroup_need need)
{
	const struct cgroup_setting setting = {controller, file, value, option, need};
	return sink->put(sink, &setting);
}

/* A number, or "max" where it is negative. */
static int put_limit(struct cgroup_sink *sink, enum cgroup_controller controller, const char *file,
	int64_t value, const char *option, enum cgroup_need need)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)value);
	return put(sink, controller, file, value < 0 ? "max" : text, option, need);
}

static int memory_settings(const struct cgroup_limits *l, struct cgroup_sink *sink)
{
	if (l->memory &&
		put_limit(sink, CGROUP_MEMORY, "memory.max", l->memory, "--memory", CGROUP_ASKED) < 0)
		return -1;
	/* docker counts memory and swap together, v2 swap alone. */
	int64_t swap = l->memory_swap < 0 || l->memory < 0 ? -1 : l->memory_swap - l->memory;
	if (l->memory_swap &&
		put_limit(sink, CGROUP_MEMORY, "memory.swap.max", swap, "--memory-swap", CGROUP_WISHED) < 0)
		return -1;
	if (l->memory_reservation && put_limit(sink, CGROUP_MEMORY, "memory.low", l->memory_reservation,
					     "--memory-reservation", CGROUP_ASKED) < 0)
		return -1;
	if (l->swappiness &&
		put(sink, CGROUP_MEMORY, "memory.swappiness", "", "--memory-swappiness", CGROUP_WISHED) < 0)
		return -1;
	if (l->oom_kill_disable &&
		put(sink, CGROUP_MEMORY, "memory.oom_control", "", "--oom-kill-disable", CGROUP_WISHED) < 0)
		return -1;
	return 0;
}

static int cpu_settings(const struct cgroup_limits *l, struct cgroup_sink *sink)
{
	char text[64];

	if (l->cpu_shares &&
		put_limit(sink, CGROUP_CPU, "cpu.weight", (int64_t)cgroup_weight_of_shares(l->cpu_shares),
			"--cpu-shares", CGROUP_ASKED) < 0)
		return -1;
	if (l->cpu_quota || l->cpu_period) {
		unsigned long long period = l->cpu_period ? l->cpu_period : 100000;
		if (l->cpu_quota > 0)
			snprintf(text, sizeof text, "%lld %llu", (long long)l->cpu_quota, period);
		else
			snprintf(text, sizeof text, "max %llu", period);
		if (put(sink, CGROUP_CPU, "cpu.max", text, l->cpu_quota ? "--cpu-quota" : "--cpu-period",
			    CGROUP_ASKED) < 0)
			return -1;
	}
	if (l->cpu_burst && put_limit(sink, CGROUP_CPU, "cpu.max.burst", (int64_t)l->cpu_burst, "cpu burst",
				    CGROUP_ASKED) < 0)
		return -1;
	if (l->cpu_rt_runtime || l->cpu_rt_period)
		return err_set(sink->e, ERR_UNSUPPORTED, 0,
			"--cpu-rt-runtime cannot be obeyed: cgroup v2 has no real-time budgets");
	if (l->cpu_idle && put(sink, CGROUP_CPU, "cpu.idle", "1", "cpu idle", CGROUP_ASKED) < 0)
		return -1;
	if (l->cpuset_cpus &&
		put(sink, CGROUP_CPUSET, "cpuset.cpus", l->cpuset_cpus, "--cpuset-cpus", CGROUP_ASKED) < 0)
		return -1;
	if (l->cpuset_mems &&
		put(sink, CGROUP_CPUSET, "cpuset.mems", l->cpuset_mems, "--cpuset-mems", CGROUP_ASKED) < 0)
		return -1;
	return 0;
}

static int device_limits(struct cgroup_sink *sink, const char *key, const struct cgroup_device_limits *limits,
	const char *option)
{
	char text[80];
	for (size_t i = 0; i < limits->count; i++) {
		const struct cgroup_device_limit *limit = &limits->list[i];
		snprintf(text, sizeof text, "%u:%u %s%llu", limit->major, limit->minor, key,
			(unsigned long long)limit->value);
		if (put(sink, CGROUP_IO, *key ? "io.max" : "io.bfq.weight", text, option, CGROUP_ASKED) < 0)
			return -1;
	}
	return 0;
}

static int io_settings(const struct cgroup_limits *l, struct cgroup_sink *sink)
{
	if (l->io_weight &&
		put_limit(sink, CGROUP_IO, "io.bfq.weight", l->io_weight, "--blkio-weight", CGROUP_ASKED) < 0)
		return -1;
	if (device_limits(sink, "", &l->io_weights, "--blkio-weight-device") < 0 ||
		device_limits(sink, "rbps=", &l->read_bps, "--device-read-bps") < 0 ||
		device_limits(sink, "wbps=", &l->write_bps, "--device-write-bps") < 0 ||
		device_limits(sink, "riops=", &l->read_iops, "--device-read-iops") < 0 ||
		device_limits(sink, "wiops=", &l->write_iops, "--device-write-iops") < 0)
		return -1;
	return 0;
}

/* Which controller a file of v2 belongs to, for the message. */
static enum cgroup_controller controller_of(const char *key)
{
	for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++) {
		const char *name = cgroup_controller_name((enum cgroup_controller)i, 2);
		size_t length = strlen(name);
		if (length && !strncmp(key, name, length) && key[length] == '.')
			return (enum cgroup_controller)i;
	}
	return CGROUP_MISC;
}

int cgroup_v2_settings(const struct cgroup_limits *l, struct cgroup_sink *sink)
{
	char file[64];

	if (memory_settings(l, sink) < 0 || cpu_settings(l, sink) < 0 || io_settings(l, sink) < 0)
		return -1;
	if ((l->pids || l->pids_none) &&
		put_limit(sink, CGROUP_PIDS, "pids.max", l->pids, "--pids-limit",
			l->defaults & CGROUP_DEFAULT_PIDS ? CGROUP_WISHED : CGROUP_ASKED) < 0)
		return -1;
	for (size_t i = 0; i < l->hugepage_count; i++) {
		snprintf(file, sizeof file, "hugetlb.%s.max", l->hugepages[i].size);
		if (put_limit(sink, CGROUP_HUGETLB, file, (int64_t)l->hugepages[i].limit, "a huge page limit",
			    CGROUP_ASKED) < 0)
			return -1;
	}
	for (size_t i = 0; i < l->unified_count; i++) {
		const struct cgroup_pair *pair = &l->unified[i];
		if (put(sink, controller_of(pair->key), pair->key, pair->value, pair->key, CGROUP_ASKED) < 0)
			return -1;
	}
	return 0;
}

/* ---- the tree ---- */

/* Whether a list of words ("cpu io memory") has one. */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);
	for (const char *at = list; *at; at += strcspn(at, " \n"), at += strspn(at, " \n")) {
		if (strcspn(at, " \n") == length && !memcmp(at, word, length))
			return true;
	}
	return false;
}

/* Moves the processes of a group that is to have controllers below it into a leaf. */
static int clear_way(const char *folder)
{
	char leaf[CGROUP_FILE_PATH + 32], from[CGROUP_FILE_PATH + 32], to[CGROUP_FILE_PATH + 64];

	snprintf(leaf, sizeof leaf, "%s/%s", folder, LEAF);
	snprintf(from, sizeof from, "%s/cgroup.procs", folder);
	snprintf(to, sizeof to, "%s/cgroup.procs", leaf);
	if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
		return -errno;
	for (unsigned round = 0; round < MOVES; round++) {
		auto_buf struct buf pids = {0};
		auto_close int fd = fd_open(AT_FDCWD, from, O_RDONLY, 0);
		int error = fd < 0 ? fd : fd_slurp(fd, 16 << 20, &pids);
		if (error)
			return error;
		if (!pids.length)
			return 0;
		for (char *line = pids.data, *next; line && *line; line = next) {
			next = strchr(line, '\n');
			if (next)
				*next++ = '\0';
			/* Gone meanwhile, or a thread of the kernel: seen in the next round. */
			error = cgroup_write(to, line);
			if (error && error != -ESRCH && error != -EINVAL)
				return error;
		}
	}
	return -EBUSY;
}

/* Gives a group's children every controller that the group has. */
static int hand_down(const char *folder, size_t top)
{
	char path[CGROUP_FILE_PATH + 32], there[256], enabled[256], text[128] = "";
	size_t length = 0;

	(void)top;
	snprintf(path, sizeof path, "%s/cgroup.controllers", folder);
	ssize_t size = cgroup_read(path, there, sizeof there);
	snprintf(path, sizeof path, "%s/cgroup.subtree_control", folder);
	if (size >= 0)
		size = cgroup_read(path, enabled, sizeof enabled);
	if (size < 0)
		return (int)size;
	for (unsigned i = 0; i < sizeof handed_down / sizeof *handed_down; i++) {
		if (has_word(there, handed_down[i]) && !has_word(enabled, handed_down[i]))
			length += (size_t)snprintf(text + length, sizeof text - length, "%s+%s",
				length ? " " : "", handed_down[i]);
	}
	if (!length)
		return 0;
	int error = cgroup_write(path, text);
	if (error == -EBUSY && clear_way(folder) == 0)
		error = cgroup_write(path, text);
	if (!error)
		return 0;
	/* One that cannot be had (cpu, with real-time processes about) takes all with it. */
	for (char *word = text, *next; word && *word; word = next) {
		next = strchr(word, ' ');
		if (next)
			*next++ = '\0';
		cgroup_write(path, word);
	}
	/* What is missing is missed when a limit needs it. */
	return 0;
}

/* hand_down for every parent of the group, from the top. */
static void hand_down_path(const struct cgroup *cg)
{
	char folder[CGROUP_FILE_PATH];
	size_t top = strlen(cg->host->hierarchies[0].mount);

	cgroup_file_path(cg, 0, "", folder);
	for (size_t i = top; folder[i]; i++) {
		if (folder[i] == '/') {
			folder[i] = '\0';
			hand_down(folder, top);
			folder[i] = '/';
		}
	}
}

/* Puts the group that this process is in before the path. Its length in the new path, or
 * -errno where there is none. */
static int use_own_group(struct cgroup *cg)
{
	char text[4096], joined[CGROUP_PATH];
	ssize_t size = cgroup_read("/proc/self/cgroup", text, sizeof text);
	const char *line = size < 0 ? NULL : !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");

	if (!line)
		return -ENOENT;
	line += *line == '\n';
	line += strlen("0::/");
	size_t length = strcspn(line, "\n");
	/* Already moved out of the way by an earlier command. */
	if (length >= strlen(LEAF) && !memcmp(line + length - strlen(LEAF), LEAF, strlen(LEAF)) &&
		(length == strlen(LEAF) || line[length - strlen(LEAF) - 1] == '/'))
		length -= strlen(LEAF) + (length > strlen(LEAF));
	if (!length || !strncmp(line, "..", 2))
		return -ENOENT; /* the top itself, or outside of what is mounted here */
	if (snprintf(joined, sizeof joined, "%.*s/%s", (int)length, line, cg->path) >= (int)sizeof joined)
		return -ENAMETOOLONG;
	memcpy(cg->path, joined, strlen(joined) + 1);
	return (int)length;
}

static int write_setting(struct cgroup_sink *sink, const struct cgroup_setting *setting)
{
	struct cgroup *cg = sink->cg;
	int error = -ENOENT;

	if (cg->fd >= 0 && *setting->value) {
		auto_close int fd = fd_open(cg->fd, setting->file, O_WRONLY, 0);
		error = fd < 0 ? fd : fd_write_full(fd, setting->value, strlen(setting->value));
		if (error == -ENOENT && !strncmp(setting->file, "io.bfq.weight", 13)) {
			/* The other scheduler's file: 1 to 10000 for BFQ's 1 to 1000. */
			char text[80];
			const char *last = strrchr(setting->value, ' ');
			unsigned long weight = strtoul(last ? last + 1 : setting->value, NULL, 10);
			weight = weight < 10 ? 1 : 1 + (weight - 10) * 9999 / 990;
			snprintf(text, sizeof text, "%.*s%lu", last ? (int)(last + 1 - setting->value) : 0,
				setting->value, weight);
			auto_close int other = fd_open(cg->fd, "io.weight", O_WRONLY, 0);
			error = other < 0 ? other : fd_write_full(other, text, strlen(text));
		}
	}
	return error ? cgroup_refused(cg, setting, error, sink->e) : 0;
}

/* Whether limits need a controller that the group's parent does not hand down. */
static bool lacks_controllers(const struct cgroup *cg)
{
	auto_close int fd = fd_open(cg->fd, "pids.max", O_RDONLY, 0);
	return fd == -ENOENT;
}

static int set_devices(const struct cgroup *cg, const struct cgroup_limits *limits, struct err *e)
{
	int error = cg->fd < 0 ? -EROFS : cgroup_device_attach(cg->fd, limits->devices, limits->device_count);

	if (!error || limits->devices_optional)
		return 0;
	err_errno(e, error,
		"devices cannot be kept from the container: cannot attach a BPF program to its cgroup");
	return err_hint(e,
		"run brig as root on a host whose cgroups can be written, or with --privileged, which gives "
		"all devices");
}

static int create(struct cgroup *cg, const struct cgroup_limits *limits, struct err *e)
{
	struct cgroup_sink sink = {.put = write_setting, .cg = cg, .e = e};
	size_t top = strlen(cg->host->hierarchies[0].mount);
	char folder[CGROUP_FILE_PATH];

	cgroup_file_path(cg, 0, "", folder);
	int result = cgroup_make(folder, limits->shared, hand_down, top);
	bool refused = result == -EACCES || result == -EPERM;
	int own = refused ? use_own_group(cg) : -1;
	if (own > 0) {
		cgroup_file_path(cg, 0, "", folder);
		result = cgroup_make(folder, limits->shared, hand_down, top + 1 + (size_t)own);
		refused = result == -EACCES || result == -EPERM;
	}
	if (refused || result == -EROFS) {
		/* As on a host without any controller; whoever needs one says so. */
		cg->path[0] = '\0';
		cgroup_warn(cg, "the container has no cgroup of its own: the tree cannot be written");
	} else if (result == -EBUSY) {
		return err_set(e, ERR_CONFLICT, 0, "the cgroup %s is there already and in use", folder);
	} else if (result < 0) {
		return err_errno(e, result, "cannot make the cgroup %s", folder);
	} else {
		cg->fd = fd_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
		if (cg->fd >= 0 && lacks_controllers(cg))
			hand_down_path(cg);
	}

	if (cgroup_v2_settings(limits, &sink) < 0 || (limits->devices && set_devices(cg, limits, e) < 0)) {
		close_fd(&cg->fd);
		if (result == 0)
			cgroup_remove_folder(folder, 0);
		return -1;
	}
	return 0;
}

static int open_group(struct cgroup *cg, struct err *e)
{
	char folder[CGROUP_FILE_PATH];

	cgroup_file_path(cg, 0, "", folder);
	int fd = fd_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
	if (fd == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, 0, "there is no cgroup %s", folder);
	if (fd < 0)
		return err_errno(e, fd, "cannot open the cgroup %s", folder);
	cg->fd = fd;
	return 0;
}

static int join(const struct cgroup *cg, pid_t pid, struct err *e)
{
	char text[16];

	if (cg->fd < 0)
		return 0; /* it has none, and create said so */
	snprintf(text, sizeof text, "%d", (int)pid);
	auto_close int fd = fd_open(cg->fd, "cgroup.procs", O_WRONLY, 0);
	int error = fd < 0 ? fd : fd_write_full(fd, text, strlen(text));
	if (error)
		return err_errno(e, error, "cannot move process %s into the cgroup %s", pid ? text : "itself",
			cg->path);
	return 0;
}

/* ---- later ---- */

static int update(struct cgroup *cg, const struct cgroup_limits *limits, struct err *e)
{
	struct cgroup_sink sink = {.put = write_setting, .cg = cg, .e = e};
	if (cgroup_v2_settings(limits, &sink) < 0)
		return -1;
	return limits->devices ? set_devices(cg, limits, e) : 0;
}

static ssize_t read_at(const struct cgroup *cg, const char *file, char *out, size_t size)
{
	out[0] = '\0';
	auto_close int fd = cg->fd < 0 ? -ENOENT : fd_open(cg->fd, file, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	ssize_t length = fd_read_full(fd, out, size - 1);
	out[length < 0 ? 0 : length] = '\0';
	return length;
}

static int is_frozen(const struct cgroup *cg)
{
	char text[256];
	ssize_t size = read_at(cg, "cgroup.events", text, sizeof text);
	return size < 0 ? (int)size : cgroup_line_number(text, "frozen") == 1;
}

static int freeze(const struct cgroup *cg, bool frozen, struct err *e)
{
	int64_t deadline = cgroup_now_ms() + FREEZE_MS;
	char text[256];

	/* Opened before the write, so that no change of it is missed. */
	auto_close int events = cg->fd < 0 ? -ENOENT : fd_open(cg->fd, "cgroup.events", O_RDONLY, 0);
	auto_close int fd = cg->fd < 0 ? -ENOENT : fd_open(cg->fd, "cgroup.freeze", O_WRONLY, 0);
	int error = fd < 0 ? fd : events < 0 ? events : fd_write_full(fd, frozen ? "1" : "0", 1);
	if (error == -ENOENT)
		return err_set(
			e, ERR_UNSUPPORTED, 0, "the container cannot be paused: it has no cgroup of its own");
	if (error)
		return err_errno(e, error, "cannot write cgroup.freeze of %s", cg->path);
	for (;;) {
		ssize_t size = pread(events, text, sizeof text - 1, 0);
		if (size < 0)
			return err_errno(e, errno, "cannot read cgroup.events of %s", cg->path);
		text[size] = '\0';
		if (cgroup_line_number(text, "frozen") == frozen)
			return 0;
		int64_t left = deadline - cgroup_now_ms();
		if (left <= 0)
			break;
		struct pollfd wait = {.fd = events, .events = POLLPRI};
		poll(&wait, 1, (int)left);
	}
	if (frozen && pwrite(fd, "0", 1, 0) < 0)
		return err_errno(e, errno, "cannot write cgroup.freeze of %s", cg->path);
	return err_set(e, ERR_SYSTEM, 0, "the processes of cgroup %s did not %s within a second", cg->path,
		frozen ? "freeze" : "go on");
}

static int kill_all(const struct cgroup *cg)
{
	auto_close int fd = cg->fd < 0 ? -ENOENT : fd_open(cg->fd, "cgroup.kill", O_WRONLY, 0);
	return fd < 0 ? fd : fd_write_full(fd, "1", 1);
}

static uint64_t number_at(const struct cgroup *cg, const char *file)
{
	char text[64];
	if (read_at(cg, file, text, sizeof text) <= 0 || text[0] < '0' || text[0] > '9')
		return CGROUP_NO_VALUE;
	return strtoull(text, NULL, 10);
}

static uint64_t oom_kills(const struct cgroup *cg)
{
	char text[512];
	read_at(cg, "memory.events", text, sizeof text);
	return cgroup_line_number(text, "oom_kill");
}

/* "8:0 rbytes=4096 wbytes=0 rios=…" for each device. */
static void sum_io(const char *text, struct cgroup_stats *out)
{
	out->io_read = out->io_write = 0;
	for (const char *at = strstr(text, "bytes="); at; at = strstr(at + 1, "bytes=")) {
		uint64_t value = strtoull(at + strlen("bytes="), NULL, 10);
		if (at > text && at[-1] == 'r')
			out->io_read += value;
		else if (at > text && at[-1] == 'w')
			out->io_write += value;
	}
}

/* Microseconds of a line as nanoseconds. */
static uint64_t line_ns(const char *text, const char *word)
{
	uint64_t us = cgroup_line_number(text, word);
	return us == CGROUP_NO_VALUE ? us : us * 1000;
}

static void read_stats(const struct cgroup *cg, struct cgroup_stats *out)
{
	char text[8192];

	if (read_at(cg, "cpu.stat", text, sizeof text) > 0) {
		out->cpu_ns = line_ns(text, "usage_usec");
		out->cpu_user_ns = line_ns(text, "user_usec");
		out->cpu_system_ns = line_ns(text, "system_usec");
		out->cpu_periods = cgroup_line_number(text, "nr_periods");
		out->cpu_throttled_periods = cgroup_line_number(text, "nr_throttled");
		out->cpu_throttled_ns = line_ns(text, "throttled_usec");
	}
	out->memory = number_at(cg, "memory.current");
	out->memory_limit = number_at(cg, "memory.max");
	out->memory_peak = number_at(cg, "memory.peak");
	out->memory_swap = number_at(cg, "memory.swap.current");
	if (read_at(cg, "memory.stat", text, sizeof text) > 0)
		out->memory_inactive = cgroup_line_number(text, "inactive_file");
	out->oom_kills = oom_kills(cg);
	out->pids = number_at(cg, "pids.current");
	out->pids_limit = number_at(cg, "pids.max");
	if (read_at(cg, "io.stat", text, sizeof text) >= 0)
		sum_io(text, out);
}

static bool mount_at(const struct cgroup *cg, unsigned index, struct cgroup_mount *out)
{
	*out = (struct cgroup_mount){.type = "cgroup2", .name = ""};
	return index == 0 && *cg->path;
}

static uint32_t controllers(const struct cgroup_host *host)
{
	char path[128], text[256];
	uint32_t bits = 0;

	snprintf(path, sizeof path, "%s/cgroup.controllers", host->hierarchies[0].mount);
	if (cgroup_read(path, text, sizeof text) < 0)
		return 0;
	for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++) {
		const char *name = cgroup_controller_name((enum cgroup_controller)i, 2);
		if (*name && has_word(text, name))
			bits |= 1U << i;
	}
	return bits;
}

const struct cgroup_ops cgroup_v2 = {
	.create = create,
	.open = open_group,
	.join = join,
	.update = update,
	.freeze = freeze,
	.is_frozen = is_frozen,
	.kill = kill_all,
	.read_stats = read_stats,
	.oom_kills = oom_kills,
	.mount_at = mount_at,
	.controllers = controllers,
};
