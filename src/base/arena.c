/* arena.c - memory that is freed all at once. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CHUNK = 64 * 1024, ALIGN = 16 };

struct arena_chunk {
	struct arena_chunk *before;
	size_t size; /* of the mapping */
};

static void out_of_memory(void)
{
	fputs("brig: out of memory\n", stderr);
	abort();
}

void *arena_alloc(struct arena *arena, size_t size)
{
	if (size > SIZE_MAX / 2)
		out_of_memory();
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (size > arena->left) {
		size_t head = (sizeof(struct arena_chunk) + ALIGN - 1) & ~(size_t)(ALIGN - 1);
		size_t want = (head + size + CHUNK - 1) & ~(size_t)(CHUNK - 1);
		/* Who fills one chunk fills the next: its pages at once cost less than one by one. */
		int flags = MAP_PRIVATE | MAP_ANONYMOUS | (arena->chunks ? MAP_POPULATE : 0);
		struct arena_chunk *chunk = mmap(NULL, want, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (chunk == MAP_FAILED)
			out_of_memory();
		*chunk = (struct arena_chunk){.before = arena->chunks, .size = want};
		arena->chunks = chunk;
		arena->next = (char *)chunk + head;
		arena->left = want - head;
	}
	void *taken = arena->next;
	arena->next += size;
	arena->left -= size;
	return taken;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		out_of_memory();
	return arena_alloc(arena, bytes);
}

char *arena_memdup(struct arena *arena, const void *bytes, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);
	if (length)
		memcpy(copy, bytes, length);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_memdup(arena, text, strlen(text));
}

char *arena_vprintf(struct arena *arena, const char *format, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length < 0)
		out_of_memory();
	char *text = arena_alloc(arena, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, ap);
	return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	char *text = arena_vprintf(arena, format, ap);
	va_end(ap);
	return text;
}

void arena_free(struct arena *arena)
{
	for (struct arena_chunk *chunk = arena->chunks, *before; chunk; chunk = before) {
		before = chunk->before;
		munmap(chunk, chunk->size);
	}
	*arena = (struct arena){0};
}

void strings_add(struct arena *arena, struct strings *list, const char *text)
{
	if (list->count + 2 > list->room) {
		size_t room = list->room ? list->room * 2 : 8;
		const char **items = arena_array(arena, room, sizeof *items);
		if (list->count)
			memcpy(items, list->items, list->count * sizeof *items);
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = text;
	list->items[list->count] = NULL;
}
