/* info.c - brig info. */
#include <string.h>

#include "base/table.h"
#include "cli/format.h"
#include "cli/open.h"
#include "engine/info.h"

struct info_options {
	const char *format;
};

static const struct opt options_table[] = {
	{"format", 'f', OPT_STRING, offsetof(struct info_options, format), NULL, FORMAT_OBJECT_HELP},
	{NULL},
};

static void print_registries(struct cli *cli)
{
	cli_print(cli, " Insecure Registries:\n  ::1/128\n  127.0.0.0/8\n");
	for (const struct config_registry *r = cli->config.registries; r; r = r->next) {
		if (r->insecure)
			cli_print(cli, "  %s\n", r->name);
	}
	for (const struct config_registry *r = cli->config.registries; r; r = r->next) {
		for (size_t i = 0; i < r->mirrors.count; i++)
			cli_print(cli, "%s  %s: %s\n", i ? "" : " Registry Mirrors:\n", r->name,
				r->mirrors.items[i]);
	}
}

static void print_text(struct cli *cli, const struct engine *engine, const struct engine_info *info)
{
	char size[TABLE_QUANTITY];

	cli_print(cli, "Client:\n Version:    %s\n Context:    default\n Debug Mode: %s\n\nServer:\n",
		BRIG_VERSION, cli->debug ? "true" : "false");
	cli_print(cli, " Containers: %zu\n  Running: %zu\n  Paused: %zu\n  Stopped: %zu\n Images: %zu\n",
		info->containers, info->running, info->paused, info->stopped, info->images);
	cli_print(cli, " Server Version: %s\n Storage Driver: %s\n", BRIG_VERSION, info->driver);
	if (*info->file_system)
		cli_print(cli, "  Backing Filesystem: %s\n", info->file_system);
	cli_print(cli, "  %s: %s\n", info->driver_recorded ? "Chosen Because" : "Would Be Chosen Because",
		info->driver_why);
	cli_print(cli, " Logging Driver: json-file\n Cgroup Driver: cgroupfs\n Cgroup Version: %d%s\n",
		info->cgroup_version, info->cgroup_hybrid ? " (hybrid)" : "");
	cli_print(cli, " Plugins:\n  Volume: local\n  Network: bridge host null\n  Log: json-file\n");
	cli_print(cli, " Swarm: inactive\n Runtimes: brig\n Default Runtime: brig\n Security Options:\n");
	if (info->seccomp)
		cli_print(cli, "  seccomp\n   Profile: builtin\n");
	cli_print(cli, " Kernel Version: %s\n Operating System: %s\n OSType: linux\n Architecture: %s\n",
		info->kernel, info->operating_system, info->architecture);
	cli_print(cli, " CPUs: %d\n Total Memory: %s\n Name: %s\n", info->cpus,
		table_size_binary(size, info->memory), info->hostname);
	cli_print(cli, " Docker Root Dir: %s\n Run Root: %s\n Configuration: %s\n Debug Mode: %s\n",
		engine->data_root, engine->run_root, cli->config_path ? cli->config_path : "",
		cli->debug ? "true" : "false");
	cli_print(cli, " Experimental: false\n");
	print_registries(cli);
	cli_print(cli, " Live Restore Enabled: true\n");
}

static int run_info(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct info_options *options = given;
	struct engine_info info;

	struct engine *engine = cli_engine(cli, ENGINE_READ, e);
	if (!engine || engine_info(engine, &info, e) < 0)
		return -1;
	if (!options->format || !*options->format) {
		print_text(cli, engine, &info);
		cli_other_stores(cli);
		return 0;
	}
	info.debug = cli->debug;
	auto_buf struct buf text = {0};
	struct json_writer w = {.out = &text};
	engine_info_write(engine, &info, &w);
	const struct json *document = json_parse(&cli->arena, text.data, text.length, "info", e);
	return document ? format_object(cli, document, options->format, "", "system.dockerInfo", "", e) : -1;
}

const struct verb verb_info = {
	.name = "info",
	.aliases = "system info",
	.summary = "Display system-wide information",
	.usage = "[OPTIONS]",
	.examples = "info\twhat this host has, and what the store holds\n"
		    "info -f '{{.Driver}} {{.CgroupVersion}}'\ttwo of it",
	.options = options_table,
	.options_size = sizeof(struct info_options),
	.flags = VERB_COMMON,
	.run = run_info,
};
