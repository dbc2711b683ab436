/* change_words.h - the words of a Dockerfile instruction. For change.c only. */
#ifndef OCI_CHANGE_WORDS_H
#define OCI_CHANGE_WORDS_H

#include "base/arena.h"
#include "base/err.h"

/* Splits at blanks outside of quotes; quotes and backslashes stay. */
struct strings change_words(struct arena *arena, const char *text);

/* Takes quotes away and puts variables in ($NAME, ${NAME}, ${NAME:-word}, ${NAME:+word}), env being
 * NAME=VALUE items. NULL with e where a quote or a brace is not closed. */
const char *change_expand(struct arena *arena, const char *text, const struct strings *env, struct err *e);

#endif
