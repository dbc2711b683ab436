/* create.c - a new container. */
#include "engine/create.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/control.h"
#include "engine/launch.h"
#include "engine/ports.h"
#include "engine/spec.h"
#include "engine/volumes.h"
#include "oci/image.h"
#include "oci/port.h"
#include "oci/reference.h"
#include "store/driver.h"
#include "store/image.h"

/* The value of a variable counts once: what comes later replaces what was there. */
static void set_env(struct arena *arena, struct strings *env, const char *item)
{
	size_t name = strcspn(item, "=");

	for (size_t i = 0; i < env->count; i++)
		if (strcspn(env->items[i], "=") == name && !strncmp(env->items[i], item, name)) {
			env->items[i] = item;
			return;
		}
	strings_add(arena, env, item);
}

static bool has_env(const struct strings *env, const char *item)
{
	size_t name = strcspn(item, "=");

	for (size_t i = 0; i < env->count; i++)
		if (strcspn(env->items[i], "=") == name && !strncmp(env->items[i], item, name))
			return true;
	return false;
}

static void add_exposed(struct arena *arena, struct container_config *config, const char *port)
{
	for (size_t i = 0; i < config->expose.count; i++)
		if (!strcmp(config->expose.items[i], port))
			return;
	strings_add(arena, &config->expose, port);
}

/* The image's ports and the user's; what is published is exposed, too. */
static int merge_ports(
	struct arena *arena, const struct oci_config *image, struct container_config *config, struct err *e)
{
	struct port_spec *rows;
	size_t count;

	for (size_t i = 0; i < image->exposed_ports.count; i++) {
		if (port_parse_expose(arena, image->exposed_ports.items[i], &rows, &count, e) < 0)
			return -1;
		for (size_t k = 0; k < count; k++)
			add_exposed(arena, config, port_format(arena, &rows[k]));
	}
	for (size_t i = 0; i < config->publish.count; i++) {
		if (port_parse_publish(arena, config->publish.items[i], &rows, &count, e) < 0)
			return -1;
		for (size_t k = 0; k < count; k++)
			add_exposed(arena, config,
				arena_printf(
					arena, "%u/%s", rows[k].container, port_protocol(rows[k].protocol)));
	}
	return 0;
}

/* docker's rules: what the user left open comes from the image; a new entrypoint drops
 * the image's command. */
static int merge(struct arena *arena, const struct create_options *options, const struct oci_config *image,
	struct container_config *config, struct err *e)
{
	struct strings env = {0}, labels = {0};

	/* docker's order: the user's own, then what the image has besides. */
	for (size_t i = 0; i < config->env.count; i++)
		set_env(arena, &env, config->env.items[i]);
	for (size_t i = 0; i < image->env.count; i++) {
		if (!has_env(&env, image->env.items[i]))
			strings_add(arena, &env, image->env.items[i]);
	}
	config->env = env;
	for (size_t i = 0; i < image->label_count; i++)
		set_env(arena, &labels,
			arena_printf(arena, "%s=%s", image->labels[i].key, image->labels[i].value));
	for (size_t i = 0; i < config->labels.count; i++)
		set_env(arena, &labels,
			strchr(config->labels.items[i], '=')
				? config->labels.items[i]
				: arena_printf(arena, "%s=", config->labels.items[i]));
	config->labels = labels;

	config->command = options->command;
	if (options->entrypoint) {
		if (*options->entrypoint)
			strings_add(arena, &config->entrypoint, options->entrypoint);
	} else {
		config->entrypoint = image->entrypoint;
		if (!config->command.count)
			config->command = image->cmd;
	}
	if (!config->user)
		config->user = image->user;
	if (!config->working_dir)
		config->working_dir = *image->working_dir ? image->working_dir : "/";
	if (*config->working_dir != '/')
		config->working_dir = arena_printf(arena, "/%s", config->working_dir);
	if (!config->stop_signal && *image->stop_signal)
		config->stop_signal = image->stop_signal;
	if (!config->has_stop_timeout && image->has_stop_timeout) {
		config->stop_timeout = image->stop_timeout;
		config->has_stop_timeout = true;
	}
	struct strings args = container_args(arena, config);
	if (!args.count || (args.count == 1 && !*args.items[0])) {
		err_set(e, ERR_INVALID, 0, "no command specified");
		return err_hint(
			e, "the image names none: say what to run, as in brig run %s sh", options->image);
	}
	return 0;
}

