/* import.c - brig import. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "cli/open.h"
#include "engine/import.h"

struct import_cli {
	const char *message, *platform;
	struct strings changes;
};

static const struct opt options_table[] = {
	{"change", 'c', OPT_LIST, offsetof(struct import_cli, changes), NULL,
		"Apply Dockerfile instruction to the created image"},
	{"message", 'm', OPT_STRING, offsetof(struct import_cli, message), NULL,
		"Set commit message for imported image"},
	{"platform", 0, OPT_STRING, offsetof(struct import_cli, platform), NULL,
		"Set platform of the image (formatted as os[/arch[/variant]])"},
	{NULL},
};

static int run_import(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct import_cli *o = given;
	struct import_options options = {
		.input = STDIN_FILENO,
		.source = argv[0],
		.name = argc > 1 && *argv[1] ? argv[1] : NULL,
		.message = o->message,
		.platform = cli_platform(o->platform),
		.changes = o->changes,
	};
	struct oci_digest id;
	auto_close int file = -1;

	if (strstr(argv[0], "://")) {
		err_set(e, ERR_UNSUPPORTED, 0, "cannot import %s: nothing is downloaded for import", argv[0]);
		return err_hint(e, "curl -fL URL | brig import - NAME");
	}
	if (strcmp(argv[0], "-") != 0) {
		file = fd_open(AT_FDCWD, argv[0], O_RDONLY, 0);
		if (file < 0)
			return err_errno(e, file, "cannot open %s", argv[0]);
		options.input = file;
	} else if (isatty(STDIN_FILENO)) {
		err_set(e, ERR_INVALID, 0, "cannot import from a terminal");
		return err_hint(e, "redirect an archive to standard input");
	}
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	if (!engine || engine_import(engine, &options, &id, e) < 0)
		return -1;
	cli_print(cli, "%s\n", id.text);
	return 0;
}

const struct verb verb_import = {
	.name = "import",
	.aliases = "image import",
	.summary = "Import the contents from a tarball to create a filesystem image",
	.usage = "[OPTIONS] file|- [REPOSITORY[:TAG]]",
	.examples = "import rootfs.tar.gz mine:1\tan archive of a root file system\n"
		    "export web | brig import -c 'CMD [\"nginx\"]' - web:flat\ta container as one layer",
	.options = options_table,
	.options_size = sizeof(struct import_cli),
	.min_operands = 1,
	.max_operands = 2,
	.run = run_import,
};
