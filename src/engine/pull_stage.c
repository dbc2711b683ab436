/* pull_stage.c - a layer on its way into the store. */
#include "engine/pull_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"

enum { FACTS_MAX = 64 << 10 };

bool pull_stage_has(struct store *store, const struct oci_digest *chain)
{
	struct err ignored;
	struct stat st;
	int layers = store_folder(store, STORE_LAYERS, &ignored);

	return layers >= 0 && fstatat(layers, oci_digest_hex(chain), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int pull_stage_make(struct store *store, struct pull_stage *stage, struct err *e)
{
	*stage = PULL_STAGE_NONE;
	if (store_stage(store, "layer", &stage->stage, e) < 0)
		return -1;
	if (mkdirat(stage->stage.fd, "tree", 0755) < 0)
		return err_errno(e, errno, "cannot make a folder in the store");
	stage->tree = fd_open(stage->stage.fd, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (stage->tree < 0)
		return err_errno(e, stage->tree, "cannot open a folder in the store");
	return 0;
}

static int write_facts(struct pull_stage *stage, const struct pull_stage_facts *facts, struct err *e)
{
	auto_buf struct buf text = {0};
	struct json_writer w = {.out = &text};

	json_begin_object(&w, NULL);
	json_put_string(&w, "diff_id", facts->diff.text);
	json_put_integer(&w, "size", facts->size);
	json_end_object(&w);
	int r = fd_replace(stage->stage.fd, "layer.json", text.data, text.length, 0600, true);
	return r < 0 ? err_errno(e, r, "cannot write into the store") : 0;
}

int pull_stage_publish(
	struct store *store, struct pull_stage *stage, const struct pull_stage_facts *facts, struct err *e)
{
	int layers = store_folder(store, STORE_LAYERS, e), staging = store_folder(store, STORE_TMP, e);

	if (layers < 0 || staging < 0 || write_facts(stage, facts, e) < 0)
		return -1;
	if (renameat(staging, stage->stage.name, layers, oci_digest_hex(&facts->chain)) < 0 &&
		errno != EEXIST && errno != ENOTEMPTY)
		return err_errno(e, errno, "cannot move a layer into its place");
	int r = store_sync_folder(layers);
	if (r < 0)
		return err_errno(e, r, "cannot sync the store's layers");
	pull_stage_drop(store, stage);
	return 0;
}

void pull_stage_drop(struct store *store, struct pull_stage *stage)
{
	close_fd(&stage->tree);
	if (stage->stage.fd >= 0)
		store_stage_drop(store, &stage->stage);
	stage->stage.fd = -1;
}

int pull_stage_size(struct store *store, const struct oci_digest *chain, int64_t *size, struct err *e)
{
	auto_arena struct arena arena = {0};
	auto_buf struct buf text = {0};
	char path[256];
	int layers = store_folder(store, STORE_LAYERS, e);

	if (layers < 0)
		return -1;
	snprintf(path, sizeof path, "%s/layer.json", oci_digest_hex(chain));
	int r = fd_read_file(layers, path, FACTS_MAX, &text);
	if (r < 0)
		return err_errno(e, r, "cannot read what the store says of layer %.19s", chain->text);
	const struct json *root = json_parse(&arena, text.data, text.length, "layer.json", e);
	if (!root)
		return -1;
	*size = json_get_integer(root, "size", 0);
	return 0;
}