/* A machine cannot run another's programs; i386 on amd64 is the one exception. */
static int check_platform(const struct create_options *options, const struct image *image, struct err *e)
{
	struct oci_platform host, wanted;
	char text[OCI_PLATFORM_TEXT], ours[OCI_PLATFORM_TEXT];

	oci_platform_host(&host);
	if (options->platform) {
		if (oci_platform_parse(options->platform, &wanted, e) < 0)
			return -1;
		if (oci_platform_rank(&wanted, &image->platform) < 0)
			return err_set(e, ERR_NOT_FOUND, 0,
				"image with reference %s was found but does not provide the specified "
				"platform (%s)",
				options->image, options->platform);
	}
	if (!*image->platform.architecture || oci_platform_rank(&host, &image->platform) >= 0 ||
		(!strcmp(host.architecture, "amd64") && !strcmp(image->platform.architecture, "386")))
		return 0;
	err_set(e, ERR_UNSUPPORTED, 0, "image %s is for %s, and this host is %s", options->image,
		oci_platform_format(text, &image->platform), oci_platform_format(ours, &host));
	return err_hint(e, "pull it for this host: brig pull --platform %s %s", ours, options->image);
}

static int pull(struct engine *engine, const struct create_options *options, struct err *e)
{
	const struct create_watch *watch = &options->watch;
	struct reference reference;
	struct pull_result result;

	if (reference_parse(engine->arena, options->image, &reference, e) < 0)
		return -1;
	if (!reference.tag && !reference.digest)
		reference.tag = "latest";
	if (options->pull == CREATE_PULL_MISSING && watch->missing)
		watch->missing(watch->context, reference_familiar(engine->arena, &reference));
	struct pull_options wanted = {
		.reference = options->image,
		.platform = options->platform,
		.tell = watch->tell,
		.context = watch->context,
	};
	if (engine_pull(engine, &wanted, &result, e) < 0)
		return -1;
	if (watch->pulled)
		watch->pulled(watch->context, &result);
	return 0;
}

/* Finds the image, by a pull if that is what the user wants. images/lock is held shared
 * when this succeeds: from the look at the image until the container's record names it,
 * rmi has to wait. */
static int find_image(
	struct engine *engine, const struct create_options *options, struct image *image, struct err *e)
{
	struct store *store = &engine->store;

	if (options->pull == CREATE_PULL_ALWAYS && pull(engine, options, e) < 0)
		return -1;
	if (store_lock_images(store, STORE_SHARED, e) < 0)
		return -1;
	if (image_find(store, engine->arena, options->image, image, e) == 0)
		return 0;
	store_unlock_images(store);
	if (options->pull != CREATE_PULL_MISSING || e->kind != ERR_NOT_FOUND ||
		reference_is_serial(options->image) || pull(engine, options, e) < 0 ||
		store_lock_images(store, STORE_SHARED, e) < 0)
		return -1;
	if (image_find(store, engine->arena, options->image, image, e) == 0)
		return 0;
	store_unlock_images(store);
	return -1;
}

bool create_durable(const struct container_config *config)
{
	return !config->auto_remove && config->name && strncmp(config->name, "ps_", 3) != 0;
}

/* With the container claimed: its root file system and its document. */
static int make(struct engine *engine, struct container *container, struct container_config *config,
	bool start_follows, struct err *e)
{
	struct container_status status = {.state = CONTAINER_CREATED};
	struct store *store = &engine->store;
	auto_close int dir = container_open_dir(&engine->containers, container, e);

	if (dir < 0)
		return -1;
	struct driver_rootfs rootfs = {
		.folder = dir,
		.layers = config->layers.items,
		.layer_count = config->layers.count,
		.hidden = (size_t)config->layers_hidden,
		.ephemeral = config->auto_remove,
	};
	if (store->driver->rootfs_create(store, &rootfs, e) < 0)
		return -1;
	bool has_volumes = volumes_any(config);
	if (has_volumes && volumes_make(engine, container, config, dir, start_follows, e) < 0)
		return -1;
	if (start_follows)
		return 0;
	if (!has_volumes && container_config_save(dir, config, create_durable(config), e) < 0)
		return -1;
	if (container_write_status(&engine->containers, container, &status, e) < 0)
		return -1;
	/* One that is CREATING after the power has gone is taken for what a killed create left. */
	return create_durable(config) ? containers_sync(&engine->containers, e) : 0;
}

