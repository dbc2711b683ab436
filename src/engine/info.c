/* info.c - what this store holds and this host has. */
#include "engine/info.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/time.h"
#include "engine/control.h"
#include "store/driver.h"
#include "store/image.h"
#include "store/place.h"

static void count_containers(struct engine *engine, struct engine_info *info)
{
	struct containers *containers = &engine->containers;

	for (size_t slot = 0; slot < containers->count; slot++) {
		struct container container;
		if (!container_read(containers, slot, &container))
			continue;
		enum control_state state = control_observe(engine, &container);
		if (state == CONTROL_BUSY)
			continue;
		info->containers++;
		if (state != CONTROL_RUNNING && state != CONTROL_UNATTENDED)
			info->stopped++;
		else if (container.record.status.state == CONTAINER_PAUSED)
			info->paused++;
		else
			info->running++;
	}
}

static void find_cgroup(struct engine_info *info)
{
	struct statfs where;

	info->cgroup_version = 1;
	if (statfs("/sys/fs/cgroup", &where) == 0 && (long)where.f_type == KERNEL_CGROUP2_SUPER_MAGIC)
		info->cgroup_version = 2;
	else
		info->cgroup_hybrid = statfs("/sys/fs/cgroup/unified", &where) == 0 &&
				      (long)where.f_type == KERNEL_CGROUP2_SUPER_MAGIC;
}

/* A value of os-release(5), such as PRETTY_NAME=; or otherwise. */
static const char *release_value(struct arena *arena, const char *key, const char *otherwise)
{
	size_t length = strlen(key);
	auto_buf struct buf text = {0};
	/* A link in most distributions, and root's. */
	auto_close int fd = fd_open(AT_FDCWD, "/etc/os-release", O_RDONLY, 0);

	if (fd < 0 || fd_slurp(fd, 1 << 16, &text) < 0 || !text.data)
		return otherwise;
	for (char *line = text.data; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) != 0)
			continue;
		char *value = line + length;
		char quote = *value == '"' || *value == '\'' ? *value++ : '\n';
		return arena_memdup(arena, value, strcspn(value, (char[]){quote, '\n', '\0'}));
	}
	return otherwise;
}

