/* container_options.c - the values of run's and create's options. */
#include "cli/container_options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "cli/progress.h"
#include "engine/control.h"
#include "engine/mount_spec.h"
#include "oci/port.h"

enum { MEMORY_LEAST = 6 << 20, ENV_FILE_LIMIT = 16 << 20, PROFILE_LIMIT = 4 << 20 };

extern char **environ;

/* An empty text is none: the image's own, or the default. */
static const char *given(const char *text)
{
	return text && *text ? text : NULL;
}

/* ---- streams ---- */

int container_options_attach(
	void *options, const struct opt *opt, const char *value, struct arena *arena, struct err *e)
{
	static const char *const streams[] = {"stdin", "stdout", "stderr"};
	struct strings *attach = (struct strings *)((char *)options + opt->offset);

	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
		if (!strcasecmp(value, streams[i])) {
			strings_add(arena, attach, streams[i]);
			return 0;
		}
	return err_set(e, ERR_USAGE, 0, "valid streams are STDIN, STDOUT and STDERR");
}

static bool attaches(const struct container_options *options, const char *stream)
{
	for (size_t i = 0; i < options->attach.count; i++)
		if (!strcmp(options->attach.items[i], stream))
			return true;
	return false;
}

/* docker's: without -a all of them, the input where it is open. */
static void apply_attach(const struct container_options *options, struct container_config *config)
{
	bool all = !options->attach.count;

	config->attach_stdin = all ? options->interactive : attaches(options, "stdin");
	config->attach_stdout = all || attaches(options, "stdout");
	config->attach_stderr = all || attaches(options, "stderr");
	config->stdin_once = config->open_stdin && config->attach_stdin;
}

/* ---- environment ---- */

static int add_env(struct arena *arena, struct strings *env, const char *item, struct err *e)
{
	if (!*item || *item == '=')
		return err_set(e, ERR_INVALID, 0, "invalid environment variable: %s", item);
	if (strchr(item, '=')) {
		strings_add(arena, env, item);
		return 0;
	}
	/* NAME alone takes the caller's value; where there is none, it stays unset. */
	const char *value = getenv(item);
	if (value)
		strings_add(arena, env, arena_printf(arena, "%s=%s", item, value));
	return 0;
}

static int add_label(struct arena *arena, struct strings *labels, const char *item, struct err *e)
{
	if (!*item || *item == '=')
		return err_set(e, ERR_USAGE, 0, "invalid label '%s': empty name", item);
	strings_add(arena, labels, item);
	return 0;
}

/* A file of what add() takes, a line each; what is what they are. */
static int read_file(struct arena *arena, const char *path, const char *what, struct strings *out,
	int (*add)(struct arena *arena, struct strings *out, const char *item, struct err *e), struct err *e)
{
	auto_buf struct buf text = {0};
	auto_close int fd = fd_open(AT_FDCWD, path, O_RDONLY, 0);
	int rc = fd < 0 ? fd : fd_slurp(fd, ENV_FILE_LIMIT, &text);

	if (rc < 0)
		return err_errno(e, rc, "cannot read the %s file %s", what, path);
	size_t number = 0;
	for (char *rest = text.data, *line; rest && (line = strsep(&rest, "\n"));) {
		number++;
		/* Blanks before a name are dropped, a value is taken as it stands; no quotes. */
		line += strspn(line, " \t");
		size_t length = strlen(line);
		if (length && line[length - 1] == '\r')
			line[--length] = '\0';
		if (!length || *line == '#')
			continue;
		const char *equals = strchrnul(line, '=');
		size_t name = (size_t)(equals - line);
		if (strcspn(line, " \t") < name)
			return err_set(e, ERR_INVALID, 0, "%s:%zu: the %s '%.*s' contains whitespaces", path,
				number, what, (int)name, line);
		if (add(arena, out, arena_strdup(arena, line), e) < 0)
			return -1;
	}
	return 0;
}

int container_options_env(struct arena *arena, const struct strings *given, const struct strings *files,
	struct strings *env, struct err *e)
{
	for (size_t i = 0; i < files->count; i++)
		if (read_file(arena, files->items[i], "environment", env, add_env, e) < 0)
			return -1;
	for (size_t i = 0; i < given->count; i++)
		if (add_env(arena, env, given->items[i], e) < 0) {
			e->kind = ERR_USAGE; /* the option cannot be understood */
			return -1;
		}
	return 0;
}

