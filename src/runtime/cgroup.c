/*
 * cgroup.c - finding the host's cgroups, and all that is the same in both versions.
 *
 * Killing without cgroup.kill (v1, and v2 before 5.14): the group is frozen, so that
 * nobody forks or exits, its processes are listed and each gets its signal through a
 * pidfd, and it is thawed. Where freezing fails, a process counts only if it is in the
 * list again after its pidfd was opened: a number that was reused is not.
 */
#include "runtime/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "runtime/cgroup_ops.h"

#define TOP "/sys/fs/cgroup"

enum {
	WAIT_MS = 1000, /* for processes that are leaving */
	KILL_ROUNDS = 50,
	NESTING = 32, /* groups in groups that a container may have made */
	PROC_FILE_LIMIT = 1 << 20,
	PIDS_FILE_LIMIT = 64 << 20,
};

static const struct {
	char v1[12];
	char v2[12];
} controller_names[CGROUP_CONTROLLERS] = {
	[CGROUP_CPU] = {"cpu", "cpu"},
	[CGROUP_CPUACCT] = {"cpuacct", ""},
	[CGROUP_CPUSET] = {"cpuset", "cpuset"},
	[CGROUP_MEMORY] = {"memory", "memory"},
	[CGROUP_DEVICES] = {"devices", ""},
	[CGROUP_FREEZER] = {"freezer", ""},
	[CGROUP_PIDS] = {"pids", "pids"},
	[CGROUP_IO] = {"blkio", "io"},
	[CGROUP_HUGETLB] = {"hugetlb", "hugetlb"},
	[CGROUP_RDMA] = {"rdma", "rdma"},
	[CGROUP_MISC] = {"misc", "misc"},
	[CGROUP_NET_CLS] = {"net_cls", ""},
	[CGROUP_NET_PRIO] = {"net_prio", ""},
	[CGROUP_PERF_EVENT] = {"perf_event", ""},
};

const char *cgroup_controller_name(enum cgroup_controller controller, int version)
{
	return version == 2 ? controller_names[controller].v2 : controller_names[controller].v1;
}

/* ---- probing ---- */

static bool has_magic(const char *path, unsigned long magic)
{
	struct statfs fs;
	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == magic;
}

/* "cpu,cpuacct" to bits; words that are no controllers ("name=systemd") give none. */
static uint32_t controllers_of(const char *list)
{
	uint32_t bits = 0;
	while (*list) {
		size_t length = strcspn(list, ",");
		for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++) {
			const char *name = controller_names[i].v1;
			if (strlen(name) == length && !memcmp(name, list, length))
				bits |= 1U << i;
		}
		list += length + (list[length] == ',');
	}
	return bits;
}

/* Whether the comma-separated options have all words of list, which is as the kernel
 * prints it; other options may stand around them. */
static bool options_have(const char *options, const char *list)
{
	for (; *list; list += strcspn(list, ","), list += *list == ',') {
		size_t length = strcspn(list, ",");
		const char *at = options;
		for (; *at; at += strcspn(at, ","), at += *at == ',') {
			if (strcspn(at, ",") == length && !memcmp(at, list, length))
				break;
		}
		if (!*at)
			return false;
	}
	return true;
}

/* The mount point of a v1 hierarchy that is not where everybody has it. */
static bool find_mount(const char *list, char *out, size_t size)
{
	auto_buf struct buf text = {0};
	if (fd_read_file(AT_FDCWD, "/proc/self/mountinfo", PROC_FILE_LIMIT, &text) < 0 || !text.data)
		return false;
	/* "36 35 98:0 /root /mount/point options fields - type source super-options" */
	for (char *line = text.data, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		char *tail = strstr(line, " - cgroup ");
		if (!tail)
			continue;
		const char *options = strchr(tail + strlen(" - cgroup "), ' ');
		char *point = line;
		for (unsigned field = 0; point && field < 4; field++) {
			point = strchr(point, ' ');
			point += point != NULL;
		}
		if (!options || !point || !options_have(options + 1, list))
			continue;
		size_t length = strcspn(point, " ");
		if (length < size) {
			memcpy(out, point, length);
			out[length] = '\0';
			return true;
		}
	}
	return false;
}

