/*
 * cgroup_v1.c - control groups of one hierarchy for each controller (or for several).
 *
 * The group is a folder of the same path in every hierarchy that a limit, a counter or
 * the freezer needs; name=systemd, net_cls and the like are left alone unless asked for
 * (a folder and a move cost some 25 µs each). On hybrid hosts the v2 tree is not used.
 * cpuset is among them although nothing by default needs it: Java finds its limits on v1
 * only where it sees all of cpu, cpuacct, cpuset and memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "runtime/cgroup_ops.h"

#define BIT(controller) (1U << (controller))

/* What a container is in without being asked. */
#define USUAL                                                                                                \
	(BIT(CGROUP_CPU) | BIT(CGROUP_CPUACCT) | BIT(CGROUP_CPUSET) | BIT(CGROUP_MEMORY) |                   \
		BIT(CGROUP_DEVICES) | BIT(CGROUP_FREEZER) | BIT(CGROUP_PIDS) | BIT(CGROUP_IO))

enum { FREEZE_MS = 1000 };

static uint32_t controllers(const struct cgroup_host *host)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < host->hierarchy_count; i++)
		bits |= host->hierarchies[i].controllers;
	return bits;
}

/* The hierarchy of a controller that the group is in, or -1. */
static int hierarchy_of(const struct cgroup *cg, enum cgroup_controller controller)
{
	for (unsigned i = 0; i < cg->host->hierarchy_count; i++) {
		if (cg->joined >> i & 1 && cg->host->hierarchies[i].controllers & BIT(controller))
			return (int)i;
	}
	return -1;
}

static bool path_in(const struct cgroup *cg, enum cgroup_controller controller, const char *file, char *out)
{
	int hierarchy = hierarchy_of(cg, controller);
	if (hierarchy >= 0)
		cgroup_file_path(cg, (unsigned)hierarchy, file, out);
	return hierarchy >= 0;
}

/* ---- settings ---- */

static int put(struct cgroup_sink *sink, enum cgroup_controller controller, const char *file,
	const char *value, const char *option, enum cgroup_need need)
{
	const struct cgroup_setting setting = {controller, file, value, option, need};
	return sink->put(sink, &setting);
}

static int put_number(struct cgroup_sink *sink, enum cgroup_controller controller, const char *file,
	int64_t value, const char *option, enum cgroup_need need)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)value);
	return put(sink, controller, file, text, option, need);
}

static int memory_settings(const struct cgroup_limits *l, bool swap_first, struct cgroup_sink *sink)
{
	/* docker warns where the kernel does not count swap. */
	if (l->memory_swap && swap_first &&
		put_number(sink, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", l->memory_swap,
			"--memory-swap", CGROUP_WISHED) < 0)
		return -1;
	if (l->memory && put_number(sink, CGROUP_MEMORY, "memory.limit_in_bytes", l->memory, "--memory",
				 CGROUP_ASKED) < 0)
		return -1;
	if (l->memory_swap && !swap_first &&
		put_number(sink, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", l->memory_swap,
			"--memory-swap", CGROUP_WISHED) < 0)
		return -1;
	if (l->memory_reservation && put_number(sink, CGROUP_MEMORY, "memory.soft_limit_in_bytes",
					     l->memory_reservation, "--memory-reservation", CGROUP_ASKED) < 0)
		return -1;
	if (l->swappiness &&
		put_number(sink, CGROUP_MEMORY, "memory.swappiness", l->swappiness < 0 ? 0 : l->swappiness,
			"--memory-swappiness", CGROUP_ASKED) < 0)
		return -1;
	if (l->oom_kill_disable &&
		put(sink, CGROUP_MEMORY, "memory.oom_control", "1", "--oom-kill-disable", CGROUP_ASKED) < 0)
		return -1;
	return 0;
}