/* ---- labels ---- */

/* Files first, as docker. */
static int apply_labels(
	struct arena *arena, const struct container_options *options, struct strings *labels, struct err *e)
{
	for (size_t i = 0; i < options->label_file.count; i++)
		if (read_file(arena, options->label_file.items[i], "label", labels, add_label, e) < 0)
			return -1;
	for (size_t i = 0; i < options->label.count; i++)
		if (add_label(arena, labels, options->label.items[i], e) < 0)
			return -1;
	return 0;
}

/* ---- mounts ---- */

/* Two for one place are an error, but that any other takes an anonymous volume's. */
static int add_mount(struct arena *arena, struct container_config *config,
	const struct container_mount *mount, struct err *e)
{
	struct container_mount *there = container_find_mount(config, mount->target);
	char shown[200];

	if (mount->anonymous && !mount->detailed) {
		strings_add(arena, &config->volumes, mount->target);
		if (there)
			return 0;
	}
	if (there && !(there->anonymous && !there->detailed))
		return err_set(e, ERR_INVALID, 0, "Duplicate mount point: %s",
			err_sanitize(shown, sizeof shown, mount->target));
	*(there ? there : container_add_mount(arena, config)) = *mount;
	return 0;
}

/* The same wish twice is one. */
static bool given_before(const struct strings *list, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (!strcmp(list->items[i], list->items[at]))
			return true;
	return false;
}

static int apply_mounts(struct arena *arena, const struct container_options *options,
	struct container_config *config, struct err *e)
{
	struct container_mount mount;
	struct mount_spec_from from;
	char here[4096] not_zeroed;
	char shown[100];

	/* Only a source that begins with a dot needs it: a folder that was removed does no other harm. */
	if (!getcwd(here, sizeof here))
		*here = '\0';
	for (size_t i = 0; i < options->volume.count; i++) {
		if (given_before(&options->volume, i))
			continue;
		if (mount_spec_volume(arena, here, options->volume.items[i], &mount, e) < 0 ||
			add_mount(arena, config, &mount, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < options->mount.count; i++)
		if (mount_spec_mount(arena, options->mount.items[i], &mount, e) < 0 ||
			add_mount(arena, config, &mount, e) < 0)
			return -1;
	for (size_t i = 0; i < options->tmpfs.count; i++)
		if (mount_spec_tmpfs(arena, options->tmpfs.items[i], &mount, e) < 0 ||
			add_mount(arena, config, &mount, e) < 0)
			return -1;
	for (size_t i = 0; i < options->volumes_from.count; i++)
		if (mount_spec_from(arena, options->volumes_from.items[i], &from, e) < 0)
			return -1;
	if (options->volume_driver && *options->volume_driver && strcmp(options->volume_driver, "local") != 0)
		return err_set(e, ERR_NOT_FOUND, 0,
			"there is no volume driver \"%s\": volumes here are of the driver \"local\"",
			err_sanitize(shown, sizeof shown, options->volume_driver));
	return 0;
}

/* ---- the rest ---- */

static int parse_bool(const char *value, bool *out)
{
	if (!value) {
		*out = true;
		return 0;
	}
	return opt_bool(value, out);
}

static int parse_cpus(const char *text, int64_t *nano, struct err *e)
{
	int64_t whole = 0, fraction = 0, scale = 1000000000;
	const char *p = text;

	for (; isdigit((unsigned char)*p) && whole < 1000000; p++)
		whole = whole * 10 + (*p - '0');
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p) && scale > 1; p++) {
			scale /= 10;
			fraction += (*p - '0') * scale;
		}
	if (*p || p == text || !strcmp(text, "."))
		return err_set(e, ERR_USAGE, 0,
			"invalid argument \"%s\" for \"--cpus\" flag: failed to parse %s as a rational "
			"number",
			text, text);
	*nano = whole * 1000000000 + fraction;
	return 0;
}

static int check_cpus(int64_t nano, struct err *e)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof set, &set) == 0 ? (int)sysconf(_SC_NPROCESSORS_ONLN) : 0;
	if (nano && (nano < 10000000 || (count > 0 && nano > count * INT64_C(1000000000))))
		return err_set(e, ERR_INVALID, 0,
			"range of CPUs is from 0.01 to %d.00, as there are only %d CPUs available", count,
			count);
	return 0;
}

