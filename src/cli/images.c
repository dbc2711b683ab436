/* images.c - brig images: one line for each name of each image. */
#include <fnmatch.h>
#include <string.h>

#include "base/auto.h"
#include "base/table.h"
#include "base/time.h"
#include "cli/filter.h"
#include "cli/format.h"
#include "cli/open.h"
#include "store/image.h"

struct images_options {
	bool all, digests, no_trunc, quiet;
	const char *format;
	struct filters filters;
};

static const struct opt options_table[] = {
	{"all", 'a', OPT_BOOL, offsetof(struct images_options, all), NULL,
		"Show all images (default hides intermediate images)"},
	{"digests", 0, OPT_BOOL, offsetof(struct images_options, digests), NULL, "Show digests"},
	FILTER_ROW(images_options, filters),
	{"format", 0, OPT_STRING, offsetof(struct images_options, format), NULL, FORMAT_HELP},
	{"no-trunc", 0, OPT_BOOL, offsetof(struct images_options, no_trunc), NULL, "Don't truncate output"},
	{"quiet", 'q', OPT_BOOL, offsetof(struct images_options, quiet), NULL, "Only show image IDs"},
	{NULL},
};

static const char *const filter_keys[] = {"before", "dangling", "label", "reference", "since", "until", NULL};

struct listing {
	struct cli *cli;
	struct engine *engine;
	const struct images_options *options;
	const char *pattern; /* of the operand, or NULL */
	int64_t now, before, since, until;
	int dangling; /* -1: not asked */
	struct format_row *first, **last;
};

/* ---- filters ---- */

static int read_filters(struct listing *l, struct err *e)
{
	for (const struct filter *filter = l->options->filters.first; filter; filter = filter->next) {
		bool is_before = !strcmp(filter->key, "before");
		if (is_before || !strcmp(filter->key, "since")) {
			struct image image;
			if (image_find(&l->engine->store, &l->cli->arena, filter->value, &image, e) < 0)
				return -1;
			*(is_before ? &l->before : &l->since) = image.created;
		} else if (!strcmp(filter->key, "until")) {
			if (time_parse_since(filter->value, l->now, &l->until) < 0)
				return err_set(e, ERR_INVALID, 0, "invalid filter 'until=%s': not a time",
					filter->value);
		} else if (!strcmp(filter->key, "dangling")) {
			bool wanted;
			if (opt_bool(filter->value, &wanted) < 0)
				return err_set(
					e, ERR_INVALID, 0, "invalid filter 'dangling=%s'", filter->value);
			l->dangling = wanted;
		}
	}
	return 0;
}

static bool has_labels(struct listing *l, const struct image *image)
{
	struct strings labels = {0};
	struct oci_config config;
	struct err ignored;

	if (!filter_given(&l->options->filters, "label"))
		return true;
	if (image_config(&l->engine->store, &l->cli->arena, image, &config, &ignored) < 0)
		return false;
	for (size_t i = 0; i < config.label_count; i++)
		strings_add(&l->cli->arena, &labels,
			arena_printf(&l->cli->arena, "%s=%s", config.labels[i].key, config.labels[i].value));
	return filter_labels(&l->options->filters, &labels);
}

static bool passes(struct listing *l, const struct image *image)
{
	if (image->intermediate && (l->dangling == 1 || !l->options->all))
		return false;
	if (l->dangling >= 0 && (image->tags.count == 0) != (l->dangling == 1))
		return false;
	if (l->before && image->created >= l->before)
		return false;
	if (l->since && image->created <= l->since)
		return false;
	if (l->until && image->created >= l->until)
		return false;
	return has_labels(l, image);
}

struct candidate {
	const char *whole; /* "debian:12" */
	const char *name;  /* "debian" */
};

/* docker matches a pattern against the familiar name with the tag, then without. */
static bool name_fits(void *context, const char *pattern)
{
	const struct candidate *candidate = context;

	return !fnmatch(pattern, candidate->whole, FNM_PATHNAME) ||
	       !fnmatch(pattern, candidate->name, FNM_PATHNAME);
}

/* ---- rows ---- */

static const struct format_column columns[] = {
	{"Containers", "CONTAINERS"},
	{"CreatedAt", "CREATED AT"},
	{"CreatedSince", "CREATED"},
	{"Digest", "DIGEST"},
	{"ID", "IMAGE ID"},
	{"Repository", "REPOSITORY"},
	{"SharedSize", "SHARED SIZE"},
	{"Size", "SIZE"},
	{"Tag", "TAG"},
	{"UniqueSize", "UNIQUE SIZE"},
	{"VirtualSize", "VIRTUAL SIZE"},
	{NULL, NULL},
};

static const struct format_list list = {
	.columns = columns,
	.usual = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
	.type = "*formatter.imageContext",
	.parse_error = "template parsing error",
	.execute_error = "template parsing error",
};

