/*
 * archive_index.h - the confined child that finds an archive's members.
 *
 * It holds three descriptors (the archive, the file for its copy, a pipe for what it found),
 * no capability, and a filter of system calls under which it can read and write those and
 * nothing else. What comes through the pipe is a run of struct archive_record, each
 * followed by its name and its link with their NULs, ended by one of type ARCHIVE_END, or by
 * ARCHIVE_FAILED and a struct err. The parent believes none of it: see archive.c.
 */
#ifndef ENGINE_ARCHIVE_INDEX_H
#define ENGINE_ARCHIVE_INDEX_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum {
	ARCHIVE_END = 100,
	ARCHIVE_FAILED,
};

struct archive_record {
	uint32_t type; /* enum archive_type, or one of the above */
	uint16_t name_length, link_length;
	uint64_t offset, size;
};

/* Starts it: reads input to its end, and writes it to copy (-1: no copy). *result is the
 * pipe to read from. Returns its pid. */
pid_t archive_index_start(int input, int copy, int *result, struct err *e);

/* Cleans a name in place: no "./", no doubled or trailing slashes, none at the front. */
void archive_clean_name(char *name);

#endif
