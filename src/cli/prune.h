/* prune.h - what the prune verbs have in common. */
#ifndef CLI_PRUNE_H
#define CLI_PRUNE_H

#include "cli/cli.h"
#include "cli/filter.h"

/* "WARNING! This will remove WHAT." and the question. 1 where the user says yes, 0, or -1. */
int prune_confirmed(struct cli *cli, const char *what, struct err *e);

/* Whether labels, which are KEY=VALUE, have all of --filter label= and none of label!=. */
bool prune_labels(const struct filters *filters, const struct strings *labels);

#endif
