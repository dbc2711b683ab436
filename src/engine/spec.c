/* spec.c - a container's configuration as a runtime spec: the default sandbox. */
#include "engine/spec.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>

#include "base/confine.h"
#include "base/kernel.h"
#include "base/seccomp.h"
#include "oci/seccomp.h"

#define NOSUID KERNEL_MOUNT_ATTR_NOSUID
#define NODEV  KERNEL_MOUNT_ATTR_NODEV
#define NOEXEC KERNEL_MOUNT_ATTR_NOEXEC
#define RDONLY KERNEL_MOUNT_ATTR_RDONLY

enum { MOUNTS_EXTRA = 16 };

/* In the order in which they are mounted; a mount of the user's on the same place
 * replaces one, but for /proc. */
static const struct spec_mount system_mounts[] = {
	{.destination = "/proc",
		.type = "proc",
		.source = "proc",
		.attributes = NOSUID | NODEV | NOEXEC,
		.engine = true},
	{.destination = "/dev",
		.type = "tmpfs",
		.source = "tmpfs",
		.data = "mode=755,size=65536k",
		.attributes = NOSUID | NOEXEC | KERNEL_MOUNT_ATTR_STRICTATIME,
		.engine = true},
	{.destination = "/dev/pts",
		.type = "devpts",
		.source = "devpts",
		.data = "newinstance,ptmxmode=0666,mode=0620,gid=5",
		.attributes = NOSUID | NOEXEC,
		.engine = true},
	{.destination = "/dev/mqueue",
		.type = "mqueue",
		.source = "mqueue",
		.attributes = NOSUID | NODEV | NOEXEC,
		.engine = true},
	{.destination = "/sys",
		.type = "sysfs",
		.source = "sysfs",
		.attributes = NOSUID | NODEV | NOEXEC | RDONLY,
		.engine = true},
	{.destination = "/sys/fs/cgroup",
		.type = "cgroup",
		.source = "cgroup",
		.attributes = NOSUID | NODEV | NOEXEC | RDONLY,
		.engine = true},
};

const char *const spec_masked_paths[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts",
	"/proc/kallsyms",
	"/proc/kcore",
	"/proc/keys",
	"/proc/kpagecgroup",
	"/proc/kpagecount",
	"/proc/kpageflags",
	"/proc/latency_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/slabinfo",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/vmallocinfo",
	"/sys/devices/virtual/powercap",
	"/sys/devices/system/cpu/cpu*/thermal_throttle",
	"/sys/firmware",
	"/sys/fs/bpf",
	"/sys/fs/pstore",
	"/sys/fs/selinux",
	"/sys/kernel/debug",
	"/sys/kernel/notes",
	"/sys/kernel/security",
	"/sys/kernel/slab",
	"/sys/kernel/tracing",
	NULL,
};

const char *const spec_readonly_paths[] = {
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
	NULL,
};

static const struct spec_device default_devices[] = {
	{.path = "/dev/null", .type = 'c', .major = 1, .minor = 3, .mode = 0666},
	{.path = "/dev/zero", .type = 'c', .major = 1, .minor = 5, .mode = 0666},
	{.path = "/dev/full", .type = 'c', .major = 1, .minor = 7, .mode = 0666},
	{.path = "/dev/random", .type = 'c', .major = 1, .minor = 8, .mode = 0666},
	{.path = "/dev/urandom", .type = 'c', .major = 1, .minor = 9, .mode = 0666},
	{.path = "/dev/tty", .type = 'c', .major = 5, .minor = 0, .mode = 0666},
};

enum { DEFAULT_DEVICES = sizeof default_devices / sizeof *default_devices };

/* The value of NAME=VALUE, or NULL. */
static const char *env_get(const struct strings *env, const char *name)
{
	size_t length = strlen(name);
	for (size_t i = env->count; i-- > 0;)
		if (!strncmp(env->items[i], name, length) && env->items[i][length] == '=')
			return env->items[i] + length + 1;
	return NULL;
}

static const char *const *build_env(
	struct arena *arena, const struct container_config *config, const char *hostname)
{
	struct strings env = {0};

