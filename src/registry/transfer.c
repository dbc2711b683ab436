/* transfer.c - a manifest or a blob from a registry into descriptors. */
#include "registry/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "registry/answer.h"
#include "registry/inflate.h"

enum {
	TRIES = 5,
	TRY_PROGRESS = 64 << 10,
	PAUSE_MAX = 30,
	READ = 256 << 10,
	PIECE = 256 << 10,
	NAME_ROOM = 520,
};

static const char manifest_types[] = "application/vnd.oci.image.index.v1+json, "
				     "application/vnd.docker.distribution.manifest.list.v2+json, "
				     "application/vnd.oci.image.manifest.v1+json, "
				     "application/vnd.docker.distribution.manifest.v2+json";

/* One body on its way, over as many requests as it takes. */
struct body {
	struct transfer *t;
	struct buf *memory;      /* a manifest goes here */
	struct inflate *inflate; /* or NULL */
	EVP_MD_CTX *hash;        /* or NULL */
	int64_t size;            /* that a blob must have */
	int64_t got;
	int64_t skip; /* bytes to pass over: had already, and the server began anew */
	bool fresh;   /* no byte of this answer was seen yet */

	uint8_t *held; /* bytes of a blob that were got and not worked on yet: PIECE of room */
	size_t held_length;
};

static bool is_web_page(const struct http_answer *a)
{
	return !strcmp(a->content_type, "text/html") || !strcmp(a->content_type, "application/xhtml+xml");
}

static int web_page(struct err *e)
{
	err_set(e, ERR_INVALID, 0, "it answers with a web page, not as a registry");
	return err_hint(e, "check the address; a login page of the network may stand in between");
}

static int take_manifest(
	void *context, const struct http_answer *a, const char *bytes, size_t size, struct err *e)
{
	struct body *b = context;

	if (is_web_page(a))
		return web_page(e);
	if (b->memory->length + size > NET_MANIFEST_MAX)
		return err_set(e, ERR_INVALID, 0, "the manifest is larger than 4 MiB");
	buf_append(b->memory, bytes, size);
	return 0;
}

/* libcurl hands out 16 kB at a time. Digest, file and inflation take more at once: a call of
 * theirs costs much the same whatever the size, and isal_inflate decodes the first 32 kB of each
 * into a buffer of its own before it writes where it shall. */
static int work_on_held(struct body *b, struct err *e)
{
	size_t size = b->held_length;

	b->held_length = 0;
	EVP_DigestUpdate(b->hash, b->held, size);
	if (b->t->file >= 0) {
		int r = fd_write_full(b->t->file, b->held, size);
		if (r < 0)
			return err_errno(e, r, "cannot write the blob");
	}
	return b->inflate ? inflate_feed(b->inflate, b->held, size, e) : 0;
}

static int take_blob(
	void *context, const struct http_answer *a, const char *bytes, size_t size, struct err *e)
{
	struct body *b = context;

	if (b->fresh) {
		b->fresh = false;
		b->skip = 0;
		if (is_web_page(a))
			return web_page(e);
		if (a->status == 206 && a->range_start != b->got)
			return err_set(e, ERR_INVALID, 0, "it sent another range than was asked for");
		if (a->status == 200) {
			b->skip = b->got;
			if (a->length >= 0 && a->length != b->size)
				return err_set(e, ERR_INVALID, 0,
					"the blob has %lld bytes and not %lld as the manifest says",
					(long long)a->length, (long long)b->size);
		}
	}
	if (b->skip) {
		size_t n = b->skip < (int64_t)size ? (size_t)b->skip : size;
		b->skip -= (int64_t)n;
		bytes += n;
		size -= n;
	}
	if (!size)
		return 0;
	if (b->got + (int64_t)size > b->size)
		return err_set(e, ERR_INVALID, 0,
			"the blob has more bytes than the %lld that the manifest says", (long long)b->size);
	b->got += (int64_t)size;
	while (size) {
		size_t n = PIECE - b->held_length < size ? PIECE - b->held_length : size;
		memcpy(b->held + b->held_length, bytes, n);
		b->held_length += n;
		bytes += n;
		size -= n;
		bool last = !size && b->got == b->size;
		if ((last || b->held_length == PIECE) && work_on_held(b, e) < 0)
			return -1;
	}
	b->t->progress(b->t->context, b->got, b->inflate ? inflate_output(b->inflate) : 0, 0);
	return 0;
}

