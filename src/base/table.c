/* table.c - columns and quantities as docker prints them. */
#include "base/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_WIDTH 10
#define PADDING   3
#define COLUMNS   64 /* more than any table has; cells past that are not aligned */

struct cell {
	const char *text;
	size_t length;
	unsigned width; /* characters */
};

struct line {
	struct cell *cells; /* the last one ends the line and is in no column */
	size_t count;
};

struct table {
	struct line *lines;
	size_t count;
	unsigned widths[COLUMNS];
	struct buf *out;
};

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		abort();
	return memory;
}

static unsigned width_of(const char *text, size_t length)
{
	unsigned width = 0;

	for (size_t i = 0; i < length; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}

/* The lines from first to end, whose first `columns` columns are known. */
static void write_lines(struct table *table, size_t columns, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		const struct line *line = &table->lines[i];
		for (size_t j = 0; j < line->count; j++) {
			const struct cell *cell = &line->cells[j];
			unsigned blanks = j < columns ? table->widths[j] - cell->width : 0;
			char *to = buf_reserve(table->out, cell->length + blanks);
			memcpy(to, cell->text, cell->length);
			memset(to + cell->length, ' ', blanks);
			table->out->length += cell->length + blanks;
		}
		buf_append(table->out, "\n", 1);
	}
}

/* Finds the blocks of neighbouring lines that have this column, and in each the next column. */
static void align(struct table *table, size_t column, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		if (column >= COLUMNS || column + 1 >= table->lines[i].count)
			continue;
		write_lines(table, column, first, i);
		first = i;
		unsigned width = MIN_WIDTH;
		for (; i < end && column + 1 < table->lines[i].count; i++) {
			unsigned wanted = table->lines[i].cells[column].width + PADDING;
			width = wanted > width ? wanted : width;
		}
		table->widths[column] = width;
		align(table, column + 1, first, i);
		first = i;
	}
	write_lines(table, column, first, end);
}

void table_align(const char *text, struct buf *out)
{
	struct table table = {.out = out};
	size_t lines = 0, cells = 0;

	for (const char *c = text; *c; c++) {
		lines += *c == '\n';
		cells += *c == '\n' || *c == '\t';
	}
	table.lines = allocate(lines + 1, sizeof *table.lines);
	struct cell *pool = allocate(cells + 1, sizeof *pool);
	struct cell *next = pool;
	while (*text) {
		struct line *line = &table.lines[table.count++];
		line->cells = next;
		for (bool more = true; more;) {
			size_t length = strcspn(text, "\t\n");
			*next++ = (struct cell){text, length, width_of(text, length)};
			line->count++;
			more = text[length] == '\t';
			text += length + (text[length] != '\0');
		}
	}
	align(&table, 0, 0, table.count);
	free(pool);
	free(table.lines);
}

static char *format_size(char out[TABLE_QUANTITY], int64_t bytes, double base, int digits,
	const char *const *units, size_t count)
{
	double size = (double)bytes;
	size_t unit = 0;

	for (; size >= base && unit + 1 < count; unit++)
		size /= base;
	snprintf(out, TABLE_QUANTITY, "%.*g%s", digits, size, units[unit]);
	return out;
}

static const char *const decimal_units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
static const char *const binary_units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

char *table_size(char out[TABLE_QUANTITY], int64_t bytes)
{
	return format_size(out, bytes, 1000, 3, decimal_units, 7);
}

char *table_size_exact(char out[TABLE_QUANTITY], int64_t bytes)
{
	return format_size(out, bytes, 1000, 4, decimal_units, 7);
}

char *table_size_binary(char out[TABLE_QUANTITY], int64_t bytes)
{
	return format_size(out, bytes, 1024, 4, binary_units, 7);
}

void table_ellipsis(struct buf *out, const char *text, unsigned columns)
{
	size_t length = strlen(text);

	if (width_of(text, length) <= columns) {
		buf_append(out, text, length);
		return;
	}
	unsigned width = 0;
	size_t kept = 0;
	/* The whole of columns - 1 characters. */
	while (kept < length) {
		bool starts = ((unsigned char)text[kept] & 0xc0) != 0x80;
		if (starts && width + 1 >= columns)
			break;
		width += starts;
		kept++;
	}
	buf_append(out, text, kept);
	if (columns)
		buf_string(out, "\xe2\x80\xa6");
}
