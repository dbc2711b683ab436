/* open.c - a verb's way to the engine. */
#include "cli/open.h"

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
