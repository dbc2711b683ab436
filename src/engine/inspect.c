/*
 * inspect.c - docker's JSON of one container.
 *
 * Members stand in docker's order, all of them: programs look for the ones that brig has
 * no use for, too. What docker leaves out where it is empty is left out here.
 */
#include "engine/inspect.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/time.h"
#include "engine/container.h"
#include "engine/control.h"
#include "engine/ports.h"
#include "engine/spec.h"
#include "engine/volume.h"
#include "net/firewall.h"
#include "net/net.h"
#include "oci/port.h"
#include "store/driver.h"

struct inspect {
	struct engine *engine;
	struct container *container;
	struct container_config config;
	struct json_writer *w;
	const char *path; /* of the container's folder */
	const struct container_size *size;
};

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* null where it is empty, as Go's nil slices. */
static void put_list(struct json_writer *w, const char *key, const struct strings *list)
{
	if (list->count)
		json_put_strings(w, key, list->items);
	else
		json_put_null(w, key);
}

static void put_empty_list(struct json_writer *w, const char *key)
{
	json_begin_array(w, key);
	json_end_array(w);
}

static void put_empty_map(struct json_writer *w, const char *key)
{
	json_begin_object(w, key);
	json_end_object(w);
}

static void put_instant(struct json_writer *w, const char *key, int64_t when)
{
	char time[TIME_TEXT];

	json_put_string(w, key, when ? time_format(time, when) : "0001-01-01T00:00:00Z");
}

static void put_state(struct inspect *in)
{
	const struct container_status *status = &in->container->record.status;
	enum control_state state = control_observe(in->engine, in->container);
	bool running = state == CONTROL_RUNNING || state == CONTROL_UNATTENDED;
	bool paused = running && status->state == CONTAINER_PAUSED;
	const char *word = paused                                ? "paused"
			   : running                             ? "running"
			   : state == CONTROL_CREATED            ? "created"
			   : status->state == CONTAINER_REMOVING ? "removing"
								 : "exited";
	struct json_writer *w = in->w;

	json_begin_object(w, "State");
	json_put_string(w, "Status", word);
	json_put_bool(w, "Running", running);
	json_put_bool(w, "Paused", paused);
	json_put_bool(w, "Restarting", false);
	json_put_bool(w, "OOMKilled", status->flags & CONTAINER_OOM_KILLED);
	json_put_bool(w, "Dead", false);
	json_put_integer(w, "Pid", running ? status->pid : 0);
	json_put_integer(w, "ExitCode", running ? 0 : state == CONTROL_LOST ? 255 : status->exit_code);
	json_put_string(w, "Error", "");
	put_instant(w, "StartedAt", status->started);
	put_instant(w, "FinishedAt", status->finished);
	json_end_object(w);
}

/* What -v was given. */
static void put_binds(struct inspect *in)
{
	struct strings binds = {0};

	for (size_t i = 0; i < in->config.mounts_count; i++)
		if (in->config.mounts[i].bind)
			strings_add(in->engine->arena, &binds, in->config.mounts[i].bind);
	put_list(in->w, "Binds", &binds);
}

static void put_log_config(struct inspect *in)
{
	struct json_writer *w = in->w;

	json_begin_object(w, "LogConfig");
	json_put_string(w, "Type", "json-file");
	json_begin_object(w, "Config");
	/* Only what was asked for: docker does not show defaults. */
	const struct config *defaults = in->engine->config;
	if (in->config.log_max_files && in->config.log_max_files != defaults->log_max_file)
		json_put_string(w, "max-file",
			arena_printf(in->engine->arena, "%lld", (long long)in->config.log_max_files));
	if (in->config.log_max_size && in->config.log_max_size != defaults->log_max_size)
		json_put_string(w, "max-size",
			arena_printf(in->engine->arena, "%lld", (long long)in->config.log_max_size));
	json_end_object(w);
	json_end_object(w);
}