static int cpu_settings(const struct cgroup_limits *l, struct cgroup_sink *sink)
{
	int64_t period = (int64_t)l->cpu_period;

	if (l->cpu_shares && put_number(sink, CGROUP_CPU, "cpu.shares", (int64_t)l->cpu_shares,
				     "--cpu-shares", CGROUP_ASKED) < 0)
		return -1;
	/* The kernel refuses a quota that is too small for the period it has. */
	if (!period && l->cpu_quota > 0)
		period = 100000;
	if (period &&
		put_number(sink, CGROUP_CPU, "cpu.cfs_period_us", period, "--cpu-period", CGROUP_ASKED) < 0)
		return -1;
	if (l->cpu_quota && put_number(sink, CGROUP_CPU, "cpu.cfs_quota_us", l->cpu_quota, "--cpu-quota",
				    CGROUP_ASKED) < 0)
		return -1;
	if (l->cpu_burst && put_number(sink, CGROUP_CPU, "cpu.cfs_burst_us", (int64_t)l->cpu_burst,
				    "cpu burst", CGROUP_ASKED) < 0)
		return -1;
	if (l->cpu_rt_period && put_number(sink, CGROUP_CPU, "cpu.rt_period_us", (int64_t)l->cpu_rt_period,
					"--cpu-rt-period", CGROUP_ASKED) < 0)
		return -1;
	if (l->cpu_rt_runtime && put_number(sink, CGROUP_CPU, "cpu.rt_runtime_us", l->cpu_rt_runtime,
					 "--cpu-rt-runtime", CGROUP_ASKED) < 0)
		return -1;
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

static int device_limits(struct cgroup_sink *sink, const char *file,
	const struct cgroup_device_limits *limits, const char *option)
{
	char text[64];
	for (size_t i = 0; i < limits->count; i++) {
		const struct cgroup_device_limit *limit = &limits->list[i];
		snprintf(text, sizeof text, "%u:%u %llu", limit->major, limit->minor,
			(unsigned long long)limit->value);
		if (put(sink, CGROUP_IO, file, text, option, CGROUP_ASKED) < 0)
			return -1;
	}
	return 0;
}

static int io_settings(const struct cgroup_limits *l, struct cgroup_sink *sink)
{
	/* The file is BFQ's since CFQ is gone (5.0); kernels without BFQ have neither. */
	if (l->io_weight && put_number(sink, CGROUP_IO, "blkio.bfq.weight", l->io_weight, "--blkio-weight",
				    CGROUP_ASKED) < 0)
		return -1;
	if (device_limits(sink, "blkio.bfq.weight_device", &l->io_weights, "--blkio-weight-device") < 0 ||
		device_limits(sink, "blkio.throttle.read_bps_device", &l->read_bps, "--device-read-bps") <
			0 ||
		device_limits(sink, "blkio.throttle.write_bps_device", &l->write_bps, "--device-write-bps") <
			0 ||
		device_limits(sink, "blkio.throttle.read_iops_device", &l->read_iops, "--device-read-iops") <
			0 ||
		device_limits(
			sink, "blkio.throttle.write_iops_device", &l->write_iops, "--device-write-iops") < 0)
		return -1;
	return 0;
}

int cgroup_v1_settings(const struct cgroup_limits *l, bool swap_first, struct cgroup_sink *sink)
{
	char file[64], text[24];

	if (memory_settings(l, swap_first, sink) < 0 || cpu_settings(l, sink) < 0 || io_settings(l, sink) < 0)
		return -1;
	if (l->pids || l->pids_none) {
		snprintf(text, sizeof text, "%lld", (long long)l->pids);
		if (put(sink, CGROUP_PIDS, "pids.max", l->pids < 0 ? "max" : text, "--pids-limit",
			    l->defaults & CGROUP_DEFAULT_PIDS ? CGROUP_WISHED : CGROUP_ASKED) < 0)
			return -1;
	}
	for (size_t i = 0; i < l->hugepage_count; i++) {
		const struct cgroup_hugepage_limit *limit = &l->hugepages[i];
		snprintf(text, sizeof text, "%llu", (unsigned long long)limit->limit);
		snprintf(file, sizeof file, "hugetlb.%s.limit_in_bytes", limit->size);
		if (put(sink, CGROUP_HUGETLB, file, text, "a huge page limit", CGROUP_ASKED) < 0)
			return -1;
	}
	if (l->unified_count)
		return err_set(sink->e, ERR_UNSUPPORTED, 0,
			"\"%s\" is a file of cgroup v2, and this host has v1", l->unified[0].key);
	return 0;
}

/* Older names of files, tried where the newer is missing. */
static const char *older_name(const char *file)
{
	if (!strcmp(file, "blkio.bfq.weight"))
		return "blkio.weight";
	if (!strcmp(file, "blkio.bfq.weight_device"))
		return "blkio.weight_device";
	return NULL;
}

static int write_setting(struct cgroup_sink *sink, const struct cgroup_setting *setting)
{
	char path[CGROUP_FILE_PATH];
	const char *other = older_name(setting->file);
	int error = -ENOENT;

	if (path_in(sink->cg, setting->controller, setting->file, path))
		error = cgroup_write(path, setting->value);
	if (error == -ENOENT && other && path_in(sink->cg, setting->controller, other, path))
		error = cgroup_write(path, setting->value);
	return error ? cgroup_refused(sink->cg, setting, error, sink->e) : 0;
}

/* ---- device rules ---- */

static int set_devices(struct cgroup *cg, const struct cgroup_limits *limits, struct err *e)
{
	char path[CGROUP_FILE_PATH], text[48];
	const struct cgroup_device_rule all = {.type = 'a'};

	if (!path_in(cg, CGROUP_DEVICES, "devices.deny", path)) {
		if (limits->devices_optional)
			return 0;
		err_set(e, ERR_UNSUPPORTED, 0,
			"devices cannot be kept from the container: there is no devices cgroup "
			"that can be written");
		return err_hint(
			e, "mount the devices hierarchy, or run with --privileged, which gives all devices");
	}
	auto_close int deny = fd_open(AT_FDCWD, path, O_WRONLY, 0);
	path_in(cg, CGROUP_DEVICES, "devices.allow", path);
	auto_close int allow = fd_open(AT_FDCWD, path, O_WRONLY, 0);
	int error = deny < 0 ? deny : allow < 0 ? allow : 0;
	for (size_t i = 0; !error && i <= limits->device_count; i++) {
		/* First of all nothing is allowed. */
		const struct cgroup_device_rule *rule = i ? &limits->devices[i - 1] : &all;
		cgroup_device_text(rule, text);
		error = fd_write_full(rule->allow ? allow : deny, text, strlen(text));
	}
	if (!error)
		return 0;
	if (limits->devices_optional && (error == -EPERM || error == -EACCES))
		return 0;
	err_errno(e, error, "the device rule \"%s\" cannot be set", text);
	if (error == -EPERM)
		err_hint(e, "the cgroup that brig runs in does not have that device itself");
	return -1;
}

/* ---- making ---- */

static bool is_empty_file(const char *path)
{
	char text[16];
	ssize_t size = cgroup_read(path, text, sizeof text);
	return size <= 0 || text[0] == '\n';
}

/* A cpuset without CPUs or memory nodes takes no process: it gets its parent's. */
static int fill_cpuset(const char *folder)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char from[CGROUP_FILE_PATH + 32], to[CGROUP_FILE_PATH + 32], value[4096];
	int length = (int)(strrchr(folder, '/') - folder);

	for (unsigned i = 0; i < 2; i++) {
		snprintf(to, sizeof to, "%s/%s", folder, files[i]);
		if (!is_empty_file(to))
			continue;
		snprintf(from, sizeof from, "%.*s/%s", length, folder, files[i]);
		ssize_t size = cgroup_read(from, value, sizeof value);
		int error = size < 0 ? (int)size : cgroup_write(to, value);
		if (error < 0)
			return error;
	}
	return 0;
}

