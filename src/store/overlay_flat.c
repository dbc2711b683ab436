/* overlay_flat.c - putting trees of layers together into one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/layer.h"
#include "store/overlay.h"
#include "store/tree_private.h"

/* A level is one digit; 8^9 layers are enough. */
enum { LEVEL_MAX = 9 };

/* One folder in each tree that has it, the highest first. */
struct sources {
	int *fds;
	size_t count;
	bool closed; /* nothing below these trees shows through */
};

/* A name, and the highest tree that has it. */
struct entry {
	const char *name;
	size_t tree;
};

static void sources_close(struct sources *sources)
{
	for (size_t i = 0; i < sources->count; i++)
		close_fd(&sources->fds[i]);
	free(sources->fds);
}
#define auto_sources __attribute__((cleanup(sources_close)))

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : x->tree < y->tree ? -1 : x->tree > y->tree;
}

/* All names, each once, with its highest tree. */
static int list_entries(struct arena *arena, const struct sources *from, struct entry **out, size_t *count)
{
	auto_free char ***names = calloc(from->count, sizeof *names);
	size_t all = 0, kept = 0;
	int rc = names ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < from->count; i++) {
		names[i] = tree_names(from->fds[i]);
		rc = names[i] ? 0 : -errno;
		for (char **name = names[i]; rc == 0 && *name; name++)
			all++;
	}
	struct entry *entries = arena_array(arena, all + 1, sizeof *entries);
	for (size_t i = 0, at = 0; names && i < from->count; i++) {
		for (char **name = names[i]; rc == 0 && *name; name++)
			entries[at++] = (struct entry){arena_strdup(arena, *name), i};
		free(names[i]);
	}
	if (rc < 0)
		return rc;
	qsort(entries, all, sizeof *entries, compare_entries);
	for (size_t i = 0; i < all; i++) {
		if (!kept || strcmp(entries[kept - 1].name, entries[i].name) != 0)
			entries[kept++] = entries[i];
	}
	*out = entries;
	*count = kept;
	return 0;
}

/* The folder of that name in this tree and those below, as far as it shows. */
static int open_sources(const struct sources *from, const struct entry *entry, struct sources *out)
{
	*out = (struct sources){.fds = calloc(from->count, sizeof *out->fds)};
	if (!out->fds)
		return -ENOMEM;
	for (size_t i = entry->tree; i < from->count && !out->closed; i++) {
		int fd = fd_open(from->fds[i], entry->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd == -ENOENT)
			continue;
		if (fd == -ENOTDIR || fd == -ELOOP) {
			out->closed = true; /* a whiteout, or a file that was one */
			break;
		}
		if (fd < 0)
			return fd;
		out->fds[out->count++] = fd;
		out->closed = tree_is_opaque(fd);
	}
	return 0;
}

static int merge_folder(struct tree_walk *walk, int root, const struct sources *from, int to, struct err *e);

