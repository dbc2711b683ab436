/* layer.c - making, finding and removing unpacked layers. */
#include "store/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/time.h"
#include "store/driver.h"

enum { LAYER_JSON_LIMIT = 64 << 10 };

bool layer_has(struct store *store, const char *chain)
{
	struct stat st;
	struct err ignored;
	int layers = store_folder(store, STORE_LAYERS, &ignored);
	return layers >= 0 && fstatat(layers, chain, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int layer_open_tree(struct store *store, const char *chain, struct err *e)
{
	int fd = driver_open_tree(store, chain);
	if (fd >= 0)
		return fd;
	return err_set(e, fd == -ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM, fd, "cannot open the layer %.12s in %s",
		chain, store->path);
}

/* layer.json */

static bool read_digest(const struct json *root, const char *key, bool optional, struct oci_digest *out)
{
	const char *text = json_get_string(root, key);
	struct err ignored;

	if (optional && (!text || !*text))
		return true;
	return text && oci_digest_parse(text, out, &ignored) == 0;
}

int layer_read(struct store *store, const char *chain, struct layer *layer, struct err *e)
{
	auto_buf struct buf text = {0};
	auto_arena struct arena arena = {0};
	struct layer found = {0};
	struct err bad;
	int layers = store_folder(store, STORE_LAYERS, e);

	if (layers < 0)
		return -1;
	auto_close int folder = fd_open(layers, chain, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (folder == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, 0, "there is no layer %.12s in %s", chain, store->path);
	int rc = folder < 0 ? folder : fd_read_file(folder, "layer.json", LAYER_JSON_LIMIT, &text);
	if (rc < 0 && rc != -ENOENT)
		return err_errno(e, rc, "cannot read the layer %.12s in %s", chain, store->path);
	const struct json *root =
		rc < 0 ? NULL : json_parse(&arena, text.data, text.length, "layer.json", &bad);
	if (!root || !read_digest(root, "diff_id", false, &found.diff_id) ||
		!read_digest(root, "chain_id", false, &found.chain_id) ||
		!read_digest(root, "parent", true, &found.parent) ||
		!read_digest(root, "blob", true, &found.blob) ||
		strcmp(oci_digest_hex(&found.chain_id), chain) != 0)
		return err_set(e, ERR_CORRUPT, 0, "the layer %.12s in %s is damaged: its layer.json", chain,
			store->path);
	found.provisional = json_get_bool(root, "provisional", false);
	if (!read_digest(root, "content", true, &found.content))
		return err_set(e, ERR_CORRUPT, 0, "the layer %.12s in %s is damaged: its layer.json", chain,
			store->path);
	found.size = json_get_integer(root, "size", 0);
	found.total = json_get_integer(root, "total", -1);
	found.entries = json_get_integer(root, "entries", 0);
	const char *created = json_get_string(root, "created");
	if (!created || time_parse(created, &found.created) < 0)
		found.created = TIME_NONE;
	*layer = found;
	return 0;
}

static void render(const struct layer *layer, struct buf *text)
{
	struct json_writer w = {.out = text, .indent = 2};
	char created[TIME_TEXT];

	json_begin_object(&w, NULL);
	json_put_string(&w, "diff_id", layer->diff_id.text);
	json_put_string(&w, "chain_id", layer->chain_id.text);
	json_put_string(&w, "parent", layer->parent.text);
	json_put_string(&w, "blob", layer->blob.text);
	if (layer->provisional) {
		json_put_bool(&w, "provisional", true);
		json_put_string(&w, "content", layer->content.text);
		json_put_integer(&w, "total", layer->total);
	}
	json_put_integer(&w, "size", layer->size);
	json_put_integer(&w, "entries", layer->entries);
	json_put_string(&w, "created", time_format(created, layer->created));
	json_end_object(&w);
	buf_string(text, "\n");
}

int layer_write(int folder, const struct layer *layer)
{
	auto_buf struct buf text = {0};

	render(layer, &text);
	/* In staging nobody sees it half written. */
	auto_close int fd = fd_open(folder, "layer.json", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	return fd < 0 ? fd : fd_write_full(fd, text.data, text.length);
}

/* The lock on a chain id. */

enum { CHAIN_BUSY = -2 };

/* The lock's descriptor; CHAIN_BUSY where somebody else has it and we shall not wait; -1. */
static int lock_chain(struct store *store, const char *chain, bool wait, struct err *e)
{
	uint64_t place = 0;

	/* 60 bits of the id: two ids at one place would only wait for each other. */
	for (int i = 0; i < 15; i++)
		place = place << 4 | (uint64_t)(chain[i] <= '9' ? chain[i] - '0' : chain[i] - 'a' + 10);
	auto_close int fd = fd_open(store->root, "layers.lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(e, fd, "cannot open %s/layers.lock", store->path);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)place, .l_len = 1};
	while (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) < 0) {
		if (!wait && (errno == EAGAIN || errno == EACCES))
			return CHAIN_BUSY;
		if (errno != EINTR)
			return err_errno(e, errno, "cannot take a lock in %s", store->path);
	}
	return steal_fd(&fd);
}

int layer_update(struct store *store, const char *chain,
	void (*change)(struct layer *layer, const void *context), const void *context, struct err *e)
{
	auto_buf struct buf text = {0};
	struct layer layer;
	auto_close int lock = lock_chain(store, chain, true, e);
	int layers = lock < 0 ? -1 : store_folder(store, STORE_LAYERS, e);

	if (layers < 0 || layer_read(store, chain, &layer, e) < 0)
		return -1;
	change(&layer, context);
	render(&layer, &text);
	auto_close int folder = fd_open(layers, chain, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int rc = folder < 0 ? folder : fd_replace(folder, "layer.json", text.data, text.length, 0600, true);
	return rc < 0 ? err_errno(e, rc, "cannot write the layer %.12s in %s", chain, store->path) : 0;
}

/* Making one. */

static int begin_tree(struct store *store, const char *parent, int stage, struct err *e)
{
	if (store->driver->layer_begin)
		return store->driver->layer_begin(store, parent, stage, e);
	if (mkdirat(stage, "tree", 0755) < 0 || fchmodat(stage, "tree", 0755, 0) < 0)
		return err_errno(e, errno, "cannot make a folder in %s/tmp", store->path);
	int fd = fd_open(stage, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? err_errno(e, fd, "cannot open a folder in %s/tmp", store->path) : fd;
}

static int begin(struct store *store, const struct oci_digest *chain_id, const struct oci_digest *parent,
	bool wait, struct layer_stage *stage, struct err *e)
{
	struct layer_stage begun = {.tree = -1, .lock = -1, .stage.fd = -1, .begun = true};
	const char *chain = chain_id ? oci_digest_hex(chain_id) : NULL;

	begun.whiteouts = store->driver->whiteouts;
	if (chain_id)
		begun.layer.chain_id = *chain_id;
	if (parent)
		begun.layer.parent = *parent;
	if (chain && layer_has(store, chain))
		return 0;
	if (chain) {
		begun.lock = lock_chain(store, chain, wait, e);
		if (begun.lock < 0)
			return begun.lock == CHAIN_BUSY ? 2 : -1;
		if (layer_has(store, chain)) {
			close(begun.lock);
			return 0;
		}
	}
	if (store_stage(store, "layer", &begun.stage, e) < 0) {
		close_fd(&begun.lock);
		return -1;
	}
	begun.tree = begin_tree(
		store, parent && parent->text[0] ? oci_digest_hex(parent) : NULL, begun.stage.fd, e);
	*stage = begun;
	if (begun.tree >= 0)
		return 1;
	layer_drop(store, stage);
	return -1;
}

int layer_begin(struct store *store, const struct oci_digest *chain_id, const struct oci_digest *parent,
	struct layer_stage *stage, struct err *e)
{
	return begin(store, chain_id, parent, true, stage, e);
}

int layer_begin_bare(struct store *store, struct layer_stage *stage, struct err *e)
{
	struct layer_stage begun = {.tree = -1, .lock = -1, .stage.fd = -1, .begun = true};

	begun.whiteouts = store->driver->whiteouts;
	if (store_stage(store, "layer", &begun.stage, e) < 0)
		return -1;
	*stage = begun;
	return 0;
}

int layer_try_begin(struct store *store, const struct oci_digest *chain_id, const struct oci_digest *parent,
	struct layer_stage *stage, struct err *e)
{
	return begin(store, chain_id, parent, false, stage, e);
}

int layer_unpack(
	struct layer_stage *stage, struct unpack_options options, struct unpack *unpack, struct err *e)
{
	options.directory = stage->tree;
	options.whiteouts = stage->whiteouts;
	return unpack_start(&options, unpack, e);
}

int layer_unpacked(struct layer_stage *stage, struct unpack *unpack, const struct oci_digest *diff_id,
	struct unpack_result *result, struct err *e)
{
	struct oci_digest found;

	if (unpack_finish(unpack, result, e) < 0)
		return -1;
	oci_digest_from_sha256(result->diff_id, &found);
	if (diff_id && !oci_digest_equal(&found, diff_id))
		return err_set(e, ERR_CORRUPT, 0,
			"a layer is not what its image says: its digest is %s, not %s", found.text,
			diff_id->text);
	stage->layer.diff_id = found;
	stage->layer.size = (int64_t)result->file_size;
	stage->layer.entries = (int64_t)result->entries;
	stage->root_missing = !result->root_seen;
	return 0;
}

/* A layer that does not mention its root folder leaves the one below as it is: since the
 * highest layer's counts when layers are put together, it gets what that one has. */
static int inherit_root(
	struct store *store, const struct layer_stage *stage, const struct layer_stage *below, struct err *e)
{
	struct stat st;
	int fd = below ? below->tree : layer_open_tree(store, oci_digest_hex(&stage->layer.parent), e);
	int rc;

	if (fd < 0)
		return -1;
	rc = fstat(fd, &st);
	if (!below)
		close(fd);
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
	if (rc < 0 || (fchown(stage->tree, st.st_uid, st.st_gid) < 0 && errno != EPERM && errno != EINVAL) ||
		fchmod(stage->tree, st.st_mode & 07777) < 0 || futimens(stage->tree, times) < 0)
		return err_errno(e, errno, "cannot set up a layer's root folder in %s", store->path);
	return 0;
}

int layer_seal(struct store *store, struct layer_stage *stage, const struct layer_stage *below, struct err *e)
{
	if (stage->root_missing && stage->layer.parent.text[0] &&
		stage->whiteouts == UNPACK_WHITEOUTS_OVERLAY &&
		inherit_root(store, stage, below && below->begun ? below : NULL, e) < 0)
		return -1;
	if (store->driver->layer_seal && store->driver->layer_seal(store, stage->stage.fd, e) < 0)
		return -1;
	if (!stage->layer.created)
		stage->layer.created = time_now();
	int rc = layer_write(stage->stage.fd, &stage->layer);
	return rc < 0 ? err_errno(e, rc, "cannot write a layer's layer.json in %s", store->path) : 0;
}

int layer_publish(struct store *store, struct layer_stage *stage, struct err *e)
{
	const char *chain = oci_digest_hex(&stage->layer.chain_id);
	int tmp = store_folder(store, STORE_TMP, e);
	int layers = tmp < 0 ? -1 : store_folder(store, STORE_LAYERS, e);

	if (layers < 0)
		return -1;
	if (renameat(tmp, stage->stage.name, layers, chain) < 0) {
		/* Somebody who did not know its chain id before has made the same one. */
		if ((errno != ENOTEMPTY && errno != EEXIST) || !layer_has(store, chain))
			return err_errno(e, errno, "cannot put the layer %.12s into %s", chain, store->path);
		layer_drop(store, stage);
		return 0;
	}
	/* Its name in tmp is free again and no longer ours to remove. */
	stage->stage.name[0] = '\0';
	layer_drop(store, stage);
	return 0;
}

void layer_drop(struct store *store, struct layer_stage *stage)
{
	if (!stage->begun)
		return;
	close_fd(&stage->tree);
	struct err ignored;
	/* What cannot be removed now keeps its stage, for a sweep. */
	if (!stage->stage.name[0] || !store->driver || !store->driver->layer_remove ||
		store->driver->layer_remove(store, stage->stage.fd, &ignored) == 0)
		store_stage_drop(store, &stage->stage);
	close_fd(&stage->stage.fd);
	/* Last: who waits for it finds the layer, or nothing in the way. */
	close_fd(&stage->lock);
	stage->begun = false;
}

int layer_remove(struct store *store, const char *chain, struct err *e)
{
	struct store_stage stage;
	int layers = store_folder(store, STORE_LAYERS, e);

	if (layers < 0)
		return e->kind == ERR_NOT_FOUND ? 0 : -1;
	/* Somebody may just be writing down what he found out about it: layer_update(). */
	auto_close int lock = lock_chain(store, chain, true, e);
	if (lock < 0 || store_stage(store, "rmlayer", &stage, e) < 0)
		return -1;
	/* First its name goes, in one step; a sweep ends what is cut short after that. */
	int rc = renameat(layers, chain, stage.fd, "layer") < 0 && errno != ENOENT ? -errno : 0;
	if (rc == 0 && store->driver && store->driver->layer_remove) {
		auto_close int folder = fd_open(stage.fd, "layer", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (folder >= 0 && store->driver->layer_remove(store, folder, e) < 0) {
			/* The stage is all that tells of it, and a sweep tries again. */
			close_fd(&stage.fd);
			return -1;
		}
	}
	store_stage_drop(store, &stage);
	return rc < 0 ? err_errno(e, rc, "cannot remove the layer %.12s from %s", chain, store->path) : 0;
}

/* Layers that are made here. */

static int hash_bytes(void *context, const void *bytes, size_t size)
{
	sha256_update(context, bytes, size);
	return 0;
}

/* The digest of the tree's archive, which is made for nothing else. */
static int tree_digest(
	int tree, bool overlay, struct tree_result *result, struct oci_digest *out, struct err *e)
{
	const struct tree_options options = {.overlay = overlay};
	struct sha256 sha;
	unsigned char raw[SHA256_SIZE];
	struct tar_writer w = {.write = hash_bytes, .context = &sha};

	sha256_init(&sha);
	if (tree_write(tree, &w, &options, result, e) < 0)
		return -1;
	sha256_final(&sha, raw);
	oci_digest_from_sha256(raw, out);
	return 0;
}

int layer_fill(struct layer_stage *stage, int folder, const struct tree_options *options, uint64_t *skipped,
	struct err *e)
{
	struct layer *layer = &stage->layer;
	struct tree_result copied, written;

	if (tree_copy(folder, stage->tree, options, &copied, e) < 0 ||
		tree_digest(stage->tree, options->overlay, &written, &layer->diff_id, e) < 0)
		return -1;
	*skipped = copied.skipped;
	oci_chain_id(&layer->parent, &layer->diff_id, &layer->chain_id);
	layer->size = (int64_t)written.file_size;
	layer->entries = (int64_t)written.entries;
	return 0;
}
