/* inspect.c - brig inspect: docker's JSON of containers, images and volumes. */
#include "cli/inspect.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/format.h"
#include "engine/image.h"
#include "engine/inspect.h"
#include "engine/volume.h"

struct inspect_options {
	const char *format, *type;
	bool size;
};

static const struct opt options_table[] = {
	{"format", 'f', OPT_STRING, offsetof(struct inspect_options, format), NULL, FORMAT_OBJECT_HELP},
	{"size", 's', OPT_BOOL, offsetof(struct inspect_options, size), NULL,
		"Display total file sizes if the type is container"},
	{"type", 0, OPT_STRING, offsetof(struct inspect_options, type), NULL,
		"Only inspect objects of the given type"},
	{NULL},
};

const struct opt inspect_one_options[] = {
	{"format", 'f', OPT_STRING, offsetof(struct inspect_one, format), NULL, FORMAT_OBJECT_HELP},
	{NULL},
};

/* What docker's Go structs have although its JSON leaves it out where it is empty, and how the empty
 * value prints. */
static const struct template_zero zeros[] = {
	{"ArgsEscaped", TEMPLATE_ZERO_BOOL},
	{"Binds", TEMPLATE_ZERO_LIST},
	{"CapAdd", TEMPLATE_ZERO_LIST},
	{"CapDrop", TEMPLATE_ZERO_LIST},
	{"Cmd", TEMPLATE_ZERO_LIST},
	{"Created", TEMPLATE_ZERO_STRING},
	{"Driver", TEMPLATE_ZERO_STRING},
	{"Entrypoint", TEMPLATE_ZERO_LIST},
	{"Env", TEMPLATE_ZERO_LIST},
	{"ExecIDs", TEMPLATE_ZERO_LIST},
	{"ExposedPorts", TEMPLATE_ZERO_MAP},
	{"ExtraHosts", TEMPLATE_ZERO_LIST},
	{"GroupAdd", TEMPLATE_ZERO_LIST},
	{"Health", TEMPLATE_ZERO_NIL},
	{"Healthcheck", TEMPLATE_ZERO_NIL},
	{"Init", TEMPLATE_ZERO_NIL},
	{"Labels", TEMPLATE_ZERO_MAP},
	{"Links", TEMPLATE_ZERO_LIST},
	{"Name", TEMPLATE_ZERO_STRING},
	{"OnBuild", TEMPLATE_ZERO_LIST},
	{"SecurityOpt", TEMPLATE_ZERO_LIST},
	{"Shell", TEMPLATE_ZERO_LIST},
	{"SizeRootFs", TEMPLATE_ZERO_NIL},
	{"SizeRw", TEMPLATE_ZERO_NIL},
	{"StopSignal", TEMPLATE_ZERO_STRING},
	{"StopTimeout", TEMPLATE_ZERO_NIL},
	{"Sysctls", TEMPLATE_ZERO_MAP},
	{"Tmpfs", TEMPLATE_ZERO_MAP},
	{"User", TEMPLATE_ZERO_STRING},
	{"Variant", TEMPLATE_ZERO_STRING},
	{"Volumes", TEMPLATE_ZERO_MAP},
	{"VolumesFrom", TEMPLATE_ZERO_LIST},
	{"WorkingDir", TEMPLATE_ZERO_STRING},
	{NULL, 0},
};

/* Writes the document of what name means; ERR_NOT_FOUND where it means nothing. */
static int inspect_one(struct engine *engine, const struct inspect_wish *wish, const char *name,
	struct json_writer *w, struct err *e)
{
	enum inspect_kind kinds = wish->kinds;
	struct container container;
	struct container_size size;
	struct image image;

	if (kinds & INSPECT_CONTAINER) {
		if (container_find(&engine->containers, name, &container, e) >= 0) {
			if (wish->size && engine_size(engine, &container, &size, e) < 0)
				return -1;
			return engine_container_inspect(
				engine, &container, wish->size ? &size : NULL, w, NULL, e);
		}
		if (e->kind != ERR_NOT_FOUND || kinds == INSPECT_CONTAINER)
			return -1;
	}
	if (kinds & INSPECT_IMAGE) {
		if (image_find(&engine->store, engine->arena, name, &image, e) >= 0) {
			if (wish->size)
				dprintf(STDERR_FILENO, "WARNING: --size ignored for image\n");
			return engine_image_inspect(engine, &image, w, NULL, e);
		}
		if ((e->kind != ERR_NOT_FOUND && e->kind != ERR_INVALID) || kinds == INSPECT_IMAGE)
			return -1;
	}
	if (engine_volume_inspect(engine, name, w, NULL, e) >= 0)
		return 0;
	/* A name that cannot be an image's is the name of nothing, if it could have been a container's. */
	if (kinds == INSPECT_ANY && (e->kind == ERR_NOT_FOUND || e->kind == ERR_INVALID))
		err_set(e, ERR_NOT_FOUND, 0, "No such object: %s", name);
	return -1;
}

