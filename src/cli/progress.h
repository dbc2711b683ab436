/*
 * progress.h - what a pull shows while it runs.
 *
 * On a terminal one line a layer, redrawn in place ten times a second, and one with the sum
 * and the rate; elsewhere a line when something has happened to a layer, as docker prints
 * them.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>

#include "engine/pull.h"

struct progress;

/* Writes to fd (borrowed). */
struct progress *progress_new(int fd);
/* Leaves the last state on the terminal. Takes NULL. */
void progress_free(struct progress *progress);

/* For pull_options.tell; context is the progress. */
void progress_tell(void *progress, const struct pull_event *event);

#endif