/* One line of /proc/self/cgroup: "4:memory:/path". */
static void add_hierarchy(struct cgroup_host *host, const char *list)
{
	if (host->hierarchy_count == CGROUP_HIERARCHIES)
		return;
	struct cgroup_hierarchy *h = &host->hierarchies[host->hierarchy_count];
	bool named = !strncmp(list, "name=", 5);

	if (snprintf(h->options, sizeof h->options, "%s", list) >= (int)sizeof h->options ||
		snprintf(h->mount, sizeof h->mount, TOP "/%s", named ? list + 5 : list) >=
			(int)sizeof h->mount)
		return;
	h->controllers = controllers_of(list);
	if (!has_magic(h->mount, KERNEL_CGROUP_SUPER_MAGIC) && !find_mount(list, h->mount, sizeof h->mount))
		return;
	host->hierarchy_count++;
}

static void set_v2(struct cgroup_host *host, const char *mount)
{
	host->version = 2;
	host->ops = &cgroup_v2;
	host->hierarchy_count = 1;
	host->hierarchies[0] = (struct cgroup_hierarchy){0};
	memcpy(host->hierarchies[0].mount, mount, strlen(mount) + 1);
}

int cgroup_probe(struct cgroup_host *host, struct err *e)
{
	char text[8192] not_zeroed;

	host->hierarchy_count = 0;
	if (has_magic(TOP, KERNEL_CGROUP2_SUPER_MAGIC)) {
		set_v2(host, TOP);
		return 0;
	}

	host->version = 0;
	host->ops = &cgroup_v1; /* without a hierarchy it can do nothing, and says so */
	ssize_t size = cgroup_read("/proc/self/cgroup", text, sizeof text);
	if (size == -ENOENT)
		return 0;
	if (size < 0)
		return err_errno(e, (int)size, "cannot read /proc/self/cgroup");
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		char *list = strchr(line, ':');
		char *path = list ? strchr(list + 1, ':') : NULL;
		if (!path || path == list + 1) /* v2's line has no list */
			continue;
		*path = '\0';
		add_hierarchy(host, list + 1);
	}
	for (unsigned i = 0; i < host->hierarchy_count; i++) {
		if (host->hierarchies[i].controllers)
			host->version = 1;
	}
	if (!host->version && has_magic(TOP "/unified", KERNEL_CGROUP2_SUPER_MAGIC))
		set_v2(host, TOP "/unified");
	return 0;
}

uint32_t cgroup_controllers(const struct cgroup_host *host)
{
	return host->ops->controllers(host);
}

/* ---- names ---- */

static bool is_path_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("_.:@-", c));
}

/* Cleans path into out, without slashes at either end. */
static int check_path(const char *path, char *out, struct err *e)
{
	char shown[256];
	size_t length = 0;
	bool valid = true;

	for (const char *part = path + strspn(path, "/"); *part && valid;) {
		size_t size = strcspn(part, "/");
		bool dots = (size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.');
		valid = !dots && size <= 255 && length + size + 2 < CGROUP_PATH;
		for (size_t i = 0; i < size && valid; i++)
			valid = is_path_byte(part[i]);
		if (valid) {
			if (length)
				out[length++] = '/';
			memcpy(out + length, part, size);
			length += size;
			part += size;
			part += strspn(part, "/");
		}
	}
	if (valid && length) {
		out[length] = '\0';
		return 0;
	}
	return err_set(e, ERR_INVALID, 0, "the cgroup path \"%s\" is not valid",
		err_sanitize(shown, sizeof shown, path));
}

void cgroup_file_path(const struct cgroup *cg, unsigned hierarchy, const char *file, char *out)
{
	snprintf(out, CGROUP_FILE_PATH, "%s/%s%s%s", cg->host->hierarchies[hierarchy].mount, cg->path,
		*file ? "/" : "", file);
}

/* ---- files ---- */

int cgroup_write(const char *path, const char *text)
{
	auto_close int fd = fd_open(AT_FDCWD, path, O_WRONLY, 0);
	return fd < 0 ? fd : fd_write_full(fd, text, strlen(text));
}

ssize_t cgroup_read(const char *path, char *out, size_t size)
{
	auto_close int fd = fd_open(AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	ssize_t length = fd_read_full(fd, out, size - 1);
	out[length < 0 ? 0 : length] = '\0';
	return length;
}

static uint64_t parse_number(const char *text)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	/* v1's "unlimited" is the largest multiple of a page. */
	if (end == text || errno || *text == '-' || value >= 0x7ffffffffff00000ULL)
		return CGROUP_NO_VALUE;
	return value;
}

uint64_t cgroup_read_number(const char *path)
{
	char text[64];
	return cgroup_read(path, text, sizeof text) > 0 ? parse_number(text) : CGROUP_NO_VALUE;
}

uint64_t cgroup_line_number(const char *text, const char *word)
{
	size_t length = strlen(word);
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		if (!strncmp(line, word, length) && line[length] == ' ')
			return parse_number(line + length + 1);
	}
	return CGROUP_NO_VALUE;
}

