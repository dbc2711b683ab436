/*
 * endpoints.h - where a registry is reached: its mirrors, itself, by which scheme, with
 * whose certificates and credentials.
 *
 * The rule of schemes: https and nothing else, but for two kinds of hosts. On this host's
 * loopback a registry is asked over http, and over https where it does not speak that. One that
 * brig.conf calls insecure is asked over https by whatever certificate, and over http where it
 * does not speak that. So no name from outside ever falls back silently.
 */
#ifndef ENGINE_ENDPOINTS_H
#define ENGINE_ENDPOINTS_H

#include <stdbool.h>

#include "base/err.h"
#include "engine/config.h"
#include "registry/protocol.h"

struct endpoints {
	struct net_setup setup;          /* as net_client_setup takes it */
	int certificates[NET_ENDPOINTS]; /* a file in PEM, or -1 */
	bool own;                        /* no mirrors, no credentials */
};

/* Fills out for a domain as in references ("docker.io", "localhost:5000"). What the user has in
 * docker's config.json and certs.d is used. On failure there is nothing to free. */
int endpoints_find(struct endpoints *out, const struct config *config, const char *domain, struct err *e);
/* The same without the mirrors, and without the credentials, which are the caller's. */
int endpoints_find_own(struct endpoints *out, const struct config *config, const char *domain, struct err *e);
/* Closes the files and forgets the secrets. */
void endpoints_free(struct endpoints *endpoints);

/* Whether "host" or "host:port" is this host by its own word: localhost, 127.0.0.0/8, [::1]. */
bool endpoints_is_loopback(const char *domain);

#endif