/* The children of a group that we made take over its cpuset when they are made. */
static int prepare_cpuset(const char *folder, size_t top)
{
	char path[CGROUP_FILE_PATH + 32];

	if (strlen(folder) == top)
		return 0;
	int error = fill_cpuset(folder);
	snprintf(path, sizeof path, "%s/cgroup.clone_children", folder);
	return error ? error : cgroup_write(path, "1");
}

static int make_in(struct cgroup *cg, unsigned i, bool shared)
{
	const struct cgroup_hierarchy *h = &cg->host->hierarchies[i];
	bool cpuset = h->controllers & BIT(CGROUP_CPUSET);
	char folder[CGROUP_FILE_PATH], file[CGROUP_FILE_PATH];

	cgroup_file_path(cg, i, "", folder);
	int result = cgroup_make(folder, shared, cpuset ? prepare_cpuset : NULL, strlen(h->mount));
	if (result < 0 || !cpuset)
		return result;
	/* The parent may be somebody else's, who does not hand down. */
	cgroup_file_path(cg, i, "cpuset.cpus", file);
	if (!is_empty_file(file))
		return result;
	int error = fill_cpuset(folder);
	return error < 0 ? error : result;
}

static void undo(struct cgroup *cg, uint32_t made)
{
	char folder[CGROUP_FILE_PATH];

	for (unsigned i = 0; i < cg->host->hierarchy_count; i++) {
		if (made >> i & 1) {
			cgroup_file_path(cg, i, "", folder);
			cgroup_remove_folder(folder, 0);
		}
	}
	cg->joined = 0;
}

