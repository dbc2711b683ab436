/*
 * login.h - `brig login`: is it a user and password of that registry?
 */
#ifndef ENGINE_LOGIN_H
#define ENGINE_LOGIN_H

#include "base/err.h"
#include "engine/config.h"

/* Asks the registry (its domain: "docker.io", "localhost:5000"; not its mirrors), by the rules of
 * endpoints.h. 0 where it lets the user in, or lets everybody in; ERR_DENIED where it does not. */
int engine_login(const struct config *config, const char *registry, const char *user, const char *secret,
	struct err *e);

#endif
