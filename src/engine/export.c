/* export.c - a container's files as an archive. */
#include "engine/export.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/newfile.h"
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

/* In the child: a detached copy of what is at "/" in the namespaces of the process, or -errno. */
static int copy_root(int process, bool user_namespace)
{
	if (user_namespace && setns(process, CLONE_NEWUSER) < 0)
		return -errno;
	if (setns(process, CLONE_NEWNS) < 0)
		return -errno;
	return kernel_open_tree(AT_FDCWD, "/", KERNEL_OPEN_TREE_CLONE | KERNEL_OPEN_TREE_CLOEXEC);
}

static int open_running(struct engine *engine, const struct container *container, struct err *e)
{
	int pair[2], rc = 0, root = -1;
	size_t count = 1;
	auto_close int process = control_open_process(engine, container, e);

	if (process < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, errno, "cannot make a socket pair");
	pid_t pid = fork();
	if (pid == 0) {
		root = copy_root(process, engine->user_namespace);
		rc = root < 0 ? root : 0;
		_exit(fd_send(pair[1], &rc, sizeof rc, &root, root >= 0) < 0);
	}
	close(pair[1]);
	ssize_t n = pid < 0 ? -errno : fd_receive(pair[0], &rc, sizeof rc, &root, &count);
	close(pair[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != sizeof rc)
		rc = n < 0 ? (int)n : -EIO;
	if (rc == 0 && count == 1)
		return root;
	if (rc == -ESRCH)
		return err_set(e, ERR_CONFLICT, 0, "the container has just ended");
	return err_errno(e, rc ? rc : EIO, "cannot look into the container");
}

/* A mount of its root file system. */
static int open_root(struct engine *engine, const struct container *container, bool running, struct err *e)
{
	struct store *store = &engine->store;
	struct container_config config;
	auto_close int folder = container_open_dir(&engine->containers, container, e);

	if (folder < 0 || container_config_load(engine->arena, folder, &config, e) < 0 ||
		driver_use(store, NULL, e) < 0)
		return -1;
	/* Trees that are whole can be mounted any number of times. */
	if (running && store->driver->rootfs_changes)
		return open_running(engine, container, e);
	const struct driver_rootfs rootfs = {
		.folder = folder,
		.layers = config.layers.items,
		.layer_count = config.layers.count,
		.hidden = (size_t)config.layers_hidden,
		.read_only = true,
	};
	return store->driver->rootfs_mount(store, &rootfs, e);
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

static int export(struct engine *engine, struct container *container, int fd, struct err *e)
{
	int running = control_lock(engine, container, e);

	if (running < 0)
		return -1;
	auto_close int root = open_root(engine, container, running, e);
	int rc = root < 0 ? -1 : write_root(root, fd, e);
	if (!running)
		container_unlock(container);
	return rc;
}

int engine_export(struct engine *engine, const char *name, const char *path, int output, struct err *e)
{
	struct container container;
	struct new_file file;

	if (container_find(&engine->containers, name, &container, e) < 0)
		return -1;
	if (!path)
		return export(engine, &container, output, e);
	int number = new_file_open(&file, path);
	if (number < 0)
		return err_errno(e, number, "cannot write %s", path);
	if (export(engine, &container, file.fd, e) < 0) {
		new_file_drop(&file);
		return -1;
	}
	number = new_file_commit(&file, path);
	return number < 0 ? err_errno(e, number, "cannot write %s", path) : 0;
}
