/* pull.c - brig pull. */
#include <string.h>
#include <unistd.h>

#include "cli/open.h"
#include "cli/progress.h"
#include "engine/pull.h"
#include "oci/reference.h"

struct pull_flags {
	const char *platform;
	bool quiet, all_tags, no_trust;
};

/* docker's default, which says what is so: nobody's signatures are asked for. */
static const struct pull_flags defaults = {.no_trust = true};

#define AT(member) offsetof(struct pull_flags, member)
static const struct opt options[] = {
	{"all-tags", 'a', OPT_BOOL, AT(all_tags), NULL, "Download all tagged images in the repository"},
	{"disable-content-trust", 0, OPT_BOOL, AT(no_trust), NULL, "Skip image verification", NULL,
		OPT_HIDDEN},
	{"platform", 0, OPT_STRING, AT(platform), "string",
		"Set platform if server is multi-platform capable"},
	{"quiet", 'q', OPT_BOOL, AT(quiet), NULL, "Suppress verbose output"},
	{NULL},
};

/* The reference that the operands name: NAME[:TAG|@DIGEST], or NAME TAG as in the seeds. */
static int read_operands(
	struct cli *cli, int argc, char **argv, const char **text, struct reference *reference, struct err *e)
{
	*text = argv[0];
	if (reference_parse(&cli->arena, argv[0], reference, e) < 0)
		return -1;
	if (argc == 1)
		return 0;
	if (reference->tag || reference->digest)
		return err_set(e, ERR_USAGE, 0, "%s names a tag or digest already, so %s cannot be its tag",
			argv[0], argv[1]);
	if (!reference_tag_valid(argv[1]))
		return err_set(e, ERR_USAGE, 0, "%s is not a tag", argv[1]);
	*text = arena_printf(&cli->arena, "%s:%s", argv[0], argv[1]);
	return reference_parse(&cli->arena, *text, reference, e);
}

static int run_pull(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct pull_flags *flags = given;
	struct reference reference;
	struct pull_options pull = {.platform = cli_platform(flags->platform)};
	struct pull_result result;

	if (read_operands(cli, argc, argv, &pull.reference, &reference, e) < 0)
		return -1;
	if (flags->all_tags) {
		if (reference.tag || reference.digest)
			return err_set(e, ERR_USAGE, 0, "tag can't be used with --all-tags/-a");
		return err_set(e, ERR_UNSUPPORTED, 0, "--all-tags is not there yet");
	}
	if (!flags->no_trust)
		return err_set(e, ERR_UNSUPPORTED, 0,
			"signatures are not verified by this version: --disable-content-trust cannot be "
			"false");
	if (!flags->quiet && !reference.tag && !reference.digest) {
		cli_print(cli, "Using default tag: latest\n");
		if (cli_flush(cli, e) < 0)
			return -1;
	}
	struct engine *engine = cli_engine(cli, ENGINE_WRITE, e);
	if (!engine)
		return -1;
	struct progress *progress = flags->quiet ? NULL : progress_new(STDOUT_FILENO);
	if (progress) {
		pull.tell = progress_tell;
		pull.context = progress;
	}
	int r = engine_pull(engine, &pull, &result, e);
	progress_free(progress);
	if (r < 0)
		return -1;
	if (!flags->quiet)
		cli_print(cli, "Digest: %s\nStatus: %s %s\n", result.digest.text,
			result.current ? "Image is up to date for" : "Downloaded newer image for",
			result.familiar);
	cli_print(cli, "%s\n", result.full);
	return 0;
}

const struct verb verb_pull = {
	.name = "pull",
	.aliases = "image pull",
	.summary = "Download an image from a registry",
	.usage = "[OPTIONS] NAME[:TAG|@DIGEST]",
	.examples = "pull debian\tthe tag latest from Docker Hub\n"
		    "pull centos 7\tthe same as pull centos:7\n"
		    "pull localhost:5000/app:1.2\tfrom a registry on this host\n"
		    "pull --platform linux/arm64 alpine:3\tfor another machine\n",
	.options = options,
	.options_size = sizeof(struct pull_flags),
	.defaults = &defaults,
	.min_operands = 1,
	.max_operands = 2,
	.flags = VERB_COMMON,
	.run = run_pull,
};
