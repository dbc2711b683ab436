/* overlay_stack.c - which trees make a root file system. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "store/layer_commit.h"
#include "store/overlay.h"

void overlay_stack_free(struct overlay_stack *stack)
{
	free(stack->trees);
	*stack = (struct overlay_stack){0};
}

static struct overlay_tree *add_tree(struct overlay_stack *stack, const char *chain)
{
	struct overlay_tree *trees = realloc(stack->trees, (stack->count + 1) * sizeof *trees);

	if (!trees)
		abort();
	stack->trees = trees;
	struct overlay_tree *tree = &trees[stack->count++];
	*tree = (struct overlay_tree){0};
	snprintf(tree->chain, sizeof tree->chain, "%.64s", chain);
	snprintf(tree->path, sizeof tree->path, "%.64s/tree", chain);
	return tree;
}

/* Reads a flat tree's link: 1, 0 where there is none, or -errno. */
static int read_flat(int layers, struct overlay_tree *tree)
{
	char path[64 + sizeof "/flat/below"], text[80];

	snprintf(path, sizeof path, "%.64s/flat/below", tree->chain);
	ssize_t n = readlinkat(layers, path, text, sizeof text - 1);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	text[n] = '\0';
	unsigned level = text[0] >= '1' && text[0] <= '9' ? (unsigned)(text[0] - '0') : 0;
	size_t digits = strspn(text + (n > 2 ? 2 : n), "0123456789abcdef");
	if (!level || text[1] != '/' || (digits != 0 && digits != 64) || (size_t)n != 2 + digits)
		return -EINVAL;
	tree->level = level;
	memcpy(tree->below, text + 2, digits + 1);
	snprintf(tree->path, sizeof tree->path, "%.64s/flat/tree", tree->chain);
	return 1;
}

/* From the highest layer down to the one before it in the list, which is `end`. */
static int walk(struct store *store, int layers, const struct driver_rootfs *rootfs, const char *end,
	struct overlay_stack *stack)
{
	char chain[65];

	snprintf(chain, sizeof chain, "%.64s", rootfs->layers[rootfs->layer_count - 1]);
	for (size_t steps = 0; strcmp(chain, end) != 0; steps++) {
		if (steps > rootfs->hidden)
			return -ELOOP;
		struct overlay_tree *tree = add_tree(stack, chain);
		int rc = read_flat(layers, tree);
		if (rc == 0)
			rc = layer_below(store, chain, tree->below);
		if (rc < 0)
			return rc;
		memcpy(chain, tree->below, sizeof chain);
	}
	return 0;
}

/* The first ones of the list, of which some have flat trees where they are many. 0 or -errno. */
static int go_through(
	int layers, const struct driver_rootfs *rootfs, size_t count, struct overlay_stack *stack)
{
	for (size_t i = count; i > 0;) {
		struct overlay_tree *tree = add_tree(stack, rootfs->layers[--i]);
		int rc = count > OVERLAY_MANY ? read_flat(layers, tree) : 0;
		if (rc < 0)
			return rc;
		if (rc == 0) {
			if (i)
				memcpy(tree->below, rootfs->layers[i - 1], sizeof tree->below);
			continue;
		}
		while (i > 0 && strcmp(rootfs->layers[i - 1], tree->below) != 0)
			i--;
		if (!i && *tree->below)
			return -EINVAL;
	}
	return 0;
}

int overlay_stack_find(
	struct store *store, const struct driver_rootfs *rootfs, struct overlay_stack *stack, struct err *e)
{
	size_t count = rootfs->layer_count;
	int layers = count ? store_folder(store, STORE_LAYERS, e) : 0;

	*stack = (struct overlay_stack){0};
	if (layers < 0)
		return -1;
	int rc = 0;
	if (count && rootfs->hidden) {
		rc = walk(store, layers, rootfs, count > 1 ? rootfs->layers[count - 2] : "", stack);
		count--;
		stack->walked = stack->count;
	}
	if (rc == 0)
		rc = go_through(layers, rootfs, count, stack);
	if (rc == 0)
		return 0;
	overlay_stack_free(stack);
	return err_set(e, ERR_CORRUPT, rc, "the layers below %.12s in %s are damaged",
		rootfs->layers[rootfs->layer_count - 1], store->path);
}
