/*
 * challenge.h - reading WWW-Authenticate (RFC 9110, section 11.6.1).
 *
 * A pure parser over bytes of a stranger, fuzzed by tests/fuzz/fuzz_www_authenticate.c.
 */
#ifndef REGISTRY_CHALLENGE_H
#define REGISTRY_CHALLENGE_H

#include <stdbool.h>

enum challenge_scheme {
	CHALLENGE_NONE, /* no scheme that we speak */
	CHALLENGE_BASIC,
	CHALLENGE_BEARER,
};

struct challenge {
	enum challenge_scheme scheme;
	char realm[1024]; /* Bearer: the token server's URL */
	char service[256];
	char scope[1024];
	char error[64]; /* "insufficient_scope", "invalid_token", ... */
};

/* Reads one header's value, which may hold several challenges, and keeps the best of them:
 * Bearer with a realm before Basic. out is filled anew. 0, or -EINVAL where the value is
 * malformed or a part of the challenge that matters is too long. */
int challenge_parse(const char *value, struct challenge *out);

#endif
