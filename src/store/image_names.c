/* image_names.c - the file images/names: which names there are, and what a text means. */
#include "store/image_names.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/fd.h"

enum { NAMES_LIMIT = 64 << 20, ID_LENGTH = 64 };

static const char heading[] = "brig names 1\n";

static bool is_hex(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return true;
}

static int damaged(const struct store *store, size_t line, struct err *e)
{
	err_set(e, ERR_CORRUPT, 0, "the list of image names %s/images/names is damaged at line %zu",
		store->path, line);
	return err_hint(
		e, "mend or delete that file: images then keep their ids and serials, and lose their tags");
}

static enum image_name_kind kind_of(const char *name)
{
	return reference_is_serial(name) ? IMAGE_NAME_SERIAL
	       : strchr(name, '@')       ? IMAGE_NAME_DIGEST
					 : IMAGE_NAME_TAG;
}

static struct image_name *add_entry(struct image_names *names)
{
	if (!names->items || names->count == names->room) {
		size_t room = !names->room ? 64 : names->items ? names->room * 2 : names->room;
		struct image_name *items = arena_array(&names->arena, room, sizeof *items);
		if (names->count)
			memcpy(items, names->items, names->count * sizeof *items);
		names->items = items;
		names->room = room;
	}
	return &names->items[names->count++];
}

/* One line without its end: true where it is what image.h says. */
static bool parse_line(struct image_names *names, char *line, size_t length)
{
	char *tab = memchr(line, '\t', length);

	if (!tab || tab == line || memchr(line, '\0', length))
		return false;
	for (char *p = line; p < tab; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return false;
	char *id = tab + 1, *end = line + length;
	if (end - id <= ID_LENGTH + 1 || id[ID_LENGTH] != '\t' || !is_hex(id, ID_LENGTH))
		return false;
	char *number = id + ID_LENGTH + 1, *number_end;
	*tab = '\0';
	*end = '\0'; /* the line's end, or the buffer's NUL */
	errno = 0;
	long long when = strtoll(number, &number_end, 10);
	if (number_end == number || *number_end || errno || isspace((unsigned char)*number))
		return false;
	struct image_name *entry = add_entry(names);
	entry->name = line;
	entry->kind = kind_of(line);
	entry->when = when;
	memcpy(entry->id, id, ID_LENGTH);
	entry->id[ID_LENGTH] = '\0';
	return true;
}

size_t image_names_parse(struct image_names *names, const char *bytes, size_t length)
{
	size_t head = sizeof heading - 1, line = 1;

	if (length < head || memcmp(bytes, heading, head) != 0)
		return line;
	/* A line has some 90 bytes: most often this is room for all, and one more. */
	names->room = length / 80 + 16;
	char *at = arena_memdup(&names->arena, bytes + head, length - head);
	char *end = at + length - head;
	while (at < end) {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		line++;
		if (!newline || !parse_line(names, at, (size_t)(newline - at)))
			return line;
		at = newline + 1;
	}
	return 0;
}

int image_names_load(struct store *store, struct image_names *names, struct err *e)
{
	auto_buf struct buf file = {0};

	*names = (struct image_names){0};
	int folder = store_folder(store, STORE_IMAGES, e);
	if (folder < 0)
		return e->kind == ERR_NOT_FOUND ? 0 : -1;
	int rc = fd_read_file(folder, "names", NAMES_LIMIT, &file);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_errno(e, rc, "cannot read the list of image names %s/images/names", store->path);
	size_t line = image_names_parse(names, file.data ? file.data : "", file.length);
	if (line) {
		image_names_free(names);
		return damaged(store, line, e);
	}
	return 0;
}

int image_names_map(struct store *store, struct image_names *names, struct err *e)
{
	struct stat st;
	int rc = 0;

	*names = (struct image_names){0};
	int folder = store_folder(store, STORE_IMAGES, e);
	if (folder < 0)
		return e->kind == ERR_NOT_FOUND ? 0 : -1;
	auto_close int fd = fd_open(folder, "names", O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		rc = fd;
	else if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size > NAMES_LIMIT)
		rc = -EINVAL;
	if (rc < 0)
		return err_errno(e, rc, "cannot read the list of image names %s/images/names", store->path);
	size_t length = (size_t)st.st_size, head = sizeof heading - 1;
	if (length < head)
		return damaged(store, 1, e);
	/* It is replaced, never written in place: what is mapped does not change. */
	void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (bytes == MAP_FAILED)
		return err_errno(
			e, errno, "cannot read the list of image names %s/images/names", store->path);
	names->mapped = bytes;
	names->mapped_length = length;
	if (memcmp(bytes, heading, head) != 0) {
		image_names_free(names);
		return damaged(store, 1, e);
	}
	return 0;
}

/* The line (1 is the heading) that position stands in. */
static size_t line_number(const struct image_names *names, const char *position)
{
	size_t line = 1;
	for (const char *at = names->mapped; (at = memchr(at, '\n', (size_t)(position - at))); at++)
		line++;
	return line;
}

int image_names_take(struct store *store, struct image_names *names, const char *id, struct err *e)
{
	char wanted[ID_LENGTH + 3];
	const char *at = names->mapped, *end = at + names->mapped_length;
	size_t length = (size_t)snprintf(wanted, sizeof wanted, "\t%.64s\t", id);

	while (at && (at = memmem(at, (size_t)(end - at), wanted, length))) {
		const char *start = at, *newline = memchr(at, '\n', (size_t)(end - at));
		while (start[-1] != '\n') /* the heading ends with one */
			start--;
		size_t size = newline ? (size_t)(newline - start) : 0;
		if (!newline || !parse_line(names, arena_memdup(&names->arena, start, size), size))
			return damaged(store, line_number(names, start), e);
		at = newline;
	}
	return 0;
}

int image_names_save(struct store *store, const struct image_names *names, struct err *e)
{
	auto_buf struct buf file = {0};
	int folder = store_folder(store, STORE_IMAGES, e);

	if (folder < 0)
		return -1;
	buf_reserve(&file, 64 + names->count * 100);
	buf_string(&file, heading);
	for (size_t i = 0; i < names->count; i++)
		buf_printf(&file, "%s\t%s\t%lld\n", names->items[i].name, names->items[i].id,
			(long long)names->items[i].when);
	int rc = fd_replace(folder, "names", file.data, file.length, 0600, true);
	if (rc < 0)
		return err_errno(e, rc, "cannot write the list of image names %s/images/names", store->path);
	return 0;
}

void image_names_free(struct image_names *names)
{
	arena_free(&names->arena);
	if (names->mapped)
		munmap((void *)(uintptr_t)names->mapped, names->mapped_length);
	*names = (struct image_names){0};
}

struct image_name *image_names_get(const struct image_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->items[i].name, name))
			return &names->items[i];
	return NULL;
}

