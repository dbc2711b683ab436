/*
 * credentials.h - what the user has given to `docker login`, from docker's config.json.
 */
#ifndef ENGINE_CREDENTIALS_H
#define ENGINE_CREDENTIALS_H

#include <stddef.h>

#include "base/err.h"

/* The user and secret for a registry ("docker.io", "localhost:5000"); both are "" where there are
 * none. config.json is looked for in $DOCKER_CONFIG, else in $HOME/.docker; a missing one is
 * an empty one. It is not followed where it is a link, and not used where others may
 * read it. */
int credentials_find(
	const char *registry, char *user, size_t user_size, char *secret, size_t secret_size, struct err *e);

/* The same from the text of a config.json, named path in messages. */
int credentials_parse(const char *text, size_t length, const char *path, const char *registry, char *user,
	size_t user_size, char *secret, size_t secret_size, struct err *e);

#endif
