/* changes.c - comparing a tree with what is below it. */
#include "store/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "store/tree_private.h"

/* A folder as seen through several trees, the highest first. */
struct view {
	int *fds;
	size_t count;
	bool borrowed;
	bool closed; /* nothing below these trees shows through */
};

struct comparison {
	struct tree_walk walk; /* its path and its errors */
	struct arena *arena;
	struct change *items;
	size_t count, room;
	bool overlay;
	const char *const *mount_points;
};

static void view_close(struct view *view)
{
	for (size_t i = 0; i < view->count && !view->borrowed; i++)
		close_fd(&view->fds[i]);
	free(view->fds);
	*view = (struct view){0};
}
#define auto_view __attribute__((cleanup(view_close)))

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static int open_folder(int folder, const char *name)
{
	return kernel_openat2(folder, name,
		&(const struct kernel_open_how){
			.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
			.resolve = KERNEL_RESOLVE_NO_XDEV | KERNEL_RESOLVE_NO_SYMLINKS,
		});
}

/* Which tree has the name: its place, -1 none, or below that -errno. */
static int view_find(const struct view *view, const char *name, struct stat *st)
{
	for (size_t i = 0; i < view->count; i++) {
		if (fstatat(view->fds[i], name, st, AT_SYMLINK_NOFOLLOW) == 0)
			return (int)i;
		if (errno != ENOENT)
			return -errno - 1;
	}
	return -1;
}

/* The folder name, which the tree at first shows. 0 or -errno. */
static int view_enter(const struct view *view, const char *name, size_t first, struct view *out)
{
	*out = (struct view){.fds = calloc(view->count, sizeof *out->fds)};
	if (!out->fds)
		return -ENOMEM;
	for (size_t i = first; i < view->count; i++) {
		int fd = open_folder(view->fds[i], name);
		if (fd == -ENOENT)
			continue;
		if (fd == -ENOTDIR || fd == -ELOOP) {
			out->closed = true; /* something else hides what is below */
			break;
		}
		if (fd < 0)
			return fd;
		out->fds[out->count++] = fd;
		out->closed = tree_is_opaque(fd);
		if (out->closed)
			break;
	}
	return 0;
}

/* Archives and some programs keep whole seconds only: docker takes those for the same. */
static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && (a->tv_nsec == b->tv_nsec || !a->tv_nsec || !b->tv_nsec);
}

/* Whether somebody would call it changed: docker's rule. */
static bool differs(int a, int b, const char *name, const struct stat *x, const struct stat *y)
{
	if (x->st_mode != y->st_mode || x->st_uid != y->st_uid || x->st_gid != y->st_gid ||
		x->st_rdev != y->st_rdev)
		return true;
	if (!S_ISDIR(x->st_mode) && (x->st_size != y->st_size || !same_time(&x->st_mtim, &y->st_mtim)))
		return true;
	return (S_ISREG(x->st_mode) || S_ISDIR(x->st_mode)) && tree_xattrs_differ(a, b, name);
}

static void add(struct comparison *c, enum change_kind kind)
{
	if (c->count == c->room) {
		size_t room = c->room ? c->room * 2 : 64;
		struct change *items = arena_array(c->arena, room, sizeof *items);
		if (c->count)
			memcpy(items, c->items, c->count * sizeof *items);
		c->items = items;
		c->room = room;
	}
	c->items[c->count++] = (struct change){kind, arena_printf(c->arena, "/%s", c->walk.path.data)};
}

static int compare_folder(
	struct comparison *c, const struct view *own, const struct view *below, struct err *e);

/* A folder: it was listed in case something in it would be, which makes it modified itself. */
static int compare_subfolder(struct comparison *c, const struct view *own, const struct view *below,
	const char *name, bool *listed, struct err *e)
{
	auto_view struct view mine = {0}, others = {0};
	struct stat st;
	size_t before = c->count;
	int place = view_find(own, name, &st);
	int rc = place < 0 ? 0 : view_enter(own, name, (size_t)place, &mine);

	if (rc == -EXDEV || rc == -ENOENT || !mine.count)
		return 0; /* something is mounted there, or it has gone */
	place = rc < 0 ? rc : view_find(below, name, &st);
	if (rc == 0 && place >= 0 && S_ISDIR(st.st_mode))
		rc = view_enter(below, name, (size_t)place, &others);
	if (rc < 0)
		return tree_failed(&c->walk, rc, "read", e);
	if (compare_folder(c, &mine, &others, e) < 0)
		return -1;
	*listed |= c->count > before;
	return 0;
}

static bool is_mount_point(const struct comparison *c, const struct stat *st)
{
	if (!S_ISDIR(st->st_mode) && (!S_ISREG(st->st_mode) || st->st_size))
		return false;
	for (const char *const *path = c->mount_points; path && *path; path++) {
		if (**path == '/' && !strcmp(*path + 1, c->walk.path.data))
			return true;
	}
	return false;
}

