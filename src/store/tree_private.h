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