static void put_limits(struct inspect *in)
{
	const struct container_limits *limits = &in->config.limits;
	struct json_writer *w = in->w;

	json_put_integer(w, "CpuShares", limits->cpu_shares);
	json_put_integer(w, "Memory", limits->memory);
	json_put_integer(w, "NanoCpus", limits->nano_cpus);
	json_put_string(w, "CgroupParent", "");
	json_put_integer(w, "BlkioWeight", 0);
	static const char *const lists[] = {"BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps",
		"BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		put_empty_list(w, lists[i]);
	json_put_integer(w, "CpuPeriod", limits->cpu_period);
	json_put_integer(w, "CpuQuota", limits->cpu_quota);
	json_put_integer(w, "CpuRealtimePeriod", 0);
	json_put_integer(w, "CpuRealtimeRuntime", 0);
	json_put_string(w, "CpusetCpus", or_empty(limits->cpuset_cpus));
	json_put_string(w, "CpusetMems", or_empty(limits->cpuset_mems));
	put_empty_list(w, "Devices");
	json_put_null(w, "DeviceCgroupRules");
	json_put_null(w, "DeviceRequests");
	json_put_integer(w, "MemoryReservation", limits->memory_reservation);
	/* What is in force where only the memory was given: as much swap again. */
	bool doubled = limits->memory > 0 && !limits->memory_swap;
	json_put_integer(w, "MemorySwap", doubled ? 2 * limits->memory : limits->memory_swap);
	json_put_null(w, "MemorySwappiness");
	json_put_bool(w, "OomKillDisable", false);
	if (limits->pids)
		json_put_integer(w, "PidsLimit", limits->pids);
	else
		json_put_null(w, "PidsLimit");
	put_empty_list(w, "Ulimits");
	json_put_integer(w, "CpuCount", 0);
	json_put_integer(w, "CpuPercent", 0);
	json_put_integer(w, "IOMaximumIOps", 0);
	json_put_integer(w, "IOMaximumBandwidth", 0);
}

/* {"/t": "size=1m"} */
static void put_tmpfs(struct inspect *in)
{
	size_t count = 0;

	for (size_t i = 0; i < in->config.mounts_count; i++) {
		const struct container_mount *mount = &in->config.mounts[i];
		if (mount->type != CONTAINER_MOUNT_TMPFS || mount->detailed)
			continue;
		if (!count++)
			json_begin_object(in->w, "Tmpfs");
		json_put_string(in->w, mount->target, or_empty(mount->options));
	}
	if (count)
		json_end_object(in->w);
}

/* By what stands before the "=", in bytes. */
static int by_key(const void *a, const void *b)
{
	const char *left = *(const char *const *)a, *right = *(const char *const *)b;
	size_t x = strcspn(left, "="), y = strcspn(right, "=");
	int order = memcmp(left, right, x < y ? x : y);
	return order ? order : x < y ? -1 : x > y;
}

/* KEY=VALUE words as an object, sorted as Go prints its maps. */
static void put_pairs(struct inspect *in, const char *key, const struct strings *pairs)
{
	const char **sorted = arena_array(in->engine->arena, pairs->count + 1, sizeof *sorted);

	for (size_t i = 0; i < pairs->count; i++)
		sorted[i] = pairs->items[i];
	qsort(sorted, pairs->count, sizeof *sorted, by_key);
	json_begin_object(in->w, key);
	for (size_t i = 0; i < pairs->count; i++) {
		const char *pair = sorted[i], *equals = strchr(pair, '=');
		size_t length = equals ? (size_t)(equals - pair) : strlen(pair);
		json_put_string(
			in->w, arena_memdup(in->engine->arena, pair, length), equals ? equals + 1 : "");
	}
	json_end_object(in->w);
}

static void put_volume_wish(struct inspect *in, const struct container_mount *mount)
{
	struct json_writer *w = in->w;

	if (!mount->nocopy && !mount->subpath && !mount->labels.count && !mount->volume_options.count)
		return;
	json_begin_object(w, "VolumeOptions");
	if (mount->nocopy)
		json_put_bool(w, "NoCopy", true);
	if (mount->labels.count)
		put_pairs(in, "Labels", &mount->labels);
	if (mount->subpath)
		json_put_string(w, "Subpath", mount->subpath);
	if (mount->volume_options.count) {
		json_begin_object(w, "DriverConfig");
		put_pairs(in, "Options", &mount->volume_options);
		json_end_object(w);
	}
	json_end_object(w);
}

static void put_bind_wish(struct inspect *in, const struct container_mount *mount)
{
	struct json_writer *w = in->w;

	if (!mount->propagation && !mount->not_recursive && !mount->readonly_recursive_not &&
		!mount->readonly_recursive_force)
		return;
	json_begin_object(w, "BindOptions");
	if (mount->propagation)
		json_put_string(w, "Propagation", mount->propagation);
	if (mount->not_recursive)
		json_put_bool(w, "NonRecursive", true);
	if (mount->readonly_recursive_not)
		json_put_bool(w, "ReadOnlyNonRecursive", true);
	if (mount->readonly_recursive_force)
		json_put_bool(w, "ReadOnlyForceRecursive", true);
	json_end_object(w);
}

/* What --mount was given; nothing where it was not. */
static void put_wishes(struct inspect *in)
{
	static const char *const types[] = {"bind", "tmpfs", "volume"};
	struct json_writer *w = in->w;
	size_t count = 0;

	for (size_t i = 0; i < in->config.mounts_count; i++) {
		const struct container_mount *mount = &in->config.mounts[i];
		const char *source = mount->source ? mount->source : mount->anonymous ? NULL : mount->name;
		if (!mount->detailed)
			continue;
		if (!count++)
			json_begin_array(w, "Mounts");
		json_begin_object(w, NULL);
		json_put_string(w, "Type", types[mount->type]);
		if (source && mount->type != CONTAINER_MOUNT_TMPFS)
			json_put_string(w, "Source", source);
		json_put_string(w, "Target", mount->target);
		if (mount->readonly)
			json_put_bool(w, "ReadOnly", true);
		if (mount->type == CONTAINER_MOUNT_BIND)
			put_bind_wish(in, mount);
		if (mount->type == CONTAINER_MOUNT_VOLUME)
			put_volume_wish(in, mount);
		json_end_object(w);
	}
	if (count)
		json_end_array(w);
}

static const char *port_key(struct inspect *in, unsigned port, uint8_t protocol)
{
	return arena_printf(in->engine->arena, "%u/%s", port, port_protocol(protocol));
}

static void put_binding(struct inspect *in, const char *ip, const char *port)
{
	json_begin_object(in->w, NULL);
	json_put_string(in->w, "HostIp", ip);
	json_put_string(in->w, "HostPort", port);
	json_end_object(in->w);
}

/* What was wished: {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]} */
static void put_bindings(struct inspect *in)
{
	struct arena *arena = in->engine->arena;
	size_t count = in->config.publish.count, n;
	struct port_spec *wishes = arena_array(arena, count + 1, sizeof *wishes), *one;
	struct err ignored = {0};
	size_t parsed = 0;

	for (size_t i = 0; i < count; i++)
		if (port_parse_publish(arena, in->config.publish.items[i], &one, &n, &ignored) == 0 && n == 1)
			wishes[parsed++] = *one;
	json_begin_object(in->w, "PortBindings");
	for (size_t i = 0; i < parsed; i++) {
		if (!wishes[i].container)
			continue;
		json_begin_array(in->w, port_key(in, wishes[i].container, wishes[i].protocol));
		for (size_t k = i, port = wishes[i].container, protocol = wishes[i].protocol; k < parsed;
			k++) {
			struct port_spec *wish = &wishes[k];
			if (wish->container != port || wish->protocol != protocol)
				continue;
			put_binding(in, wish->ip,
				!wish->host_first ? ""
				: wish->host_last > wish->host_first
					? arena_printf(arena, "%u-%u", wish->host_first, wish->host_last)
					: arena_printf(arena, "%u", wish->host_first));
			wish->container = 0; /* told */
		}
		json_end_array(in->w);
	}
	json_end_object(in->w);
}

static void put_exposed(struct inspect *in)
{
	if (!in->config.expose.count)
		return;
	struct strings *expose = &in->config.expose;
	qsort(expose->items, expose->count, sizeof *expose->items, by_key);
	json_begin_object(in->w, "ExposedPorts");
	for (size_t i = 0; i < expose->count; i++)
		put_empty_map(in->w, expose->items[i]);
	json_end_object(in->w);
}

/* What is there while it runs; null for what is exposed only. */
static void put_ports(struct inspect *in)
{
	enum control_state state = control_observe(in->engine, in->container);
	struct ports_row *rows = NULL;
	struct err ignored = {0};
	size_t count = 0;

	if (state == CONTROL_RUNNING || state == CONTROL_UNATTENDED)
		ports_of(in->engine, in->container, &in->config, &rows, &count, &ignored);
	json_begin_object(in->w, "Ports");
	for (size_t i = 0; i < count;) {
		const struct net_port *first = &rows[i].port;
		const char *key = port_key(in, first->container_port, first->protocol);
		if (!first->host_port) {
			json_put_null(in->w, key);
			i++;
			continue;
		}
		json_begin_array(in->w, key);
		for (; i < count && rows[i].port.container_port == first->container_port &&
			rows[i].port.protocol == first->protocol;
			i++)
			put_binding(in, rows[i].ip,
				arena_printf(in->engine->arena, "%u", rows[i].port.host_port));
		json_end_array(in->w);
	}
	json_end_object(in->w);
}

static void put_host_config(struct inspect *in)
{
	static const char *const none[] = {NULL};
	const struct container_config *c = &in->config;
	struct json_writer *w = in->w;

	json_begin_object(w, "HostConfig");
	put_binds(in);
	json_put_string(w, "ContainerIDFile", "");
	put_log_config(in);
	json_put_string(w, "NetworkMode", or_empty(c->network));
	put_bindings(in);
	json_begin_object(w, "RestartPolicy");
	json_put_string(w, "Name", "no");
	json_put_integer(w, "MaximumRetryCount", 0);
	json_end_object(w);
	json_put_bool(w, "AutoRemove", c->auto_remove);
	json_put_string(w, "VolumeDriver", "");
	put_list(w, "VolumesFrom", &c->volumes_from);
	json_begin_array(w, "ConsoleSize");
	json_put_integer(w, NULL, 0);
	json_put_integer(w, NULL, 0);
	json_end_array(w);
	put_list(w, "CapAdd", &c->cap_add);
	put_list(w, "CapDrop", &c->cap_drop);
	json_put_string(w, "CgroupnsMode", c->host_cgroups ? "host" : "private");
	put_empty_list(w, "Dns");
	put_empty_list(w, "DnsOptions");
	put_empty_list(w, "DnsSearch");
	json_put_null(w, "ExtraHosts");
	put_list(w, "GroupAdd", &c->group_add);
	json_put_string(w, "IpcMode", "private");
	json_put_string(w, "Cgroup", "");
	json_put_null(w, "Links");
	json_put_integer(w, "OomScoreAdj", 0);
	json_put_string(w, "PidMode", "");
	json_put_bool(w, "Privileged", c->privileged);
	json_put_bool(w, "PublishAllPorts", c->publish_all);
	json_put_bool(w, "ReadonlyRootfs", c->readonly_root);
	put_list(w, "SecurityOpt", &c->security_opt);
	put_tmpfs(in);
	json_put_string(w, "UTSMode", "");
	json_put_string(w, "UsernsMode", "");
	json_put_integer(w, "ShmSize", c->shm_size ? c->shm_size : 64 << 20);
	if (c->sysctls.count)
		put_pairs(in, "Sysctls", &c->sysctls);
	json_put_string(w, "Runtime", "brig");
	json_put_string(w, "Isolation", "");
	put_limits(in);
	put_wishes(in);
	if (c->init)
		json_put_bool(w, "Init", true);
	bool open = c->privileged || c->unconfined_paths;
	json_put_strings(w, "MaskedPaths", open ? none : spec_masked_paths);
	json_put_strings(w, "ReadonlyPaths", open ? none : spec_readonly_paths);
	json_end_object(w);
}

static void put_mount(struct inspect *in, const struct container_mount *mount)
{
	static const char *const types[] = {"bind", "tmpfs", "volume"};
	struct json_writer *w = in->w;
	bool bind = mount->type == CONTAINER_MOUNT_BIND, volume = mount->type == CONTAINER_MOUNT_VOLUME;
	/* docker's: a named volume without a mode has "z". */
	bool plain = !mount->mode || !*mount->mode;
	bool named = volume && (!mount->anonymous || mount->detailed);

	json_begin_object(w, NULL);
	json_put_string(w, "Type", types[mount->type]);
	if (volume)
		json_put_string(w, "Name", mount->name);
	json_put_string(w, "Source",
		volume ? engine_volume_mountpoint(in->engine, in->engine->arena, mount->name)
		       : or_empty(mount->source));
	json_put_string(w, "Destination", mount->target);
	if (volume)
		json_put_string(w, "Driver", "local");
	json_put_string(w, "Mode", !plain ? mount->mode : named ? "z" : "");
	json_put_bool(w, "RW", !mount->readonly);
	json_put_string(w, "Propagation", !bind ? "" : mount->propagation ? mount->propagation : "rprivate");
	json_end_object(w);
}

static void put_mounts(struct inspect *in)
{
	json_begin_array(in->w, "Mounts");
	for (size_t i = 0; i < in->config.mounts_count; i++) {
		const struct container_mount *mount = &in->config.mounts[i];
		if (mount->type != CONTAINER_MOUNT_TMPFS || mount->detailed)
			put_mount(in, mount);
	}
	json_end_array(in->w);
}

static const char *hostname_of(struct inspect *in)
{
	const char *hostname = in->config.hostname;

	return hostname && *hostname ? hostname : arena_memdup(in->engine->arena, in->container->id, 12);
}

static void put_config(struct inspect *in)
{
	const struct container_config *c = &in->config;
	struct json_writer *w = in->w;

	json_begin_object(w, "Config");
	json_put_string(w, "Hostname", hostname_of(in));
	json_put_string(w, "Domainname", or_empty(c->domainname));
	json_put_string(w, "User", or_empty(c->user));
	json_put_bool(w, "AttachStdin", c->attach_stdin);
	json_put_bool(w, "AttachStdout", c->attach_stdout);
	json_put_bool(w, "AttachStderr", c->attach_stderr);
	put_exposed(in);
	json_put_bool(w, "Tty", c->terminal);
	json_put_bool(w, "OpenStdin", c->open_stdin);
	json_put_bool(w, "StdinOnce", c->stdin_once);
	put_list(w, "Env", &c->env);
	put_list(w, "Cmd", &c->command);
	json_put_string(w, "Image", or_empty(c->image));
	if (c->volumes.count) {
		struct strings volumes = c->volumes;
		qsort(volumes.items, volumes.count, sizeof *volumes.items, by_key);
		json_begin_object(w, "Volumes");
		for (size_t i = 0; i < volumes.count; i++)
			put_empty_map(w, volumes.items[i]);
		json_end_object(w);
	} else {
		json_put_null(w, "Volumes");
	}
	json_put_string(w, "WorkingDir", or_empty(c->working_dir));
	put_list(w, "Entrypoint", &c->entrypoint);
	json_put_null(w, "OnBuild");
	put_pairs(in, "Labels", &c->labels);
	if (c->stop_signal && *c->stop_signal)
		json_put_string(w, "StopSignal", c->stop_signal);
	if (c->has_stop_timeout)
		json_put_integer(w, "StopTimeout", c->stop_timeout);
	json_end_object(w);
}

/* What a container has of its network; "" and 0 where it has none, or does not run. */
struct endpoint {
	const char *address, *gateway;
	char mac[18];
	unsigned prefix;
	struct net_look look;
};

/* All of it follows from the address and the bridge: nothing is noted anywhere. */
static void find_endpoint(const struct inspect *in, const char *network, struct endpoint *out)
{
	bool classic = !strcmp(network, "bridge0");
	struct in_addr address;
	struct err ignored;
	uint8_t mac[6];

	*out = (struct endpoint){.address = in->container->record.status.address, .gateway = ""};
	if (inet_pton(AF_INET, out->address, &address) != 1)
		return;
	firewall_port_mac(ntohl(address.s_addr), mac);
	snprintf(out->mac, sizeof out->mac, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		mac[4], mac[5]);
	if (net_look(classic ? "bridge0" : "brig0", &out->look, &ignored) < 0)
		return;
	out->gateway = out->look.bridge.address;
	out->prefix = out->look.bridge.prefix;
}

static void put_endpoint(struct inspect *in, const char *network, const struct endpoint *endpoint)
{
	struct json_writer *w = in->w;

	json_begin_object(w, network);
	json_put_null(w, "IPAMConfig");
	json_put_null(w, "Links");
	json_put_null(w, "Aliases");
	json_put_string(w, "MacAddress", endpoint->mac);
	json_put_null(w, "DriverOpts");
	json_put_integer(w, "GwPriority", 0);
	json_put_string(w, "NetworkID", "");
	json_put_string(w, "EndpointID", "");
	json_put_string(w, "Gateway", endpoint->gateway);
	json_put_string(w, "IPAddress", endpoint->address);
	json_put_integer(w, "IPPrefixLen", endpoint->prefix);
	json_put_string(w, "IPv6Gateway", "");
	json_put_string(w, "GlobalIPv6Address", "");
	json_put_integer(w, "GlobalIPv6PrefixLen", 0);
	json_put_null(w, "DNSNames");
	json_end_object(w);
}

static void put_network_settings(struct inspect *in)
{
	struct json_writer *w = in->w;
	const char *network = in->config.network && *in->config.network ? in->config.network : "bridge";
	struct endpoint endpoint;

	if (!strcmp(network, "default"))
		network = "bridge";
	find_endpoint(in, network, &endpoint);
	json_begin_object(w, "NetworkSettings");
	json_put_string(w, "Bridge", "");
	json_put_string(w, "SandboxID", "");
	json_put_string(w, "SandboxKey", "");
	put_ports(in);
	json_put_bool(w, "HairpinMode", false);
	json_put_string(w, "LinkLocalIPv6Address", "");
	json_put_integer(w, "LinkLocalIPv6PrefixLen", 0);
	json_put_null(w, "SecondaryIPAddresses");
	json_put_null(w, "SecondaryIPv6Addresses");
	json_put_string(w, "EndpointID", "");
	json_put_string(w, "Gateway", endpoint.gateway);
	json_put_string(w, "GlobalIPv6Address", "");
	json_put_integer(w, "GlobalIPv6PrefixLen", 0);
	json_put_string(w, "IPAddress", endpoint.address);
	json_put_integer(w, "IPPrefixLen", endpoint.prefix);
	json_put_string(w, "IPv6Gateway", "");
	json_put_string(w, "MacAddress", endpoint.mac);
	json_begin_object(w, "Networks");
	put_endpoint(in, network, &endpoint);
	json_end_object(w);
	json_end_object(w);
}

static void put_container(struct inspect *in, const char *key)
{
	const struct container_config *c = &in->config;
	struct json_writer *w = in->w;
	struct arena *arena = in->engine->arena;
	struct strings args = container_args(arena, c);
	const char *folder = arena_printf(arena, "%s/containers/%s", in->engine->run_root, in->container->id);

	json_begin_object(w, key);
	json_put_string(w, "Id", in->container->id);
	put_instant(w, "Created", in->container->record.identity.created);
	json_put_string(w, "Path", args.count ? args.items[0] : "");
	json_put_strings(w, "Args", args.count ? args.items + 1 : (const char *const[]){NULL});
	put_state(in);
	json_put_string(w, "Image", arena_printf(arena, "sha256:%s", or_empty(c->image_id)));
	json_put_string(w, "ResolvConfPath", arena_printf(arena, "%s/resolv.conf", folder));
	json_put_string(w, "HostnamePath", arena_printf(arena, "%s/hostname", folder));
	json_put_string(w, "HostsPath", arena_printf(arena, "%s/hosts", folder));
	json_put_string(w, "LogPath", arena_printf(arena, "%s/log.json", in->path));
	json_put_string(w, "Name", arena_printf(arena, "/%s", in->container->record.identity.name));
	json_put_integer(w, "RestartCount", 0);
	json_put_string(w, "Driver", or_empty(c->driver));
	json_put_string(w, "Platform", "linux");
	json_put_string(w, "MountLabel", "");
	json_put_string(w, "ProcessLabel", "");
	json_put_string(w, "AppArmorProfile", "");
	json_put_null(w, "ExecIDs");
	put_host_config(in);
	json_begin_object(w, "GraphDriver");
	/* The other folders of an overlay are nowhere on the host. */
	if (c->driver && !strcmp(c->driver, "overlay")) {
		json_begin_object(w, "Data");
		json_put_string(w, "UpperDir", arena_printf(arena, "%s/upper", in->path));
		json_end_object(w);
	} else {
		json_put_null(w, "Data");
	}
	json_put_string(w, "Name", or_empty(c->driver));
	json_end_object(w);
	if (in->size) {
		json_put_integer(w, "SizeRw", in->size->own);
		json_put_integer(w, "SizeRootFs", in->size->whole);
	}
	put_mounts(in);
	put_config(in);
	put_network_settings(in);
	json_end_object(w);
}

int engine_container_inspect(struct engine *engine, struct container *container,
	const struct container_size *size, struct json_writer *w, const char *key, struct err *e)
{
	struct inspect in = {.engine = engine, .container = container, .w = w, .size = size};

	auto_close int dir = container_open_dir(&engine->containers, container, e);
	if (dir < 0 || container_config_load(engine->arena, dir, &in.config, e) < 0)
		return -1;
	in.path = arena_printf(engine->arena, "%s/containers/%s", engine->data_root, container->id);
	put_container(&in, key);
	return 0;
}
