/* version.c - brig version. */
#include <sys/utsname.h>

#include "cli/cli.h"

static int run_version(struct cli *cli, void *options, int argc, char **argv, struct err *e)
{
	struct utsname host;

	uname(&host);
	cli_print(cli, "brig\n Version:       %s\n OS/Arch:       linux/%s\n Kernel:        %s\n",
		BRIG_VERSION, host.machine, host.release);
	return 0;
}

const struct verb verb_version = {
	.name = "version",
	.summary = "Show the version information",
	.usage = "[OPTIONS]",
	.flags = VERB_NO_CONFIG | VERB_COMMON,
	.run = run_version,
};
