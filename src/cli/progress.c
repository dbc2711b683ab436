/* progress.c - what a pull shows while it runs. */
#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/table.h"
#include "base/time.h"

enum { REDRAW = 100 * 1000 * 1000, BAR = 30 };

struct row {
	char id[13];
	enum pull_event_kind state;
	int64_t done, total;
	unsigned seconds;
};

struct progress {
	int fd;
	bool terminal;
	struct row *rows;
	size_t count;
	size_t drawn; /* lines that the cursor stands below */
	int64_t drawn_at;
	int64_t began_at;
	int64_t fetched; /* bytes that came over the network in this pull */
};

struct progress *progress_new(int fd)
{
	struct progress *p = calloc(1, sizeof *p);
	const char *term = getenv("TERM");

	if (!p)
		abort();
	p->fd = fd;
	p->terminal = isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
	return p;
}

static void add_bar(struct buf *out, const struct row *row)
{
	char done[TABLE_QUANTITY], total[TABLE_QUANTITY];
	int filled = row->total > 0 ? (int)(row->done * BAR / row->total) : 0;

	buf_string(out, "[");
	for (int i = 0; i < BAR; i++)
		buf_string(out, i < filled ? "=" : i == filled ? ">" : " ");
	buf_printf(out, "] %s/%s", table_size_exact(done, row->done), table_size_exact(total, row->total));
}

/* What a line says behind the id, or NULL for nothing new. */
static const char *word_for(enum pull_event_kind state)
{
	switch (state) {
	case PULL_LAYER_EXISTS:
		return "Already exists";
	case PULL_LAYER_PENDING:
		return "Pulling fs layer";
	case PULL_LAYER_BUSY:
		return "Waiting";
	case PULL_LAYER_FETCHED:
		return "Download complete";
	case PULL_LAYER_COMPLETE:
		return "Pull complete";
	default:
		return NULL;
	}
}

static void add_row(struct buf *out, const struct row *row, unsigned columns)
{
	size_t start = out->length;

	buf_printf(out, "%s: ", row->id);
	if (row->state == PULL_LAYER_PROGRESS) {
		buf_string(out, "Downloading ");
		add_bar(out, row);
	} else if (row->state == PULL_LAYER_RETRY) {
		buf_printf(out, "Retrying in %u second%s", row->seconds, row->seconds == 1 ? "" : "s");
	} else {
		buf_string(out, word_for(row->state));
	}
	/* A line that wraps would be two, and the count of lines wrong. */
	if (columns && out->length - start > columns - 1) {
		out->length = start + columns - 1;
		out->data[out->length] = '\0';
	}
	buf_string(out, "\n");
}

static void add_sum(struct buf *out, const struct progress *p, int64_t now)
{
	char done[TABLE_QUANTITY], total[TABLE_QUANTITY], rate[TABLE_QUANTITY];
	int64_t sum = 0, all = 0, elapsed = now - p->began_at;
	size_t whole = 0;

	for (size_t i = 0; i < p->count; i++) {
		const struct row *r = &p->rows[i];
		whole += r->state == PULL_LAYER_COMPLETE || r->state == PULL_LAYER_EXISTS;
		if (r->state == PULL_LAYER_EXISTS)
			continue;
		sum += r->state == PULL_LAYER_COMPLETE || r->state == PULL_LAYER_FETCHED ? r->total : r->done;
		all += r->total;
	}
	buf_printf(out, "%zu of %zu layers, %s of %s", whole, p->count, table_size_exact(done, sum),
		table_size_exact(total, all));
	if (p->fetched && elapsed > TIME_SECOND / 5)
		buf_printf(out, ", %s/s",
			table_size_exact(rate, (int64_t)((double)p->fetched * 1e9 / (double)elapsed)));
	buf_string(out, "\n");
}

static bool is_active(const struct row *row)
{
	return row->state != PULL_LAYER_COMPLETE && row->state != PULL_LAYER_EXISTS;
}

static void draw(struct progress *p, bool last)
{
	auto_buf struct buf out = {0};
	struct winsize size = {0};
	int64_t now = time_since_boot();
	size_t lines = 0;

	if (!last && now - p->drawn_at < REDRAW)
		return;
	p->drawn_at = now;
	ioctl(p->fd, TIOCGWINSZ, &size);
	size_t room = size.ws_row > 4 ? (size_t)size.ws_row - 3 : 20;
	if (p->drawn)
		buf_printf(&out, "\033[%zuA\033[J", p->drawn);
	bool all = p->count <= room;
	for (size_t i = 0; i < p->count && lines < room; i++)
		if (all || (is_active(&p->rows[i]) && !last)) {
			add_row(&out, &p->rows[i], size.ws_col);
			lines++;
		}
	if (!last || !all) {
		add_sum(&out, p, now);
		lines++;
	}
	p->drawn = lines;
	fd_write_full(p->fd, out.data, out.length);
}

void progress_tell(void *context, const struct pull_event *event)
{
	struct progress *p = context;

	if (event->kind == PULL_STARTED) {
		auto_buf struct buf line = {0};
		buf_printf(&line, "%s: Pulling from %s\n", event->tag, event->repository);
		fd_write_full(p->fd, line.data, line.length);
		free(p->rows);
		p->rows = calloc(event->layers + 1, sizeof *p->rows);
		if (!p->rows)
			abort();
		p->began_at = time_since_boot();
		return;
	}
	if (!p->rows || event->layer >= event->layers)
		return;
	struct row *row = &p->rows[event->layer];
	bool news = row->state != event->kind || !row->id[0];
	p->count = event->layers;
	memcpy(row->id, event->id, sizeof row->id);
	if ((event->kind == PULL_LAYER_PROGRESS || event->kind == PULL_LAYER_FETCHED) &&
		event->done > row->done) {
		p->fetched += event->done - row->done;
		row->done = event->done;
	}
	/* What comes late does not turn it back. */
	if (!(row->state == PULL_LAYER_COMPLETE && event->kind == PULL_LAYER_FETCHED))
		row->state = event->kind;
	if (event->kind == PULL_LAYER_PROGRESS || event->kind == PULL_LAYER_RETRY)
		row->done = event->done;
	row->total = event->total;
	row->seconds = event->seconds;
	if (p->terminal) {
		/* All rows are told of before the first one moves. */
		if (event->kind != PULL_LAYER_PENDING && event->kind != PULL_LAYER_EXISTS)
			draw(p, false);
	} else if (news && event->kind != PULL_LAYER_PROGRESS) {
		auto_buf struct buf line = {0};
		add_row(&line, row, 0);
		fd_write_full(p->fd, line.data, line.length);
	}
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	if (p->terminal && p->count)
		draw(p, true);
	free(p->rows);
	free(p);
}
