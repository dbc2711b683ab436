/*
 * nearest.h - the word somebody probably meant.
 *
 * Zero a struct nearest, offer it every candidate, and word is the closest one, or NULL
 * where none is close enough to be worth a suggestion (a third of the letters wrong, an
 * exchange of two neighbours counted as one mistake).
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *word; /* the best candidate so far; borrowed */
	size_t distance;
};

void nearest_offer(struct nearest *nearest, const char *wanted, const char *candidate);

#endif
