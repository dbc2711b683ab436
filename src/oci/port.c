/* port.c - what -p and --expose say. */
#include "oci/port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}};

const char *port_protocol(uint8_t protocol)
{
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		if (protocols[i].number == protocol)
			return protocols[i].name;
	return "";
}

struct range {
	unsigned first, last;
};

/* Digits up to `end` as a port of 1 to 65535. */
static bool take_number(const char *at, const char *end, unsigned *out)
{
	unsigned value = 0;

	if (at == end)
		return false;
	for (; at < end; at++) {
		if (*at < '0' || *at > '9')
			return false;
		value = value * 10 + (unsigned)(*at - '0');
		if (value > 65535)
			return false;
	}
	*out = value;
	return value != 0;
}

static bool take_range(const char *at, const char *end, struct range *out)
{
	const char *dash = memchr(at, '-', (size_t)(end - at));

	if (!take_number(at, dash ? dash : end, &out->first))
		return false;
	out->last = out->first;
	return !dash || (take_number(dash + 1, end, &out->last) && out->last >= out->first);
}

static int refuse(struct err *e, const char *what, const char *word, size_t length)
{
	char part[64], clean[128];

	if (length >= sizeof part)
		length = sizeof part - 1;
	memcpy(part, word, length);
	part[length] = '\0';
	return err_set(e, ERR_INVALID, 0, "%s: %s", what, err_sanitize(clean, sizeof clean, part));
}

/* Cuts "/tcp" off the end. */
static int take_protocol(const char *text, const char **end, uint8_t *protocol, struct err *e)
{
	const char *slash = strchr(text, '/');

	*protocol = IPPROTO_TCP;
	*end = slash ? slash : text + strlen(text);
	if (!slash || !slash[1])
		return 0;
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		if (!strcasecmp(slash + 1, protocols[i].name)) {
			*protocol = protocols[i].number;
			return 0;
		}
	return refuse(e, "invalid proto", slash + 1, strlen(slash + 1));
}

/* Where an address begins the text: it, and past its ":". */
static int take_address(const char **text, const char *end, char ip[46], struct err *e)
{
	const char *at = *text, *stop;
	char word[64];
	unsigned char bytes[16];
	bool six = *at == '[';

	if (six) {
		stop = memchr(at, ']', (size_t)(end - at));
		if (!stop || stop + 1 == end || stop[1] != ':')
			return refuse(e, "invalid IP address", at, (size_t)(end - at));
		at++;
	} else {
		/* Two colons: the first one ends an address. */
		const char *first = memchr(at, ':', (size_t)(end - at));
		const char *second = first ? memchr(first + 1, ':', (size_t)(end - first - 1)) : NULL;
		if (!second)
			return 0;
		if (memchr(second + 1, ':', (size_t)(end - second - 1))) {
			refuse(e, "invalid IP address", at, (size_t)(end - at));
			return err_hint(e, "an IPv6 address stands in brackets: [::1]:8080:80");
		}
		stop = first;
	}
	size_t length = (size_t)(stop - at);
	*text = stop + 1 + six;
	if (!length && !six)
		return 0;
	if (length >= sizeof word)
		return refuse(e, "invalid IP address", at, length);
	memcpy(word, at, length);
	word[length] = '\0';
	int family = six ? AF_INET6 : AF_INET;
	if (inet_pton(family, word, bytes) != 1)
		return refuse(e, "invalid IP address", word, length);
	inet_ntop(family, bytes, ip, 46);
	return 0;
}

int port_parse_publish(
	struct arena *arena, const char *text, struct port_spec **out, size_t *count, struct err *e)
{
	struct port_spec common = {0};
	struct range inner, outer = {0, 0};
	const char *end, *at = text;

	if (take_protocol(text, &end, &common.protocol, e) < 0 || take_address(&at, end, common.ip, e) < 0)
		return -1;
	const char *colon = memchr(at, ':', (size_t)(end - at));
	const char *container = colon ? colon + 1 : at;
	if (container == end)
		return refuse(e, "no port specified", *text ? text : "<empty>", *text ? strlen(text) : 7);
	if (!take_range(container, end, &inner))
		return refuse(e, "invalid containerPort", container, (size_t)(end - container));
	/* docker takes 0 for "any free one", too. */
	bool zero = colon && colon - at == 1 && *at == '0';
	if (colon && colon > at && !zero && !take_range(at, colon, &outer))
		return refuse(e, "invalid hostPort", at, (size_t)(colon - at));
	size_t width = inner.last - inner.first + 1;
	bool one_by_one = outer.first && outer.last - outer.first + 1 == width;
	if (outer.first && !one_by_one && width > 1)
		return err_set(e, ERR_INVALID, 0,
			"invalid ranges specified for container and host Ports: %.*s and %.*s",
			(int)(end - container), container, (int)(colon - at), at);
	struct port_spec *rows = arena_array(arena, width, sizeof *rows);
	for (size_t i = 0; i < width; i++) {
		rows[i] = common;
		rows[i].container = (uint16_t)(inner.first + i);
		rows[i].host_first = (uint16_t)(outer.first + (one_by_one ? i : 0));
		rows[i].host_last = one_by_one ? rows[i].host_first : (uint16_t)outer.last;
	}
	*out = rows;
	*count = width;
	return 0;
}

int port_parse_expose(
	struct arena *arena, const char *text, struct port_spec **out, size_t *count, struct err *e)
{
	const char *end;
	uint8_t protocol;

	if (take_protocol(text, &end, &protocol, e) < 0)
		return -1;
	if (memchr(text, ':', (size_t)(end - text)) || memchr(text, '[', (size_t)(end - text)))
		return refuse(e, "invalid port format for --expose", text, strlen(text));
	if (port_parse_publish(arena, text, out, count, e) == 0)
		return 0;
	return refuse(e, "invalid range format for --expose", text, (size_t)(end - text));
}

const char *port_format(struct arena *arena, const struct port_spec *spec)
{
	bool six = strchr(spec->ip, ':');
	const char *host = !spec->host_first ? ""
			   : spec->host_last > spec->host_first
				   ? arena_printf(arena, "%u-%u", spec->host_first, spec->host_last)
				   : arena_printf(arena, "%u", spec->host_first);
	bool any = *spec->ip || *host;

	return arena_printf(arena, "%s%s%s%s%s%s%u/%s", six ? "[" : "", spec->ip, six ? "]" : "",
		*spec->ip ? ":" : "", host, any ? ":" : "", spec->container, port_protocol(spec->protocol));
}
