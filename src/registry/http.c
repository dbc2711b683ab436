/* http.c - one GET after another, by the rules for strangers. */
#include "registry/http.h"

#include <curl/curl.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "registry/url.h"

enum { RECEIVE = 256 << 10 };

struct http_shared {
	CURLSH *share;
	pthread_mutex_t locks[CURL_LOCK_DATA_LAST];
};

/* One hop of one request, as libcurl's callbacks see it. */
struct hop {
	const struct http_request *request;
	struct http_answer *answer;
	struct err *e;
	struct url home, here;
	bool own_host;  /* here is the registry's own host: it may be anywhere */
	bool proxied;   /* connections go to a proxy, which may be anywhere */
	size_t headers; /* bytes of them */
	bool last_hop;  /* no further redirect is allowed */
	bool refused;   /* e is filled; the transfer is over */
	bool stalled;
	bool begun;      /* a status line came */
	int64_t counted; /* bytes at the last look that was content */
	int64_t received;
	struct timespec moved;
};

struct http {
	CURL *curl;
	struct http_settings settings;
	char error[CURL_ERROR_SIZE];
};

static void share_lock(CURL *curl, curl_lock_data data, curl_lock_access access, void *context)
{
	struct http_shared *shared = context;
	pthread_mutex_lock(&shared->locks[data]);
}

static void share_unlock(CURL *curl, curl_lock_data data, void *context)
{
	struct http_shared *shared = context;
	pthread_mutex_unlock(&shared->locks[data]);
}