static int count_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static bool forwards(void)
{
	auto_buf struct buf text = {0};

	return fd_read_file(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", 16, &text) == 0 && text.length &&
	       *text.data == '1';
}

static bool is_there(const char *path)
{
	return faccessat(AT_FDCWD, path, F_OK, 0) == 0;
}

int engine_info(struct engine *engine, struct engine_info *info, struct err *e)
{
	struct arena *arena = engine->arena;
	struct image *images;
	struct utsname host;
	struct sysinfo system;

	*info = (struct engine_info){0};
	if (image_list(&engine->store, arena, &images, &info->images, e) < 0)
		return -1;
	count_containers(engine, info);
	struct driver_choice choice;
	if (driver_explain(&engine->store, engine->config->driver, &choice, e) < 0)
		return -1;
	info->driver = choice.driver->name;
	info->driver_why = arena_strdup(arena, choice.why);
	info->driver_recorded = choice.recorded;
	info->file_system = place_type(arena, engine->data_root);
	find_cgroup(info);
	uname(&host);
	info->kernel = arena_strdup(arena, host.release);
	info->architecture = arena_strdup(arena, host.machine);
	info->hostname = arena_strdup(arena, host.nodename);
	info->operating_system = release_value(arena, "PRETTY_NAME=", "Linux");
	info->os_version = release_value(arena, "VERSION_ID=", "");
	info->forwards = forwards();
	info->cpus = count_cpus();
	if (sysinfo(&system) == 0)
		info->memory = (int64_t)system.totalram * system.mem_unit;
	info->seccomp = is_there("/proc/sys/kernel/seccomp/actions_avail");
	info->apparmor = is_there("/sys/kernel/security/apparmor/profiles");
	return 0;
}

static void put_plugins(struct json_writer *w)
{
	json_begin_object(w, "Plugins");
	json_put_strings(w, "Volume", (const char *const[]){"local", NULL});
	json_put_strings(w, "Network", (const char *const[]){"bridge", "host", "null", NULL});
	json_put_null(w, "Authorization");
	json_put_strings(w, "Log", (const char *const[]){"json-file", NULL});
	json_end_object(w);
}

/* What docker tells of its limits, all of which brig has. */
static void put_limits(struct json_writer *w)
{
	static const char *const names[] = {"MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota",
		"CPUShares", "CPUSet", "PidsLimit"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		json_put_bool(w, names[i], true);
}

static void put_registries(const struct engine *engine, struct json_writer *w)
{
	json_begin_object(w, "RegistryConfig");
	json_begin_array(w, "InsecureRegistryCIDRs");
	json_put_string(w, NULL, "127.0.0.0/8");
	json_put_string(w, NULL, "::1/128");
	json_end_array(w);
	json_begin_object(w, "IndexConfigs");
	for (const struct config_registry *r = engine->config->registries; r; r = r->next) {
		json_begin_object(w, r->name);
		json_put_string(w, "Name", r->name);
		json_begin_array(w, "Mirrors");
		for (size_t i = 0; i < r->mirrors.count; i++)
			json_put_string(w, NULL, r->mirrors.items[i]);
		json_end_array(w);
		json_put_bool(w, "Secure", !r->insecure);
		json_put_bool(w, "Official", !strcmp(r->name, "docker.io"));
		json_end_object(w);
	}
	json_end_object(w);
	json_end_object(w);
}

/* What docker's command adds of itself. */
static void put_client(const struct engine_info *info, struct json_writer *w)
{
	json_begin_object(w, "ClientInfo");
	json_put_bool(w, "Debug", info->debug);
	json_put_string(w, "Version", BRIG_VERSION);
	json_put_string(w, "Context", "default");
	json_begin_array(w, "Plugins");
	json_end_array(w);
	json_put_null(w, "Warnings");
	json_end_object(w);
}

void engine_info_write(const struct engine *engine, const struct engine_info *info, struct json_writer *w)
{
	char now[TIME_TEXT];

	json_begin_object(w, NULL);
	json_put_integer(w, "Containers", (int64_t)info->containers);
	json_put_integer(w, "ContainersRunning", (int64_t)info->running);
	json_put_integer(w, "ContainersPaused", (int64_t)info->paused);
	json_put_integer(w, "ContainersStopped", (int64_t)info->stopped);
	json_put_integer(w, "Images", (int64_t)info->images);
	json_put_string(w, "Driver", info->driver);
	json_begin_array(w, "DriverStatus");
	if (*info->file_system) {
		json_begin_array(w, NULL);
		json_put_string(w, NULL, "Backing Filesystem");
		json_put_string(w, NULL, info->file_system);
		json_end_array(w);
	}
	json_begin_array(w, NULL);
	json_put_string(w, NULL, info->driver_recorded ? "Chosen Because" : "Would Be Chosen Because");
	json_put_string(w, NULL, info->driver_why);
	json_end_array(w);
	json_end_array(w);
	put_plugins(w);
	put_limits(w);
	json_put_bool(w, "OomKillDisable", false);
	json_put_bool(w, "IPv4Forwarding", info->forwards);
	json_put_bool(w, "Debug", info->debug);
	json_put_string(w, "LoggingDriver", "json-file");
	json_put_string(w, "CgroupDriver", "cgroupfs");
	json_put_string(w, "CgroupVersion", info->cgroup_version == 2 ? "2" : "1");
	json_put_string(w, "SystemTime", time_format(now, time_now()));
	json_put_string(w, "KernelVersion", info->kernel);
	json_put_string(w, "OperatingSystem", info->operating_system);
	json_put_string(w, "OSVersion", info->os_version);
	json_put_string(w, "OSType", "linux");
	json_put_string(w, "Architecture", info->architecture);
	json_put_string(w, "IndexServerAddress", "https://index.docker.io/v1/");
	put_registries(engine, w);
	json_put_integer(w, "NCPU", info->cpus);
	json_put_integer(w, "MemTotal", info->memory);
	json_put_string(w, "DockerRootDir", engine->data_root);
	json_put_string(w, "Name", info->hostname);
	json_begin_array(w, "Labels");
	json_end_array(w);
	json_put_bool(w, "ExperimentalBuild", false);
	json_put_string(w, "ServerVersion", BRIG_VERSION);
	json_begin_object(w, "Runtimes");
	json_begin_object(w, "brig");
	json_put_string(w, "path", "brig");
	json_end_object(w);
	json_end_object(w);
	json_put_string(w, "DefaultRuntime", "brig");
	json_begin_object(w, "Swarm");
	json_put_string(w, "LocalNodeState", "inactive");
	json_end_object(w);
	json_put_bool(w, "LiveRestoreEnabled", true);
	json_begin_array(w, "SecurityOptions");
	if (info->seccomp)
		json_put_string(w, NULL, "name=seccomp,profile=builtin");
	json_end_array(w);
	json_put_null(w, "Warnings");
	json_put_string(w, "RunRoot", engine->run_root);
	put_client(info, w);
	json_end_object(w);
}