const struct image_name *image_names_serial(const struct image_names *names, const char *id)
{
	for (size_t i = 0; i < names->count; i++)
		if (names->items[i].kind == IMAGE_NAME_SERIAL && !strcmp(names->items[i].id, id))
			return &names->items[i];
	return NULL;
}

void image_names_set(struct image_names *names, const char *name, const char *id, int64_t when)
{
	struct image_name *entry = image_names_get(names, name);

	if (!entry) {
		entry = add_entry(names);
		entry->name = arena_strdup(&names->arena, name);
		entry->kind = kind_of(name);
	}
	snprintf(entry->id, sizeof entry->id, "%.64s", id);
	entry->when = when;
}

void image_names_drop(struct image_names *names, const char *name)
{
	struct image_name *entry = image_names_get(names, name);

	if (!entry)
		return;
	size_t after = names->count - (size_t)(entry - names->items) - 1;
	memmove(entry, entry + 1, after * sizeof *entry);
	names->count--;
}

/* One of the numbers from low to high that no serial has, each as likely; 0 where all are taken. */
static unsigned free_number(const struct image_names *names, unsigned low, unsigned high)
{
	unsigned range = high - low + 1, left = range;
	auto_free unsigned char *taken = calloc(range, 1);
	uint64_t random;

	if (!taken)
		return 0;
	for (size_t i = 0; i < names->count; i++) {
		if (names->items[i].kind != IMAGE_NAME_SERIAL ||
			strncmp(names->items[i].name, "img_", 4) != 0)
			continue;
		unsigned long number = strtoul(names->items[i].name + 4, NULL, 10);
		if (number >= low && number <= high && !taken[number - low]) {
			taken[number - low] = 1;
			left--;
		}
	}
	if (!left)
		return 0;
	fd_random(&random, sizeof random);
	unsigned skip = (unsigned)(random % left), number = low;
	while (taken[number - low] || skip--)
		number++;
	return number;
}

