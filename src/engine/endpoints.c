/* endpoints.c - where a registry is reached. */
#include "engine/endpoints.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "engine/credentials.h"

enum { CERTIFICATES_MAX = 1 << 20, PATH_ROOM = 1024 };

bool endpoints_is_loopback(const char *domain)
{
	char host[256];
	struct in_addr v4;
	size_t length = domain[0] == '[' ? strcspn(domain, "]") + 1 : strcspn(domain, ":");

	if (length >= sizeof host)
		return false;
	memcpy(host, domain, length);
	host[length] = '\0';
	if (!strcmp(host, "localhost") || !strcmp(host, "[::1]"))
		return true;
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

/* Appends the folder's *.crt to out. A folder that is not there holds none. */
static int read_folder(const char *path, struct buf *out, struct err *e)
{
	auto_close int fd = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -EACCES || fd == -ENAMETOOLONG)
		return 0;
	if (fd < 0)
		return err_errno(e, fd, "cannot open %s", path);
	DIR *dir = fdopendir(fd);
	if (!dir)
		return err_errno(e, errno, "cannot read %s", path);
	steal_fd(&fd);
	int r = 0;
	for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
		size_t length = strlen(entry->d_name);
		if (length < 5 || strcmp(entry->d_name + length - 4, ".crt") != 0)
			continue;
		auto_close int file = fd_open(dirfd(dir), entry->d_name, O_RDONLY | O_NONBLOCK, 0);
		r = file < 0 ? file : fd_slurp(file, CERTIFICATES_MAX, out);
		if (r < 0)
			err_errno(e, r, "cannot read %s/%s", path, entry->d_name);
		buf_string(out, "\n");
	}
	closedir(dir);
	return r < 0 ? -1 : 0;
}

/* A memory file with the host's certificates of authorities, or -1 with *fd. */
static int find_certificates(const char *host, int *fd, struct err *e)
{
	static const char *const folders[] = {"/etc/docker/certs.d", "/etc/containers/certs.d"};
	auto_buf struct buf pem = {0};
	char path[PATH_ROOM];
	const char *home = getenv("HOME");

	*fd = -1;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		snprintf(path, sizeof path, "%s/%s", folders[i], host);
		if (read_folder(path, &pem, e) < 0)
			return -1;
	}
	if (home && *home) {
		snprintf(path, sizeof path, "%s/.config/docker/certs.d/%s", home, host);
		if (read_folder(path, &pem, e) < 0)
			return -1;
	}
	if (!pem.length)
		return 0;
	auto_close int memory = memfd_create("certificates", MFD_CLOEXEC);
	if (memory < 0)
		return err_errno(e, errno, "cannot make a memory file");
	int r = fd_write_full(memory, pem.data, pem.length);
	if (r < 0 || lseek(memory, 0, SEEK_SET) < 0)
		return err_errno(e, r < 0 ? r : errno, "cannot write a memory file");
	*fd = steal_fd(&memory);
	return 0;
}

/* Adds one way to a place ("host[:port][/prefix]"). */
static int add(struct endpoints *out, const char *scheme, const char *place, unsigned flags,
	const char *registry, struct err *e)
{
	char host[256];
	size_t length = strcspn(place, "/");

	if (out->setup.count == NET_ENDPOINTS)
		return err_set(e, ERR_INVALID, 0, "%s has too many mirrors", registry);
	if (length >= sizeof host)
		return err_set(e, ERR_INVALID, 0, "the name of the registry %s is too long", place);
	memcpy(host, place, length);
	host[length] = '\0';
	struct net_endpoint *p = &out->setup.endpoints[out->setup.count];
	if ((size_t)snprintf(p->base, sizeof p->base, "%s://%s", scheme, place) >= sizeof p->base)
		return err_set(e, ERR_INVALID, 0, "the name of the registry %s is too long", place);
	p->flags = flags;
	if (!out->own && credentials_find(flags & NET_ENDPOINT_MIRROR ? host : registry, p->user,
				 sizeof p->user, p->secret, sizeof p->secret, e) < 0)
		return -1;
	if (!strcmp(scheme, "https") && !(flags & NET_ENDPOINT_UNVERIFIED) &&
		find_certificates(flags & NET_ENDPOINT_MIRROR ? host : registry,
			&out->certificates[out->setup.count], e) < 0)
		return -1;
	out->setup.count++;
	return 0;
}

/* Adds a place by the schemes that it may be asked by. */
static int add_place(struct endpoints *out, const struct config *config, const char *place, unsigned flags,
	const char *registry, struct err *e)
{
	char host[256];
	snprintf(host, sizeof host, "%.*s", (int)strcspn(place, "/"), place);
	const struct config_registry *section =
		config_registry(config, flags & NET_ENDPOINT_MIRROR ? host : registry);

	if (endpoints_is_loopback(host)) {
		if (add(out, "http", place, flags | NET_ENDPOINT_OR_NEXT, registry, e) < 0)
			return -1;
		return add(out, "https", place,
			flags | (section && section->insecure ? NET_ENDPOINT_UNVERIFIED : 0), registry, e);
	}
	if (section && section->insecure) {
		if (add(out, "https", place, flags | NET_ENDPOINT_UNVERIFIED | NET_ENDPOINT_OR_NEXT, registry,
			    e) < 0)
			return -1;
		return add(out, "http", place, flags, registry, e);
	}
	return add(out, "https", place, flags, registry, e);
}

static int add_all(struct endpoints *out, const struct config *config, const char *domain, struct err *e)
{
	const struct config_registry *section = config_registry(config, domain);

	for (size_t i = 0; section && !out->own && i < section->mirrors.count; i++)
		if (add_place(out, config, section->mirrors.items[i], NET_ENDPOINT_MIRROR, domain, e) < 0)
			return -1;
	/* Docker Hub's registry has a name of its own. */
	return add_place(
		out, config, strcmp(domain, "docker.io") ? domain : "registry-1.docker.io", 0, domain, e);
}

static int find(
	struct endpoints *out, bool own, const struct config *config, const char *domain, struct err *e)
{
	memset(out, 0, sizeof *out);
	out->own = own;
	for (size_t i = 0; i < NET_ENDPOINTS; i++)
		out->certificates[i] = -1;
	if (strlen(domain) >= sizeof out->setup.registry)
		return err_set(e, ERR_INVALID, 0, "the name of the registry is too long");
	memcpy(out->setup.registry, domain, strlen(domain) + 1);
	snprintf(out->setup.user_agent, sizeof out->setup.user_agent, "brig/%s", BRIG_VERSION);
	if (add_all(out, config, domain, e) == 0)
		return 0;
	endpoints_free(out);
	return -1;
}

int endpoints_find(struct endpoints *out, const struct config *config, const char *domain, struct err *e)
{
	return find(out, false, config, domain, e);
}

int endpoints_find_own(struct endpoints *out, const struct config *config, const char *domain, struct err *e)
{
	return find(out, true, config, domain, e);
}

void endpoints_free(struct endpoints *endpoints)
{
	for (size_t i = 0; i < NET_ENDPOINTS; i++) {
		if (endpoints->certificates[i] >= 0)
			close_fd(&endpoints->certificates[i]);
		explicit_bzero(
			endpoints->setup.endpoints[i].secret, sizeof endpoints->setup.endpoints[i].secret);
	}
}