static int parse_security(
	struct arena *arena, const struct strings *given, struct container_config *config, struct err *e)
{
	for (size_t i = 0; i < given->count; i++) {
		const char *item = given->items[i];
		size_t name = strcspn(item, "=:");
		const char *value = item[name] ? item + name + 1 : NULL;
		bool is = false;

		strings_add(arena, &config->security_opt, item);
		if (name == 17 && !strncmp(item, "no-new-privileges", name)) {
			if (parse_bool(value, &config->no_new_privileges) < 0)
				return err_set(e, ERR_INVALID, 0, "invalid --security-opt: %s", item);
			continue;
		}
		if (!value)
			return err_set(e, ERR_INVALID, 0, "invalid --security-opt: \"%s\"", item);
		is = name == 7 && !strncmp(item, "seccomp", name);
		if (is && (!strcmp(value, "unconfined") || !strcmp(value, "builtin"))) {
			config->seccomp = *value == 'u' ? value : NULL;
			continue;
		}
		if (is) {
			struct buf text = {0};
			int rc = fd_read_file(AT_FDCWD, value, PROFILE_LIMIT, &text);
			if (rc == 0)
				config->seccomp =
					arena_memdup(arena, text.data ? text.data : "", text.length);
			buf_free(&text);
			if (rc < 0)
				return err_errno(e, rc, "opening seccomp profile (%s) failed", value);
			continue;
		}
		if (name == 11 && !strncmp(item, "systempaths", name) && !strcmp(value, "unconfined")) {
			config->unconfined_paths = true;
			continue;
		}
		/* Neither is applied by this version, so only switching it off can be granted. */
		if ((name == 8 && !strncmp(item, "apparmor", name) && !strcmp(value, "unconfined")) ||
			(name == 5 && !strncmp(item, "label", name) && !strcmp(value, "disable")))
			continue;
		return err_set(e, ERR_INVALID, 0, "invalid --security-opt: \"%s\"", item);
	}
	return 0;
}

static int check_name(const char *name, struct err *e)
{
	bool good = isalnum((unsigned char)*name) && strlen(name) > 1;
	for (const char *p = name; good && *p; p++)
		good = isalnum((unsigned char)*p) || strchr("_.-", *p);
	if (good)
		return 0;
	char shown[200];
	return err_set(e, ERR_INVALID, 0,
		"Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
		err_sanitize(shown, sizeof shown, name));
}

static int check_hostname(const char *hostname, struct err *e)
{
	bool good = strlen(hostname) <= 64;
	for (const char *p = hostname; good && *p; p++)
		good = isalnum((unsigned char)*p) || strchr("_.-", *p);
	char shown[200];
	return good ? 0
		    : err_set(e, ERR_INVALID, 0, "invalid hostname: %s",
			      err_sanitize(shown, sizeof shown, hostname));
}

static int check_sysctls(const struct strings *given, const char *network, struct err *e)
{
	for (size_t i = 0; i < given->count; i++) {
		const char *item = given->items[i];
		size_t name = strcspn(item, "=");
		bool net = !strncmp(item, "net.", 4);
		if (!item[name] || !item[name + 1])
			return err_set(e, ERR_INVALID, 0, "sysctl '%s' is not of the form key=value", item);
		bool ok = net || !strncmp(item, "fs.mqueue.", 10) || !strncmp(item, "kernel.shm", 10) ||
			  !strncmp(item, "kernel.msg", 10) ||
			  (name == 10 && !strncmp(item, "kernel.sem", 10));
		if (!ok || strcspn(item, "\n+/") != strlen(item) || strstr(item, ".."))
			return err_set(e, ERR_INVALID, 0,
				"sysctl '%.*s' is not allowed: it is not the container's own", (int)name,
				item);
		if (net && !strcmp(network, "host"))
			return err_set(e, ERR_INVALID, 0,
				"sysctl '%.*s' not allowed in host network namespace", (int)name, item);
	}
	return 0;
}