/* Something that is there. */
static int compare_name(struct comparison *c, const struct view *own, const char *name,
	const struct view *below, struct err *e)
{
	struct stat st, was;
	int mine = view_find(own, name, &st), place = view_find(below, name, &was);
	size_t before = c->count;

	if (mine == -1)
		return 0; /* it has gone meanwhile */
	if (mine < -1 || place < -1)
		return tree_failed(&c->walk, -(mine < -1 ? mine : place) - 1, "read", e);
	bool new = place < 0 || is_whiteout(&was);
	if (is_whiteout(&st)) {
		if (c->overlay && !new)
			add(c, CHANGE_DELETED);
		return 0;
	}
	bool listed =
		new ? !is_mount_point(c, &st) : differs(own->fds[mine], below->fds[place], name, &st, &was);
	if (!listed && !S_ISDIR(st.st_mode))
		return 0;
	add(c, new ? CHANGE_ADDED : CHANGE_MODIFIED);
	if (S_ISDIR(st.st_mode) && compare_subfolder(c, own, below, name, &listed, e) < 0)
		return -1;
	if (!listed)
		c->count = before;
	return 0;
}

/* The names in a view's folders, sorted, each once; hidden says whether those behind whiteouts are
 * among them. To be freed; NULL with errno. */
static char **view_names(const struct view *view, bool hidden, struct arena *arena)
{
	struct strings all = {0};

	for (size_t i = 0; i < view->count; i++) {
		auto_free char **names = tree_names(view->fds[i]);
		if (!names)
			return NULL;
		for (char **name = names; *name; name++) {
			struct stat st;
			bool alone = hidden && view->count == 1; /* then there is nothing to look for */
			if (alone || (view_find(view, *name, &st) == (int)i && (hidden || !is_whiteout(&st))))
				strings_add(arena, &all, arena_strdup(arena, *name));
		}
	}
	char **sorted = calloc(all.count + 1, sizeof *sorted);
	for (size_t i = 0; sorted && i < all.count; i++)
		sorted[i] = (char *)(uintptr_t)all.items[i];
	if (sorted)
		tree_sort_names(sorted, all.count);
	return sorted;
}

static int compare_folder(
	struct comparison *c, const struct view *own, const struct view *below, struct err *e)
{
	auto_arena struct arena arena = {0};
	auto_free char **names = view_names(own, true, &arena);
	auto_free char **others = NULL;

	if (!names)
		return tree_failed(&c->walk, errno, "read", e);
	if (++c->walk.depth > TREE_DEPTH)
		return tree_failed(&c->walk, ELOOP, "read", e);
	/* What is missing was deleted, unless whiteouts tell so. */
	if (!c->overlay || own->closed) {
		others = view_names(below, false, &arena);
		if (!others)
			return tree_failed(&c->walk, errno, "read", e);
	}
	char **name = names, **other = others;
	while (*name || (other && *other)) {
		int order = !*name ? 1 : !other || !*other ? -1 : strcmp(*name, *other);
		size_t length = tree_enter(&c->walk, order <= 0 ? *name : *other);
		if (order > 0)
			add(c, CHANGE_DELETED);
		else if (compare_name(c, own, *name, below, e) < 0)
			return -1;
		tree_leave(&c->walk, length);
		name += order <= 0;
		if (order >= 0)
			other++;
	}
	c->walk.depth--;
	return 0;
}

/* The given folders, which stay the caller's. */
static int borrow(struct view *view, const int *fds, size_t count)
{
	view->fds = calloc(count + 1, sizeof *view->fds);
	view->borrowed = true;
	for (size_t i = 0; view->fds && i < count && !view->closed; i++) {
		view->fds[view->count++] = fds[i];
		view->closed = tree_is_opaque(fds[i]);
	}
	return view->fds ? 0 : -ENOMEM;
}

int changes_list(
	struct arena *arena, const struct changes_of *of, struct change **list, size_t *count, struct err *e)
{
	struct comparison c = {.arena = arena, .overlay = of->overlay, .mount_points = of->mount_points};
	auto_view struct view own = {0}, below = {0};

	if (borrow(&own, of->trees, of->count) < 0 || borrow(&below, of->below, of->below_count) < 0)
		return err_errno(e, ENOMEM, "cannot compare the trees");
	c.walk.options.overlay = true;
	buf_string(&c.walk.path, "");
	int rc = compare_folder(&c, &own, &below, e);
	tree_walk_end(&c.walk);
	if (rc < 0)
		return -1;
	*list = c.items;
	*count = c.count;
	return 0;
}