int image_names_new_serial(const struct image_names *names, char serial[IMAGE_SERIAL], struct err *e)
{
	unsigned number = free_number(names, 10000, 99999);

	if (!number)
		number = free_number(names, 100000, 999999);
	if (!number)
		return err_set(
			e, ERR_NO_SPACE, 0, "there is no free image number: the store holds too many images");
	snprintf(serial, IMAGE_SERIAL, "img_%u", number);
	return 0;
}

/* The id behind a name, to id. */
static bool lookup(const struct image_names *names, const char *name, char id[65])
{
	if (!names->mapped) {
		const struct image_name *entry = image_names_get(names, name);
		if (entry)
			memcpy(id, entry->id, sizeof entry->id);
		return entry;
	}
	auto_buf struct buf wanted = {0};
	buf_printf(&wanted, "\n%s\t", name);
	const char *end = names->mapped + names->mapped_length;
	const char *at = memmem(names->mapped, names->mapped_length, wanted.data, wanted.length);
	if (!at)
		return false;
	at += wanted.length;
	if (end - at <= ID_LENGTH || !is_hex(at, ID_LENGTH))
		return false;
	memcpy(id, at, ID_LENGTH);
	id[ID_LENGTH] = '\0';
	return true;
}

/* Image ids that begin with digits: how many, the first to id. */
static size_t count_prefix(const struct image_names *names, const char *digits, char id[65])
{
	size_t length = strlen(digits), found = 0;

	for (size_t i = 0; i < names->count; i++) {
		if (names->items[i].kind != IMAGE_NAME_SERIAL ||
			strncmp(names->items[i].id, digits, length) != 0)
			continue;
		if (!found++)
			memcpy(id, names->items[i].id, sizeof names->items[i].id);
	}
	if (!names->mapped)
		return found;
	const char *end = names->mapped + names->mapped_length, *at = names->mapped;
	while ((at = memmem(at, (size_t)(end - at), "\nimg_", 5))) {
		const char *newline = memchr(at + 1, '\n', (size_t)(end - at - 1));
		const char *tab = newline ? memchr(at, '\t', (size_t)(newline - at)) : NULL;
		if (!newline)
			break;
		at = newline;
		if (!tab || newline - tab <= ID_LENGTH + 1 || memcmp(tab + 1, digits, length) != 0 ||
			!is_hex(tab + 1, ID_LENGTH))
			continue;
		if (!found++)
			snprintf(id, 65, "%.64s", tab + 1);
	}
	return found;
}

int image_names_resolve(const struct image_names *names, const char *text, char id[65], struct err *e)
{
	auto_arena struct arena arena = {0};
	struct reference reference;
	const char *digits = !strncmp(text, "sha256:", 7) ? text + 7 : text;
	size_t length = strlen(digits);
	bool hex = length && length <= ID_LENGTH && is_hex(digits, length);
	bool named = false;

	if (hex && length == ID_LENGTH) {
		/* The record may be there without a line: whoever reads it will see. */
		memcpy(id, digits, ID_LENGTH + 1);
		return 0;
	}
	if (reference_is_serial(text))
		named = lookup(names, text, id);
	if (!named) {
		if (reference_parse(&arena, text, &reference, e) < 0)
			return -1;
		reference_default_tag(&reference);
		struct reference wanted = reference;
		if (wanted.digest)
			wanted.tag = NULL;
		named = lookup(names, reference_full(&arena, &wanted), id);
	}
	if (named)
		return 0;
	char first[65];
	size_t found = hex ? count_prefix(names, digits, first) : 0;
	if (found == 1) {
		memcpy(id, first, sizeof first);
		return 0;
	}
	if (reference_is_serial(text))
		return err_set(e, ERR_NOT_FOUND, 0, "No such image: %s", text);
	err_set(e, ERR_NOT_FOUND, 0, "No such image: %s", reference_familiar(&arena, &reference));
	if (found > 1)
		err_hint(e, "the ids of %zu images begin with %s: give more of its digits", found, digits);
	return -1;
}