static int check_limits(const struct container_limits *limits, struct err *e)
{
	if (limits->memory && limits->memory < MEMORY_LEAST)
		return err_set(e, ERR_INVALID, 0, "minimum memory limit allowed is 6MB");
	if (limits->memory_swap > 0 && !limits->memory)
		return err_set(e, ERR_INVALID, 0,
			"you should always set the memory limit when using the memory-swap limit");
	if (limits->memory_swap > 0 && limits->memory_swap < limits->memory)
		return err_set(e, ERR_INVALID, 0,
			"minimum memory-swap limit should be larger than the memory limit");
	if (limits->memory_reservation && limits->memory && limits->memory_reservation > limits->memory)
		return err_set(e, ERR_INVALID, 0,
			"minimum memory limit should be larger than the memory reservation");
	if (limits->cpu_shares < 0)
		return err_set(e, ERR_INVALID, 0, "shares must not be negative: %lld",
			(long long)limits->cpu_shares);
	if (limits->nano_cpus && (limits->cpu_quota || limits->cpu_period))
		return err_set(e, ERR_INVALID, 0,
			"conflicting options: --cpus and --cpu-%s cannot both be set",
			limits->cpu_quota ? "quota" : "period");
	if (limits->cpu_period && (limits->cpu_period < 1000 || limits->cpu_period > 1000000))
		return err_set(
			e, ERR_INVALID, 0, "CPU cfs period must be between 1ms and 1s (1000 to 1000000 us)");
	if (limits->cpu_quota && limits->cpu_quota < 1000)
		return err_set(e, ERR_INVALID, 0, "CPU cfs quota cannot be less than 1ms (1000 us)");
	return check_cpus(limits->nano_cpus, e);
}

static int apply_limits(
	const struct container_options *options, struct container_limits *limits, struct err *e)
{
	*limits = (struct container_limits){
		.memory = options->memory,
		.memory_swap = options->memory_swap,
		.memory_reservation = options->memory_reservation,
		.cpu_shares = options->cpu_shares,
		.cpu_quota = options->cpu_quota,
		.cpu_period = options->cpu_period,
		.cpuset_cpus = options->cpuset_cpus,
		.cpuset_mems = options->cpuset_mems,
	};
	if (options->cpus && parse_cpus(options->cpus, &limits->nano_cpus, e) < 0)
		return -1;
	if (options->pids_limit != INT64_MIN)
		limits->pids = options->pids_limit > 0 ? options->pids_limit : -1;
	return 0;
}

/* ---- a pull on the way: all of it is talk, so it goes to stderr ---- */

struct watcher {
	struct progress *progress;
	int cidfile; /* or -1 */
};

static void tell_missing(void *context, const char *familiar)
{
	struct watcher *watcher = context;
	dprintf(STDERR_FILENO, "Unable to find image '%s' locally\n", familiar);
	if (!watcher->progress)
		watcher->progress = progress_new(STDERR_FILENO);
}

static void tell_progress(void *context, const struct pull_event *event)
{
	struct watcher *watcher = context;
	if (!watcher->progress)
		watcher->progress = progress_new(STDERR_FILENO);
	progress_tell(watcher->progress, event);
}

static void tell_pulled(void *context, const struct pull_result *result)
{
	struct watcher *watcher = context;
	progress_free(steal(watcher->progress));
	dprintf(STDERR_FILENO, "Digest: %s\nStatus: %s %s\n", result->digest.text,
		result->current ? "Image is up to date for" : "Downloaded newer image for", result->familiar);
}

static void watch(struct cli *cli, bool quiet, struct create_options *create)
{
	struct watcher *watcher = arena_new(&cli->arena, struct watcher);

	watcher->cidfile = -1;
	create->watch = (struct create_watch){
		.missing = quiet ? NULL : tell_missing,
		.tell = quiet ? NULL : tell_progress,
		.pulled = quiet ? NULL : tell_pulled,
		.context = watcher,
	};
}

/* ---- the file with the identifier ---- */

static void fill_cidfile(void *context, const char *id)
{
	struct watcher *watcher = context;

	fd_write_full(watcher->cidfile, id, strlen(id));
	close_fd(&watcher->cidfile);
}

int container_options_cidfile(
	const struct container_options *options, struct create_options *create, struct err *e)
{
	struct watcher *watcher = create->watch.context;
	const char *path = given(options->cidfile);

	if (!path)
		return 0;
	watcher->cidfile = fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0666);
	if (watcher->cidfile == -EEXIST)
		return err_set(e, ERR_CONFLICT, 0,
			"container ID file found, make sure the other container isn't running or delete %s",
			path);
	if (watcher->cidfile < 0)
		return err_errno(e, watcher->cidfile, "cannot make the container ID file %s", path);
	create->watch.made = fill_cidfile;
	return 0;
}

void container_options_no_cidfile(const struct container_options *options)
{
	if (given(options->cidfile))
		unlink(options->cidfile);
}