	if (!env_get(&config->env, "PATH"))
		strings_add(arena, &env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	if (!env_get(&config->env, "HOSTNAME"))
		strings_add(arena, &env, arena_printf(arena, "HOSTNAME=%s", hostname));
	if (config->terminal && !env_get(&config->env, "TERM"))
		strings_add(arena, &env, "TERM=xterm");
	for (size_t i = 0; i < config->env.count; i++)
		if (strchr(config->env.items[i], '='))
			strings_add(arena, &env, config->env.items[i]);
	return env.items;
}

static bool covered(const struct container_config *config, const char *destination)
{
	for (size_t i = 0; i < config->mounts_count; i++)
		if (!strcmp(config->mounts[i].target, destination))
			return true;
	return false;
}

static int depth(const char *path)
{
	int slashes = 0;
	for (; *path; path++)
		slashes += *path == '/' && path[1];
	return slashes;
}

static unsigned long propagation(const char *name)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} rows[] = {
		{"private", MS_PRIVATE},
		{"rprivate", MS_PRIVATE},
		{"slave", MS_SLAVE},
		{"rslave", MS_SLAVE},
		{"shared", MS_SHARED},
		{"rshared", MS_SHARED},
	};
	for (size_t i = 0; name && i < sizeof rows / sizeof *rows; i++)
		if (!strcmp(name, rows[i].name))
			return rows[i].flag;
	return MS_PRIVATE;
}

/* A bind may carry device nodes only where that is what it is for. */
static bool wants_devices(const struct container_config *config, const struct container_mount *mount)
{
	return config->privileged || mount->dev ||
	       (mount->source && (!strcmp(mount->source, "/dev") || !strncmp(mount->source, "/dev/", 5)));
}

static void user_mount(const struct container_config *config, const struct container_mount *mount,
	const struct spec_source *source, struct spec_mount *out)
{
	*out = (struct spec_mount){.destination = mount->target};
	if (mount->type == CONTAINER_MOUNT_VOLUME) {
		/* What is in it is a stranger's: no device of his is one here. */
		out->type = source ? source->type : "bind";
		out->source = source ? source->source : mount->name;
		out->data = source ? source->data : NULL;
		out->tree = source ? source->tree : 0;
		out->attributes = (source ? source->attributes : 0) | (config->privileged ? 0 : NODEV);
		out->recursive = out->recursive_attributes = !source || !source->not_recursive;
	} else if (mount->type == CONTAINER_MOUNT_TMPFS) {
		out->type = out->source = "tmpfs";
		out->data = mount->options;
		out->attributes =
			(mount->suid ? 0 : NOSUID) | (mount->dev ? 0 : NODEV) | (mount->exec ? 0 : NOEXEC);
	} else {
		out->type = "bind";
		out->source = mount->source;
		out->recursive = !mount->not_recursive;
		out->attributes = wants_devices(config, mount) ? 0 : NODEV;
		out->propagation = propagation(mount->propagation);
		out->recursive_propagation = mount->propagation && *mount->propagation == 'r';
		out->recursive_attributes = out->recursive && !mount->readonly_recursive_not;
	}
	if (mount->readonly)
		out->attributes |= RDONLY;
}