static int merge_subfolder(struct tree_walk *walk, int root, const struct sources *from,
	const struct entry *entry, int to, struct err *e)
{
	struct stat st;
	auto_sources struct sources below = {0};
	int rc = open_sources(from, entry, &below);

	if (rc == 0 && mkdirat(to, entry->name, 0700) < 0)
		rc = -errno;
	if (rc < 0)
		return tree_failed(walk, rc, "link", e);
	auto_close int out = fd_open(to, entry->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (out < 0)
		return tree_failed(walk, out, "link", e);
	if (merge_folder(walk, root, &below, out, e) < 0)
		return -1;
	if (fstat(below.fds[0], &st) < 0)
		rc = -errno;
	/* Before the time: an attribute changes no mtime, but the order costs nothing. */
	if (rc == 0 && below.closed && fsetxattr(out, "user.overlay.opaque", "y", 1, 0) < 0)
		rc = -errno;
	if (rc == 0)
		rc = tree_copy_metadata(walk, below.fds[0], out, &st);
	return rc < 0 ? tree_failed(walk, rc, "link", e) : 0;
}

static int merge_entry(struct tree_walk *walk, int root, const struct sources *from,
	const struct entry *entry, int to, struct err *e)
{
	struct stat st;
	int source = from->fds[entry->tree];

	if (fstatat(source, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return tree_failed(walk, errno, "read", e);
	if (S_ISDIR(st.st_mode))
		return merge_subfolder(walk, root, from, entry, to, e);
	if (linkat(source, entry->name, to, entry->name, 0) == 0)
		return 0;
	/* Too many names already (overlayfs gives all whiteouts one inode), or not ours to link. */
	if (errno == EMLINK || errno == EPERM || errno == EXDEV)
		return tree_copy_name(walk, root, source, to, entry->name, e);
	return tree_failed(walk, errno, "link", e);
}

static int merge_folder(struct tree_walk *walk, int root, const struct sources *from, int to, struct err *e)
{
	auto_arena struct arena arena = {0};
	struct entry *entries;
	size_t count;
	int rc = list_entries(&arena, from, &entries, &count);

	if (rc < 0)
		return tree_failed(walk, rc, "read", e);
	if (++walk->depth > TREE_DEPTH)
		return tree_failed(walk, ELOOP, "read", e);
	for (size_t i = 0; i < count; i++) {
		size_t length = tree_enter(walk, entries[i].name);
		if (merge_entry(walk, root, from, &entries[i], to, e) < 0)
			return -1;
		tree_leave(walk, length);
	}
	walk->depth--;
	return 0;
}

/* Puts trees together into the folder to. */
static int merge(struct store *store, const struct overlay_tree *trees, size_t count, int to, struct err *e)
{
	struct tree_walk walk = {.options = {.overlay = true, .one_owner = true}};
	auto_sources struct sources from = {.fds = calloc(count, sizeof *from.fds)};
	struct stat st;
	int layers = store_folder(store, STORE_LAYERS, e), rc = 0;

	if (layers < 0)
		return -1;
	if (!from.fds)
		return err_errno(e, ENOMEM, "cannot put layers together");
	for (size_t i = 0; i < count && !from.closed; i++) {
		int fd = fd_open(layers, trees[i].path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd < 0)
			return err_errno(
				e, fd, "cannot open the layer %.12s in %s", trees[i].chain, store->path);
		from.fds[from.count++] = fd;
		from.closed = tree_is_opaque(fd);
	}
	buf_string(&walk.path, "");
	if (merge_folder(&walk, to, &from, to, e) < 0)
		rc = -1;
	else if (fstat(from.fds[0], &st) < 0 ||
		 (from.closed && fsetxattr(to, "user.overlay.opaque", "y", 1, 0) < 0))
		rc = err_errno(e, errno, "cannot put layers together in %s", store->path);
	else if (tree_copy_metadata(&walk, from.fds[0], to, &st) < 0)
		rc = err_errno(e, errno, "cannot put layers together in %s", store->path);
	tree_walk_end(&walk);
	return rc;
}

/* Every folder of a path is open in each tree that has it: as many descriptors as we may have. */
static int merge_all(
	struct store *store, const struct overlay_tree *trees, size_t count, int to, struct err *e)
{
	struct rlimit before, most;
	bool raised = getrlimit(RLIMIT_NOFILE, &before) == 0;

	if (raised) {
		most = (struct rlimit){before.rlim_max, before.rlim_max};
		setrlimit(RLIMIT_NOFILE, &most);
	}
	int rc = merge(store, trees, count, to, e);
	if (raised)
		setrlimit(RLIMIT_NOFILE, &before);
	return rc;
}

/* How many of the highest trees to put together, and the level that this makes; 0: none. */
static size_t choose(const struct overlay_stack *stack, size_t able, unsigned *level)
{
	size_t chosen = 0, at = 0;

	*level = 0;
	for (unsigned now = 0; now < LEVEL_MAX; now++) {
		size_t run = 0;
		while (at + run < able && stack->trees[at + run].level == now)
			run++;
		/* What was put together below counts as one of the next level. */
		if (run + (chosen ? 1 : 0) < OVERLAY_FAN)
			break;
		at += run;
		chosen = at;
		*level = now + 1;
	}
	return chosen;
}

/* Gives a flat tree its name; one that is there goes. */
static int publish(struct store *store, struct store_stage *stage, const char *chain, struct err *e)
{
	char path[64 + sizeof "/flat"];
	int tmp = store_folder(store, STORE_TMP, e);
	int layers = tmp < 0 ? -1 : store_folder(store, STORE_LAYERS, e);

	if (layers < 0)
		return -1;
	snprintf(path, sizeof path, "%.64s/flat", chain);
	if (renameat(tmp, stage->name, layers, path) == 0)
		stage->name[0] = '\0';
	else if (errno != EEXIST && errno != ENOTEMPTY)
		return err_errno(e, errno, "cannot put layers together in %s", store->path);
	return 0;
}

int overlay_rootfs_tidy(struct store *store, const struct driver_rootfs *rootfs, struct err *e)
{
	auto_stack struct overlay_stack stack = {0};
	struct store_stage stage;
	char link[2 + 65];
	unsigned level;

	if (!rootfs->hidden && rootfs->layer_count <= OVERLAY_MANY)
		return 0;
	if (overlay_stack_find(store, rootfs, &stack, e) < 0)
		return -1;
	/* Those that were pulled stay apart: most often they are few, and large. */
	size_t able = rootfs->hidden ? stack.walked : stack.count;
	size_t count = choose(&stack, able, &level);
	if (!count)
		return 0;
	if (store_stage(store, "flat", &stage, e) < 0)
		return -1;
	snprintf(link, sizeof link, "%u/%s", level, stack.trees[count - 1].below);
	int rc = 0;
	if (mkdirat(stage.fd, "tree", 0755) < 0 || symlinkat(link, stage.fd, "below") < 0)
		rc = err_errno(e, errno, "cannot make a folder in %s/tmp", store->path);
	if (rc == 0) {
		auto_close int tree = fd_open(stage.fd, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		rc = tree < 0 ? err_errno(e, tree, "cannot open a folder in %s/tmp", store->path)
			      : merge_all(store, stack.trees, count, tree, e);
	}
	if (rc == 0)
		rc = store_sync(store, e);
	if (rc == 0)
		rc = publish(store, &stage, stack.trees[0].chain, e);
	store_stage_drop(store, &stage);
	close_fd(&stage.fd);
	return rc;
}
