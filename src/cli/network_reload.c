/* network_reload.c - brig network reload: the firewall and the published ports, made whole again. */
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "cli/open.h"
#include "net/net.h"

static int run_reload(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct engine *engine = cli_engine(cli, ENGINE_CHANGE, e);
	auto_buf struct buf note = {0};
	(void)given;
	(void)argc;
	(void)argv;

	if (!engine || engine_run_root(engine, e) < 0 || net_reload(engine->run, &note, e) < 0)
		return -1;
	for (char *rest = note.data, *line; rest && (line = strsep(&rest, "\n"));)
		if (*line)
			log_warning("%s", line);
	return 0;
}

const struct verb verb_network_reload = {
	.name = "network reload",
	.summary = "Put back what a flush of the firewall took away",
	.usage = "",
	.examples = "network reload\tafter nft flush ruleset, or a firewall's restart",
	.run = run_reload,
};