struct http_shared *http_shared_new(void)
{
	struct http_shared *shared = calloc(1, sizeof *shared);
	if (!shared || !(shared->share = curl_share_init()))
		abort();
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_init(&shared->locks[i], NULL);
	curl_share_setopt(shared->share, CURLSHOPT_LOCKFUNC, share_lock);
	curl_share_setopt(shared->share, CURLSHOPT_UNLOCKFUNC, share_unlock);
	curl_share_setopt(shared->share, CURLSHOPT_USERDATA, shared);
	curl_share_setopt(shared->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(shared->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	return shared;
}

const char *http_system_folder(void)
{
	static const char folder[] = "/etc/ssl/certs";
	const char *found = NULL;
	DIR *dir = opendir(folder);

	if (!dir)
		return NULL;
	for (struct dirent *entry; !found && (entry = readdir(dir));)
		/* "5ed36f99.0" */
		if (strlen(entry->d_name) == 10 && !strcmp(entry->d_name + 8, ".0"))
			found = folder;
	closedir(dir);
	return found;
}

struct http *http_new(const struct http_settings *settings)
{
	struct http *http = calloc(1, sizeof *http);
	if (!http || !(http->curl = curl_easy_init()))
		abort();
	http->settings = *settings;
	return http;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	curl_easy_cleanup(http->curl);
	free(http);
}

void http_answer_free(struct http_answer *answer)
{
	buf_free(&answer->body);
}

static void refuse(struct hop *hop, const char *why)
{
	err_set(hop->e, ERR_DENIED, 0, "%s", why);
	hop->refused = true;
}

/* The text of "Name: text\r\n" where the line is that header, trimmed, in out. */
static bool header_is(const char *line, size_t length, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);
	if (length <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return false;
	const char *p = line + n + 1, *end = line + length;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	out[0] = '\0';
	if ((size_t)(end - p) >= size || memchr(p, '\0', (size_t)(end - p)))
		return true;
	memcpy(out, p, (size_t)(end - p));
	out[end - p] = '\0';
	return true;
}

/* A run of digits that is the whole text up to stop; -1 for anything else. */
static int64_t read_count(const char *text, char stop)
{
	int64_t value = 0;
	const char *p = text;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (value > INT64_MAX / 10 - 9)
			return -1;
		value = value * 10 + (*p - '0');
	}
	return p == text || *p != stop ? -1 : value;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
	struct hop *hop = context;
	struct http_answer *a = hop->answer;
	size_t length = size * count;
	char text[4096];

	hop->headers += length;
	if (hop->headers > HTTP_HEADERS_MAX) {
		refuse(hop, "its answer has more than 64 KiB of headers");
		return 0;
	}
	if (length > 5 && !memcmp(line, "HTTP/", 5)) {
		/* A new answer begins: what a 1xx or a proxy said before does not count. */
		struct buf body = a->body;
		bool foreign = a->foreign;
		*a = (struct http_answer){
			.length = -1, .range_start = -1, .retry_after = -1, .foreign = foreign, .body = body};
		const char *space = memchr(line, ' ', length);
		if (space && (size_t)(line + length - space) > 4)
			a->status =
				(unsigned)((space[1] - '0') * 100 + (space[2] - '0') * 10 + (space[3] - '0'));
		hop->begun = true;
		return length;
	}
	if (header_is(line, length, "Content-Length", text, sizeof text)) {
		a->length = read_count(text, '\0');
	} else if (header_is(line, length, "Content-Range", text, sizeof text)) {
		a->range_start = strncasecmp(text, "bytes ", 6) ? -1 : read_count(text + 6, '-');
	} else if (header_is(line, length, "Content-Type", text, sizeof text)) {
		text[strcspn(text, "; \t")] = '\0';
		for (char *p = text; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		if (strlen(text) < sizeof a->content_type)
			memcpy(a->content_type, text, strlen(text) + 1);
	} else if (header_is(line, length, "Docker-Content-Digest", text, sizeof text)) {
		if (strlen(text) < sizeof a->content_digest)
			memcpy(a->content_digest, text, strlen(text) + 1);
	} else if (header_is(line, length, "Docker-Distribution-Api-Version", text, sizeof text)) {
		a->registry = true;
	} else if (header_is(line, length, "Retry-After", text, sizeof text)) {
		a->retry_after = read_count(text, '\0');
	} else if (header_is(line, length, "WWW-Authenticate", text, sizeof text)) {
		struct challenge c;
		if (challenge_parse(text, &c) == 0 && c.scheme > a->challenge.scheme)
			a->challenge = c;
	}
	return length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct hop *hop = context;
	struct http_answer *a = hop->answer;
	size_t length = size * count;

	hop->received += (int64_t)length;
	if (a->status == 200 || a->status == 206) {
		if (hop->request->take(hop->request->context, a, bytes, length, hop->e) < 0) {
			hop->refused = true;
			return 0;
		}
		/* Time in there is the disk's, not the registry's. */
		clock_gettime(CLOCK_MONOTONIC, &hop->moved);
		return length;
	}
	size_t room = HTTP_ERROR_BODY_MAX - a->body.length;
	buf_append(&a->body, bytes, length < room ? length : room);
	/* The rest of a long page of error is let go with its connection. */
	return length <= room ? length : 0;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
	struct hop *hop = context;
	struct timespec clock;

	clock_gettime(CLOCK_MONOTONIC, &clock);
	if (hop->received - hop->counted >= HTTP_STALL_BYTES) {
		hop->counted = hop->received;
		hop->moved = clock;
	}
	if (clock.tv_sec - hop->moved.tv_sec > HTTP_STALL_SECONDS) {
		hop->stalled = true;
		return 1;
	}
	return 0;
}

/* Called with the address that a connection is about to be made to. */
static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct hop *hop = context;

	if (!hop->own_host && !hop->proxied) {
		enum url_place place = url_place_of_address(&address->addr);
		if ((place == URL_LOOPBACK || place == URL_LINK || place == URL_NOWHERE) &&
			place != url_place_of(&hop->home)) {
			refuse(hop, "it leads to an address of this host or link");
			return CURL_SOCKET_BAD;
		}
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool proxy_is_set(void)
{
	static const char *const names[] = {
		"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = getenv(names[i]);
		if (value && *value)
			return true;
	}
	return false;
}

static void set_up(struct http *http, struct hop *hop, const char *url, struct curl_slist *headers)
{
	CURL *c = http->curl;

	curl_easy_reset(c); /* connections stay */
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, hop->home.https ? "https" : "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_USERAGENT, http->settings.user_agent);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 15L);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)RECEIVE);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* An insecure registry is one host: where it redirects to is looked at. */
	bool unverified = hop->request->unverified && hop->own_host;
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, unverified ? 0L : 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, unverified ? 0L : 2L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, http->error);
	curl_easy_setopt(c, CURLOPT_SHARE, http->settings.shared->share);
	if (http->settings.folder) {
		curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(c, CURLOPT_CAPATH, http->settings.folder);
	}
	if (hop->request->ca && hop->own_host) {
		struct curl_blob blob = {
			.data = (void *)(uintptr_t)hop->request->ca,
			.len = strlen(hop->request->ca),
			.flags = CURL_BLOB_NOCOPY,
		};
		curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &blob);
	}
	/* A proxy cannot reach this host's own registry. */
	if (url_place_of(&hop->here) == URL_LOOPBACK)
		curl_easy_setopt(c, CURLOPT_PROXY, "");
	else
		hop->proxied = proxy_is_set();
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, hop);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, hop);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, hop);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, hop);
}

/* Says in words why no HTTP answer came. */
static void explain(struct http *http, CURLcode code, const struct hop *hop, struct err *e)
{
	long number = 0;
	char shown[CURL_ERROR_SIZE];

	curl_easy_getinfo(http->curl, CURLINFO_OS_ERRNO, &number);
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		err_set(e, ERR_UNREACHABLE, 0, "no address is known for %s", hop->here.host);
		err_hint(e, "check the name and /etc/resolv.conf");
		return;
	case CURLE_COULDNT_RESOLVE_PROXY:
		err_set(e, ERR_UNREACHABLE, 0, "no address is known for the proxy");
		err_hint(e, "check HTTPS_PROXY and HTTP_PROXY");
		return;
	case CURLE_COULDNT_CONNECT:
		if (number)
			err_set(e, ERR_UNREACHABLE, (int)number, "%s port %u", hop->here.host,
				hop->here.port);
		else
			err_set(e, ERR_UNREACHABLE, 0, "%s port %u: no connection", hop->here.host,
				hop->here.port);
		return;
	case CURLE_OPERATION_TIMEDOUT:
		err_set(e, ERR_UNREACHABLE, 0, "%s port %u does not answer", hop->here.host, hop->here.port);
		return;
	case CURLE_PEER_FAILED_VERIFICATION:
		err_sanitize(shown, sizeof shown, http->error);
		err_set(e, ERR_DENIED, 0, "the certificate of %s cannot be trusted: %s", hop->here.host,
			shown);
		err_hint(e, "put its authority's certificate into /etc/docker/certs.d/HOST[:PORT]/ca.crt");
		return;
	default:
		err_sanitize(shown, sizeof shown, http->error[0] ? http->error : curl_easy_strerror(code));
		err_set(e, ERR_UNREACHABLE, 0, "%s port %u: %s", hop->here.host, hop->here.port, shown);
	}
}

