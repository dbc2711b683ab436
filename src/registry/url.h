/*
 * url.h - the few URLs that a registry client may follow.
 *
 * Only http and https, an optional port, no user or password, no fragment, no control
 * characters or spaces. What does not parse here is never handed to libcurl, so that the
 * two cannot disagree on the host. An origin is scheme, host and port: credentials belong
 * to one.
 */
#ifndef REGISTRY_URL_H
#define REGISTRY_URL_H

#include <stdbool.h>
#include <stdint.h>

struct url {
	bool https;
	uint16_t port;    /* the scheme's own where none was written */
	char host[256];   /* lower case; an IPv6 address without its brackets */
	bool host_is_v6;  /* written in brackets */
	const char *path; /* into the text: "/..." or "?..." or "" */
};

/* 0, or -EINVAL. */
int url_parse(const char *text, struct url *url);

bool url_same_origin(const struct url *a, const struct url *b);

enum url_place {
	URL_ELSEWHERE, /* a name, or a public address */
	URL_LOOPBACK,  /* 127.0.0.0/8, ::1, "localhost" and names below it */
	URL_LINK,      /* 169.254.0.0/16, fe80::/10 */
	URL_PRIVATE,   /* 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7 */
	URL_NOWHERE,   /* 0.0.0.0/8, multicast, reserved */
};

/* Where a host, written as an address, lies. Numbers in any form that a resolver takes
 * for an address (127.1, 0x7f000001, 017700000001) are seen through. */
enum url_place url_place_of(const struct url *url);
/* The same for an address as connect(2) takes it; NULL-safe for other families. */
struct sockaddr;
enum url_place url_place_of_address(const struct sockaddr *address);

/* Whether a registry at home may send its client to `to` (a redirect, a token server).
 * Not from https to http, and not to an address nearer than the registry's own. On false,
 * *why is a phrase that fits after "which is refused: ". */
bool url_may_follow(const struct url *home, const struct url *to, const char **why);

/* Whether credentials for the registry home may be sent to the token server realm:
 * the same origin; or https, and within the same registrable domain or in the table of
 * known pairs. */
bool url_may_have_credentials(const struct url *home, const struct url *realm);

#endif
