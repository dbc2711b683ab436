/* save.c - brig save. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/open.h"
#include "engine/save.h"

struct save_cli {
	const char *output, *format, *platform;
};

static const struct opt options_table[] = {
	{"format", 0, OPT_STRING, offsetof(struct save_cli, format), "form",
		"\"docker-archive\" (an OCI layout, too), \"oci-archive\", or \"oci-dir\" (a folder)"},
	{"output", 'o', OPT_STRING, offsetof(struct save_cli, output), "string",
		"Write to a file, instead of STDOUT"},
	{"platform", 0, OPT_STRING, offsetof(struct save_cli, platform), "string",
		"Save only what is for this platform (formatted as os[/arch[/variant]])"},
	{NULL},
};

static int form_of(const char *text, enum save_form *form, struct err *e)
{
	static const struct {
		const char *name;
		enum save_form form;
	} rows[] = {
		{"docker-archive", SAVE_BOTH},
		{"oci-archive", SAVE_OCI},
		{"oci-dir", SAVE_DIRECTORY},
	};
	char clean[64];

	*form = SAVE_BOTH;
	if (!text)
		return 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (!strcmp(text, rows[i].name)) {
			*form = rows[i].form;
			return 0;
		}
	return err_set(e, ERR_INVALID, 0,
		"invalid value \"%s\" for --format: one of docker-archive, oci-archive and oci-dir",
		err_sanitize(clean, sizeof clean, text));
}

static int run_save(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct save_cli *o = given;
	struct oci_platform platform;
	struct save_options options = {
		.images = (const char *const *)argv,
		.count = (size_t)argc,
		.path = o->output && *o->output ? o->output : NULL,
		.output = STDOUT_FILENO,
	};

	if (form_of(o->format, &options.form, e) < 0)
		return -1;
	if (o->platform) {
		if (oci_platform_parse(o->platform, &platform, e) < 0)
			return -1;
		options.platform = &platform;
	}
	if (!options.path && options.form == SAVE_DIRECTORY)
		return err_set(e, ERR_INVALID, 0, "--format oci-dir needs the name of a folder with -o");
	if (!options.path && isatty(STDOUT_FILENO))
		return err_set(e, ERR_INVALID, 0,
			"cowardly refusing to save to a terminal. Use the -o flag or redirect");
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	return engine ? engine_save(engine, &options, e) : -1;
}

const struct verb verb_save = {
	.name = "save",
	.aliases = "image save",
	.summary = "Save one or more images to a tar archive (streamed to STDOUT by default)",
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.examples = "save debian:12 | ssh host brig load\tan image goes to another host\n"
		    "save -o all.tar debian nginx:1\tevery debian that there is, and one nginx\n"
		    "save --format oci-dir -o layout debian:12\ta folder, for skopeo and umoci",
	.options = options_table,
	.options_size = sizeof(struct save_cli),
	.min_operands = 1,
	.max_operands = VERB_ANY,
	.run = run_save,
};