static void build_mounts(struct arena *arena, const struct container_config *config,
	const struct spec_host *host, struct spec *spec)
{
	struct spec_mount *mounts = arena_array(arena, config->mounts_count + MOUNTS_EXTRA, sizeof *mounts);
	size_t count = 0;
	bool shm = covered(config, "/dev/shm");

	for (size_t i = 0; i < sizeof system_mounts / sizeof *system_mounts; i++) {
		const struct spec_mount *mount = &system_mounts[i];
		if (covered(config, mount->destination))
			continue;
		/* Without a namespace it would show the groups of all others. */
		if (config->host_cgroups && !strcmp(mount->type, "cgroup"))
			continue;
		mounts[count] = *mount;
		if (config->privileged)
			mounts[count].attributes &= ~(uint64_t)RDONLY;
		/* The host's network shows in the host's /sys, which only its root may mount. */
		if (host->user_namespace && host->joined_network && !strcmp(mount->type, "sysfs")) {
			mounts[count].type = "bind";
			mounts[count].source = "/sys";
			mounts[count].recursive = mounts[count].recursive_attributes = true;
		}
		/* One id only: the terminal group is not mapped. */
		if (host->user_namespace && !strcmp(mount->type, "devpts"))
			mounts[count].data = "newinstance,ptmxmode=0666,mode=0620";
		count++;
		if (!strcmp(mount->destination, "/dev/pts") && !shm)
			mounts[count++] = (struct spec_mount){
				.destination = "/dev/shm",
				.type = "tmpfs",
				.source = "shm",
				.data = arena_printf(arena, "mode=1777,size=%lld",
					(long long)(config->shm_size ? config->shm_size : 64 << 20)),
				.attributes = NOSUID | NODEV | NOEXEC,
				.engine = true,
			};
	}
	static const char *const files[] = {"hosts", "hostname", "resolv.conf"};
	for (size_t i = 0; host->files && i < sizeof files / sizeof *files; i++) {
		char *destination = arena_printf(arena, "/etc/%s", files[i]);
		if (covered(config, destination))
			continue;
		mounts[count++] = (struct spec_mount){
			.destination = destination,
			.type = "bind",
			.source = arena_printf(arena, "%s/%s", host->files, files[i]),
			.attributes = NOSUID | NODEV | NOEXEC | (config->readonly_root ? RDONLY : 0),
			/* After the user's own: a folder on /etc does not hide them. */
			.late = true,
		};
	}
	/* Outer ones first, or they would hide what was mounted below them. */
	size_t first = count;
	for (size_t i = 0; i < config->mounts_count; i++) {
		struct spec_mount next;
		user_mount(config, &config->mounts[i], host->sources ? &host->sources[i] : NULL, &next);
		size_t at = count++;
		while (at > first && depth(mounts[at - 1].destination) > depth(next.destination)) {
			mounts[at] = mounts[at - 1];
			at--;
		}
		mounts[at] = next;
	}
	spec->mounts = mounts;
	spec->mounts_count = count;
}

int spec_capabilities(const struct container_config *config, uint64_t *mask, struct err *e)
{
	uint64_t held;
	int rc = confine_capabilities_held(&held);

	if (rc < 0)
		return err_errno(e, rc, "cannot read brig's own capabilities");
	if (config->privileged) {
		*mask = held;
		return 0;
	}
	return confine_capabilities_adjust(
		CONFINE_CAPABILITIES_DEFAULT, held, config->cap_add.items, config->cap_drop.items, mask, e);
}

/* A profile of the user's. */
static int read_profile(struct arena *arena, const char *text, uint64_t capabilities,
	struct spec_process *process, struct err *e)
{
	struct oci_seccomp_host host = {.capabilities = capabilities};
	struct oci_seccomp document;
	struct utsname kernel;

	if (uname(&kernel) == 0)
		sscanf(kernel.release, "%u.%u", &host.kernel_major, &host.kernel_minor);
	if (oci_seccomp_parse(text, strlen(text), &host, arena, &document, e) < 0)
		return -1;
	if (!document.enabled)
		return 0;
	if (document.listener_path)
		return err_set(e, ERR_UNSUPPORTED, 0,
			"the seccomp profile asks for a listener (listenerPath), which containers here do "
			"not have");
	struct seccomp_program *program = arena_new(arena, struct seccomp_program);
	int rc = seccomp_compile(&document.profile, arena, program);
	if (rc < 0)
		return err_errno(e, rc, "cannot compile the seccomp profile");
	process->seccomp = program;
	process->seccomp_flags = document.profile.flags;
	return 0;
}

static int build_seccomp(struct arena *arena, const struct container_config *config, uint64_t capabilities,
	struct spec_process *process, struct err *e)
{
	if (config->seccomp && !strcmp(config->seccomp, "unconfined"))
		return 0;
	if (config->seccomp)
		return read_profile(arena, config->seccomp, capabilities, process, e);
	if (config->privileged)
		return 0;
	struct seccomp_program *program = arena_new(arena, struct seccomp_program);
	int rc = seccomp_default(capabilities, arena, program);
	if (rc < 0)
		return err_errno(e, rc, "cannot make the system call filter");
	process->seccomp = program;
	return 0;
}

int spec_check(struct arena *arena, const struct container_config *config, struct err *e)
{
	struct spec_process ignored = {0};
	uint64_t capabilities;

	if (!config->cap_add.count && !config->cap_drop.count && !config->seccomp)
		return 0;
	if (spec_capabilities(config, &capabilities, e) < 0)
		return -1;
	return config->seccomp ? build_seccomp(arena, config, capabilities, &ignored, e) : 0;
}