/* One row for each port of the container, in a form that is always the same. */
static int parse_ports(struct arena *arena, const struct container_options *options,
	struct container_config *config, struct err *e)
{
	struct port_spec *rows;
	size_t count;

	for (size_t i = 0; i < options->publish.count; i++) {
		if (port_parse_publish(arena, options->publish.items[i], &rows, &count, e) < 0)
			return -1;
		for (size_t k = 0; k < count; k++)
			strings_add(arena, &config->publish, port_format(arena, &rows[k]));
	}
	for (size_t i = 0; i < options->expose.count; i++) {
		if (port_parse_expose(arena, options->expose.items[i], &rows, &count, e) < 0)
			return -1;
		for (size_t k = 0; k < count; k++)
			strings_add(arena, &config->expose, port_format(arena, &rows[k]));
	}
	return 0;
}

int container_options_apply(struct cli *cli, const struct container_options *options, int argc, char **argv,
	struct create_options *create, struct err *e)
{
	struct arena *arena = &cli->arena;
	struct container_config *config = &create->config;
	static const char *const pulls[] = {"missing", "always", "never"};

	*create = (struct create_options){
		.image = argv[0],
		.platform = cli_platform(options->platform),
		.entrypoint = options->entrypoint,
		.config =
			{
				.name = given(options->name),
				.cap_add = options->cap_add,
				.cap_drop = options->cap_drop,
				.group_add = options->group_add,
				.publish_all = options->publish_all,
				.sysctls = options->sysctl,
				.volumes_from = options->volumes_from,
				.user = given(options->user),
				.working_dir = given(options->workdir),
				.hostname = options->hostname,
				.domainname = options->domainname,
				.stop_signal = given(options->stop_signal),
				.stop_timeout =
					options->stop_timeout == INT64_MIN ? 0 : options->stop_timeout,
				.has_stop_timeout = options->stop_timeout != INT64_MIN,
				.network = given(options->network) ? options->network : "default",
				.privileged = options->privileged,
				.readonly_root = options->read_only,
				.init = options->init,
				.terminal = options->tty,
				.open_stdin = options->interactive,
				.auto_remove = options->rm,
				.shm_size = options->shm_size,
				.no_new_privileges = cli->config.no_new_privileges,
				.log_max_size = cli->config.log_max_size,
				.log_max_files = cli->config.log_max_file,
			},
	};
	watch(cli, options->quiet, create);
	apply_attach(options, config);
	for (int i = 1; i < argc; i++)
		strings_add(arena, &create->command, argv[i]);
	if (given(options->pull)) {
		size_t i = 0;
		while (i < 3 && strcmp(pulls[i], options->pull))
			i++;
		if (i == 3)
			return err_set(e, ERR_USAGE, 0,
				"invalid pull option: '%s': must be one of \"always\", \"missing\" or "
				"\"never\"",
				options->pull);
		create->pull = (enum create_pull)i;
	}
	if (config->name && *config->name == '/')
		config->name++;
	if (apply_labels(arena, options, &config->labels, e) < 0 ||
		check_sysctls(&options->sysctl, config->network, e) < 0 ||
		container_options_env(arena, &options->env, &options->env_file, &config->env, e) < 0 ||
		parse_security(arena, &options->security_opt, config, e) < 0 ||
		apply_limits(options, &config->limits, e) < 0)
		return -1;
	if (parse_ports(arena, options, config, e) < 0)
		return -1;
	return apply_mounts(arena, options, config, e);
}

static int check_network(const char *network, struct err *e)
{
	static const char *const known[] = {"default", "bridge", "bridge0", "host", "none"};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(network, known[i]))
			return 0;
	err_set(e, ERR_NOT_FOUND, 0, "network %s not found", network);
	return err_hint(e, "this version has the networks bridge, bridge0, host and none");
}

int container_options_check(const struct create_options *create, struct err *e)
{
	const struct container_config *config = &create->config;
	int ignored;

	if (config->name && check_name(config->name, e) < 0)
		return -1;
	if (config->hostname && check_hostname(config->hostname, e) < 0)
		return -1;
	if (config->working_dir && *config->working_dir != '/')
		return err_set(e, ERR_INVALID, 0,
			"the working directory '%s' is invalid, it needs to be an absolute path",
			config->working_dir);
	if (config->stop_signal && control_signal_number(config->stop_signal, &ignored, e) < 0)
		return -1;
	if (check_network(config->network, e) < 0)
		return -1;
	return check_limits(&config->limits, e);
}