/* The user's template for one document. */
static int print_formatted(struct cli *cli, const struct buf *text, const struct template *template,
	struct buf *out, struct err *e)
{
	const struct json *document = json_parse(&cli->arena, text->data, text->length, "inspect", e);
	struct template_data data = {.dot = document, .zeros = zeros};

	if (!document)
		return -1;
	if (template_execute(template, &cli->arena, &data, out, e) < 0)
		return err_set(e, ERR_INVALID, 0, "template parsing error: %s", e->what);
	buf_string(out, "\n");
	return 0;
}

int cli_inspect(struct cli *cli, const struct inspect_wish *wish, int argc, char **argv, struct err *e)
{
	const struct template *template = NULL;
	const char *format = wish->format && *wish->format ? wish->format : NULL;
	bool is_json = !format || !strcmp(format, "json");
	struct json_writer array = {.out = &cli->out, .indent = format ? 0 : 4};
	int status = 0;

	if (!is_json) {
		template = template_parse(&cli->arena, "", format, e);
		if (!template) {
			err_set(e, ERR_INVALID, 0, "template parsing error: %s", e->what);
			cli_complain(e);
			return 64; /* docker's, for this alone */
		}
	}
	/* To see all of a container's files takes what making one does. */
	struct engine *engine = cli_engine(cli, wish->size ? ENGINE_WRITE : ENGINE_READ, e);
	if (!engine)
		return -1;
	if (is_json)
		json_begin_array(&array, NULL);
	size_t before = cli->out.length;
	auto_buf struct buf complaints = {0};
	for (int i = 0; i < argc; i++) {
		auto_buf struct buf text = {0};
		struct json_writer w = {.out = &text};
		struct err why = {0};
		if (inspect_one(engine, wish, argv[i], is_json ? &array : &w, &why) < 0) {
			cli_report(&why, &complaints);
			status = 1;
			continue;
		}
		if (!is_json && print_formatted(cli, &text, template, &cli->out, e) < 0) {
			if (cli->out.length == before)
				buf_string(&cli->out, "\n");
			return -1;
		}
	}
	if (is_json) {
		json_end_array(&array);
		buf_string(&cli->out, "\n");
	} else if (cli->out.length == before) {
		buf_string(&cli->out, "\n");
	}
	if (cli_flush(cli, e) < 0)
		return -1;
	if (complaints.length)
		fd_write_full(STDERR_FILENO, complaints.data, complaints.length);
	return status;
}

static int run_inspect(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	static const struct {
		const char *name;
		enum inspect_kind kinds;
	} types[] = {{"container", INSPECT_CONTAINER}, {"image", INSPECT_IMAGE}, {"volume", INSPECT_VOLUME}};
	const struct inspect_options *options = given;
	struct inspect_wish wish = {INSPECT_ANY, options->format, options->size};

	if (!options->type || !*options->type)
		return cli_inspect(cli, &wish, argc, argv, e);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		wish.kinds = types[i].kinds;
		if (!strcmp(types[i].name, options->type))
			return cli_inspect(cli, &wish, argc, argv, e);
	}
	return err_set(e, ERR_INVALID, 0,
		"unknown type: \"%s\": must be one of \"container\", \"image\", \"volume\"", options->type);
}

const struct verb verb_inspect = {
	.name = "inspect",
	.summary = "Return low-level information on containers, images and volumes",
	.usage = "[OPTIONS] NAME|ID [NAME|ID...]",
	.examples = "inspect web\tall that is known of it, as JSON\n"
		    "inspect -f '{{.State.Status}} {{.State.ExitCode}}' web\ttwo fields\n"
		    "inspect --type image -f '{{json .Config.Env}}' debian\tan image's environment",
	.options = options_table,
	.options_size = sizeof(struct inspect_options),
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_inspect,
};