static enum http_outcome get_once(
	struct http *http, struct hop *hop, const char *url, struct curl_slist *headers, struct err *e)
{
	set_up(http, hop, url, headers);
	clock_gettime(CLOCK_MONOTONIC, &hop->moved);
	http->error[0] = '\0';
	CURLcode code = curl_easy_perform(http->curl);
	if (hop->refused)
		return HTTP_REFUSED;
	if (hop->stalled) {
		err_set(e, ERR_UNREACHABLE, 0, "%s sent nothing for %d seconds", hop->here.host,
			HTTP_STALL_SECONDS);
		return HTTP_CUT;
	}
	/* The body of an error is no loss. */
	if (code == CURLE_OK || (hop->begun && hop->answer->status >= 300))
		return HTTP_ANSWERED;
	explain(http, code, hop, e);
	return hop->begun ? HTTP_CUT : HTTP_UNREACHABLE;
}

static struct curl_slist *make_headers(const struct http_request *r, bool authorize)
{
	struct curl_slist *list = NULL;
	struct buf line = {0};

	if (r->accept) {
		buf_printf(&line, "Accept: %s", r->accept);
		list = curl_slist_append(list, line.data);
	}
	if (authorize) {
		line.length = 0;
		buf_printf(&line, "Authorization: %s", r->authorization);
		list = curl_slist_append(list, line.data);
		explicit_bzero(line.data, line.length);
	}
	if (r->from > 0) {
		line.length = 0;
		buf_printf(&line, "Range: bytes=%lld-", (long long)r->from);
		list = curl_slist_append(list, line.data);
	}
	buf_free(&line);
	return list;
}

static bool is_redirect(unsigned status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

enum http_outcome http_get(
	struct http *http, const struct http_request *request, struct http_answer *answer, struct err *e)
{
	struct hop first = {.request = request, .answer = answer, .e = e};
	char *url = strdup(request->url);
	enum http_outcome outcome = HTTP_REFUSED;
	bool left = false; /* the first origin */

	if (!url)
		abort();
	*answer = (struct http_answer){.length = -1, .range_start = -1, .retry_after = -1};
	if (url_parse(url, &first.home) < 0) {
		err_set(e, ERR_INVALID, 0, "its address is malformed");
		free(url);
		return HTTP_REFUSED;
	}
	for (int hops = 0;; hops++) {
		struct hop hop = first;
		const char *why;
		char *next = NULL;

		url_parse(url, &hop.here);
		left = left || !url_same_origin(&hop.home, &hop.here);
		hop.own_host = !strcmp(hop.home.host, hop.here.host);
		answer->foreign = left;
		answer->body.length = 0;
		struct curl_slist *headers = make_headers(request, request->authorization && !left);
		outcome = get_once(http, &hop, url, headers, e);
		curl_slist_free_all(headers);
		if (outcome != HTTP_ANSWERED || !is_redirect(answer->status))
			break;
		curl_easy_getinfo(http->curl, CURLINFO_REDIRECT_URL, &next);
		if (!next) {
			err_set(e, ERR_INVALID, 0, "it redirects to nowhere");
			outcome = HTTP_REFUSED;
			break;
		}
		struct url to;
		char shown[300];
		char *copy = strdup(next);
		if (!copy)
			abort();
		free(url);
		url = copy;
		outcome = HTTP_REFUSED;
		if (url_parse(url, &to) < 0) {
			err_set(e, ERR_INVALID, 0, "it redirects to a malformed address");
			break;
		}
		err_sanitize(shown, sizeof shown, to.host);
		/* Judged against the first origin, and against the hop before: what was
		 * https once stays so. */
		struct url from = hop.home;
		from.https = from.https || hop.here.https;
		if (!url_may_follow(&from, &to, &why)) {
			err_set(e, ERR_DENIED, 0, "it redirects to %s, which is refused: %s", shown, why);
			break;
		}
		if (hops == request->redirects) {
			if (request->redirects)
				err_set(e, ERR_INVALID, 0, "it redirects more than %d times",
					request->redirects);
			else
				err_set(e, ERR_DENIED, 0, "it redirects to %s, which is refused here", shown);
			break;
		}
	}
	free(url);
	return outcome;
}
