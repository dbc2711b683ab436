/* credentials.c - what the user has given to `docker login`. */
#include "engine/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"

enum { CONFIG_MAX = 1 << 20, PATH_ROOM = 4096 };

static int value_of_letter(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Bytes of a base64 text, as a string; -1 where it is malformed, has a NUL, or is too long. */
static int decode_base64(const char *text, char *out, size_t size)
{
	unsigned bits = 0, held = 0;
	size_t at = 0;

	for (; *text && *text != '='; text++) {
		int v = value_of_letter(*text);
		if (v < 0)
			return -1;
		bits = bits << 6 | (unsigned)v;
		held += 6;
		if (held >= 8) {
			held -= 8;
			char c = (char)(bits >> held & 0xff);
			if (!c || at + 1 >= size)
				return -1;
			out[at++] = c;
		}
	}
	if (strspn(text, "=") != strlen(text))
		return -1;
	out[at] = '\0';
	return 0;
}

/* The entry of auths for the registry. docker writes Hub's under the address of its first
 * version, and older ones wrote others with a scheme and a path. */
static const struct json *find_entry(const struct json *auths, const char *registry)
{
	bool hub = !strcmp(registry, "docker.io");
	size_t length = strlen(registry);

	if (hub)
		return json_get_object(auths, "https://index.docker.io/v1/");
	json_for_each (entry, auths) {
		const char *key = entry->key;
		if (!strncmp(key, "https://", 8))
			key += 8;
		else if (!strncmp(key, "http://", 7))
			key += 7;
		if (!strncmp(key, registry, length) && (!key[length] || key[length] == '/') &&
			entry->type == JSON_OBJECT)
			return entry;
	}
	return NULL;
}

static int take(const char *text, char *out, size_t size)
{
	if (strlen(text) >= size)
		return -1;
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

int credentials_parse(const char *text, size_t length, const char *path, const char *registry, char *user,
	size_t user_size, char *secret, size_t secret_size, struct err *e)
{
	auto_arena struct arena arena = {0};
	char pair[4096];

	user[0] = secret[0] = '\0';
	const struct json *root = json_parse(&arena, text, length, path, e);
	if (!root)
		return -1;
	const struct json *entry = find_entry(json_get_object(root, "auths"), registry);
	const char *auth = json_get_string(entry, "auth");
	const char *name = json_get_string(entry, "username"), *password = json_get_string(entry, "password");
	int r = 0;
	if (auth && *auth) {
		r = decode_base64(auth, pair, sizeof pair);
		char *colon = r == 0 ? strchr(pair, ':') : NULL;
		if (colon) {
			*colon = '\0';
			r = take(pair, user, user_size) < 0 || take(colon + 1, secret, secret_size) < 0 ? -1
													: 0;
		} else {
			r = -1;
		}
		explicit_bzero(pair, sizeof pair);
	} else if (name && *name && password) {
		r = take(name, user, user_size) < 0 || take(password, secret, secret_size) < 0 ? -1 : 0;
	}
	if (r < 0) {
		user[0] = secret[0] = '\0';
		err_set(e, ERR_INVALID, 0, "%s: the credentials for %s are malformed", path, registry);
		return err_hint(e, "docker login %s", registry);
	}
	return 0;
}

int credentials_find(
	const char *registry, char *user, size_t user_size, char *secret, size_t secret_size, struct err *e)
{
	char path[PATH_ROOM];
	const char *folder = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	auto_buf struct buf text = {0};
	struct stat st;
	int r;

	user[0] = secret[0] = '\0';
	if (folder && *folder)
		snprintf(path, sizeof path, "%s/config.json", folder);
	else if (home && *home)
		snprintf(path, sizeof path, "%s/.docker/config.json", home);
	else
		return 0;
	auto_close int fd = fd_open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -EACCES)
		return 0;
	if (fd == -ELOOP) {
		log_warning("%s is a link, which is not followed: going on without credentials", path);
		return 0;
	}
	if (fd < 0)
		return err_errno(e, fd, "cannot read %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, 0, "%s is not a file", path);
	r = fd_slurp(fd, CONFIG_MAX, &text);
	if (r < 0)
		return err_errno(e, r, "cannot read %s", path);
	if (!text.length)
		return 0;
	r = credentials_parse(
		text.data, text.length, path, registry, user, user_size, secret, secret_size, e);
	explicit_bzero(text.data, text.length);
	if (r == 0 && user[0] && (st.st_mode & 077)) {
		explicit_bzero(secret, secret_size);
		user[0] = '\0';
		err_set(e, ERR_DENIED, 0, "%s holds passwords and can be read by others", path);
		return err_hint(e, "chmod 600 %s", path);
	}
	return r;
}