int64_t cgroup_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void cgroup_pause_us(unsigned microseconds)
{
	const struct timespec pause = {.tv_nsec = (long)microseconds * 1000};
	nanosleep(&pause, NULL);
}

/* ---- folders ---- */

/* Calls with the path of each group inside; stops at the first that is not 0. */
static int for_each_inside(const char *folder, int (*call)(const char *inside, void *context), void *context)
{
	char inside[CGROUP_FILE_PATH + 256];
	int result = 0;
	DIR *dir = opendir(folder);

	if (!dir)
		return -errno;
	for (struct dirent *entry; !result && (entry = readdir(dir));) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (snprintf(inside, sizeof inside, "%s/%s", folder, entry->d_name) >= (int)sizeof inside) {
			result = -ENAMETOOLONG;
			break;
		}
		result = call(inside, context);
	}
	closedir(dir);
	return result;
}

/* Removes what can be removed now; 0 once the folder is gone, or -errno. */
static int remove_now(const char *folder, void *context)
{
	unsigned depth = *(const unsigned *)context + 1;

	if (rmdir(folder) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY || depth > NESTING)
		return -errno;
	int error = for_each_inside(folder, remove_now, &depth);
	if (error && error != -ENOENT)
		return error;
	return rmdir(folder) == 0 || errno == ENOENT ? 0 : -errno;
}

int cgroup_remove_folder(const char *folder, int64_t deadline_ms)
{
	for (unsigned pause = 100;; pause = pause < 10000 ? pause * 2 : pause) {
		unsigned depth = 0;
		int error = remove_now(folder, &depth);
		if (error != -EBUSY || cgroup_now_ms() >= deadline_ms)
			return error;
		cgroup_pause_us(pause);
	}
}

int cgroup_make(
	const char *folder, bool shared, int (*made_parent)(const char *folder, size_t top), size_t top)
{
	char parent[CGROUP_FILE_PATH];

	if (mkdir(folder, 0755) == 0)
		return 0;
	if (errno == ENOENT) {
		for (size_t i = top; folder[i]; i++) {
			if (folder[i] != '/')
				continue;
			memcpy(parent, folder, i);
			parent[i] = '\0';
			if (i > top && mkdir(parent, 0755) < 0 && errno != EEXIST)
				return -errno;
			int error = made_parent ? made_parent(parent, top) : 0;
			if (error < 0)
				return error;
		}
		if (mkdir(folder, 0755) == 0)
			return 0;
	}
	if (errno != EEXIST)
		return -errno;
	if (shared)
		return 1;
	/* Left by a crash: its counters and limits are somebody else's. */
	unsigned depth = 0;
	int error = remove_now(folder, &depth);
	if (error)
		return error;
	return mkdir(folder, 0755) < 0 ? -errno : 0;
}

/* ---- errors ---- */

void cgroup_warn(struct cgroup *cg, const char *format, ...)
{
	size_t length = strlen(cg->warning);
	va_list ap;

	if (length && length + 3 < sizeof cg->warning) {
		memcpy(cg->warning + length, "; ", 3);
		length += 2;
	}
	va_start(ap, format);
	vsnprintf(cg->warning + length, sizeof cg->warning - length, format, ap);
	va_end(ap);
}

