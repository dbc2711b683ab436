/*
 * reference.h - image names in docker's grammar.
 *
 * A parsed reference is whole: "debian" is docker.io/library/debian. Users see the
 * familiar form again ("debian:12"). The domain, the path, the tag and the digest obey
 * the grammar of distribution/reference, so they hold no byte that means anything to a
 * shell, a terminal, a URL or a path ("." and ".." cannot be components).
 */
#ifndef OCI_REFERENCE_H
#define OCI_REFERENCE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

#define REFERENCE_PATH_MAX 255
#define REFERENCE_TAG_MAX  128

struct reference {
	const char *domain; /* "docker.io", "host:5000" */
	const char *path;   /* "library/debian" */
	const char *tag;    /* NULL: none */
	const char *digest; /* "sha256:…", valid; NULL: none */
};

/* ERR_INVALID with docker's words. The strings are the arena's. */
int reference_parse(struct arena *arena, const char *text, struct reference *out, struct err *e);
/* Adds the tag "latest" where there is neither a tag nor a digest. */
void reference_default_tag(struct reference *reference);

/* "docker.io/library/debian" */
const char *reference_name(struct arena *arena, const struct reference *reference);
/* "docker.io/library/debian:12@sha256:…" */
const char *reference_full(struct arena *arena, const struct reference *reference);
/* "debian" */
const char *reference_familiar_name(struct arena *arena, const struct reference *reference);
/* "debian:12@sha256:…" */
const char *reference_familiar(struct arena *arena, const struct reference *reference);

/* Whether text reads img_ or ps_ and digits: names that brig gives. */
bool reference_is_serial(const char *text);
/* ERR_INVALID where an image may not be given this name: a serial's, "sha256", "scratch". */
int reference_check_new(const struct reference *reference, struct err *e);
/* Whether text is a tag: [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}. */
bool reference_tag_valid(const char *text);

#endif
