/*
 * http.h - one GET after another, by the rules for strangers.
 *
 * A struct http is one worker's: a libcurl handle whose connection stays open between
 * requests. A request goes to one registry; redirects (at most HTTP_REDIRECTS) are
 * followed here and not in libcurl, each one judged by url_may_follow. The Authorization
 * is sent to the first origin alone, and once a redirect has left that, never again.
 * A transfer that brings less than HTTP_STALL_BYTES in HTTP_STALL_SECONDS ends; the time
 * that the receiver of the bytes takes is not counted.
 */
#ifndef REGISTRY_HTTP_H
#define REGISTRY_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "registry/challenge.h"

enum {
	HTTP_REDIRECTS = 5,
	HTTP_STALL_SECONDS = 30,
	HTTP_STALL_BYTES = 1024,
	HTTP_HEADERS_MAX = 64 << 10,
	HTTP_ERROR_BODY_MAX = 16 << 10,
};

struct http;
struct http_shared; /* the DNS and TLS sessions that all workers share */

struct http_shared *http_shared_new(void);
/* The system's folder of hashed certificates, or NULL. */
const char *http_system_folder(void);

/* What every request of this process says of itself and trusts. */
struct http_settings {
	const char *user_agent;
	/* The system's certificates as a folder of hashed names (c_rehash(1)): only what a
	 * connection needs is read, where the bundle costs 50 ms of parsing each time. NULL:
	 * there is none. */
	const char *folder;
	struct http_shared *shared;
};

struct http *http_new(const struct http_settings *settings);
void http_free(struct http *http);

struct http_answer {
	unsigned status;
	int64_t length;         /* Content-Length, or -1 */
	int64_t range_start;    /* of Content-Range, or -1 */
	int64_t retry_after;    /* seconds, or -1 */
	bool registry;          /* it called itself one (Docker-Distribution-Api-Version) */
	bool foreign;           /* a redirect led away from the first origin */
	char content_type[128]; /* without parameters, lower case; "" where missing or too long */
	char content_digest[160];
	struct challenge challenge;
	struct buf body; /* of an answer that is no success, at most HTTP_ERROR_BODY_MAX bytes */
};

struct http_request {
	const char *url;
	const char *accept;        /* or NULL */
	const char *authorization; /* "Bearer ...", or NULL */
	int64_t from;              /* > 0 asks for the range that begins there */
	int redirects;             /* allowed: 0 to HTTP_REDIRECTS */
	/* Certificates in PEM to trust for the first origin's host besides settings' folder; NULL:
	 * the system's. */
	const char *ca;
	bool unverified; /* no look at certificates */
	/* Takes a piece of a 200's or 206's body. Negative, with e filled, ends the transfer. */
	int (*take)(void *context, const struct http_answer *answer, const char *bytes, size_t size,
		struct err *e);
	void *context;
};

enum http_outcome {
	HTTP_ANSWERED,    /* the answer is whole; its status may be any */
	HTTP_UNREACHABLE, /* no HTTP answer was had: no such host, no connection, no TLS, not HTTP */
	HTTP_CUT,         /* it ended or stalled on the way: may be asked again */
	HTTP_REFUSED,     /* a rule of ours, or take, said no: not to be asked again */
};

/* Fills answer (freed by http_answer_free) as far as it got; e except on HTTP_ANSWERED. */
enum http_outcome http_get(
	struct http *http, const struct http_request *request, struct http_answer *answer, struct err *e);
void http_answer_free(struct http_answer *answer);

#endif
