/*
 * confine.c - ids, capabilities and the filter; what a process inherits.
 *
 * Capabilities are set with the raw system calls: libcap is another library, and the C
 * libraries have none of it.
 */
#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/nsfs.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/nearest.h"

/* ---- capabilities ---- */

static const char capability_names[][24] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

enum { CAPABILITIES = sizeof capability_names / sizeof *capability_names };

static uint64_t bit(unsigned capability)
{
	return 1ULL << capability;
}

const char *confine_capability_name(unsigned capability)
{
	return capability < CAPABILITIES ? capability_names[capability] : NULL;
}

int confine_capability_find(const char *name)
{
	for (unsigned i = 0; i < CAPABILITIES; i++) {
		if (!strcasecmp(name, capability_names[i]) || !strcasecmp(name, capability_names[i] + 4))
			return (int)i;
	}
	return -ENOENT;
}

static int get_capabilities(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
		{(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
	};
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int confine_capabilities_held(uint64_t *out)
{
	struct __user_cap_data_struct data[2];
	int error = get_capabilities(data);
	if (!error)
		*out = data[0].permitted | (uint64_t)data[1].permitted << 32;
	return error;
}

/* Names to a mask; *all is set where ALL is among them. option is "CapAdd" or "CapDrop". */
static int parse_capabilities(
	const char *const *names, const char *option, uint64_t *mask, bool *all, struct err *e)
{
	for (; names && *names; names++) {
		if (!strcasecmp(*names, "ALL")) {
			*all = true;
			continue;
		}
		int capability = confine_capability_find(*names);
		if (capability >= 0) {
			*mask |= bit((unsigned)capability);
			continue;
		}

		char shown[64] = "";
		struct nearest nearest = {0};
		size_t at = 0;
		bool prefixed = !strncasecmp(*names, "CAP_", 4);
		for (const char *p = *names; *p && at + 1 < sizeof shown; p++)
			shown[at++] = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
		for (unsigned i = 0; i < CAPABILITIES; i++)
			nearest_offer(&nearest, shown, capability_names[i] + (prefixed ? 0 : 4));
		char clean[128];
		err_sanitize(clean, sizeof clean, shown);
		err_set(e, ERR_INVALID, 0, "invalid %s: unknown capability: \"%s%s\"", option,
			prefixed ? "" : "CAP_", clean);
		if (nearest.word)
			err_hint(e, "did you mean %s?", nearest.word);
		return -1;
	}
	return 0;
}

int confine_capabilities_adjust(uint64_t base, uint64_t held, const char *const *add, const char *const *drop,
	uint64_t *out, struct err *e)
{
	uint64_t added = 0, dropped = 0;
	bool add_all = false, drop_all = false;

	if (parse_capabilities(add, "CapAdd", &added, &add_all, e) < 0 ||
		parse_capabilities(drop, "CapDrop", &dropped, &drop_all, e) < 0)
		return -1;
	for (unsigned i = 0; i < CAPABILITIES; i++) {
		if (added & ~held & bit(i))
			return err_set(e, ERR_INVALID, 0,
				"invalid CapAdd: capability not supported by your kernel or not available in "
				"the "
				"current environment: \"%s\"",
				capability_names[i]);
	}
	if (add_all)
		*out = held & ~dropped;
	else if (drop_all)
		*out = added;
	else
		*out = (base & held & ~dropped) | added;
	return 0;
}

void confine_capabilities_for(uint64_t set, uid_t uid, uint64_t ambient, struct confine_capabilities *out)
{
	uint64_t passed_on = uid == 0 ? 0 : set & ambient;
	uint64_t own = uid == 0 ? set : passed_on;
	*out = (struct confine_capabilities){set, own, own, passed_on, passed_on};
}

/* ---- confine_apply ---- */

static int drop_bounding(uint64_t keep)
{
	for (unsigned i = 0; i < 64; i++) {
		if (keep & bit(i))
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
			continue;
		int error = errno;
		if (error == EINVAL)
			break; /* past the kernel's last */
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 0)
			return -error; /* still there */
	}
	return 0;
}

static int set_groups(const struct confine *confine)
{
	size_t count = confine->group_count;
	bool listed = false;

	if (confine->keep_groups)
		return 0;
	auto_free gid_t *groups = malloc((count + 1) * sizeof *groups);
	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		groups[i] = confine->groups[i];
		listed |= groups[i] == confine->gid;
	}
	/* Permissions that take something away from a group also count for the primary one
	 * only where it is listed (CVE-2022-2989 and its family). */
	if (!listed)
		groups[count++] = confine->gid;
	return syscall(SYS_setgroups, count, groups) < 0 ? -errno : 0;
}

/* All ids at once; capabilities stay permitted, and effective ones come back. The raw
 * calls: the C libraries' would look for threads to tell. */
