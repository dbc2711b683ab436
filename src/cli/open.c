/* open.c - a verb's way to the engine. */
#include "cli/open.h"

#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "engine/stores.h"

struct engine *cli_engine(struct cli *cli, enum engine_access access, struct err *e)
{
	struct engine *engine = arena_new(&cli->arena, struct engine);

	engine->arena = &cli->arena;
	engine->config = &cli->config;
	engine->data_root = cli->data_root;
	engine->run_root = cli->run_root;
	if (engine_open(engine, access, e) < 0)
		return NULL;
	cli->engine = engine;
	return engine;
}

void cli_other_stores(struct cli *cli)
{
	auto_buf struct buf out = {0};
	struct strings stores = {0};

	stores_others(&cli->arena, cli->data_root, &stores);
	for (size_t i = 0; i < stores.count; i++)
		buf_printf(&out, "brig: another store holds something: %s\n", stores.items[i]);
	if (out.length)
		fd_write_full(STDERR_FILENO, out.data, out.length);
}

int cli_each(struct cli *cli, struct engine *engine, int argc, char **argv,
	int (*each)(struct cli *cli, struct engine *engine, const char *name, void *context, struct err *e),
	void *context)
{
	int status = 0;

	for (int i = 0; i < argc; i++) {
		struct err e = {0};
		if (each(cli, engine, argv[i], context, &e) < 0)
			status = cli_complain(&e);
	}
	return status;
}