static void build_sysctls(struct arena *arena, const struct container_config *config,
	const struct spec_host *host, struct spec *spec)
{
	struct spec_sysctl *sysctls = arena_array(arena, config->sysctls.count + 2, sizeof *sysctls);
	size_t count = 0;

	/* Ping and low ports without privileges, where the network is the container's own. */
	if (spec->new_namespaces & CLONE_NEWNET) {
		sysctls[count++] = (struct spec_sysctl){"net.ipv4.ip_unprivileged_port_start", "0"};
		if (!host->user_namespace)
			sysctls[count++] = (struct spec_sysctl){"net.ipv4.ping_group_range", "0 2147483647"};
	}
	for (size_t i = 0; i < config->sysctls.count; i++) {
		const char *equals = strchr(config->sysctls.items[i], '=');
		if (equals)
			sysctls[count++] = (struct spec_sysctl){
				arena_memdup(arena, config->sysctls.items[i],
					(size_t)(equals - config->sysctls.items[i])),
				equals + 1,
			};
	}
	spec->sysctls = sysctls;
	spec->sysctls_count = count;
}

static void build_devices(struct arena *arena, const struct container_config *config,
	const struct spec_host *host, struct spec *spec)
{
	spec->devices = default_devices;
	spec->devices_count = DEFAULT_DEVICES;
	if (!config->privileged || !host->devices_count)
		return;
	struct spec_device *devices =
		arena_array(arena, DEFAULT_DEVICES + host->devices_count, sizeof *devices);
	memcpy(devices, default_devices, sizeof default_devices);
	memcpy(devices + DEFAULT_DEVICES, host->devices, host->devices_count * sizeof *devices);
	spec->devices = devices;
	spec->devices_count += host->devices_count;
}

int spec_build(struct arena *arena, const struct container_config *config, const struct spec_host *host,
	struct spec *spec, struct err *e)
{
	uint64_t capabilities, ambient = 0;
	bool own_network = !host->joined_network, ready = host->ready_network >= 0;

	if (spec_capabilities(config, &capabilities, e) < 0)
		return -1;
	/* From an empty set, only what was added is left. */
	if (config->cap_add.count && confine_capabilities_adjust(0, capabilities, config->cap_add.items,
					     config->cap_drop.items, &ambient, e) < 0)
		return -1;
	struct strings args = container_args(arena, config);
	if (!args.count) {
		err_set(e, ERR_INVALID, 0, "no command specified");
		return err_hint(e, "the image names none: say what to run, as in brig run %s sh",
			config->image ? config->image : "IMAGE");
	}
	const char *hostname = config->hostname && *config->hostname ? config->hostname
								     : arena_memdup(arena, config->id, 12);
	*spec = (struct spec){
		.hostname = hostname,
		.domainname = config->domainname,
		.readonly = config->readonly_root,
		.loopback = host->lonely && !ready,
		.new_namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
				  (config->host_cgroups ? 0 : CLONE_NEWCGROUP) |
				  (own_network && !ready ? CLONE_NEWNET : 0),
		.process =
			{
				.args = args.items,
				.env = build_env(arena, config, hostname),
				.cwd = config->working_dir,
				.make_cwd = true,
				.user = {.text = config->user, .add_groups = config->group_add.items},
				.terminal = config->terminal,
				.rows = host->rows,
				.columns = host->columns,
				.no_new_privileges = config->no_new_privileges,
				.keep_groups = host->user_namespace,
				.capability_set = capabilities,
				.ambient = ambient,
				.rlimits = confine_rlimit_defaults,
				.rlimits_count = confine_rlimit_default_count,
				/* An ordinary user's process may not lower it again. */
				.set_oom_score_adj = !host->user_namespace,
				.keyring = config->id,
				.init = config->init,
			},
	};
	if (ready)
		spec->join[SPEC_NS_NETWORK] = host->ready_network + 1;
	if (!config->privileged && !config->unconfined_paths) {
		spec->masked_paths = spec_masked_paths;
		spec->readonly_paths = spec_readonly_paths;
	}
	build_mounts(arena, config, host, spec);
	build_devices(arena, config, host, spec);
	build_sysctls(arena, config, host, spec);
	return build_seccomp(arena, config, capabilities, &spec->process, e);
}
