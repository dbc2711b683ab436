/*
 * credentials.h - who the user is at a registry: docker's config.json and its helpers, and
 * containers' auth.json.
 *
 * Theory of operation. For a registry the first of these counts that has something: config.json's
 * credHelpers (a helper for this one), credsStore (one for all), auths; then the same three in the
 * auth.json that podman and skopeo write: $REGISTRY_AUTH_FILE alone where that is set, else
 * $XDG_RUNTIME_DIR/containers/auth.json and $HOME/.config/containers/auth.json. Passwords are
 * only read from a file that nobody else can read, and no link is followed.
 *
 * Login and logout write where docker does, and leave everything else in config.json as it was.
 */
#ifndef ENGINE_CREDENTIALS_H
#define ENGINE_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

/* The user and secret for a registry ("docker.io", "localhost:5000"); both are "" where there are
 * none. config.json is looked for in $DOCKER_CONFIG, else in $HOME/.docker; a missing one is
 * an empty one. */
int credentials_find(
	const char *registry, char *user, size_t user_size, char *secret, size_t secret_size, struct err *e);

/* The same from the text of a config.json, named path in messages; helpers are not asked. */
int credentials_parse(const char *text, size_t length, const char *path, const char *registry, char *user,
	size_t user_size, char *secret, size_t secret_size, struct err *e);

/* What docker calls a registry: Hub is "https://index.docker.io/v1/", others are what they are. */
const char *credentials_server(const char *registry);

/* Where something was put: *path is config.json, *helper the helper that has it, or NULL. */
struct credentials_place {
	const char *path, *helper;
};

int credentials_store(struct arena *arena, const char *registry, const char *user, const char *secret,
	struct credentials_place *place, struct err *e);
/* 1: something was there; 0: nothing was; -1. */
int credentials_erase(struct arena *arena, const char *registry, struct err *e);

#endif
