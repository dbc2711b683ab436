/*
 * user.c - who the container's process runs as, by the container's own files.
 *
 * /etc/passwd and /etc/group belong to the image: they are opened inside the root, where
 * links (images made by Nix have them) stay inside, must be regular files of at
 * most 10 MiB, and are read line by line with a bound. A number needs no entry; one
 * that does not fit is an error and never looked up as a name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"
#include "runtime/init.h"

/* ADDED: one bit each of a mask tells which were found. */
enum { FILE_LIMIT = 10 * 1024 * 1024, LINE_LIMIT = 64 * 1024, ADDED = 64 };

/* Reads a whole file of the container's; a missing one is empty. */
static int read_database(int root, const char *path, struct buf *out, struct err *e)
{
	auto_close int fd = fd_open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd == -ELOOP || fd == -EXDEV || fd == -EACCES)
		return 0; /* as if it were not there: nothing outside is read */
	if (fd < 0)
		return err_errno(e, fd, "cannot open the container's %s", path);
	if (fd_expect(fd, S_IFREG) < 0)
		return err_set(e, ERR_INVALID, 0, "the container's %s is not a regular file", path);
	int rc = fd_slurp(fd, FILE_LIMIT, out);
	if (rc == -EFBIG)
		return err_set(e, ERR_INVALID, 0, "the container's %s is larger than 10 MiB", path);
	if (rc < 0)
		return err_errno(e, rc, "cannot read the container's %s", path);
	return 0;
}

/* A whole decimal number from 0 to 2^32-2. Returns 1, 0 where text is no number at all,
 * -1 where it is one that does not fit. */
static int parse_id(const char *text, uint32_t *id)
{
	uint64_t value = 0;
	if (!*text)
		return 0;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return 0;
		value = value > UINT32_MAX ? value : value * 10 + (uint64_t)(*p - '0');
	}
	if (value >= UINT32_MAX)
		return -1;
	*id = (uint32_t)value;
	return 1;
}

/* Takes the next line out of *rest, without its newline; lines past the bound are skipped. */
static char *next_line(char **rest)
{
	while (*rest && **rest) {
		char *line = *rest;
		char *end = strchr(line, '\n');
		*rest = end ? end + 1 : line + strlen(line);
		if (end)
			*end = '\0';
		if (strlen(line) <= LINE_LIMIT)
			return line;
	}
	return NULL;
}

/* Splits at colons in place; fields that are missing are "". */
static void split(char *line, char **fields, size_t count)
{
	char *end = line + strlen(line);
	for (size_t i = 0; i < count; i++) {
		char *field = line ? strsep(&line, ":") : NULL;
		fields[i] = field ? field : end;
	}
}

static void add_group(struct user *user, gid_t gid)
{
	for (size_t i = 0; i < user->groups_count; i++)
		if (user->groups[i] == gid)
			return;
	if (user->groups_count < USER_GROUPS)
		user->groups[user->groups_count++] = gid;
}

static bool is_member(char *members, const char *name)
{
	for (char *member; (member = strsep(&members, ","));)
		if (!strcmp(member, name))
			return true;
	return false;
}

/* One pass over the group file: the primary group by name, memberships, groups to add. */
static int read_groups(char *text, const char *member, const char *group, const char *const *add,
	struct user *user, bool *group_found, uint64_t *add_found)
{
	for (char *line; (line = next_line(&text));) {
		char *fields[4];
		uint32_t gid;
		split(line, fields, 4);
		if (!*fields[0] || parse_id(fields[2], &gid) != 1)
			continue;
		if (group && !*group_found && !strcmp(fields[0], group)) {
			user->gid = gid;
			*group_found = true;
		}
		for (size_t i = 0; add && add[i] && i < ADDED; i++)
			if (!strcmp(add[i], fields[0])) {
				add_group(user, gid);
				*add_found |= UINT64_C(1) << i;
			}
		/* A group given by the user replaces what the group file says. */
		if (!group && member && is_member(fields[3], member))
			add_group(user, gid);
	}
	return 0;
}

int user_resolve(int root, const struct spec_user *wanted, struct user *user, struct err *e)
{
	const char *text = wanted->text ? wanted->text : "";
	auto_buf struct buf passwd = {0}, groups = {0};
	char name[256], member[256] = "";
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	const char *group = colon && colon[1] ? colon + 1 : NULL;
	uint32_t id = 0;

	*user = (struct user){.home = "/"};
	size_t added = 0;
	while (wanted->add_groups && wanted->add_groups[added])
		if (++added > ADDED)
			return err_set(e, ERR_INVALID, 0, "cannot add more than %d groups", ADDED);
	if (length >= sizeof name)
		return err_set(
			e, ERR_INVALID, 0, "cannot run as user \"%.64s…\": the name is too long", text);
	memcpy(name, text, length);
	name[length] = '\0';
	if (!length)
		memcpy(name, "0", 2);

	int number = parse_id(name, &id);
	if (number < 0)
		return err_set(
			e, ERR_INVALID, 0, "cannot run as user %s: uids go from 0 to 4294967294", name);
	if (read_database(root, "/etc/passwd", &passwd, e) < 0)
		return -1;
	bool found = false;
	char *rest = passwd.data;
	for (char *line; !found && (line = next_line(&rest));) {
		char *fields[7];
		uint32_t uid, gid;
		split(line, fields, 7);
		if (!*fields[0] || parse_id(fields[2], &uid) != 1 || parse_id(fields[3], &gid) != 1)
			continue;
		if (number ? uid != id : strcmp(fields[0], name) != 0)
			continue;
		found = true;
		user->uid = uid;
		user->gid = gid;
		snprintf(member, sizeof member, "%s", fields[0]);
		if (*fields[5])
			snprintf(user->home, sizeof user->home, "%s", fields[5]);
	}
	if (!found && !number) {
		err_set(e, ERR_INVALID, 0, "unable to find user %s: no matching entries in passwd file",
			name);
		return err_hint(
			e, "use a number, as in --user 1000, or a name that is in the image's /etc/passwd");
	}
	if (!found)
		user->uid = id;
	if (!found && id == 0)
		memcpy(user->home, "/root", sizeof "/root");

	bool group_found = false;
	const char *group_name = group;
	if (group) {
		uint32_t gid;
		int rc = parse_id(group, &gid);
		if (rc < 0)
			return err_set(e, ERR_INVALID, 0,
				"cannot run with group %s: gids go from 0 to 4294967294", group);
		if (rc > 0) {
			user->gid = gid;
			group_found = true;
			group_name = ""; /* stays non-NULL: memberships do not count, no entry matches */
		}
	}
	if (read_database(root, "/etc/group", &groups, e) < 0)
		return -1;
	uint64_t add_found = 0;
	read_groups(groups.data, *member ? member : NULL, group_name, wanted->add_groups, user, &group_found,
		&add_found);
	if (group && !group_found)
		return err_set(e, ERR_INVALID, 0,
			"unable to find group %s: no matching entries in group file", group);
	for (size_t i = 0; wanted->add_groups && wanted->add_groups[i] && i < ADDED; i++) {
		uint32_t gid;
		int rc = parse_id(wanted->add_groups[i], &gid);
		if (rc > 0)
			add_group(user, gid);
		else if (rc < 0 || !(add_found >> i & 1))
			return err_set(e, ERR_INVALID, 0,
				"unable to find group %s: no matching entries in group file",
				wanted->add_groups[i]);
	}
	/* Without it a process could shed the group's negative permissions. */
	add_group(user, user->gid);
	return 0;
}
