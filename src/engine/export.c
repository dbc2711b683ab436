/* export.c - a container's files as an archive. */
#include "engine/export.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/confine.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/newfile.h"
#include "base/report.h"
#include "engine/container.h"
#include "engine/control.h"
#include "store/driver.h"
#include "store/tree.h"

enum { PIECE = 256 << 10 };

struct output {
	int fd;
	struct buf pending;
};

static int flush(struct output *out)
{
	int rc = fd_write_full(out->fd, out->pending.data, out->pending.length);
	out->pending.length = 0;
	return rc;
}

static int take_bytes(void *context, const void *bytes, size_t size)
{
	struct output *out = context;

	buf_append(&out->pending, bytes, size);
	return out->pending.length >= PIECE ? flush(out) : 0;
}

static int write_root(int root, int fd, struct err *e)
{
	const struct tree_options options = {.overlay = false};
	struct output out = {.fd = fd};
	struct tar_writer w = {.write = take_bytes, .context = &out};
	struct tree_result result;
	/* A mount's descriptor is O_PATH. */
	auto_close int tree = fd_open(root, ".", O_RDONLY | O_DIRECTORY, 0);
	int rc = tree < 0 ? err_errno(e, tree, "cannot open the container's files")
			  : tree_write(tree, &w, &options, &result, e);

	if (rc == 0) {
		int number = flush(&out);
		rc = number < 0 ? err_errno(e, number, "cannot write the archive") : 0;
	}
	buf_free(&out.pending);
	return rc;
}

/* ---- one that runs ---- */

/* In a child: joins what the process lives in, and writes what is at "/" there, alone. */
static int write_from_inside(int process, bool user_namespace, int fd, struct err *e)
{
	confine_undumpable();
	if ((user_namespace && setns(process, CLONE_NEWUSER) < 0) || setns(process, CLONE_NEWNS) < 0)
		return errno == ESRCH ? err_set(e, ERR_CONFLICT, 0, "the container has just ended")
				      : err_errno(e, errno, "cannot join the container's namespaces");
	auto_close int root =
		kernel_open_tree(AT_FDCWD, "/", KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC);
	return root < 0 ? err_errno(e, root, "cannot copy the container's mount") : write_root(root, fd, e);
}

static int write_running(struct engine *engine, const struct container *container, int fd, struct err *e)
{
	int ends[2];
	auto_close int process = control_open_process(engine, container, e);

	if (process < 0)
		return -1;
	int rc = fd_pipe(ends, 0);
	if (rc < 0)
		return err_errno(e, rc, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		struct err failure;
		rc = write_from_inside(process, engine->user_namespace, fd, &failure);
		_exit(report_send(ends[1], rc, &failure) < 0);
	}
	rc = pid < 0 ? err_errno(e, errno, "cannot make a process") : 0;
	close(ends[1]);
	if (rc == 0)
		rc = report_receive(ends[0], e);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return rc > 0 ? err_set(e, ERR_SYSTEM, 0, "the process that reads the container's files was killed")
		      : rc;
}

/* ---- ---- */

static int write_mounted(struct engine *engine, int folder, int fd, struct err *e)
{
	struct store *store = &engine->store;
	struct container_config config;

	if (container_config_load(engine->arena, folder, &config, e) < 0)
		return -1;
	const struct driver_rootfs rootfs = {
		.folder = folder,
		.layers = config.layers.items,
		.layer_count = config.layers.count,
		.hidden = (size_t)config.layers_hidden,
		.read_only = true,
	};
	auto_close int root = store->driver->rootfs_mount(store, &rootfs, e);
	return root < 0 ? -1 : write_root(root, fd, e);
}

/* again: the engine was opened anew, for a container that was stopped. */
static int export(struct engine *engine, const char *name, int fd, bool again, struct err *e)
{
	struct container container;

	if (container_find(&engine->containers, name, &container, e) < 0)
		return -1;
	auto_close int folder = container_open_dir(&engine->containers, &container, e);
	if (folder < 0 || driver_use(&engine->store, NULL, e) < 0)
		return -1;
	int running = control_lock(engine, &container, e);
	if (running < 0)
		return -1;
	/* Trees that are whole can be mounted any number of times. */
	bool inside = running && engine->store.driver->rootfs_changes;
	if (inside && again)
		return err_set(e, ERR_CONFLICT, 0, "container %s has just been started", name);
	if (inside)
		return write_running(engine, &container, fd, e);
	int rc = 0;
	if (geteuid() == 0)
		rc = write_mounted(engine, folder, fd, e);
	if (!running)
		container_unlock(&container);
	if (geteuid() == 0)
		return rc;
	/* Only now an ordinary user's becomes root: from a user namespace of ours no container's can be
	 * joined, and what was opened outside of it cannot be mounted in there. */
	close_fd(&folder);
	engine_close(engine);
	return engine_open(engine, ENGINE_WRITE, e) < 0 ? -1 : export(engine, name, fd, true, e);
}

int engine_export(struct engine *engine, const char *name, const char *path, int output, struct err *e)
{
	struct new_file file;

	if (!path)
		return export(engine, name, output, false, e);
	int number = new_file_open(&file, path);
	if (number < 0)
		return err_errno(e, number, "cannot write %s", path);
	if (export(engine, name, file.fd, false, e) < 0) {
		new_file_drop(&file);
		return -1;
	}
	number = new_file_commit(&file, path);
	return number < 0 ? err_errno(e, number, "cannot write %s", path) : 0;
}