static int set_ids(const struct confine *confine, const char **step)
{
	*step = "set the group id";
	if (syscall(SYS_setresgid, confine->gid, confine->gid, confine->gid) < 0)
		return -errno;
	*step = "keep capabilities over the change of user";
	if (confine->uid != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -errno;
	*step = "set the user id";
	if (syscall(SYS_setresuid, confine->uid, confine->uid, confine->uid) < 0)
		return -errno;
	return 0;
}

static int install_filter(struct confine *confine)
{
	if (!confine->filter)
		return 0;
	int result = seccomp_install(confine->filter, confine->filter_flags);
	if (result < 0)
		return result;
	if (confine->filter_flags & SECCOMP_FLAG_NEW_LISTENER)
		confine->listener = result;
	return 0;
}

static int raise_ambient(uint64_t ambient)
{
	for (unsigned i = 0; i < CAPABILITIES; i++) {
		if (ambient & bit(i) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

/* What /proc/PID/status says; a mask that was not there stays 0 with its bit in missing. */
struct status {
	uint64_t masks[5]; /* as in status_masks */
	bool ids_differ;
	unsigned missing;
};

static const char status_masks[][8] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};

static bool all_ids_are(const char *list, unsigned wanted)
{
	char *next;
	for (unsigned i = 0; i < 4; i++, list = next) {
		if (strtoul(list, &next, 10) != wanted || next == list)
			return false;
	}
	return true;
}

static void read_status_line(const struct confine *confine, const char *line, struct status *status)
{
	for (unsigned i = 0; i < 5; i++) {
		if (!strncmp(line, status_masks[i], 7)) {
			status->masks[i] = strtoull(line + 7, NULL, 16);
			status->missing &= ~(1U << i);
		}
	}
	if (!strncmp(line, "Uid:", 4))
		status->ids_differ |= !all_ids_are(line + 4, confine->uid);
	if (!strncmp(line, "Gid:", 4))
		status->ids_differ |= !all_ids_are(line + 4, confine->gid);
}

/* Line by line in a small buffer and with nothing but read(2): this may run under a
 * narrow filter, and the line of groups may be half a megabyte. */
static int verify(const struct confine *confine, const struct confine_capabilities *wanted, int fd)
{
	struct status status = {.missing = 0x1f};
	char chunk[2048], line[128];
	size_t length = 0;
	ssize_t size;

	while ((size = fd_read_full(fd, chunk, sizeof chunk)) > 0) {
		for (ssize_t i = 0; i < size; i++) {
			if (chunk[i] != '\n') {
				if (length < sizeof line - 1)
					line[length++] = chunk[i];
				continue;
			}
			line[length] = '\0';
			length = 0;
			read_status_line(confine, line, &status);
		}
	}
	/* The user's own filter may forbid read(2); then there is only capset's word. */
	if (size == -EPERM || size == -ENOSYS || size == -EACCES)
		return confine->filter && !confine->no_new_privs ? 0 : (int)size;
	if (size < 0)
		return (int)size;
	const uint64_t *masks = status.masks;
	if (status.missing || status.ids_differ || masks[0] != wanted->inheritable ||
		masks[1] != wanted->permitted || masks[2] != wanted->effective ||
		masks[3] & ~wanted->bounding || masks[4] != wanted->ambient)
		return -EPROTO;
	return 0;
}

static int open_status(void)
{
	struct statfs fs;
	auto_close int fd = fd_open(AT_FDCWD, "/proc/self/status", O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	return (unsigned long)fs.f_type == KERNEL_PROC_SUPER_MAGIC ? steal_fd(&fd) : -EPROTO;
}

static int apply(struct confine *confine, const char **step)
{
	struct confine_capabilities wanted = confine->capabilities;
	bool filter_first = confine->filter && !confine->no_new_privs;
	uint64_t held;
	int error;

	*step = "read the capabilities";
	error = confine_capabilities_held(&held);
	if (error)
		return error;
	confine->ungranted = (wanted.permitted | wanted.effective | wanted.ambient) & ~held;
	wanted.permitted &= held;
	wanted.effective &= wanted.permitted;
	/* Ambient capabilities have to be permitted and inheritable, these have to be in
	 * the bounding set. */
	wanted.inheritable &= held & wanted.bounding;
	wanted.ambient &= wanted.permitted & wanted.inheritable;

	/* Opened now: later the filter may not let us. */
	*step = "open /proc/self/status";
	auto_close int opened = confine->status < 0 ? open_status() : -1;
	int status = confine->status < 0 ? opened : confine->status;
	if (status < 0)
		return status;

	/* Needs CAP_SETPCAP, so it comes before capabilities go. */
	*step = "drop capabilities from the bounding set";
	error = drop_bounding(wanted.bounding);
	if (error)
		return error;
	/* Before the filter, so that this call does not have to pass it. Kernels without an
	 * ambient set have nothing to clear. */
	*step = "clear the ambient capabilities";
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;

	/* Groups first: they need CAP_SETGID, which goes with the user id. */
	*step = "set the supplementary groups";
	error = set_groups(confine);
	if (!error)
		error = set_ids(confine, step);
	if (error)
		return error;

	if (filter_first) {
		/* Another user than root has no effective capabilities now, and the
		 * kernel wants CAP_SYS_ADMIN. */
		*step = "raise capabilities for the seccomp filter";
		error = confine->uid == 0 ? 0 : set_capabilities(held, held, 0);
		if (error)
			return error;
		*step = "install the seccomp filter";
		error = install_filter(confine);
		if (error)
			return error;
	}

	*step = "set the capabilities";
	error = set_capabilities(wanted.effective, wanted.permitted, wanted.inheritable);
	if (error)
		return error;
	*step = "raise the ambient capabilities";
	error = raise_ambient(wanted.ambient);
	if (error)
		return error;
	*step = "confirm that rights were given up";
	error = verify(confine, &wanted, status);
	if (error)
		return error;

	if (confine->no_new_privs) {
		*step = "set no_new_privs";
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			return -errno;
		*step = "install the seccomp filter";
		return install_filter(confine);
	}
	return 0;
}

int confine_apply(struct confine *confine, const char **step)
{
	const char *ignored;
	confine->listener = -1;
	confine->ungranted = 0;
	return apply(confine, step ? step : &ignored);
}

/* ---- what a process inherits ---- */

static void reset_signals(void)
{
	/* As the kernel has it (rt_sigaction(2)): all zeros is SIG_DFL and no flags. The C
	 * libraries keep 32 and 33 for themselves and refuse them, but they can arrive
	 * ignored: GNU make starts what it runs so. */
	const unsigned long standard[4] = {0};
	const uint64_t none = 0;
	for (int i = 1; i < _NSIG; i++) {
		if (i != SIGKILL && i != SIGSTOP)
			syscall(SYS_rt_sigaction, i, standard, NULL, sizeof none);
	}
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

int confine_reset(mode_t umask_wanted, unsigned long personality_wanted)
{
	unsigned long every_cpu[128 / sizeof(unsigned long)]; /* 1,024 CPUs */
	const struct sched_param ordinary = {0};

	umask(umask_wanted & 0777);
	reset_signals();
	/* From here on failures mean that the process had less than others, and keeps less. */
	setpriority(PRIO_PROCESS, 0, 0);
	syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, 0);
	if (syscall(SYS_sched_getscheduler, 0) != SCHED_OTHER)
		syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &ordinary);
	memset(every_cpu, 0xff, sizeof every_cpu);
	syscall(SYS_sched_setaffinity, 0, sizeof every_cpu, every_cpu);
	if (prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0)
		return -errno;
	if (personality(personality_wanted) < 0)
		return -errno;
	return 0;
}

int confine_oom_score_adj(int proc_self, int value, bool asked)
{
	char text[16];
	auto_close int fd = fd_open(proc_self, "oom_score_adj", O_WRONLY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	int length = snprintf(text, sizeof text, "%d", value);
	int error = fd_write_full(fd, text, (size_t)length);
	return error == -EACCES && !asked ? 0 : error;
}

int confine_session_keyring(const char *id)
{
	char name[80];
	snprintf(name, sizeof name, "_ses.%s", id);
	long serial = kernel_keyctl_join(name);
	if (serial == -ENOSYS || serial == -EPERM || serial == -EACCES)
		return 0;
	return serial < 0 ? (int)serial : 0;
}

int confine_undumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int confine_close_fds(unsigned preserve)
{
	unsigned first = 3 + preserve;
	int error = kernel_close_range(first, ~0U, KERNEL_CLOSE_RANGE_CLOEXEC);

	if (error != -ENOSYS && error != -EINVAL && error != -EPERM)
		return error;
	/* A kernel or a filter around us without it: every number there can be. */
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	unsigned end = limit.rlim_max < 1 << 20 ? (unsigned)limit.rlim_max : 1U << 20;
	for (unsigned fd = first; fd < end; fd++) {
		if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 && errno != EBADF)
			return -errno;
	}
	return 0;
}

/* ---- namespaces ---- */

const struct confine_namespace confine_namespaces[] = {
	{"user", "user", 0x10000000},
	{"mount", "mnt", 0x00020000},
	{"network", "net", 0x40000000},
	{"pid", "pid", 0x20000000},
	{"ipc", "ipc", 0x08000000},
	{"uts", "uts", 0x04000000},
	{"cgroup", "cgroup", 0x02000000},
	{"time", "time", 0x00000080},
	{0},
};

const struct confine_namespace *confine_namespace_find(const char *name)
{
	for (const struct confine_namespace *row = confine_namespaces; row->name; row++) {
		if (!strcmp(row->name, name))
			return row;
	}
	return NULL;
}

int confine_namespace_open(int dir, const char *path, uint64_t flag)
{
	auto_close int fd = fd_open(dir, path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	int kind = ioctl(fd, NS_GET_NSTYPE);
	if (kind < 0)
		return errno == ENOTTY ? -EINVAL : -errno;
	return (uint64_t)(unsigned)kind == flag ? steal_fd(&fd) : -EINVAL;
}

int confine_namespace_join(int fd, uint64_t flag)
{
	return setns(fd, (int)flag) < 0 ? -errno : 0;
}