int cgroup_refused(struct cgroup *cg, const struct cgroup_setting *setting, int error, struct err *e)
{
	const char *controller = cgroup_controller_name(setting->controller, cg->host->version == 2 ? 2 : 1);
	bool missing = error == -ENOENT || error == -ENODEV || error == -EOPNOTSUPP;
	bool there = missing && cgroup_controllers(cg->host) >> setting->controller & 1;
	char value[96];

	if (missing && setting->need == CGROUP_WISHED) {
		if (there)
			cgroup_warn(
				cg, "%s is ignored: this kernel has no %s", setting->option, setting->file);
		else
			cgroup_warn(cg, "%s is ignored: there is no %s cgroup controller", setting->option,
				controller);
		return 0;
	}
	err_sanitize(value, sizeof value, setting->value);
	if (missing && there)
		return err_set(e, ERR_UNSUPPORTED, 0, "%s cannot be obeyed: this kernel has no %s",
			setting->option, setting->file);
	if (missing) {
		err_set(e, ERR_UNSUPPORTED, 0, "%s cannot be obeyed: this host has no %s cgroup controller",
			setting->option, controller);
		return err_hint(e,
			"leave %s out, or have the controller enabled (brig info lists those there are)",
			setting->option);
	}
	if (error == -EBUSY)
		return err_set(e, ERR_CONFLICT, 0, "%s cannot be lowered to %s: more is in use now",
			setting->option, value);
	if (error == -EINVAL || error == -ERANGE || error == -EDOM || error == -ENOSPC)
		return err_set(e, ERR_INVALID, 0, "%s cannot be obeyed: the kernel refuses \"%s\" for %s",
			setting->option, value, setting->file);
	return err_errno(e, error, "%s cannot be obeyed: cannot write %s", setting->option, setting->file);
}

/* ---- the operations ---- */

static int check_limits(const struct cgroup_limits *limits, struct err *e)
{
	char shown[64];

	for (size_t i = 0; i < limits->hugepage_count; i++) {
		const char *size = limits->hugepages[i].size;
		size_t digits = strspn(size, "0123456789");
		if (!digits || digits > 6 || !strchr("KMG", size[digits]) ||
			strcmp(size + digits + 1, "B") != 0)
			return err_set(e, ERR_INVALID, 0, "\"%s\" is not a size of huge pages",
				err_sanitize(shown, sizeof shown, size));
	}
	for (size_t i = 0; i < limits->unified_count; i++) {
		const char *key = limits->unified[i].key;
		bool plain =
			strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") ==
			strlen(key);
		/* The group's own life is not a limit. */
		bool own = !strncmp(key, "cgroup.", 7) && strncmp(key, "cgroup.max.", 11) != 0;
		if (!plain || own || !*key || key[0] == '.')
			return err_set(e, ERR_INVALID, 0, "\"%s\" is not a cgroup file that can be set",
				err_sanitize(shown, sizeof shown, key));
	}
	if (limits->memory_swap > 0 && limits->memory > 0 && limits->memory_swap < limits->memory)
		return err_set(e, ERR_INVALID, 0,
			"--memory-swap is below --memory: it is the sum of memory and swap");
	if (limits->device_count > CGROUP_DEVICE_RULES)
		return err_set(e, ERR_INVALID, 0, "there are more than %d device rules", CGROUP_DEVICE_RULES);
	return 0;
}

int cgroup_create(const struct cgroup_host *host, const char *path, const struct cgroup_limits *limits,
	struct cgroup *cg, struct err *e)
{
	cg->host = host;
	cg->fd = -1;
	cg->joined = 0;
	cg->warning[0] = '\0';
	if (check_limits(limits, e) < 0 || check_path(path, cg->path, e) < 0)
		return -1;
	return host->ops->create(cg, limits, e);
}

int cgroup_open(const struct cgroup_host *host, const char *path, struct cgroup *cg, struct err *e)
{
	cg->host = host;
	cg->fd = -1;
	cg->joined = 0;
	cg->warning[0] = '\0';
	if (check_path(path, cg->path, e) < 0)
		return -1;
	return host->ops->open(cg, e);
}

void cgroup_close(struct cgroup *cg)
{
	if (cg->host)
		close_fd(&cg->fd);
	cg->host = NULL;
}

int cgroup_enter(const struct cgroup *cg, struct err *e)
{
	return cg->host->ops->join(cg, 0, e);
}

int cgroup_join(const struct cgroup *cg, pid_t pid, struct err *e)
{
	return cg->host->ops->join(cg, pid, e);
}

int cgroup_open_entries(const struct cgroup *cg, int entries[CGROUP_HIERARCHIES], struct err *e)
{
	return cg->host->ops->open_entries ? cg->host->ops->open_entries(cg, entries, e) : 0;
}

int cgroup_update(struct cgroup *cg, const struct cgroup_limits *limits, struct err *e)
{
	cg->warning[0] = '\0';
	return check_limits(limits, e) < 0 ? -1 : cg->host->ops->update(cg, limits, e);
}

int cgroup_freeze(const struct cgroup *cg, bool frozen, struct err *e)
{
	return cg->host->ops->freeze(cg, frozen, e);
}