/* What nobody chose is a bridge, or, for an ordinary user, who cannot make one, nothing. */
static int choose_network(const struct engine *engine, struct container_config *config, struct err *e)
{
	bool chosen = strcmp(config->network, "default") != 0;

	if (!chosen)
		config->network = engine->user_namespace ? "none" : "bridge";
	if (ports_check(engine, config, e) < 0)
		return -1;
	if (!chosen && engine->user_namespace)
		log_warning("an ordinary user's container has no network, as --network none says");
	return 0;
}

/* As docker: who shares the host's network is called as the host is, where nothing else was said. */
static void choose_hostname(struct arena *arena, struct container_config *config)
{
	struct utsname host;

	if (!strcmp(config->network, "host") && !(config->hostname && *config->hostname) && uname(&host) == 0)
		config->hostname = arena_strdup(arena, host.nodename);
}

int engine_create(struct engine *engine, const struct create_options *options, struct container *container,
	struct container_config *config, struct err *e)
{
	struct arena *arena = engine->arena;
	struct store *store = &engine->store;
	struct oci_config image_document;
	struct image image;

	if (find_image(engine, options, &image, e) < 0)
		return -1;
	*config = options->config;
	if (check_platform(options, &image, e) < 0 ||
		image_config_own(store, arena, &image, &image_document, e) < 0 ||
		merge(arena, options, &image_document, config, e) < 0 ||
		merge_ports(arena, &image_document, config, e) < 0 || spec_check(arena, config, e) < 0 ||
		volumes_plan(engine, &image_document, config, e) < 0 ||
		driver_use(store, engine->config->driver, e) < 0) {
		store_unlock_images(store);
		return -1;
	}
	if (choose_network(engine, config, e) < 0) {
		store_unlock_images(store);
		return -1;
	}
	choose_hostname(arena, config);
	config->image = options->image;
	config->image_id = arena_strdup(arena, oci_digest_hex(&image.id));
	config->driver = store->driver->name;
	for (size_t i = 0; i < image.layer_count; i++)
		strings_add(arena, &config->layers,
			arena_strdup(arena, oci_digest_hex(&image.layers[i].chain_id)));
	config->layers_hidden = (int64_t)image.hidden;
	config->host_cgroups = options->classic;
	log_trace("parent", "image found");

	struct strings args = container_args(arena, config);
	struct container_claim claim = {
		.name = config->name,
		.image = options->image,
		.image_id = config->image_id,
		.command = container_command(arena, &args),
		.flags = (config->auto_remove ? CONTAINER_AUTO_REMOVE : 0) |
			 (config->terminal ? CONTAINER_TERMINAL : 0) |
			 (config->open_stdin ? CONTAINER_OPEN_STDIN : 0) |
			 (volumes_anonymous(config) ? CONTAINER_VOLUMES : 0) |
			 (ports_wanted(config) ? CONTAINER_PUBLISHES : 0) |
			 (config->expose.count ? CONTAINER_EXPOSES : 0),
		.own_cgroup = options->classic,
		.taken = options->classic ? launch_cgroup_exists : NULL,
		.durable = create_durable(config),
	};
	control_settle_all(engine);
	int rc = container_claim(&engine->containers, &claim, container, e);
	store_unlock_images(store);
	if (rc < 0)
		return -1;
	config->id = arena_strdup(arena, container->id);
	config->name = arena_strdup(arena, container->record.identity.name);
	config->created = container->record.identity.created;
	if (options->classic)
		config->interface = arena_printf(arena, "veth1_%s", config->name);
	if (make(engine, container, config, options->start_follows, e) == 0) {
		if (options->watch.made)
			options->watch.made(options->watch.context, container->id);
		return 0;
	}
	struct err ignored;
	container_discard(engine, container, true, &ignored);
	container_unlock(container);
	return -1;
}
