/*
 * launch.c - bringing a container to life, and taking it down.
 *
 * The child works on its mounts while we make cgroups and network: what stands between
 * the two is in runtime/sync.h.
 */
#include "engine/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/time.h"
#include "engine/create.h"
#include "engine/devices.h"
#include "engine/monitor.h"
#include "engine/volumes.h"
#include "store/driver.h"

enum stage { STAGE_FILES = 1, STAGE_PROCESS = 2, STAGE_NETWORK = 4, STAGE_STATUS = 8 };

/* Files of a container in the run root: RUN/containers/ID/{hosts,hostname,resolv.conf}. */
static int write_file(int dir, const char *name, const struct buf *text)
{
	auto_close int fd = fd_open(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
	return fd < 0 ? fd : fd_write_full(fd, text->data, text->length);
}

static struct net_files network_files(const struct launch *launch)
{
	const struct container_config *config = launch->config;
	return (struct net_files){
		.kind = launch->network.kind,
		.hostname = config->hostname && *config->hostname ? config->hostname : NULL,
		.domainname = config->domainname,
		.address = launch->network.address,
		.dns = (const char *const *)launch->engine->config->dns.items,
	};
}

static int make_files(struct launch *launch, struct err *e)
{
	char path[80], hostname[13];
	struct net_files files = network_files(launch);
	auto_buf struct buf text = {0};

	close_fd(&launch->files);
	snprintf(path, sizeof path, "containers/%s", launch->container->id);
	auto_close int dir = fd_open_dir_made(launch->engine->run, path, 0711);
	if (dir < 0)
		return err_errno(
			e, dir, "cannot make the container's folder in %s", launch->engine->run_root);
	launch->stages |= STAGE_FILES;
	memcpy(hostname, launch->container->id, 12);
	hostname[12] = '\0';
	if (!files.hostname)
		files.hostname = hostname;
	net_render_hostname(&files, &text);
	int rc = write_file(dir, "hostname", &text);
	text.length = 0;
	net_render_resolv(&files, &text);
	if (rc == 0)
		rc = write_file(dir, "resolv.conf", &text);
	if (rc < 0)
		return err_errno(e, rc, "cannot write the container's files in %s", launch->engine->run_root);
	/* hosts gets its address later; it has to be there to be mounted. */
	text.length = 0;
	rc = write_file(dir, "hosts", &text);
	if (rc < 0)
		return err_errno(e, rc, "cannot write the container's hosts file");
	launch->files = steal_fd(&dir);
	return 0;
}

static int write_hosts(struct launch *launch, struct err *e)
{
	auto_buf struct buf text = {0};
	struct net_files files = network_files(launch);
	char hostname[13];

	memcpy(hostname, launch->container->id, 12);
	hostname[12] = '\0';
	if (!files.hostname)
		files.hostname = hostname;
	if (net_render_hosts(&files, launch->network.gateway, &text, e) < 0)
		return -1;
	int rc = write_file(launch->files, "hosts", &text);
	close_fd(&launch->files);
	return rc < 0 ? err_errno(e, rc, "cannot write the container's hosts file") : 0;
}

static void remove_files(const struct engine *engine, const char *id)
{
	char path[80];
	snprintf(path, sizeof path, "containers/%.64s", id);
	fd_remove_tree(engine->run, path);
}

/* The driver's detached mount. */
static int open_root(void *context, struct err *e)
{
	const struct launch *launch = context;
	struct store *store = &launch->engine->store;
	auto_close int folder = container_open_dir(&launch->engine->containers, launch->container, e);

	if (folder < 0)
		return -1;
	struct driver_rootfs rootfs = {
		.folder = folder,
		.layers = launch->config->layers.items,
		.layer_count = launch->config->layers.count,
		.hidden = (size_t)launch->config->layers_hidden,
		.ephemeral = launch->config->auto_remove,
	};
	auto_close int root = store->driver->rootfs_mount(store, &rootfs, e);
	if (root < 0)
		return -1;
	log_trace("monitor", "root file system made");
	/* What create has left to us: nothing runs in there yet. */
	if (launch->container->record.status.state == CONTAINER_CREATING && volumes_any(launch->config)) {
		if (volumes_fill(launch->engine, launch->config, root, e) < 0)
			return -1;
		log_trace("monitor", "volumes filled");
	}
	return steal_fd(&root);
}

/* Before the child gets its mount namespace: what the driver has to do in ours. */
static int prepare_root(const struct launch *launch, struct err *e)
{
	struct store *store = &launch->engine->store;

	if (!store->driver->rootfs_prepare)
		return 0;
	auto_close int folder = container_open_dir(&launch->engine->containers, launch->container, e);
	if (folder < 0)
		return -1;
	struct driver_rootfs rootfs = {.folder = folder};
	return store->driver->rootfs_prepare(store, &rootfs, e);
}

static void cgroup_path(const struct container *container, char path[CGROUP_PATH])
{
	const char *own = container->record.identity.cgroup;

	if (*own)
		snprintf(path, CGROUP_PATH, "%.15s", own);
	else
		snprintf(path, CGROUP_PATH, "brig/%.64s", container->id);
}

/* The limits, rules at last: room for all of them is the caller's. */
enum { DEVICE_RULES = 32 };

static void fill_limits(const struct launch *launch, struct cgroup_device_rule rules[DEVICE_RULES],
	uint64_t capabilities, struct cgroup_limits *out)
{
	const struct container_limits *limits = &launch->config->limits;
	int64_t pids = limits->pids ? limits->pids : launch->engine->config->pids_limit;
	size_t count = 0;

	*out = (struct cgroup_limits){
		.memory = limits->memory,
		/* docker's default: as much swap again as memory. */
		.memory_swap = limits->memory_swap              ? limits->memory_swap
			       : limits->memory > INT64_MAX / 2 ? -1
			       : limits->memory > 0             ? 2 * limits->memory
								: 0,
		.memory_reservation = limits->memory_reservation,
		.cpu_shares = (uint64_t)limits->cpu_shares,
		.cpu_quota = limits->nano_cpus ? limits->nano_cpus / 10000 : limits->cpu_quota,
		.cpu_period = limits->nano_cpus ? 100000 : (uint64_t)limits->cpu_period,
		.cpuset_cpus = limits->cpuset_cpus,
		.cpuset_mems = limits->cpuset_mems,
		.pids = pids > 0 ? pids : 0,
		.defaults = (limits->pids ? 0 : CGROUP_DEFAULT_PIDS) |
			    (limits->memory_swap ? 0 : CGROUP_DEFAULT_SWAP),
		.devices_optional = launch->engine->user_namespace,
	};
	if (launch->config->privileged)
		return;
	for (size_t i = 0; i < cgroup_device_default_count; i++)
		rules[count++] = cgroup_device_defaults[i];
	if (capabilities >> CAP_MKNOD & 1) {
		static const char types[] = {'c', 'b'};
		for (size_t i = 0; i < 2; i++)
			rules[count++] = (struct cgroup_device_rule){.type = types[i],
				.allow = true,
				.access = CGROUP_MKNOD,
				.major = -1,
				.minor = -1};
	}
	out->devices = rules;
	out->device_count = count;
}

/* Whether the user asked for anything that needs a cgroup. */
static bool limits_asked(const struct container_limits *limits)
{
	static const struct container_limits none;
	return memcmp(limits, &none, sizeof none) != 0;
}

static struct net_request network_request(const struct launch *launch)
{
	return (struct net_request){
		.run_root = launch->engine->run,
		.network = launch->config->network,
		.id = launch->container->id,
		.pidfd = launch->process.pidfd,
		.interface = launch->config->interface,
	};
}

/* A namespace that was made ahead, if there is one. */
static void take_network(struct launch *launch)
{
	struct net_request request = network_request(launch);

	if (launch->network.kind == NET_HOST || !launch->ready_networks || launch->stale_network ||
		net_pool_take(&request, &launch->taken, &launch->network) <= 0)
		return;
	log_trace("monitor", "network namespace taken");
}

/* While the child is on its way already: whether that namespace is what it should be. */
static int confirm_network(struct launch *launch, struct err *e)
{
	struct net_request request = network_request(launch);

	if (launch->taken.netns < 0)
		return 0;
	if (net_pool_confirm(&request, &launch->taken, &launch->network, e) < 0) {
		launch->stale_network = true;
		return -1;
	}
	launch->stages |= STAGE_NETWORK;
	log_trace("monitor", "network namespace confirmed");
	return 0;
}

static int attach_network(struct launch *launch, struct err *e)
{
	struct net_request request = network_request(launch);

	if (launch->stages & STAGE_NETWORK)
		return 0;
	if (net_attach(&request, &launch->network, e) < 0)
		return -1;
	launch->stages |= STAGE_NETWORK;
	/* What was changed on the host is said, a line each. */
	for (const char *line = launch->network.note; *line;) {
		size_t length = strcspn(line, "\n");
		dprintf(STDERR_FILENO, "brig: %.*s\n", (int)length, line);
		line += length + (line[length] == '\n');
	}
	log_trace("monitor", "network attached");
	return 0;
}

/* With the address known: the kernel passes on what comes for the container's ports. */
static int publish(struct launch *launch, struct err *e)
{
	if (!launch->ports.count)
		return 0;
	if (ports_publish(launch->engine, launch->container, &launch->network, &launch->ports, e) < 0)
		return -1;
	log_trace("monitor", "ports published");
	return 0;
}

static int write_running(struct launch *launch, struct err *e)
{
	struct container_status status = launch->container->record.status;
	uint32_t before = status.state;

	status.state = CONTAINER_RUNNING;
	status.flags = 0;
	status.exit_code = 0;
	status.pid = (int32_t)launch->process.pid;
	status.monitor = (int32_t)getpid();
	status.started = time_now();
	status.finished = 0;
	status.boot = container_boot();
	status.start_time = container_start_time(launch->process.pid);
	snprintf(status.address, sizeof status.address, "%s", launch->network.address);
	if (container_write_status(&launch->engine->containers, launch->container, &status, e) < 0)
		return -1;
	launch->stages |= STAGE_STATUS;
	/* Before it can write anything: while its record says CREATING on the disk, it goes with all it
	 * wrote if the power does. */
	bool made_now = before == CONTAINER_CREATING;
	return made_now && create_durable(launch->config) ? containers_sync(&launch->engine->containers, e)
							  : 0;
}

/* While the child mounts: its files, and config.json where create left that to us. */
static int prepare(void *context, struct err *e)
{
	struct launch *launch = context;

	if (confirm_network(launch, e) < 0 || make_files(launch, e) < 0)
		return -1;
	/* With volumes it was written before they were made. */
	if (launch->container->record.status.state != CONTAINER_CREATING || volumes_any(launch->config))
		return 0;
	auto_close int dir = container_open_dir(&launch->engine->containers, launch->container, e);
	return dir < 0 ? -1 : container_config_save(dir, launch->config, create_durable(launch->config), e);
}

/* The stages, in their order. */
static int go_up(struct launch *launch, const int stdio[3], struct arena *arena, struct err *e)
{
	struct engine *engine = launch->engine;
	struct spec spec;

	if (driver_use(&engine->store, NULL, e) < 0 || prepare_root(launch, e) < 0 ||
		net_kind_of(launch->config->network, &launch->network.kind, e) < 0 ||
		cgroup_probe(&launch->cgroup_host, e) < 0)
		return -1;
	/* They are mounts, which would be in the way of whoever deletes a run root of his own;
	 * and they belong to this user namespace, not to one of the container's. */
	launch->ready_networks = engine->config->ready_networks && !engine->user_namespace &&
				 !strcmp(engine->run_root, config_default_run_root(arena));
	take_network(launch);
	struct spec_host host = {
		.files = arena_printf(arena, "%s/containers/%s", engine->run_root, launch->container->id),
		.user_namespace = engine->user_namespace,
		.lonely = launch->network.kind == NET_NONE,
		.ready_network = launch->taken.netns,
		.joined_network = launch->network.kind == NET_HOST,
		.rows = launch->rows,
		.columns = launch->columns,
	};
	if (volumes_open(engine, arena, launch->config, &launch->volumes, e) < 0)
		return -1;
	host.sources = launch->volumes;
	if (launch->config->privileged && !engine->user_namespace)
		host.devices = devices_of_host(arena, &host.devices_count);
	if (spec_build(arena, launch->config, &host, &spec, e) < 0)
		return -1;
	log_trace("monitor", "spec made");
	char path[CGROUP_PATH];
	struct cgroup_device_rule rules[DEVICE_RULES];
	struct cgroup_limits limits;
	cgroup_path(launch->container, path);
	fill_limits(launch, rules, spec.process.capability_set, &limits);
	struct runtime_options options = {
		.spec = &spec,
		.open_root = open_root,
		.prepare = prepare,
		.context = launch,
		.anchor = engine->store.path,
		.stdio = {stdio[0], stdio[1], stdio[2]},
		.cgroup_host = &launch->cgroup_host,
		.cgroup_path = path,
		.limits = &limits,
	};
	/* An ordinary user has cgroups where v2's were delegated, and else does without. */
	bool asked = limits_asked(&launch->config->limits);
	bool optional = engine->user_namespace && !asked;
	if (!asked && (launch->cgroup_host.version == 0 || (optional && launch->cgroup_host.version == 1)))
		options.cgroup_path = NULL;
	int rc = runtime_create(&options, &launch->process, e);
	if (rc < 0 && optional && options.cgroup_path &&
		(e->kind == ERR_DENIED || e->kind == ERR_UNSUPPORTED)) {
		options.cgroup_path = NULL;
		rc = runtime_create(&options, &launch->process, e);
	}
	if (rc < 0)
		return -1;
	launch->stages |= STAGE_PROCESS;
	if (*launch->process.cgroup.warning)
		log_warning("%s", launch->process.cgroup.warning);
	log_trace("monitor", "cgroup made and joined");
	if (attach_network(launch, e) < 0) {
		runtime_reason(&launch->process, e);
		return -1;
	}
	if (publish(launch, e) < 0 || write_hosts(launch, e) < 0)
		return -1;
	char namespace[40];
	snprintf(namespace, sizeof namespace, "/proc/%d/ns/mnt", (int)launch->process.pid);
	launch->mounts = fd_open(AT_FDCWD, namespace, O_RDONLY, 0);
	if (write_running(launch, e) < 0 || runtime_go(&launch->process, &launch->console, e) < 0)
		return -1;
	log_trace("monitor", "executed");
	return 0;
}

int launch_up(struct launch *launch, const int stdio[3], struct err *e)
{
	auto_arena struct arena arena = {0};
	struct container_status before = launch->container->record.status;

	launch->console = launch->mounts = launch->files = -1;
	launch->taken = (struct net_pool_taken)NET_POOL_NONE;
	/* One that is being created is swept as a whole when we are killed; of another, what we
	 * make here. */
	if (before.state != CONTAINER_CREATING) {
		struct container_status unclean = before;
		unclean.flags |= CONTAINER_UNCLEAN;
		if (container_write_status(&launch->engine->containers, launch->container, &unclean, e) < 0)
			return -1;
		launch->stages |= STAGE_STATUS;
	}
	int rc = ports_wanted(launch->config) ? ports_hold(launch->engine, launch->config,
							before.state == CONTAINER_CREATING, &launch->ports, e)
					      : 0;
	if (rc == 0)
		rc = go_up(launch, stdio, &arena, e);
	net_pool_close(&launch->taken);
	volumes_close(launch->volumes, launch->config->mounts_count);
	if (rc < 0 && launch->stale_network) {
		rc = go_up(launch, stdio, &arena, e);
		volumes_close(launch->volumes, launch->config->mounts_count);
	}
	if (rc == 0)
		return 0;
	if (launch->stages & STAGE_PROCESS)
		runtime_abandon(&launch->process);
	launch_release(launch);
	launch_down(launch);
	if (launch->stages & STAGE_STATUS) {
		struct err ignored;
		container_write_status(&launch->engine->containers, launch->container, &before, &ignored);
	}
	return -1;
}

void launch_release(struct launch *launch)
{
	struct err ignored;
	bool publishes = launch->ports.count;

	ports_let_go(&launch->ports);
	if (!(launch->stages & STAGE_NETWORK))
		return;
	struct net_release release = {
		.run_root = launch->engine->run,
		.network = launch->network.network,
		.id = launch->container->id,
		.address = launch->network.address,
		.publishes = publishes,
	};
	net_detach(&release, &ignored);
}

void launch_down(struct launch *launch)
{
	struct err ignored;

	close_fd(&launch->console);
	close_fd(&launch->files);
	/* Everything mounted goes with the last reference to the namespace. */
	close_fd(&launch->mounts);
	close_fd(&launch->process.pidfd);
	if (launch->process.cgroup.host && !*launch->container->record.identity.cgroup)
		cgroup_remove(&launch->process.cgroup, &ignored);
	cgroup_close(&launch->process.cgroup);
	if (launch->stages & STAGE_FILES)
		remove_files(launch->engine, launch->container->id);
}

static bool is_that(void *context, const char *id)
{
	return !strcmp(context, id);
}

void launch_clean_lost(struct engine *engine, const struct container *container)
{
	char id[CONTAINER_ID];
	struct err ignored;
	struct cgroup_host host;
	struct cgroup cgroup;

	if (engine_run_root(engine, &ignored) < 0)
		return;
	struct net_release release = {
		.run_root = engine->run,
		.id = container->id,
		.address = container->record.status.address,
		.publishes = container->record.identity.flags & CONTAINER_PUBLISHES,
	};
	memcpy(id, container->id, sizeof id);
	bool own_cgroup = *container->record.identity.cgroup;
	/* Its record may not tell the address: not yet, or no more; nor the network, if it is not the
	 * usual one. */
	if (*release.address && !own_cgroup)
		net_detach(&release, &ignored);
	else
		net_sweep(engine->run, is_that, id, &ignored);
	bool going = container->record.status.state == CONTAINER_CREATING ||
		     container->record.status.state == CONTAINER_REMOVING;
	if ((!own_cgroup || going) && launch_open_cgroup(container, &host, &cgroup, &ignored) == 0) {
		cgroup_remove(&cgroup, &ignored);
		cgroup_close(&cgroup);
	}
	monitor_forget(engine, container->id);
	remove_files(engine, container->id);
}

int launch_open_cgroup(
	const struct container *container, struct cgroup_host *host, struct cgroup *cgroup, struct err *e)
{
	char path[CGROUP_PATH];

	cgroup_path(container, path);
	if (cgroup_probe(host, e) < 0)
		return -1;
	return cgroup_open(host, path, cgroup, e);
}

void launch_remove_cgroup(const struct container *container)
{
	struct cgroup_host host;
	struct cgroup cgroup;
	struct err ignored;

	if (!*container->record.identity.cgroup ||
		launch_open_cgroup(container, &host, &cgroup, &ignored) < 0)
		return;
	cgroup_remove(&cgroup, &ignored);
	cgroup_close(&cgroup);
}

bool launch_cgroup_exists(const char *name)
{
	struct cgroup_host host;
	struct cgroup cgroup;
	struct err ignored;

	if (cgroup_probe(&host, &ignored) < 0 || cgroup_open(&host, name, &cgroup, &ignored) < 0)
		return false;
	cgroup_close(&cgroup);
	return true;
}

void launch_prepare(const struct launch *launch)
{
	if (launch->ready_networks)
		net_pool_refill(launch->engine->run, launch->network.network);
}
