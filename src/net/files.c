/*
 * files.c - /etc/hosts, /etc/hostname and /etc/resolv.conf as docker writes them.
 *
 * Name servers on the host's loopback cannot be reached from another network namespace:
 * their lines are dropped, and where systemd-resolved's stub is all there is, its list of
 * the real servers is read instead. Without IPv6 in the container servers with IPv6
 * addresses go too. Where none is left, docker's choice is kept: 8.8.8.8 and 8.8.4.4
 * (docs/decisions/0041-container-resolv-conf.md).
 */
#include "net/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

#define RESOLV_LIMIT 65536

void net_render_hostname(const struct net_files *files, struct buf *out)
{
	buf_string(out, files->hostname);
	buf_string(out, "\n");
}

int net_render_hosts(const struct net_files *files, const char *gateway, struct buf *out, struct err *e)
{
	size_t before = out->length;

	buf_string(out, "127.0.0.1\tlocalhost\n"
			"::1\tlocalhost ip6-localhost ip6-loopback\n"
			"fe00::0\tip6-localnet\n"
			"ff00::0\tip6-mcastprefix\n"
			"ff02::1\tip6-allnodes\n"
			"ff02::2\tip6-allrouters\n");
	for (const char *const *entry = files->add_hosts; entry && *entry; entry++) {
		const char *colon = strchr(*entry, ':');
		const char *address = colon ? colon + 1 : "";
		struct in6_addr parsed;
		char clean[256];

		if (!strcmp(address, "host-gateway") && gateway && *gateway)
			address = gateway;
		if (!colon || colon == *entry || memchr(*entry, '\n', (size_t)(colon - *entry)) ||
			(inet_pton(AF_INET, address, &parsed) != 1 &&
				inet_pton(AF_INET6, address, &parsed) != 1)) {
			out->length = before;
			return err_set(e, ERR_INVALID, 0, "bad format for add-host: \"%s\"",
				err_sanitize(clean, sizeof clean, *entry));
		}
		buf_printf(out, "%s\t%.*s\n", address, (int)(colon - *entry), *entry);
	}
	if (files->address && *files->address && files->hostname && *files->hostname) {
		/* The whole name, be it given in one or in two, and its first part. */
		size_t first = strcspn(files->hostname, ".");
		buf_printf(out, "%s\t%s", files->address, files->hostname);
		if (files->domainname && *files->domainname)
			buf_printf(out, ".%s %.*s", files->domainname, (int)first, files->hostname);
		else if (files->hostname[first])
			buf_printf(out, " %.*s", (int)first, files->hostname);
		buf_string(out, "\n");
	}
	return 0;
}

/* The line's first word, and what follows it without blanks around. */
struct line {
	const char *word, *rest;
	size_t word_length, rest_length;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct line split_line(const char *at, size_t length)
{
	struct line line;

	while (length && blank(*at))
		at++, length--;
	while (length && blank(at[length - 1]))
		length--;
	line.word = at;
	line.word_length = 0;
	while (line.word_length < length && !blank(at[line.word_length]))
		line.word_length++;
	line.rest = at + line.word_length;
	line.rest_length = length - line.word_length;
	while (line.rest_length && blank(*line.rest))
		line.rest++, line.rest_length--;
	return line;
}

static bool word_is(const struct line *line, const char *word)
{
	return line->word_length == strlen(word) && !memcmp(line->word, word, line->word_length);
}

/* Whether a container can use that name server. */
static bool usable_server(const struct line *line)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr address;

	if (line->rest_length >= sizeof text)
		return false;
	memcpy(text, line->rest, line->rest_length);
	text[line->rest_length] = 0;
	return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 != 127;
}

static bool any(const char *const *list)
{
	return list && *list;
}

static void put_list(struct buf *out, const char *word, const char *const *list)
{
	buf_string(out, word);
	for (; *list; list++)
		buf_printf(out, " %s", *list);
	buf_string(out, "\n");
}

void net_render_resolv_from(const struct net_files *files, const char *text, struct buf *out)
{
	size_t servers = 0;

	for (const char *at = text; *at;) {
		size_t length = strcspn(at, "\n");
		struct line line = split_line(at, length);
		bool keep = true;

		if (word_is(&line, "nameserver")) {
			keep = !any(files->dns) && (files->kind == NET_HOST || usable_server(&line));
			servers += keep;
		} else if (word_is(&line, "search") || word_is(&line, "domain")) {
			keep = !any(files->dns_search);
		} else if (word_is(&line, "options")) {
			keep = !any(files->dns_options);
		}
		if (keep) {
			buf_append(out, at, length);
			buf_string(out, "\n");
		}
		at += length;
		if (*at)
			at++;
	}
	/* "--dns-search ." asks for no search list at all. */
	if (any(files->dns_search) && strcmp(files->dns_search[0], ".") != 0)
		put_list(out, "search", files->dns_search);
	for (const char *const *server = files->dns; server && *server; server++)
		buf_printf(out, "nameserver %s\n", *server);
	if (any(files->dns_options))
		put_list(out, "options", files->dns_options);
	if (!servers && !any(files->dns) && files->kind == NET_BRIDGE)
		buf_string(out, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
}

/* Whether all that the file knows is systemd-resolved's stub. */
static bool only_stub(const char *text)
{
	bool stub = false;

	for (const char *at = text; *at;) {
		size_t length = strcspn(at, "\n");
		struct line line = split_line(at, length);
		if (word_is(&line, "nameserver")) {
			if (line.rest_length != 10 || memcmp(line.rest, "127.0.0.53", 10) != 0)
				return false;
			stub = true;
		}
		at += length;
		if (*at)
			at++;
	}
	return stub;
}

static void read_text(const char *path, struct buf *out)
{
	int fd = fd_open(AT_FDCWD, path, O_RDONLY, 0);

	if (fd >= 0) {
		fd_slurp(fd, RESOLV_LIMIT, out);
		close(fd);
	}
	/* The rest of this file reads text: a NUL ends it. */
	buf_append(out, "", 0);
}

void net_render_resolv(const struct net_files *files, struct buf *out)
{
	auto_buf struct buf text = {0};

	read_text("/etc/resolv.conf", &text);
	if (text.data && files->kind != NET_HOST && only_stub(text.data)) {
		auto_buf struct buf real = {0};
		read_text("/run/systemd/resolve/resolv.conf", &real);
		if (real.length) {
			net_render_resolv_from(files, real.data, out);
			return;
		}
	}
	net_render_resolv_from(files, text.data ? text.data : "", out);
}
