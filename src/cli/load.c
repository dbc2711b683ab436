/* load.c - brig load. */
#include <fcntl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "cli/open.h"
#include "engine/load.h"

struct load_flags {
	const char *input;
	bool quiet;
};

static const struct opt options_table[] = {
	{"input", 'i', OPT_STRING, offsetof(struct load_flags, input), "string",
		"Read from a tar archive, or a folder with an OCI layout, instead of STDIN"},
	{"quiet", 'q', OPT_BOOL, offsetof(struct load_flags, quiet), NULL, "Suppress the load output"},
	{NULL},
};

static int run_load(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct load_flags *flags = given;
	struct load_options load = {.input = STDIN_FILENO, .name = "standard input"};
	struct load_result result;
	auto_close int file = -1;

	if (flags->input && *flags->input) {
		file = fd_open(AT_FDCWD, flags->input, O_RDONLY, 0);
		if (file < 0)
			return err_errno(e, file, "cannot open %s", flags->input);
		load.input = file;
		load.name = flags->input;
	} else if (isatty(STDIN_FILENO)) {
		err_set(e, ERR_INVALID, 0, "requested load from stdin, but stdin is empty");
		return err_hint(e, "name the archive with -i, or redirect it to standard input");
	}
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	if (!engine || engine_load(engine, &load, &result, e) < 0)
		return -1;
	for (size_t i = 0; i < result.count; i++) {
		const struct load_name *name = &result.names[i];
		if (name->replaced.text[0])
			cli_print(cli,
				"The image %s already exists, renaming the old one with ID %s to empty "
				"string\n",
				name->name, name->replaced.text);
		if (name->name)
			cli_print(cli, "Loaded image: %s\n", name->name);
		else
			cli_print(cli, "Loaded image ID: %s\n", name->id.text);
	}
	return 0;
}

const struct verb verb_load = {
	.name = "load",
	.aliases = "image load",
	.summary = "Load an image from a tar archive or STDIN",
	.usage = "[OPTIONS]",
	.examples = "load -i debian.tar\tof docker save, podman save or skopeo\n"
		    "load <images.tar.gz\tgzip and zstd are recognised\n"
		    "load -i layout/\ta folder with an OCI layout",
	.options = options_table,
	.options_size = sizeof(struct load_flags),
	.flags = VERB_COMMON,
	.run = run_load,
};
