/* nearest.c - the word somebody probably meant. */
#include "base/nearest.h"

#include <stdbool.h>
#include <string.h>

#define LONGEST 48 /* longer words are not compared: nobody mistypes those by a letter */

/* Optimal string alignment: insertions, deletions, substitutions and exchanges of neighbours. */
static size_t distance_of(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned char rows[3][LONGEST + 1];
	unsigned char *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_length; j++)
		above[j] = (unsigned char)j;
	for (size_t i = 1; i <= a_length; i++) {
		row[0] = (unsigned char)i;
		for (size_t j = 1; j <= b_length; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
			if (above[j] + 1U < best)
				best = above[j] + 1U;
			if (row[j - 1] + 1U < best)
				best = row[j - 1] + 1U;
			bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
			if (exchanged && before[j - 2] + 1U < best)
				best = before[j - 2] + 1U;
			row[j] = (unsigned char)best;
		}
		unsigned char *oldest = before;
		before = above;
		above = row;
		row = oldest;
	}
	return above[b_length];
}

void nearest_offer(struct nearest *nearest, const char *wanted, const char *candidate)
{
	size_t length = strlen(wanted), other = strlen(candidate);

	if (length < 2 || length > LONGEST || other > LONGEST)
		return;
	size_t allowed = (length + 2) / 3;
	size_t distance = distance_of(wanted, length, candidate, other);
	if (distance > allowed || distance >= other)
		return;
	if (!nearest->word || distance < nearest->distance) {
		nearest->word = candidate;
		nearest->distance = distance;
	}
}