int cgroup_is_frozen(const struct cgroup *cg)
{
	return cg->host->ops->is_frozen(cg);
}

int cgroup_read_stats(const struct cgroup *cg, struct cgroup_stats *out, struct err *e)
{
	int populated = cgroup_populated(cg);
	if (populated < 0)
		return err_errno(e, populated, "cannot read the counters of cgroup %s", cg->path);
	memset(out, 0xff, sizeof *out);
	cg->host->ops->read_stats(cg, out);
	return 0;
}

uint64_t cgroup_oom_kills(const struct cgroup *cg)
{
	uint64_t kills = cg->host->ops->oom_kills(cg);
	return kills == CGROUP_NO_VALUE ? 0 : kills;
}

bool cgroup_mount_at(const struct cgroup *cg, unsigned index, struct cgroup_mount *out)
{
	return cg->host->ops->mount_at(cg, index, out);
}

/* ---- processes ---- */

/* The hierarchy that says who is in the group: the freezer's where there is one, so that
 * who is listed is who was frozen. -1: the group is in none. */
static int listing_hierarchy(const struct cgroup *cg)
{
	int best = -1;
	for (unsigned i = 0; i < cg->host->hierarchy_count; i++) {
		if (cg->host->version == 2 || !(cg->joined >> i & 1))
			continue;
		if (best < 0 || cg->host->hierarchies[i].controllers >> CGROUP_FREEZER & 1)
			best = (int)i;
	}
	return cg->host->version == 2 && *cg->path ? 0 : best;
}

static int add_pids(const char *folder, void *context);

struct listing {
	struct cgroup_pids *pids;
	unsigned depth;
};

static int add_pids(const char *folder, void *context)
{
	const struct listing *above = context;
	struct listing listing = {above->pids, above->depth + 1};
	char path[CGROUP_FILE_PATH + 300];
	auto_buf struct buf text = {0};

	if (listing.depth > NESTING)
		return 0;
	snprintf(path, sizeof path, "%s/cgroup.procs", folder);
	auto_close int fd = fd_open(AT_FDCWD, path, O_RDONLY, 0);
	int error = fd < 0 ? fd : fd_slurp(fd, PIDS_FILE_LIMIT, &text);
	if (error == -ENOENT || error == -ENODEV)
		return listing.depth == 1 ? -ENOENT : 0; /* gone meanwhile */
	if (error && error != -EOPNOTSUPP) /* a threaded group: its processes are listed above it */
		return error;

	for (char *at = text.data, *end; at && *at; at = end + (*end == '\n')) {
		long pid = strtol(at, &end, 10);
		if (end == at)
			break;
		if (pid <= 0) /* 0: of a pid namespace that we cannot see into */
			continue;
		struct cgroup_pids *pids = listing.pids;
		if (pids->count == pids->room) {
			size_t room = pids->room ? pids->room * 2 : 64;
			pid_t *grown = reallocarray(pids->list, room, sizeof *grown);
			if (!grown)
				return -ENOMEM;
			pids->list = grown;
			pids->room = room;
		}
		pids->list[pids->count++] = (pid_t)pid;
	}
	error = for_each_inside(folder, add_pids, &listing);
	return error == -ENOENT ? 0 : error;
}

static int list_pids(const struct cgroup *cg, struct cgroup_pids *out)
{
	char folder[CGROUP_FILE_PATH];
	struct listing listing = {.pids = out};
	int hierarchy = listing_hierarchy(cg);

	out->count = 0;
	if (hierarchy < 0)
		return -ENOENT;
	cgroup_file_path(cg, (unsigned)hierarchy, "", folder);
	return add_pids(folder, &listing);
}

int cgroup_list(const struct cgroup *cg, struct cgroup_pids *out, struct err *e)
{
	int error = list_pids(cg, out);
	if (error)
		return err_errno(e, error, "cannot list the processes of cgroup %s", cg->path);
	return 0;
}

void cgroup_pids_free(struct cgroup_pids *pids)
{
	free(pids->list);
	*pids = (struct cgroup_pids){0};
}

int cgroup_populated(const struct cgroup *cg)
{
	__attribute__((cleanup(cgroup_pids_free))) struct cgroup_pids pids = {0};
	int error = list_pids(cg, &pids);
	return error ? error : pids.count > 0;
}