/* What the user calls the repository: "debian", "localhost:5000/app". */
static char *shown_name(const struct transfer *t, char out[NAME_ROOM])
{
	const char *registry = t->session->setup.registry;

	if (!strcmp(registry, "docker.io"))
		snprintf(out, NAME_ROOM, "%s",
			t->repository + (strncmp(t->repository, "library/", 8) ? 0 : 8));
	else
		snprintf(out, NAME_ROOM, "%s/%s", registry, t->repository);
	return out;
}

/* Says what a status that is no success means, about `what` (a manifest or blob). */
static void explain_status(
	const struct transfer *t, const struct http_answer *a, const char *what, struct err *e)
{
	char quote[512], name[NAME_ROOM];
	const char *registry = t->session->setup.registry;

	answer_quote(&a->body, quote, sizeof quote);
	const char *colon = quote[0] ? ": " : "";
	switch (a->status) {
	case 401:
	case 403:
		err_set(e, ERR_DENIED, 0,
			"pull access denied for %s, repository does not exist or may require 'docker "
			"login'%s%s",
			shown_name(t, name), colon, quote);
		return;
	case 404:
		if (!quote[0] && is_web_page(a)) {
			err_set(e, ERR_NOT_FOUND, 0,
				"%s has no %s; it answers with a web page, not as a registry", registry,
				what);
			return;
		}
		err_set(e, ERR_NOT_FOUND, 0, "%s not found%s%s", what, colon, quote[0] ? quote : "");
		return;
	case 429:
		err_set(e, ERR_DENIED, 0, "%s has had too many requests from this address (429)%s%s",
			registry, colon, quote);
		if (a->retry_after >= 0)
			err_hint(e, "try again in %lld seconds, log in, or set a mirror",
				(long long)a->retry_after);
		else
			err_hint(e, "try again later, log in, or set a mirror");
		return;
	default:
		err_set(e, a->status >= 500 ? ERR_UNREACHABLE : ERR_INVALID, 0,
			"%s answered with status %u%s%s", registry, a->status, colon, quote);
	}
}

