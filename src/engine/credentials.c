/* credentials.c - who the user is at a registry. */
#include "engine/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/credential_helper.h"

enum { CONFIG_MAX = 1 << 20, PATH_ROOM = 4096 };

/* ---- what stands in a file ---- */

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

const char *credentials_server(const char *registry)
{
	return strcmp(registry, "docker.io") ? registry : "https://index.docker.io/v1/";
}

/* Whether a key of auths, or of credHelpers, means the registry. Older dockers wrote a scheme and a path. */
static bool means(const char *key, const char *registry)
{
	static const char *const paths[] = {"", "/", "/v1", "/v1/", "/v2", "/v2/"};
	size_t length = strlen(registry);

	if (!strcmp(registry, "docker.io"))
		return !strcmp(key, credentials_server(registry));
	if (!strncmp(key, "https://", 8))
		key += 8;
	else if (!strncmp(key, "http://", 7))
		key += 7;
	if (strncmp(key, registry, length) != 0)
		return false;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (!strcmp(key + length, paths[i]))
			return true;
	return false;
}

static const struct json *find_entry(const struct json *auths, const char *registry)
{
	json_for_each (entry, auths)
		if (entry->type == JSON_OBJECT && means(entry->key, registry))
			return entry;
	return NULL;
}

/* The helper for the registry, or NULL. */
static const char *find_helper(const struct json *root, const char *registry)
{
	json_for_each (entry, json_get_object(root, "credHelpers"))
		if (entry->type == JSON_STRING && *entry->string && means(entry->key, registry))
			return entry->string;
	const char *all = json_get_string(root, "credsStore");
	return all && *all ? all : NULL;
}

static int take(const char *text, char *out, size_t size)
{
	if (strlen(text) >= size)
		return -1;
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int from_auths(const struct json *root, const char *path, const char *registry, char *user,
	size_t user_size, char *secret, size_t secret_size, struct err *e)
{
	char pair[4096];
	const struct json *entry = find_entry(json_get_object(root, "auths"), registry);
	const char *auth = json_get_string(entry, "auth");
	const char *name = json_get_string(entry, "username"), *password = json_get_string(entry, "password");
	int r = 0;

	user[0] = secret[0] = '\0';
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
		return err_hint(e, "brig login %s", registry);
	}
	return 0;
}

int credentials_parse(const char *text, size_t length, const char *path, const char *registry, char *user,
	size_t user_size, char *secret, size_t secret_size, struct err *e)
{
	auto_arena struct arena arena = {0};
	const struct json *root = json_parse(&arena, text, length, path, e);

	user[0] = secret[0] = '\0';
	return root ? from_auths(root, path, registry, user, user_size, secret, secret_size, e) : -1;
}

/* ---- the files ---- */

/* Reads one: 1 with *mode, 0 where there is none, or -1. */
static int read_config(const char *path, struct buf *text, mode_t *mode, struct err *e)
{
	struct stat st;
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
	int r = fd_slurp(fd, CONFIG_MAX, text);
	if (r < 0)
		return err_errno(e, r, "cannot read %s", path);
	*mode = st.st_mode;
	return text->length != 0;
}

static int find_in(const char *path, const char *registry, char *user, size_t user_size, char *secret,
	size_t secret_size, struct err *e)
{
	auto_arena struct arena arena = {0};
	auto_buf struct buf text = {0};
	mode_t mode = 0;
	int r = read_config(path, &text, &mode, e);

	if (r <= 0)
		return r;
	const struct json *root = json_parse(&arena, text.data, text.length, path, e);
	if (!root)
		return -1;
	const char *helper = find_helper(root, registry);
	r = helper ? credential_helper_get(
			     helper, credentials_server(registry), user, user_size, secret, secret_size, e)
		   : 0;
	if (r == 0)
		r = from_auths(root, path, registry, user, user_size, secret, secret_size, e);
	explicit_bzero(text.data, text.length);
	if (r == 0 && user[0] && (mode & 077)) {
		explicit_bzero(secret, secret_size);
		user[0] = '\0';
		err_set(e, ERR_DENIED, 0, "%s holds passwords and can be read by others", path);
		return err_hint(e, "chmod 600 %s", path);
	}
	return r < 0 ? -1 : 0;
}

/* docker's folder, or false where nobody says where that is. */
static bool docker_folder(char path[PATH_ROOM])
{
	const char *folder = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	if (folder && *folder)
		return snprintf(path, PATH_ROOM, "%s", folder) < PATH_ROOM - 16;
	return home && *home && snprintf(path, PATH_ROOM, "%s/.docker", home) < PATH_ROOM - 16;
}