static bool is_listed(const struct cgroup_pids *pids, pid_t pid)
{
	for (size_t i = 0; i < pids->count; i++) {
		if (pids->list[i] == pid)
			return true;
	}
	return false;
}

/* One signal to each process that is in the list; how many got it, or -errno. */
static int signal_all(const struct cgroup *cg, int signal, bool frozen)
{
	__attribute__((cleanup(cgroup_pids_free))) struct cgroup_pids pids = {0}, again = {0};
	int error = list_pids(cg, &pids), sent = 0;

	if (error)
		return error;
	for (size_t i = 0; i < pids.count; i++) {
		auto_close int pidfd = kernel_pidfd_open(pids.list[i], 0);
		if (pidfd < 0)
			continue;
		/* Is the process that the pidfd holds the one that was listed? */
		if (!frozen && (list_pids(cg, &again) < 0 || !is_listed(&again, pids.list[i])))
			continue;
		error = kernel_pidfd_send_signal(pidfd, signal);
		if (error == 0)
			sent++;
		else if (error != -ESRCH)
			return error;
	}
	return sent;
}

int cgroup_kill(const struct cgroup *cg, int signal, struct err *e)
{
	struct err ignored;
	int error;

	if (signal == SIGKILL) {
		error = cg->host->ops->kill(cg);
		if (error == 0)
			return 0;
	}
	bool was_frozen = cgroup_is_frozen(cg) == 1;
	bool frozen = was_frozen || cg->host->ops->freeze(cg, true, &ignored) == 0;
	error = signal_all(cg, signal, frozen);
	/* Whatever happened: a group left frozen would never end. */
	if (frozen && (!was_frozen || signal == SIGKILL))
		cg->host->ops->freeze(cg, false, &ignored);
	/* Without a freezer somebody may have forked in time; the dead do not fork. */
	for (unsigned round = 0; !frozen && signal == SIGKILL && error > 0 && round < KILL_ROUNDS; round++) {
		cgroup_pause_us(200);
		error = signal_all(cg, signal, false);
	}
	if (error < 0 && error != -ENOENT)
		return err_errno(e, error, "cannot signal the processes of cgroup %s", cg->path);
	return 0;
}

int cgroup_remove(const struct cgroup *cg, struct err *e)
{
	int64_t deadline = cgroup_now_ms() + WAIT_MS;
	char folder[CGROUP_FILE_PATH];

	for (unsigned i = 0; i < cg->host->hierarchy_count && *cg->path; i++) {
		if (cg->host->version != 2 && !(cg->joined >> i & 1))
			continue;
		cgroup_file_path(cg, i, "", folder);
		int error = cgroup_remove_folder(folder, deadline);
		if (error == -EBUSY) {
			err_set(e, ERR_CONFLICT, 0, "cannot remove cgroup %s: it still has processes",
				cg->path);
			return err_hint(e, "they are listed in %s/cgroup.procs", folder);
		}
		if (error)
			return err_errno(e, error, "cannot remove cgroup %s", folder);
	}
	return 0;
}

/* ---- weights ---- */

/* log2, by squaring: each time the mantissa passes 2 the next bit is a one. Good to ten
 * digits, which is more than a weight has. The core links no mathematics library. */
static double log2_of(uint64_t value)
{
	int whole = 63 - __builtin_clzll(value);
	double mantissa = (double)value / (double)(1ULL << whole), result = whole;

	for (double digit = 0.5; digit > 1e-12; digit /= 2) {
		mantissa *= mantissa;
		if (mantissa >= 2) {
			mantissa /= 2;
			result += digit;
		}
	}
	return result;
}

/* 10 to a power between 0 and 4, by the series of e^x. */
static double power_of_ten(double exponent)
{
	double x = exponent * 2.302585092994045684 / 16, term = 1, sum = 1;

	for (unsigned i = 1; i < 18; i++) {
		term *= x / i;
		sum += term;
	}
	for (unsigned i = 0; i < 4; i++)
		sum *= sum;
	return sum;
}

uint64_t cgroup_weight_of_shares(uint64_t shares)
{
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	double l = log2_of(shares);
	/* The parabola through (2, 1), (1024, 100) and (262144, 10000). */
	double weight = power_of_ten((l * l + 125 * l) / 612 - 7.0 / 34);
	uint64_t whole = (uint64_t)(weight + 1e-7);
	return weight - (double)whole > 1e-7 ? whole + 1 : whole;
}
