/*
 * answer.h - what a registry or token server says when it says no, made fit to show.
 */
#ifndef REGISTRY_ANSWER_H
#define REGISTRY_ANSWER_H

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"

/* Fills out with what the body of a refusal says ("manifest unknown", "denied: requested
 * access to the resource is denied"), from `errors[]` (distribution-spec, "Error Codes") or
 * the shapes that token servers use; cleaned, one line. "" where it says nothing readable.
 * Returns out. */
char *answer_quote(const struct buf *body, char *out, size_t size);

/* The token in a token server's answer, in arena, or NULL with e filled. It is one of
 * visible ASCII characters, at most ANSWER_TOKEN_MAX. */
enum { ANSWER_TOKEN_MAX = 32 << 10 };
struct err;
char *answer_token(struct arena *arena, const struct buf *body, struct err *e);

#endif