int credentials_find(
	const char *registry, char *user, size_t user_size, char *secret, size_t secret_size, struct err *e)
{
	char folder[PATH_ROOM], path[PATH_ROOM];
	const char *chosen = getenv("REGISTRY_AUTH_FILE"), *run = getenv("XDG_RUNTIME_DIR");
	const char *home = getenv("HOME");
	const struct {
		const char *folder, *name;
	} places[] = {
		{docker_folder(folder) ? folder : NULL, "/config.json"},
		{chosen && *chosen ? chosen : NULL, ""},
		{chosen && *chosen ? NULL : run, "/containers/auth.json"},
		{chosen && *chosen ? NULL : home, "/.config/containers/auth.json"},
	};

	user[0] = secret[0] = '\0';
	for (size_t i = 0; i < sizeof places / sizeof *places && !user[0]; i++) {
		if (!places[i].folder || !*places[i].folder ||
			snprintf(path, sizeof path, "%s%s", places[i].folder, places[i].name) >= PATH_ROOM)
			continue;
		if (find_in(path, registry, user, user_size, secret, secret_size, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- login and logout ---- */

/* config.json as it is, under a lock on its folder. */
struct editing {
	char path[PATH_ROOM];
	int folder;
	struct buf text;
	const struct json *root; /* NULL: there is none */
};

static void end_editing(struct editing *ed)
{
	close_fd(&ed->folder);
	if (ed->text.data)
		explicit_bzero(ed->text.data, ed->text.length);
	buf_free(&ed->text);
}

static int begin_editing(struct editing *ed, struct arena *arena, bool make, struct err *e)
{
	char folder[PATH_ROOM];
	struct stat st;

	*ed = (struct editing){.folder = -1};
	if (!docker_folder(folder))
		return err_set(e, ERR_INVALID, 0, "neither DOCKER_CONFIG nor HOME says where config.json is");
	snprintf(ed->path, sizeof ed->path, "%.4000s/config.json", folder);
	ed->folder = make ? fd_open_dir_made(AT_FDCWD, folder, 0700)
			  : fd_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
	if (ed->folder < 0)
		return !make && ed->folder == -ENOENT ? 0
						      : err_errno(e, ed->folder, "cannot open %s", folder);
	while (flock(ed->folder, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_errno(e, errno, "cannot lock %s", folder);
	if (fstatat(ed->folder, "config.json", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "cannot read %s", ed->path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_DENIED, 0, "%s is no file but a link or the like, which is left alone",
			ed->path);
	int rc = fd_read_file(ed->folder, "config.json", CONFIG_MAX, &ed->text);
	if (rc < 0)
		return err_errno(e, rc, "cannot read %s", ed->path);
	if (!ed->text.length)
		return 0;
	ed->root = json_parse(arena, ed->text.data, ed->text.length, ed->path, e);
	return ed->root ? 0 : -1;
}

/* Writes it with another entry for the registry in auths, or with none where auth is NULL and keep false. */
static int write_config(struct editing *ed, const char *registry, const char *auth, bool keep, struct err *e)
{
	auto_buf struct buf out = {0};
	struct json_writer w = {.out = &out, .indent = 4};
	const struct json *auths = json_get_object(ed->root, "auths");

	json_begin_object(&w, NULL);
	json_begin_object(&w, "auths");
	json_for_each (entry, auths)
		if (!means(entry->key, registry))
			json_put_tree(&w, entry->key, entry);
	if (keep) {
		json_begin_object(&w, credentials_server(registry));
		if (auth)
			json_put_string(&w, "auth", auth);
		json_end_object(&w);
	}
	json_end_object(&w);
	json_for_each (member, ed->root)
		if (strcmp(member->key, "auths") != 0)
			json_put_tree(&w, member->key, member);
	json_end_object(&w);
	buf_string(&out, "\n");
	int rc = fd_replace(ed->folder, "config.json", out.data, out.length, 0600, true);
	explicit_bzero(out.data, out.length);
	return rc < 0 ? err_errno(e, rc, "cannot write %s", ed->path) : 0;
}

int credentials_store(struct arena *arena, const char *registry, const char *user, const char *secret,
	struct credentials_place *place, struct err *e)
{
	struct editing ed;
	auto_buf struct buf pair = {0}, auth = {0};
	int rc = begin_editing(&ed, arena, true, e);

	if (rc == 0) {
		place->path = arena_strdup(arena, ed.path);
		place->helper = find_helper(ed.root, registry);
		if (place->helper) {
			place->helper = arena_strdup(arena, place->helper);
			rc = credential_helper_store(
				place->helper, credentials_server(registry), user, secret, e);
			/* That somebody is logged in there, without the secret, as docker. */
			if (rc == 0)
				rc = write_config(&ed, registry, NULL, true, e);
		} else {
			buf_printf(&pair, "%s:%s", user, secret);
			base64_encode(&auth, pair.data, pair.length);
			buf_append(&auth, "", 1);
			rc = write_config(&ed, registry, auth.data, true, e);
			explicit_bzero(pair.data, pair.length);
			explicit_bzero(auth.data, auth.length);
		}
	}
	end_editing(&ed);
	return rc;
}

int credentials_erase(struct arena *arena, const char *registry, struct err *e)
{
	struct editing ed;
	int rc = begin_editing(&ed, arena, false, e), had = 0;

	if (rc == 0 && ed.root) {
		const char *helper = find_helper(ed.root, registry);
		had = find_entry(json_get_object(ed.root, "auths"), registry) != NULL;
		rc = helper ? credential_helper_erase(helper, credentials_server(registry), e) : 0;
		had = had || rc > 0;
		if (rc >= 0 && had)
			rc = write_config(&ed, registry, NULL, false, e);
	}
	end_editing(&ed);
	return rc < 0 ? -1 : had;
}
