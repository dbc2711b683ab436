/* classic_images.c - the classic dialect's images: init, pull, images. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/time.h"
#include "cli/classic.h"
#include "engine/init.h"
#include "engine/pull.h"

/* ---- init ---- */

static int run_init(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	char serial[IMAGE_SERIAL];
	struct stat st;
	char shown[512];

	if (stat(argv[0], &st) < 0 || !S_ISDIR(st.st_mode)) {
		cli_print(
			cli, "No directory named '%s' exists\n", err_sanitize(shown, sizeof shown, argv[0]));
		return 1;
	}
	struct engine *engine = classic_engine(cli, ENGINE_WRITE, e);
	if (!engine || engine_init(engine, argv[0], serial, e) < 0)
		return -1;
	cli_print(cli, "Created: %s\n", serial);
	return 0;
}

const struct verb classic_init = {
	.name = "init",
	.summary = "Create an image from a directory",
	.usage = "<directory>",
	.min_operands = 1,
	.max_operands = 1,
	.flags = VERB_CLASSIC,
	.run = run_init,
};

/* ---- pull ---- */

enum { BAR = 72, REDRAW = TIME_SECOND / 10 };

/* A bar for each layer, one below the other as downloads one after the other have them. Layers come
 * several at a time; whatever the order, the bar that moves is that of the first unfinished one. */
struct bars {
	bool terminal;
	struct bar {
		bool whole;
		int64_t done, total;
	} * layers;
	size_t count;
	size_t printed; /* those that are finished and stand above */
	bool drawn;     /* a moving bar stands on the last line */
	int64_t drawn_at;
};

static void put_bar(struct buf *out, int64_t done, int64_t total)
{
	int filled = total > 0 && done < total ? (int)((double)done * BAR / (double)total) : BAR;
	double percent = total > 0 && done < total ? (double)done * 100 / (double)total : 100;

	for (int i = 0; i < BAR; i++)
		buf_string(out, i < filled ? "#" : " ");
	buf_printf(out, " %5.1f%%", percent);
}

static void show_bars(struct bars *bars, bool all)
{
	auto_buf struct buf out = {0};

	while (bars->printed < bars->count && (all || bars->layers[bars->printed].whole)) {
		buf_string(&out, bars->drawn ? "\r" : "");
		put_bar(&out, 1, 1);
		buf_string(&out, "\n");
		bars->drawn = false;
		bars->printed++;
	}
	int64_t now = time_since_boot();
	if (bars->terminal && bars->printed < bars->count && now - bars->drawn_at >= REDRAW) {
		const struct bar *bar = &bars->layers[bars->printed];
		buf_string(&out, bars->drawn ? "\r" : "");
		put_bar(&out, bar->total > 0 ? bar->done : 0, bar->total > 0 ? bar->total : 1);
		bars->drawn = true;
		bars->drawn_at = now;
	}
	if (out.length)
		fd_write_full(STDERR_FILENO, out.data, out.length);
}

static void tell_bars(void *context, const struct pull_event *event)
{
	struct bars *bars = context;

	if (event->kind == PULL_STARTED) {
		free(bars->layers);
		bars->layers = calloc(event->layers + 1, sizeof *bars->layers);
		if (!bars->layers)
			abort();
		bars->count = event->layers;
		return;
	}
	if (event->layer >= bars->count)
		return;
	struct bar *bar = &bars->layers[event->layer];
	if (event->kind == PULL_LAYER_EXISTS || event->kind == PULL_LAYER_COMPLETE)
		bar->whole = true;
	if (event->kind == PULL_LAYER_PROGRESS) {
		bar->done = event->done;
		bar->total = event->total;
	}
	show_bars(bars, false);
}

static int run_pull(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	struct bars bars = {.terminal = isatty(STDERR_FILENO)};
	struct pull_options pull = {.reference = argv[0], .tell = tell_bars, .context = &bars};
	struct pull_result result;
	struct image image;

	if (argc == 2 && !reference_tag_valid(argv[1]))
		return err_set(e, ERR_INVALID, 0, "%s is not a tag", argv[1]);
	if (argc == 2)
		pull.reference = arena_printf(&cli->arena, "%s:%s", argv[0], argv[1]);
	struct engine *engine = classic_engine(cli, ENGINE_WRITE, e);
	if (!engine)
		return -1;
	int rc = engine_pull(engine, &pull, &result, e);
	if (rc == 0)
		show_bars(&bars, true);
	else if (bars.drawn)
		fd_write_full(STDERR_FILENO, "\n", 1);
	free(bars.layers);
	if (rc < 0 || image_find(&engine->store, &cli->arena, result.id.text, &image, e) < 0)
		return -1;
	cli_print(cli, "Created: %s\n", image.serial);
	return 0;
}

const struct verb classic_pull = {
	.name = "pull",
	.summary = "Pull an image from Docker Hub",
	.usage = "<name> <tag>",
	.min_operands = 1,
	.max_operands = 2,
	.flags = VERB_CLASSIC,
	.run = run_pull,
};

/* ---- images ---- */

static int by_serial(const void *a, const void *b)
{
	const struct image *x = a, *y = b;
	size_t length = strlen(x->serial), other = strlen(y->serial);

	/* Six digits come after five. */
	return length == other ? strcmp(x->serial, y->serial) : length < other ? -1 : 1;
}

/* Where it came from: the name by which it was pulled, or the folder that it was made of. */
static const char *source_of(struct cli *cli, struct engine *engine, const struct image *image)
{
	static const char made[] = "brig init ";
	struct oci_config config;
	struct err ignored;

	if (image->tags.count)
		return image->tags.items[0];
	if (image->digests.count)
		return image->digests.items[0];
	if (image->damaged || image_config(&engine->store, &cli->arena, image, &config, &ignored) < 0)
		return "<none>";
	for (size_t i = 0; i < config.history_count; i++) {
		const char *by = config.history[i].created_by;
		if (by && !strncmp(by, made, sizeof made - 1)) {
			size_t room = 4 * strlen(by) + 1;
			return err_sanitize(arena_alloc(&cli->arena, room), room, by + sizeof made - 1);
		}
	}
	return "<none>";
}

/* Whether nobody gave it a name and another was committed on it: there as a part of that. */
static bool is_part(const struct image *images, size_t count, const struct image *image)
{
	bool part = false;

	if (image->tags.count || image->digests.count)
		return false;
	for (size_t i = 0; i < count && !part; i++)
		part = oci_digest_equal(&images[i].parent, &image->id);
	return part;
}

static int run_images(struct cli *cli, void *given, int argc, char **argv, struct err *e)
{
	const struct dialect *dialect = cli->dialect;
	struct image *images;
	size_t count;

	struct engine *engine = classic_engine(cli, ENGINE_READ, e);
	if (!engine || image_list(&engine->store, &cli->arena, &images, &count, e) < 0)
		return -1;
	classic_row(cli, dialect->images_width, "IMAGE_ID", dialect->sources ? "SOURCE" : NULL);
	if (count)
		qsort(images, count, sizeof *images, by_serial);
	for (size_t i = 0; i < count; i++)
		if (!is_part(images, count, &images[i]))
			classic_row(cli, dialect->images_width, images[i].serial,
				dialect->sources ? source_of(cli, engine, &images[i]) : NULL);
	if (!count)
		cli_other_stores(cli);
	return 0;
}

const struct verb classic_images = {
	.name = "images",
	.summary = "List images",
	.usage = "",
	.flags = VERB_CLASSIC,
	.run = run_images,
};
