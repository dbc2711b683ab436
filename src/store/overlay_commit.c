/*
 * overlay_commit.c - what a container wrote becomes a layer, without copying.
 *
 * Theory of operation. The container's `upper` becomes the tree of a layer, and the container
 * goes on with an empty one on top of it. In the container's folder:
 *
 *	1. next-HEX	the new upper, HEX being the new layer's chain id
 *	2. commit/	the layer's folder, but for its tree; all is synced
 *	3. upper	is renamed to commit/tree
 *	4. commit	is renamed to layers/HEX: the layer is whole, and named
 *	5.		the engine puts HEX on top of the container's layers (config.json)
 *	6. next-HEX	is renamed to upper
 *
 * The engine holds the container's lock and says in the index that this is going on
 * (CONTAINER_COMMITTING), so whoever takes the lock after a kill, or has seen a step fail, calls the
 * driver's rootfs_recover.
 * Before step 4 it undoes: the tree becomes `upper` again; after it, it goes on: 5 and 6. So what a
 * container wrote is at any time in just one place that is found, and it shows the same files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/layer_commit.h"
#include "store/overlay.h"
#include "store/tree_private.h"

static const char next_prefix[] = "next-";
enum { NEXT_NAME = 64 + sizeof next_prefix };

static int failed(const struct store *store, int number, struct err *e)
{
	return err_errno(e, number, "cannot make a layer of a container in %s", store->path);
}

/* The new upper, its root folder like the old one's. */
static int make_next(int folder, const char *name, int upper)
{
	struct tree_walk walk = {.options = {.one_owner = true}};
	struct stat st;

	if (mkdirat(folder, name, 0700) < 0)
		return -errno;
	auto_close int next = fd_open(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (next < 0 || fstat(upper, &st) < 0)
		return next < 0 ? next : -errno;
	int rc = tree_copy_metadata(&walk, upper, next, &st);
	tree_walk_end(&walk);
	return rc;
}

static int make_layer_folder(int folder, const struct layer *layer)
{
	if (mkdirat(folder, "commit", 0700) < 0)
		return -errno;
	auto_close int commit = fd_open(folder, "commit", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int rc = commit < 0 ? commit : layer_write(commit, layer);
	return rc < 0 ? rc : layer_link_below(commit, layer);
}

int overlay_rootfs_push(
	struct store *store, const struct driver_rootfs *rootfs, const struct layer *layer, struct err *e)
{
	const char *chain = oci_digest_hex(&layer->chain_id);
	char next[NEXT_NAME];
	int layers = store_folder(store, STORE_LAYERS, e), folder = rootfs->folder;

	if (layers < 0)
		return -1;
	auto_close int upper = fd_open(folder, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (upper < 0)
		return failed(store, upper, e);
	snprintf(next, sizeof next, "%s%s", next_prefix, chain);
	int rc = make_next(folder, next, upper);
	if (rc == 0)
		rc = make_layer_folder(folder, layer);
	if (rc < 0)
		failed(store, rc, e);
	else
		rc = store_sync(store, e);
	if (rc == 0 && (renameat(folder, "upper", folder, "commit/tree") < 0 ||
			       renameat(folder, "commit", layers, chain) < 0))
		rc = failed(store, errno, e);
	if (rc == 0) {
		rc = store_sync_folder(folder);
		if (rc == 0)
			rc = store_sync_folder(layers);
		if (rc < 0)
			failed(store, rc, e);
	}
	return rc < 0 ? -1 : 0;
}

/* The name of a new upper in the folder; 1, 0 where there is none, or -errno. */
static int find_next(int folder, char name[NEXT_NAME])
{
	int fd = fd_open(folder, ".", O_RDONLY | O_DIRECTORY, 0), found = 0;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (!stream) {
		int number = fd < 0 ? fd : -errno;
		close_fd(&fd);
		return number;
	}
	for (struct dirent *entry; !found && (errno = 0, entry = readdir(stream));) {
		const char *hex = entry->d_name + sizeof next_prefix - 1;
		if (strncmp(entry->d_name, next_prefix, sizeof next_prefix - 1) != 0 || strlen(hex) != 64 ||
			strspn(hex, "0123456789abcdef") != 64)
			continue;
		memcpy(name, entry->d_name, NEXT_NAME);
		found = 1;
	}
	if (!found && errno)
		found = -errno;
	closedir(stream);
	return found;
}

int overlay_rootfs_pushed(struct store *store, int folder, struct err *e)
{
	char next[NEXT_NAME];
	int rc = find_next(folder, next);

	if (rc == 1 && renameat(folder, next, folder, "upper") < 0)
		rc = -errno;
	return rc < 0 ? failed(store, rc, e) : 0;
}

int overlay_rootfs_recover(struct store *store, int folder, char chain[65], struct err *e)
{
	char next[NEXT_NAME];
	struct stat st;
	int there = find_next(folder, next), rc = there < 0 ? there : 0;
	bool has_upper = fstatat(folder, "upper", &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (there == 1 && !has_upper && fstatat(folder, "commit", &st, AT_SYMLINK_NOFOLLOW) < 0) {
		memcpy(chain, next + sizeof next_prefix - 1, 65);
		return 1;
	}
	if (rc == 0 && !has_upper && renameat(folder, "commit/tree", folder, "upper") < 0)
		rc = -errno;
	if (rc == 0)
		rc = fd_remove_tree(folder, "commit");
	/* All of them: an attempt to undo may have been cut short before. */
	while (rc == 0 && there == 1) {
		rc = fd_remove_tree(folder, next);
		there = rc < 0 ? rc : find_next(folder, next);
	}
	if (rc == 0 && there < 0)
		rc = there;
	return rc < 0 ? failed(store, rc, e) : 0;
}
