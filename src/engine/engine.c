/* engine.c - opening the places that every command works on. */
#include "engine/engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "engine/rootless.h"
#include "store/driver.h"

/* The names of what we make in the run root. */
static bool is_ours(const char *name)
{
	static const char *const names[] = {".", "..", "attach", "containers", "net"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* 1 where the folder is empty, 0 where it holds things of ours only, or -1. */
static int look_through(int folder)
{
	int empty = 1;
	int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (!stream) {
		close_fd(&fd);
		return -1;
	}
	for (struct dirent *entry; empty >= 0 && (errno = 0, entry = readdir(stream));) {
		if (!is_ours(entry->d_name))
			empty = -1;
		else if (*entry->d_name != '.')
			empty = 0;
	}
	if (errno)
		empty = -1;
	closedir(stream);
	return empty;
}

/* Whoever can write into the run root speaks to monitors as we do. It is closed to others
 * where it is certainly ours; a folder such as /tmp is left as it is, and refused. */
static int check_run_root(const struct engine *engine, int folder, struct err *e)
{
	struct stat st;

	if (fstat(folder, &st) < 0)
		return err_errno(e, errno, "cannot look at the run root %s", engine->run_root);
	if (st.st_uid != geteuid()) {
		err_set(e, ERR_DENIED, 0, "the run root %s belongs to another user (uid %u)",
			engine->run_root, (unsigned)st.st_uid);
		return err_hint(e, "choose a folder of your own with --run-root");
	}
	if (!(st.st_mode & 0077))
		return 0;
	int empty = look_through(folder);
	/* Where others could write, what lies there may be theirs whatever it is called. */
	if (empty < 0 || (!empty && (st.st_mode & 0022))) {
		err_set(e, ERR_DENIED, 0, "the run root %s is open to other users (mode %04o)",
			engine->run_root, (unsigned)st.st_mode & 07777);
		return err_hint(e, "choose an empty or a new folder with --run-root");
	}
	return fchmod(folder, 0700) < 0
		       ? err_errno(e, errno, "cannot close the run root %s to other users", engine->run_root)
		       : 0;
}

/* The driver's part of removing a container. */
static int remove_rootfs(void *context, int dir, const char *id, struct err *e)
{
	struct store *store = context;

	if (driver_use_recorded(store, e) < 0)
		return -1;
	if (!store->driver || !store->driver->rootfs_remove)
		return 0;
	auto_close int folder = fd_open(dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (folder < 0)
		return folder == -ENOENT ? 0 : err_errno(e, folder, "cannot open a container's folder");
	return store->driver->rootfs_remove(store, folder, e);
}

int engine_open(struct engine *engine, enum engine_access access, struct err *e)
{
	engine->run = -1;
	/* Modes are meant as they are written; containers read some of our files. */
	if (access != ENGINE_READ)
		umask(0022);
	engine->containers = (struct containers){.dir = -1, .index = -1};
	if (engine->config->driver && !driver_find(engine->config->driver, e))
		return -1;
	if (access == ENGINE_WRITE && geteuid() != 0 && rootless_enter(e) < 0)
		return -1;
	if (access != ENGINE_READ)
		engine->user_namespace = rootless_confined();
	if (store_open(&engine->store, engine->data_root, access == ENGINE_READ ? 0 : STORE_WRITE, e) < 0)
		return -1;
	engine->store.dataset = engine->config->zfs_dataset;
	if (engine->store.root < 0)
		return 0;
	int rc = containers_open(&engine->containers, engine->store.root, access != ENGINE_READ, e);
	/* What runs can be stopped and looked into on a disk that has become read-only. */
	if (rc < 0 && access == ENGINE_CHANGE && e->number == EROFS)
		rc = containers_open(&engine->containers, engine->store.root, false, e);
	if (rc < 0)
		return -1;
	engine->containers.remove = remove_rootfs;
	engine->containers.remove_context = &engine->store;
	return 0;
}

void engine_moved(struct engine *engine)
{
	engine->arena = NULL;
	engine->config = NULL;
	engine->store.dataset = NULL;
	engine->containers.remove_context = &engine->store;
}

void engine_close(struct engine *engine)
{
	containers_close(&engine->containers);
	driver_close(&engine->store);
	store_close(&engine->store);
	close_fd(&engine->run);
}

int engine_run_root(struct engine *engine, struct err *e)
{
	if (engine->run >= 0)
		return 0;
	auto_close int fd = fd_open_dir_made(AT_FDCWD, engine->run_root, 0700);
	if (fd < 0)
		return err_errno(e, fd, "cannot open the run root %s", engine->run_root);
	if (check_run_root(engine, fd, e) < 0)
		return -1;
	engine->run = steal_fd(&fd);
	return 0;
}
