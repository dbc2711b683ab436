/* test_sha256.c - known digests, and both ways of computing them against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/sha256.h"

static void digest(
	enum sha256_path path, const void *bytes, size_t size, size_t step, char out[SHA256_HEX_SIZE])
{
	struct sha256 sha;
	unsigned char raw[SHA256_SIZE];

	sha256_init(&sha);
	sha.path = path;
	for (size_t at = 0; at < size; at += step)
		sha256_update(&sha, (const char *)bytes + at, size - at < step ? size - at : step);
	sha256_final(&sha, raw);
	sha256_hex(raw, out);
}

/* NIST's examples, and the lengths on each side of where padding takes another block. */
static void known(void **state)
{
	static const struct {
		const char *text;
		size_t repeat;
		const char *hex;
	} rows[] = {
		{"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
		{"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
		{"a", 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
		{"a", 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
		{"a", 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t size = strlen(rows[i].text) * rows[i].repeat;
		char *bytes = malloc(size + 1), hex[SHA256_HEX_SIZE];
		for (size_t at = 0; at < size; at++)
			bytes[at] = rows[i].text[at % strlen(rows[i].text)];
		for (enum sha256_path path = SHA256_AUTO; path <= sha256_best_path(); path++) {
			digest(path, bytes, size, size + 1, hex);
			assert_string_equal(hex, rows[i].hex);
			digest(path, bytes, size, 7, hex);
			assert_string_equal(hex, rows[i].hex);
		}
		free(bytes);
	}
}

static void paths_agree(void **state)
{
	enum { SIZE = 70000 };
	char *bytes = malloc(SIZE), one[SHA256_HEX_SIZE], other[SHA256_HEX_SIZE];
	uint32_t random = 1;

	for (size_t i = 0; i < SIZE; i++) {
		random = random * 1103515245 + 12345;
		bytes[i] = (char)(random >> 16);
	}
	for (size_t size = 0; size <= SIZE; size = size < 300 ? size + 1 : size * 3 / 2) {
		for (size_t step = 1; step <= SIZE; step = step * 5 + 1) {
			/* An odd start, so that nothing is aligned. */
			digest(SHA256_PORTABLE, bytes + size % 3, size - size % 3, SIZE, one);
			digest(sha256_best_path(), bytes + size % 3, size - size % 3, step, other);
			assert_string_equal(one, other);
			digest(SHA256_AUTO, bytes + size % 3, size - size % 3, step, other);
			assert_string_equal(one, other);
		}
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),
		cmocka_unit_test(paths_agree),
	};
	return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
