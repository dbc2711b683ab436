/*
 * credential_helper.h - docker's credential helpers: programs that keep passwords.
 *
 * Theory of operation. A helper "pass" is the program docker-credential-pass in one of PATH's absolute
 * folders. It is run without a shell, with one word (get, store, erase), a cleaned environment and no
 * descriptor of ours; what it is asked is on its standard input, what it says on its standard output,
 * never in arguments. Its stderr is the user's. It may ask questions on the terminal (a key's pass
 * phrase), so it is waited for as long as it takes. The protocol is that
 * of the docker-credential-helpers project ("Development" in its README).
 */
#ifndef ENGINE_CREDENTIAL_HELPER_H
#define ENGINE_CREDENTIAL_HELPER_H

#include <stddef.h>

#include "base/err.h"

/* 1: user and secret are filled; 0: the helper has none for the server; -1. */
int credential_helper_get(const char *helper, const char *server, char *user, size_t user_size, char *secret,
	size_t secret_size, struct err *e);
int credential_helper_store(
	const char *helper, const char *server, const char *user, const char *secret, struct err *e);
/* 1: it had something and has nothing now; 0: it had nothing; -1. */
int credential_helper_erase(const char *helper, const char *server, struct err *e);

#endif