static uint32_t wanted_controllers(const struct cgroup_limits *limits)
{
	return limits->hugepage_count ? USUAL | BIT(CGROUP_HUGETLB) : USUAL;
}

static int create(struct cgroup *cg, const struct cgroup_limits *limits, struct err *e)
{
	struct cgroup_sink sink = {.put = write_setting, .cg = cg, .e = e};
	uint32_t made = 0;

	for (unsigned i = 0; i < cg->host->hierarchy_count; i++) {
		const struct cgroup_hierarchy *h = &cg->host->hierarchies[i];
		if (!limits->every_hierarchy && !(h->controllers & wanted_controllers(limits)))
			continue;
		int result = make_in(cg, i, limits->shared);
		if (result == -EROFS || result == -EACCES || result == -EPERM)
			continue; /* as if it were not there; whoever needs it says so */
		if (result < 0) {
			undo(cg, made);
			if (result == -EBUSY)
				return err_set(e, ERR_CONFLICT, 0,
					"the cgroup %s/%s is there already and in use", h->mount, cg->path);
			return err_errno(e, result, "cannot make the cgroup %s/%s", h->mount, cg->path);
		}
		if (result == 0)
			made |= 1U << i;
		cg->joined |= 1U << i;
	}
	if (cgroup_v1_settings(limits, false, &sink) < 0 ||
		(limits->devices && set_devices(cg, limits, e) < 0)) {
		undo(cg, made);
		return -1;
	}
	return 0;
}

static int open_group(struct cgroup *cg, struct err *e)
{
	char folder[CGROUP_FILE_PATH];
	struct stat st;

	for (unsigned i = 0; i < cg->host->hierarchy_count; i++) {
		cgroup_file_path(cg, i, "", folder);
		if (stat(folder, &st) == 0)
			cg->joined |= 1U << i;
	}
	if (!cg->joined)
		return err_set(e, ERR_NOT_FOUND, 0, "there is no cgroup %s", cg->path);
	return 0;
}

