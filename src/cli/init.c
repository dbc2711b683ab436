/* init.c - brig init. */
#include "base/log.h"
#include "cli/open.h"
#include "engine/init.h"

static int run_init(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct init_result result;
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);

	if (!engine || engine_init(engine, argv[0], &result, e) < 0)
		return -1;
	if (result.skipped)
		log_warning("%llu things of %s are not in the image: sockets, devices, mounted file systems",
			(unsigned long long)result.skipped, argv[0]);
	cli_print(cli, "Created: %s\n", result.serial);
	return 0;
}

const struct verb verb_init = {
	.name = "init",
	.summary = "Create an image from a directory",
	.usage = "DIRECTORY",
	.examples = "init base-image/\tprints the serial name of the new image\n"
		    "run -it --rm img_42150 sh\truns it",
	.min_operands = 1,
	.max_operands = 1,
	.flags = VERB_COMMON,
	.run = run_init,
};
