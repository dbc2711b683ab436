/*
 * arena.h - memory that is freed all at once.
 *
 * Documents and everything made for one request live in an arena. A zeroed struct
 * arena is ready to use. Memory comes zeroed, aligned to 16, in mappings of 64 KiB and
 * more, so that a freed arena is really given back: monitors stay small. Running
 * out of memory ends the program.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	char *next;
	size_t left; /* bytes */
};

/* size zeroed bytes; never NULL. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((malloc, returns_nonnull));
/* count elements of size bytes, zeroed; an overflow ends the program. */
void *arena_array(struct arena *arena, size_t count, size_t size) __attribute__((malloc, returns_nonnull));
char *arena_strdup(struct arena *arena, const char *text) __attribute__((returns_nonnull));
/* Copies length bytes and adds a NUL. */
char *arena_memdup(struct arena *arena, const void *bytes, size_t length) __attribute__((returns_nonnull));
char *arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));
char *arena_vprintf(struct arena *arena, const char *format, va_list ap)
	__attribute__((format(printf, 2, 0), returns_nonnull));
/* Gives everything back; the arena can be used again. */
void arena_free(struct arena *arena);

#define auto_arena             __attribute__((cleanup(arena_free)))
#define arena_new(arena, type) ((type *)arena_alloc((arena), sizeof(type)))

/* A list of strings in an arena that grows and always ends with NULL, as execve wants. */
struct strings {
	const char **items;
	size_t count;
	size_t room;
};

void strings_add(struct arena *arena, struct strings *list, const char *text);

#endif
