/* tree_private.h - what copying a tree and writing it as tar share. */
#ifndef STORE_TREE_PRIVATE_H
#define STORE_TREE_PRIVATE_H

#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "store/tree.h"

/* A file with several names that was met. */
struct tree_link {
	struct tree_link *next;
	dev_t device;
	ino_t inode;
	char path[]; /* its first name */
};

enum { TREE_LINK_LISTS = 1024, TREE_DEPTH = 1000 };

struct tree_walk {
	struct tree_options options;
	struct tree_result result;
	struct arena arena;
	struct tree_link **links; /* TREE_LINK_LISTS lists; NULL until one is met */
	struct buf path;          /* of what is at hand, from the root; "" */
	unsigned depth;
	struct buf xattr_names; /* of the last file, NUL-terminated each */
};

/* The file's first name, or NULL, and then this is one now. */
const char *tree_link_seen(struct tree_walk *walk, const struct stat *st);

/* The names in a folder, sorted; an array that ends with NULL, to be freed as one. NULL with errno set. */
char **tree_names(int folder);

void tree_sort_names(char **names, size_t count);

/* Whether overlayfs shows nothing of what is below this folder. */
bool tree_is_opaque(int folder);
/* Whether a file or folder has other attributes (those that a layer may have) in two folders. What
 * cannot be looked at counts as different. */
bool tree_xattrs_differ(int a, int b, const char *name);
/* Copies one name; root is the copy's root folder, for links. */
int tree_copy_name(struct tree_walk *walk, int root, int from, int to, const char *name, struct err *e);
/* Owner, mode, attributes and time of an open file or folder. 0 or -errno. */
int tree_copy_metadata(struct tree_walk *walk, int from, int to, const struct stat *st);

/* Appends "/name" to the walk's path; the return value goes to tree_leave. */
size_t tree_enter(struct tree_walk *walk, const char *name);
void tree_leave(struct tree_walk *walk, size_t length);

/* Whether a layer may have this attribute; counts it where not. */
bool tree_xattr_allowed(struct tree_walk *walk, const char *name, bool file);
/* The names of a file's attributes into walk->xattr_names, sorted: their number or -errno. */
int tree_xattr_names(struct tree_walk *walk, int fd, const char **names, size_t room);

/* Fails with "cannot WHAT "PATH": …". */
int tree_failed(const struct tree_walk *walk, int number, const char *what, struct err *e);
void tree_walk_end(struct tree_walk *walk);

#endif