static int join(const struct cgroup *cg, pid_t pid, struct err *e)
{
	char path[CGROUP_FILE_PATH], text[16];
	/* A thread that moves itself needs no lock against forks everywhere (5.5), which
	 * is why "tasks" and not "cgroup.procs". */
	const char *file = pid ? "cgroup.procs" : "tasks";

	snprintf(text, sizeof text, "%d", (int)pid);
	for (unsigned i = 0; i < cg->host->hierarchy_count; i++) {
		if (!(cg->joined >> i & 1))
			continue;
		cgroup_file_path(cg, i, file, path);
		int error = cgroup_write(path, text);
		if (error)
			return err_errno(
				e, error, "cannot move process %s into %s", pid ? text : "itself", path);
	}
	return 0;
}

static int open_entries(const struct cgroup *cg, int entries[CGROUP_HIERARCHIES], struct err *e)
{
	char path[CGROUP_FILE_PATH];
	int count = 0;

	for (unsigned i = 0; i < cg->host->hierarchy_count; i++) {
		if (!(cg->joined >> i & 1))
			continue;
		cgroup_file_path(cg, i, "tasks", path);
		int fd = fd_open(AT_FDCWD, path, O_WRONLY, 0);
		if (fd < 0) {
			while (count)
				close(entries[--count]);
			return err_errno(e, fd, "cannot open %s", path);
		}
		entries[count++] = fd;
	}
	return count;
}

/* ---- later ---- */

static int update(struct cgroup *cg, const struct cgroup_limits *limits, struct err *e)
{
	struct cgroup_sink sink = {.put = write_setting, .cg = cg, .e = e};
	char path[CGROUP_FILE_PATH];
	bool swap_first = false;

	/* At no moment may memory's limit be above that of memory and swap. */
	if (limits->memory && limits->memory_swap &&
		path_in(cg, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", path)) {
		uint64_t now = cgroup_read_number(path);
		swap_first = limits->memory_swap < 0 ||
			     (now != CGROUP_NO_VALUE && (uint64_t)limits->memory_swap > now);
	}
	if (cgroup_v1_settings(limits, swap_first, &sink) < 0)
		return -1;
	return limits->devices ? set_devices(cg, limits, e) : 0;
}

static int read_state(const char *path)
{
	char text[32];
	ssize_t size = cgroup_read(path, text, sizeof text);
	if (size < 0)
		return (int)size;
	return !strncmp(text, "FROZEN", 6) ? 1 : 0;
}

static int is_frozen(const struct cgroup *cg)
{
	char path[CGROUP_FILE_PATH];
	return path_in(cg, CGROUP_FREEZER, "freezer.state", path) ? read_state(path) : -ENOENT;
}

static int freeze(const struct cgroup *cg, bool frozen, struct err *e)
{
	const char *state = frozen ? "FROZEN" : "THAWED";
	int64_t deadline = cgroup_now_ms() + FREEZE_MS;
	char path[CGROUP_FILE_PATH];

	if (!path_in(cg, CGROUP_FREEZER, "freezer.state", path))
		return err_set(
			e, ERR_UNSUPPORTED, 0, "the container cannot be paused: there is no freezer cgroup");
	for (unsigned pause = 50;; pause = pause < 10000 ? pause * 2 : pause) {
		/* Written again each time: what forked while it froze is frozen now. */
		int error = cgroup_write(path, state);
		int now = error ? error : read_state(path);
		if (now < 0)
			return err_errno(e, now, "cannot write %s", path);
		if (now == frozen)
			return 0;
		if (cgroup_now_ms() >= deadline)
			break;
		cgroup_pause_us(pause);
	}
	if (frozen)
		cgroup_write(path, "THAWED");
	return err_set(e, ERR_SYSTEM, 0, "the processes of cgroup %s did not %s within a second", cg->path,
		frozen ? "freeze" : "go on");
}

static int no_kill(const struct cgroup *cg)
{
	(void)cg;
	return -ENOENT;
}

static uint64_t number_in(const struct cgroup *cg, enum cgroup_controller controller, const char *file)
{
	char path[CGROUP_FILE_PATH];
	return path_in(cg, controller, file, path) ? cgroup_read_number(path) : CGROUP_NO_VALUE;
}

/* Reads a file of words and numbers; false leaves text empty. */
static bool text_in(
	const struct cgroup *cg, enum cgroup_controller controller, const char *file, char *text, size_t size)
{
	char path[CGROUP_FILE_PATH];
	text[0] = '\0';
	return path_in(cg, controller, file, path) && cgroup_read(path, text, size) > 0;
}

static uint64_t oom_kills(const struct cgroup *cg)
{
	char text[256];
	text_in(cg, CGROUP_MEMORY, "memory.oom_control", text, sizeof text);
	return cgroup_line_number(text, "oom_kill");
}

/* "8:0 Read 4096" for each device and kind. */
static void sum_io(const char *text, struct cgroup_stats *out)
{
	unsigned long long value;
	char kind[16];

	out->io_read = out->io_write = 0;
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		if (sscanf(line, "%*u:%*u %15s %llu", kind, &value) != 2)
			continue;
		if (!strcmp(kind, "Read"))
			out->io_read += value;
		else if (!strcmp(kind, "Write"))
			out->io_write += value;
	}
}