static bool is_worth_again(unsigned status)
{
	return status == 408 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* Whether a failure to talk at all means that the other scheme may be spoken here: an
 * answer in TLS to plain text is a 400 without a registry's marks, or garbage. */
static bool is_other_scheme(enum http_outcome outcome, const struct http_answer *a)
{
	if (outcome == HTTP_UNREACHABLE)
		return true;
	return outcome == HTTP_ANSWERED && a->status == 400 && !a->registry;
}

/* Asks one endpoint until the body is whole. 0, or -1 with e and *outcome. */
static int get_from(struct transfer *t, unsigned index, const char *path, const char *what, struct body *body,
	struct http_request *request, struct http_answer *answer, bool *other_scheme, struct err *e)
{
	unsigned pause = 1;

	for (int try = 1;; try++) {
		int64_t had = body->got;
		int64_t wait = 0;
		*other_scheme = false;
		body->fresh = true;
		request->from = body->memory ? 0 : body->got;
		if (body->memory)
			body->memory->length = 0;
		http_answer_free(answer);
		enum http_outcome outcome =
			session_get(t->session, index, t->http, t->repository, path, request, answer, e);
		t->status = outcome == HTTP_ANSWERED && answer->status >= 300 ? answer->status : 0;
		if (outcome == HTTP_ANSWERED) {
			unsigned s = answer->status;
			if (s == 200 || s == 206) {
				session_mark_alive(t->session, index);
				if (body->memory || body->got == body->size)
					return 0;
				err_set(e, ERR_UNREACHABLE, 0, "it ended after %lld of %lld bytes",
					(long long)body->got, (long long)body->size);
				if (s == 200 && answer->length >= 0 && answer->length != body->size)
					return -1;
			} else {
				explain_status(t, answer, what, e);
				*other_scheme = is_other_scheme(outcome, answer);
				if (!is_worth_again(s))
					return -1;
				wait = answer->retry_after;
			}
		} else if (outcome == HTTP_REFUSED) {
			return -1;
		} else if (outcome == HTTP_CUT) {
			session_mark_alive(t->session, index);
		} else {
			*other_scheme = true;
			if (!session_is_alive(t->session, index)) {
				session_mark_dead(t->session, index);
				return -1;
			}
		}
		/* A server that brings something each time is not given up. */
		if (body->got - had >= TRY_PROGRESS) {
			try = 0;
			pause = 1;
		}
		if (try >= TRIES)
			return -1;
		if (wait <= 0 || wait > PAUSE_MAX)
			wait = pause;
		t->progress(t->context, body->got, body->inflate ? inflate_output(body->inflate) : 0,
			(unsigned)wait);
		struct timespec nap = {.tv_sec = (time_t)wait};
		while (nanosleep(&nap, &nap) < 0 && errno == EINTR)
			;
		pause = pause * 2 > PAUSE_MAX ? PAUSE_MAX : pause * 2;
	}
}

/* Puts in front of e's sentence which registry it is about, where it does not say so. */
static void name_registry(const struct transfer *t, unsigned index, struct err *e)
{
	struct err cause = *e;
	const struct net_setup *setup = &t->session->setup;
	const char *name = setup->endpoints[index].flags & NET_ENDPOINT_MIRROR ? setup->endpoints[index].base
									       : setup->registry;

	if (t->status)
		return;
	if (cause.kind == ERR_UNREACHABLE && !session_is_alive(t->session, index))
		err_set(e, cause.kind, 0, "cannot reach registry %s: %s", name, cause.what);
	else
		err_set(e, cause.kind, 0, "registry %s: %s", name, cause.what);
	e->number = cause.number;
	memcpy(e->hint, cause.hint, sizeof e->hint);
}

static int get_anywhere(struct transfer *t, const char *path, const char *what, struct body *body,
	struct http_request *request, struct http_answer *answer, struct err *e)
{
	const struct net_setup *setup = &t->session->setup;
	bool tried = false;

	for (unsigned i = 0; i < setup->count; i++) {
		bool last = i + 1 == setup->count, other_scheme;
		struct err here = {0};
		unsigned flags = setup->endpoints[i].flags;

		if (session_is_dead(t->session, i) && !(last && !tried))
			continue;
		tried = true;
		if (get_from(t, i, path, what, body, request, answer, &other_scheme, &here) == 0)
			return 0;
		name_registry(t, i, &here);
		/* Of one registry's two schemes, the first one's failure is the one to tell,
		 * where the second had nothing to say. */
		if (!(e->kind == ERR_UNREACHABLE && i &&
			    setup->endpoints[i - 1].flags & NET_ENDPOINT_OR_NEXT &&
			    here.kind == ERR_UNREACHABLE))
			*e = here;
		if (here.kind == ERR_NO_SPACE || here.kind == ERR_SYSTEM)
			return -1;
		if (flags & NET_ENDPOINT_MIRROR)
			continue;
		if (flags & NET_ENDPOINT_OR_NEXT && other_scheme && !session_is_alive(t->session, i)) {
			session_mark_dead(t->session, i);
			continue;
		}
		return -1;
	}
	return -1;
}

static bool is_hex(const char *text, size_t length)
{
	if (strlen(text) != length)
		return false;
	return strspn(text, "0123456789abcdef") == length;
}

/* The hash that a digest names, or NULL where it is malformed. */
static const EVP_MD *digest_hash(const char *digest)
{
	if (!strncmp(digest, "sha256:", 7) && is_hex(digest + 7, 64))
		return EVP_sha256();
	if (!strncmp(digest, "sha512:", 7) && is_hex(digest + 7, 128))
		return EVP_sha512();
	return NULL;
}

static bool digest_matches(EVP_MD_CTX *hash, const char *digest)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";

	EVP_DigestFinal_ex(hash, bytes, &length);
	for (unsigned i = 0; i < length; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	return !strcmp(hex, digest + 7);
}

/* A repository or reference goes into a URL's path as it is. */
static bool is_path_text(const char *text)
{
	return *text && !strstr(text, "..") && text[0] != '/' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:") ==
		       strlen(text);
}

int transfer_manifest(struct transfer *t, const char *reference, struct net_done *done, struct err *e)
{
	auto_buf struct buf bytes = {0};
	char path[256], what[NAME_ROOM + 200], name[NAME_ROOM];
	struct body body = {.t = t, .memory = &bytes};
	struct http_request request = {
		.accept = manifest_types,
		.redirects = HTTP_REDIRECTS,
		.take = take_manifest,
		.context = &body,
	};
	struct http_answer answer = {0};

	if (!is_path_text(t->repository) || !is_path_text(reference) || strchr(reference, '/'))
		return err_set(e, ERR_INVALID, 0, "malformed request");
	snprintf(path, sizeof path, "manifests/%s", reference);
	snprintf(what, sizeof what, "manifest for %s%s%s", shown_name(t, name),
		strchr(reference, ':') ? "@" : ":", reference);
	int r = get_anywhere(t, path, what, &body, &request, &answer, e);
	if (r == 0) {
		int w = fd_write_full(t->file, bytes.data, bytes.length);
		if (w < 0)
			r = err_errno(e, w, "cannot write the manifest");
	}
	if (r == 0) {
		done->size = (int64_t)bytes.length;
		memcpy(done->media_type, answer.content_type, sizeof done->media_type);
		memcpy(done->digest, answer.content_digest, sizeof done->digest);
	}
	http_answer_free(&answer);
	return r;
}

int transfer_login(struct transfer *t, struct err *e)
{
	auto_buf struct buf bytes = {0};
	struct body body = {.t = t, .memory = &bytes};
	struct http_request request = {.redirects = HTTP_REDIRECTS, .take = take_manifest, .context = &body};
	struct http_answer answer = {0};
	char quote[512];

	t->repository = "";
	int r = get_anywhere(t, "", "what every registry answers with", &body, &request, &answer, e);
	if (r < 0 && (t->status == 401 || t->status == 403)) {
		answer_quote(&answer.body, quote, sizeof quote);
		err_set(e, ERR_DENIED, 0, "%s: unauthorized: incorrect username or password%s%s",
			t->session->setup.registry, quote[0] ? ": " : "", quote);
	}
	http_answer_free(&answer);
	return r;
}

static int finish_blob(struct body *body, const char *digest, struct err *e)
{
	if (!digest_matches(body->hash, digest)) {
		err_set(e, ERR_CORRUPT, 0,
			"registry %s sent other bytes for the blob %.19s than the digest says",
			body->t->session->setup.registry, digest);
		return err_hint(e, "nothing of it was kept; try again, or tell the registry's owner");
	}
	return body->inflate ? inflate_finish(body->inflate, e) : 0;
}

int transfer_blob(struct transfer *t, const char *digest, int64_t size, struct net_done *done, struct err *e)
{
	char path[256], what[NAME_ROOM + 200], name[NAME_ROOM];
	const EVP_MD *hash = digest_hash(digest);
	struct body body = {.t = t, .size = size};
	struct http_request request = {.redirects = HTTP_REDIRECTS, .take = take_blob, .context = &body};
	struct http_answer answer = {0};

	if (!hash || size < 0 || !is_path_text(t->repository))
		return err_set(e, ERR_INVALID, 0, "malformed request");
	snprintf(path, sizeof path, "blobs/%s", digest);
	snprintf(what, sizeof what, "blob %.19s of %s", digest, shown_name(t, name));
	body.hash = EVP_MD_CTX_new();
	body.held = malloc(PIECE);
	if (!body.hash || !body.held)
		abort();
	EVP_DigestInit_ex(body.hash, hash, NULL);
	if (t->tar >= 0)
		body.inflate = inflate_new(t->tar, what);
	int r = get_anywhere(t, path, what, &body, &request, &answer, e);
	if (r == 0)
		r = finish_blob(&body, digest, e);
	done->size = body.got;
	done->inflated = body.inflate ? inflate_output(body.inflate) : 0;
	inflate_free(body.inflate);
	EVP_MD_CTX_free(body.hash);
	free(body.held);
	http_answer_free(&answer);
	return r;
}

int transfer_inflate(struct transfer *t, int in, struct net_done *done, struct err *e)
{
	auto_free char *bytes = malloc(READ);
	struct inflate *inflate = inflate_new(t->tar, "the archive");
	int r = 0;

	if (!bytes)
		abort();
	while (r == 0) {
		ssize_t n = read(in, bytes, READ);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = err_errno(e, errno, "cannot read the archive");
		if (n <= 0)
			break;
		done->size += n;
		r = inflate_feed(inflate, bytes, (size_t)n, e);
		t->progress(t->context, done->size, inflate_output(inflate), 0);
	}
	if (r == 0)
		r = inflate_finish(inflate, e);
	done->inflated = inflate_output(inflate);
	inflate_free(inflate);
	return r;
}
