/* url.c - the few URLs that a registry client may follow. */
#include "registry/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '.' || c == '_';
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int parse_port(const char *text, size_t length, uint16_t *port)
{
	unsigned value = 0;
	if (length == 0 || length > 5)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	if (value == 0 || value > 65535)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

int url_parse(const char *text, struct url *url)
{
	struct url out = {0};
	const char *p = text;

	if (!strncasecmp(p, "https://", 8)) {
		out.https = true;
		p += 8;
	} else if (!strncasecmp(p, "http://", 7)) {
		p += 7;
	} else {
		return -EINVAL;
	}
	out.port = out.https ? 443 : 80;

	const char *host = p;
	size_t length = 0;
	if (*p == '[') {
		struct in6_addr ignored;
		host = ++p;
		while (is_hex(*p) || *p == ':' || *p == '.')
			p++;
		length = (size_t)(p - host);
		if (*p++ != ']' || length >= sizeof out.host)
			return -EINVAL;
		memcpy(out.host, host, length);
		if (inet_pton(AF_INET6, out.host, &ignored) != 1)
			return -EINVAL;
		out.host_is_v6 = true;
	} else {
		while (is_host_byte(*p))
			p++;
		length = (size_t)(p - host);
		if (length == 0 || length >= sizeof out.host || host[0] == '.' || host[0] == '-')
			return -EINVAL;
		memcpy(out.host, host, length);
	}
	for (char *h = out.host; *h; h++)
		if (*h >= 'A' && *h <= 'Z')
			*h = (char)(*h - 'A' + 'a');
	/* "host." names the same host; keep one spelling so that origins compare. */
	if (!out.host_is_v6 && length > 1 && out.host[length - 1] == '.')
		out.host[length - 1] = '\0';

	if (*p == ':') {
		const char *digits = ++p;
		while (*p >= '0' && *p <= '9')
			p++;
		if (parse_port(digits, (size_t)(p - digits), &out.port) < 0)
			return -EINVAL;
	}
	if (*p && *p != '/' && *p != '?')
		return -EINVAL;
	out.path = p;
	for (; *p; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || *p == '#' || *p == '\\')
			return -EINVAL;
	*url = out;
	return 0;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->https == b->https && a->port == b->port && !strcmp(a->host, b->host);
}

static enum url_place place_of_v4(uint32_t a)
{
	if (a >> 24 == 127)
		return URL_LOOPBACK;
	if (a >> 16 == 0xa9fe)
		return URL_LINK;
	if (a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 22 == 0x64400000 >> 22)
		return URL_PRIVATE;
	if (a >> 24 == 0 || a >> 28 >= 14)
		return URL_NOWHERE;
	return URL_ELSEWHERE;
}

static uint32_t read_v4(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static enum url_place place_of_v6(const uint8_t *a)
{
	static const uint8_t zero[16];

	if (!memcmp(a, zero, 15) && a[15] == 1)
		return URL_LOOPBACK;
	if (!memcmp(a, zero, 16))
		return URL_NOWHERE;
	/* v4-mapped (::ffff:0:0/96), v4-compatible, and NAT64's 64:ff9b::/96 name a v4 address. */
	if (!memcmp(a, zero, 10) && a[10] == 0xff && a[11] == 0xff)
		return place_of_v4(read_v4(a + 12));
	if (!memcmp(a, zero, 12))
		return place_of_v4(read_v4(a + 12));
	if (a[0] == 0 && a[1] == 0x64 && a[2] == 0xff && a[3] == 0x9b && !memcmp(a + 4, zero, 8))
		return place_of_v4(read_v4(a + 12));
	if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
		return URL_LINK;
	if ((a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0xc0) == 0xc0))
		return URL_PRIVATE;
	if (a[0] == 0xff)
		return URL_NOWHERE;
	return URL_ELSEWHERE;
}

enum url_place url_place_of(const struct url *url)
{
	struct in_addr v4;
	struct in6_addr v6;
	size_t length = strlen(url->host);

	if (url->host_is_v6)
		return inet_pton(AF_INET6, url->host, &v6) == 1 ? place_of_v6(v6.s6_addr) : URL_NOWHERE;
	/* inet_aton takes the short, octal and hexadecimal forms that resolvers take. */
	if (inet_aton(url->host, &v4))
		return place_of_v4(ntohl(v4.s_addr));
	if (!strcmp(url->host, "localhost"))
		return URL_LOOPBACK;
	if (length > 10 && !strcmp(url->host + length - 10, ".localhost"))
		return URL_LOOPBACK;
	return URL_ELSEWHERE;
}

enum url_place url_place_of_address(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		return place_of_v4(ntohl(in.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		return place_of_v6(in6.sin6_addr.s6_addr);
	}
	return URL_NOWHERE;
}

bool url_may_follow(const struct url *home, const struct url *to, const char **why)
{
	enum url_place place = url_place_of(to);

	if (home->https && !to->https) {
		*why = "it leads from https to http";
		return false;
	}
	if (place == URL_NOWHERE) {
		*why = "the address is nobody's";
		return false;
	}
	if (place != URL_ELSEWHERE && place != url_place_of(home) && strcmp(home->host, to->host) != 0) {
		*why = "it leads to a private address that is not the registry's own";
		return false;
	}
	return true;
}

/* A registry whose users' credentials are looked after by a server of another name. */
static const struct {
	const char *registry;
	const char *realm;
} known_realms[] = {
	{"registry-1.docker.io", "auth.docker.io"},
	{"index.docker.io", "auth.docker.io"},
	{"docker.io", "auth.docker.io"},
};

/*
 * The registrable domain of a host name: its last two labels, or three where the last is a
 * country's and the one before it one of those under which countries register ("co.uk",
 * "com.au"). Where anybody may have a name ("github.io"), the whole host. NULL where there
 * is none.
 */
static const char *registrable_domain(const char *host)
{
	static const char *const second_level[] = {"ac", "co", "com", "edu", "go", "gob", "gov", "gouv", "gv",
		"id", "ltd", "me", "mil", "ne", "net", "nom", "or", "org", "plc", "sch"};
	static const char *const shared[] = {"amazonaws.com", "azurecr.io", "azurewebsites.net",
		"azurestaticapps.net", "blob.core.windows.net", "cloudapp.net", "cloudfront.net", "fly.dev",
		"github.io", "gitlab.io", "herokuapp.com", "netlify.app", "ngrok.io", "pages.dev", "run.app",
		"vercel.app", "web.app", "windows.net", "workers.dev"};
	const char *dots[3] = {NULL, NULL, NULL}; /* from the right */
	struct in_addr v4;

	if (inet_aton(host, &v4))
		return NULL;
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
		size_t length = strlen(host), tail = strlen(shared[i]);
		if (length >= tail && !strcmp(host + length - tail, shared[i]))
			return host;
	}
	for (const char *p = host + strlen(host); p > host; p--) {
		if (p[-1] != '.')
			continue;
		for (size_t i = 0; i < 3; i++)
			if (!dots[i]) {
				dots[i] = p - 1;
				break;
			}
		if (dots[2])
			break;
	}
	if (!dots[0])
		return NULL;
	const char *second = dots[1] ? dots[1] + 1 : host;
	if (strlen(dots[0] + 1) == 2) {
		size_t length = (size_t)(dots[0] - second);
		for (size_t i = 0; i < sizeof second_level / sizeof *second_level; i++)
			if (strlen(second_level[i]) == length && !memcmp(second_level[i], second, length)) {
				if (!dots[1])
					return NULL;
				return dots[2] ? dots[2] + 1 : host;
			}
	}
	return second;
}

bool url_may_have_credentials(const struct url *home, const struct url *realm)
{
	if (url_same_origin(home, realm))
		return true;
	if (!realm->https)
		return false;
	for (size_t i = 0; i < sizeof known_realms / sizeof *known_realms; i++)
		if (!strcmp(home->host, known_realms[i].registry))
			return !strcmp(realm->host, known_realms[i].realm);
	if (!strcmp(home->host, realm->host))
		return true;
	if (home->host_is_v6 || realm->host_is_v6)
		return false;
	const char *a = registrable_domain(home->host), *b = registrable_domain(realm->host);
	return a && b && !strcmp(a, b);
}