static void read_stats(const struct cgroup *cg, struct cgroup_stats *out)
{
	const uint64_t tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	char text[8192];

	out->cpu_ns = number_in(cg, CGROUP_CPUACCT, "cpuacct.usage");
	if (text_in(cg, CGROUP_CPUACCT, "cpuacct.stat", text, sizeof text)) {
		out->cpu_user_ns = cgroup_line_number(text, "user") * tick_ns;
		out->cpu_system_ns = cgroup_line_number(text, "system") * tick_ns;
	}
	if (text_in(cg, CGROUP_CPU, "cpu.stat", text, sizeof text)) {
		out->cpu_periods = cgroup_line_number(text, "nr_periods");
		out->cpu_throttled_periods = cgroup_line_number(text, "nr_throttled");
		out->cpu_throttled_ns = cgroup_line_number(text, "throttled_time");
	}
	out->memory = number_in(cg, CGROUP_MEMORY, "memory.usage_in_bytes");
	out->memory_limit = number_in(cg, CGROUP_MEMORY, "memory.limit_in_bytes");
	out->memory_peak = number_in(cg, CGROUP_MEMORY, "memory.max_usage_in_bytes");
	if (text_in(cg, CGROUP_MEMORY, "memory.stat", text, sizeof text)) {
		out->memory_inactive = cgroup_line_number(text, "total_inactive_file");
		out->memory_swap = cgroup_line_number(text, "total_swap");
	}
	out->oom_kills = oom_kills(cg);
	out->pids = number_in(cg, CGROUP_PIDS, "pids.current");
	out->pids_limit = number_in(cg, CGROUP_PIDS, "pids.max");
	if (text_in(cg, CGROUP_IO, "blkio.throttle.io_service_bytes", text, sizeof text))
		sum_io(text, out);
}

static bool mount_at(const struct cgroup *cg, unsigned index, struct cgroup_mount *out)
{
	for (unsigned i = 0; i < cg->host->hierarchy_count; i++) {
		const struct cgroup_hierarchy *h = &cg->host->hierarchies[i];
		if (!(cg->joined >> i & 1) || index--)
			continue;
		bool named = !strncmp(h->options, "name=", 5);
		out->type = NULL;
		out->name = named ? h->options + 5 : h->options;
		cgroup_file_path(cg, i, "", out->folder);
		return true;
	}
	return false;
}

const struct cgroup_ops cgroup_v1 = {
	.create = create,
	.open = open_group,
	.join = join,
	.open_entries = open_entries,
	.update = update,
	.freeze = freeze,
	.is_frozen = is_frozen,
	.kill = no_kill,
	.read_stats = read_stats,
	.oom_kills = oom_kills,
	.mount_at = mount_at,
	.controllers = controllers,
};
