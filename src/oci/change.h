/*
 * change.h - Dockerfile instructions that change an image's config, as commit's --change takes
 * them: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.
 *
 * The grammar is the Dockerfile's: a backslash at a line's end continues it, lines that begin with #
 * are comments, CMD ["a", "b"] is the command's words and CMD a b a line for a shell. Variables of
 * the config's environment are put in where docker does (not in commands). Pure.
 */
#ifndef OCI_CHANGE_H
#define OCI_CHANGE_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/image.h"

/* Applies the instructions in text, one after the other. Lists that change are made anew in the
 * arena. ERR_INVALID in docker's words; *config may then be half changed. */
int oci_change_apply(struct arena *arena, const char *text, struct oci_config *config, struct err *e);

#endif
