/* cli.c - finding verbs, and what verbs share. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/nearest.h"

void cli_print(struct cli *cli, const char *format, ...)
{
	va_list ap;
	char small[256];

	va_start(ap, format);
	int length = vsnprintf(small, sizeof small, format, ap);
	va_end(ap);
	if (length < (int)sizeof small) {
		buf_string(&cli->out, small);
		return;
	}
	char *room = buf_reserve(&cli->out, (size_t)length);
	va_start(ap, format);
	vsnprintf(room, (size_t)length + 1, format, ap);
	va_end(ap);
	cli->out.length += (size_t)length;
}

int cli_flush(struct cli *cli, struct err *e)
{
	if (!cli->out.length)
		return 0;
	int r = fd_write_full(STDOUT_FILENO, cli->out.data, cli->out.length);
	cli->out.length = 0;
	return r < 0 ? err_errno(e, r, "cannot write to standard output") : 0;
}

void cli_report(const struct err *e, struct buf *out)
{
	char clean[4 * sizeof e->what];

	buf_printf(out, "brig: %s\n", err_sanitize(clean, sizeof clean, e->what));
	if (e->hint[0])
		buf_printf(out, "  %s\n", err_sanitize(clean, sizeof clean, e->hint));
}

int cli_complain(const struct err *e)
{
	auto_buf struct buf out = {0};

	cli_report(e, &out);
	fd_write_full(STDERR_FILENO, out.data, out.length);
	return 1;
}

/* ---- names ---- */

bool cli_next_name(const struct verb *verb, struct cli_name *name)
{
	const char *next;

	if (!name->text) {
		next = verb->name;
	} else if (name->in_aliases) {
		next = name->text + name->length;
		next += strspn(next, ", ");
	} else {
		next = verb->aliases ? verb->aliases : "";
		name->in_aliases = true;
	}
	if (!*next)
		return false;
	name->text = next;
	name->length = name->in_aliases ? strcspn(next, ",") : strlen(next);
	const char *blank = memchr(next, ' ', name->length);
	name->group_length = blank ? (size_t)(blank - next) : 0;
	return true;
}

static bool same(const char *text, size_t length, const char *word)
{
	return !strncmp(text, word, length) && !word[length];
}

struct cli_found cli_find(int argc, char **argv)
{
	struct cli_found found = {0};

	for (const struct verb *const *verb = cli_verbs; *verb; verb++) {
		struct cli_name name = {0};
		while (cli_next_name(*verb, &name)) {
			if (!name.group_length) {
				if (same(name.text, name.length, argv[0]))
					return (struct cli_found){.verb = *verb, .words = 1};
				continue;
			}
			if (!same(name.text, name.group_length, argv[0]))
				continue;
			found.group = argv[0];
			found.words = 1;
			size_t skipped = name.group_length + 1;
			if (argc > 1 && same(name.text + skipped, name.length - skipped, argv[1]))
				return (struct cli_found){.verb = *verb, .words = 2};
		}
	}
	return found;
}

const char *cli_nearest(struct arena *arena, const char *group, const char *word)
{
	struct nearest nearest = {0};
	size_t length = group ? strlen(group) : 0;

	for (const struct verb *const *verb = cli_verbs; *verb; verb++) {
		struct cli_name name = {0};
		while (!((*verb)->flags & VERB_HIDDEN) && cli_next_name(*verb, &name)) {
			if (name.group_length != length || (group && strncmp(name.text, group, length) != 0))
				continue;
			size_t skipped = group ? length + 1 : 0;
			nearest_offer(&nearest, word,
				arena_memdup(arena, name.text + skipped, name.length - skipped));
		}
	}
	return nearest.word;
}

const char *cli_platform(const char *option)
{
	const char *platform = option && *option ? option : getenv("DOCKER_DEFAULT_PLATFORM");

	return platform && *platform ? platform : NULL;
}