static const struct format_list list_digests = {
	.columns = columns,
	.usual = "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
	.type = "*formatter.imageContext",
	.parse_error = "template parsing error",
	.execute_error = "template parsing error",
};

static void add_row(struct listing *l, const struct image *image, const char *repository, const char *tag,
	const char *digest)
{
	struct arena *arena = &l->cli->arena;
	struct format_row *row = arena_new(arena, struct format_row);
	char time[TIME_TEXT], size[TABLE_QUANTITY];
	const char *shown_size = arena_strdup(arena, table_size(size, image->size));

	row->arena = arena;
	format_put(row, "Containers", "N/A");
	format_put(row, "CreatedAt",
		image->created == TIME_NONE ? "N/A"
					    : arena_strdup(arena, time_format_local(time, image->created)));
	format_put(row, "CreatedSince", arena_strdup(arena, time_format_ago(time, image->created, l->now)));
	format_put(row, "Digest", digest);
	format_put(row, "ID",
		l->options->no_trunc ? arena_strdup(arena, image->id.text)
				     : arena_memdup(arena, oci_digest_hex(&image->id), 12));
	format_put(row, "Repository", repository);
	format_put(row, "SharedSize", "N/A");
	format_put(row, "Size", image->damaged ? "damaged" : shown_size);
	format_put(row, "Tag", tag);
	format_put(row, "UniqueSize", "N/A");
	format_put(row, "VirtualSize", shown_size);
	*l->last = row;
	l->last = &row->next;
}

/* The digest by which this repository's image was pulled. */
static const char *digest_of(const struct image *image, const char *repository)
{
	size_t length = strlen(repository);

	for (size_t i = 0; i < image->digests.count; i++) {
		const char *digest = image->digests.items[i];
		if (!strncmp(digest, repository, length) && digest[length] == '@')
			return digest + length + 1;
	}
	return "<none>";
}

static bool asked_for(struct listing *l, const char *whole, const char *name)
{
	struct candidate candidate = {whole, name};

	if (l->pattern && !name_fits(&candidate, l->pattern))
		return false;
	return filter_fits(&l->options->filters, "reference", false, name_fits, &candidate);
}

static void add_image(struct listing *l, const struct image *image)
{
	struct arena *arena = &l->cli->arena;

	for (size_t i = 0; i < image->tags.count; i++) {
		const char *tag = image->tags.items[i], *colon = strrchr(tag, ':');
		const char *name = arena_memdup(arena, tag, (size_t)(colon - tag));
		if (asked_for(l, tag, name))
			add_row(l, image, name, colon + 1, digest_of(image, name));
	}
	if (image->tags.count)
		return;
	for (size_t i = 0; i < image->digests.count; i++) {
		const char *digest = image->digests.items[i], *at = strchr(digest, '@');
		const char *name = arena_memdup(arena, digest, (size_t)(at - digest));
		if (asked_for(l, digest, name))
			add_row(l, image, name, "<none>", at + 1);
	}
	const char *serial = arena_strdup(arena, image->serial);
	if (!image->digests.count && asked_for(l, serial, serial))
		add_row(l, image, serial, "<none>", "<none>");
}

static int run_images(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct images_options *o = given;
	struct listing l = {.cli = cli, .options = o, .pattern = argv[0], .now = time_now(), .dangling = -1};
	const char *format = o->format;
	struct image *images;
	size_t count;

	l.last = &l.first;
	if (filter_check(&o->filters, filter_keys, e) < 0)
		return -1;
	l.engine = cli_engine(cli, ENGINE_READ, e);
	if (!l.engine || read_filters(&l, e) < 0)
		return -1;
	if (image_list(&l.engine->store, &cli->arena, &images, &count, e) < 0)
		return -1;
	if (!count && !cli->root_named)
		cli_other_stores(cli);
	for (size_t i = 0; i < count; i++) {
		struct err uncounted;
		if (!passes(&l, &images[i]))
			continue;
		/* A layer that is missing is told by whoever needs it. */
		if (image_count(&l.engine->store, &images[i], false, &uncounted) < 0)
			images[i].size = 0;
		add_image(&l, &images[i]);
	}
	if (o->quiet && (!format || !strcmp(format, "table")))
		format = "{{.ID}}";
	struct format_plan plan;
	if (format_plan(cli, o->digests ? &list_digests : &list, format, &plan, e) < 0)
		return -1;
	return format_rows(&plan, l.first, e);
}

const struct verb verb_images = {
	.name = "images",
	.aliases = "image ls, image list",
	.summary = "List images",
	.usage = "[OPTIONS] [REPOSITORY[:TAG]]",
	.examples = "images\tall of them\n"
		    "images 'debian:*'\tthose of one name\n"
		    "images -q --filter dangling=true\tids of images without a name",
	.options = options_table,
	.options_size = sizeof(struct images_options),
	.max_operands = 1,
	.flags = VERB_COMMON,
	.run = run_images,
};
