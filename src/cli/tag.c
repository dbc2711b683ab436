/* tag.c - brig tag. */
#include "cli/open.h"
#include "oci/reference.h"
#include "store/image.h"

static int run_tag(struct cli *cli, void *options, int argc, char **argv, struct err *e)
{
	struct reference target;
	struct image image;

	if (reference_parse(&cli->arena, argv[1], &target, e) < 0)
		return err_set(
			e, ERR_INVALID, 0, "\"%s\" is not a valid repository/tag: %s", argv[1], e->what);
	if (target.digest)
		return err_set(e, ERR_INVALID, 0, "refusing to create a tag with a digest reference");
	reference_default_tag(&target);
	if (reference_check_new(&target, e) < 0)
		return -1;
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	if (!engine || image_find(&engine->store, &cli->arena, argv[0], &image, e) < 0)
		return -1;
	return image_tag(&engine->store, &image.id, &target, NULL, e);
}

const struct verb verb_tag = {
	.name = "tag",
	.aliases = "image tag",
	.summary = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
	.usage = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	.examples = "tag debian:12 localhost:5000/base:12\ta name to push it by\n"
		    "tag img_42150 mine\ta name instead of a number",
	.min_operands = 2,
	.max_operands = 2,
	.run = run_tag,
};
