/*
 * table.h - columns and quantities as docker prints them.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdint.h>

#include "base/buf.h"

/*
 * Appends text, whose lines have cells that end with a tab, with the cells of neighbouring
 * lines aligned: at least 10 columns, 3 of them blank. The rules are those of Go's
 * text/tabwriter (what follows the last tab of a line belongs to no column; a line
 * without a cell in a column ends that column). A character counts one column.
 */
void table_align(const char *text, struct buf *out);

/* Room for every quantity made here, with its NUL. */
#define TABLE_QUANTITY 24
/* Bytes in powers of 1000 with 3 digits, as images and ps: "0B", "1.99MB", "164MB". */
char *table_size(char out[TABLE_QUANTITY], int64_t bytes);
/* The same with 4 digits: "1.987MB". */
char *table_size_exact(char out[TABLE_QUANTITY], int64_t bytes);
/* In powers of 1024 with 4 digits, as stats and info: "3.827GiB". */
char *table_size_binary(char out[TABLE_QUANTITY], int64_t bytes);

/* Appends at most columns characters of UTF-8 text, the last one an ellipsis where some is
 * missing. */
void table_ellipsis(struct buf *out, const char *text, unsigned columns);

#endif
