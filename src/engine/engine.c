/* engine.c - opening the places that every command works on. */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "engine/rootless.h"

int engine_open(struct engine *engine, enum engine_access access, struct err *e)
{
	engine->run = -1;
	engine->containers = (struct containers){.dir = -1, .index = -1};
	if (access == ENGINE_WRITE && geteuid() != 0 && rootless_enter(e) < 0)
		return -1;
	if (access != ENGINE_READ)
		engine->user_namespace = rootless_confined();
	if (store_open(&engine->store, engine->data_root, access == ENGINE_READ ? 0 : STORE_WRITE, e) < 0)
		return -1;
	if (engine->store.root < 0)
		return 0;
	return containers_open(&engine->containers, engine->store.root, access != ENGINE_READ, e);
}

void engine_close(struct engine *engine)
{
	containers_close(&engine->containers);
	store_close(&engine->store);
	close_fd(&engine->run);
}

int engine_run_root(struct engine *engine, struct err *e)
{
	if (engine->run >= 0)
		return 0;
	int fd = fd_open_dir_made(AT_FDCWD, engine->run_root, 0700);
	if (fd < 0)
		return err_errno(e, fd, "cannot open the run root %s", engine->run_root);
	engine->run = fd;
	return 0;
}
