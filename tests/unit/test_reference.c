/* test_reference.c - image names, digests and platforms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oci/digest.h"
#include "oci/platform.h"
#include "oci/reference.h"

#define HEX64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA256 "sha256:" HEX64
#define SHA512 "sha512:" HEX64 HEX64
#define X50    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X128   X50 X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X250   X50 X50 X50 X50 X50

static void test_accepts(void **state)
{
	(void)state;
	static const struct {
		const char *text, *domain, *path, *tag, *digest, *familiar;
	} rows[] = {
		{"debian", "docker.io", "library/debian", NULL, NULL, "debian"},
		{"debian:12", "docker.io", "library/debian", "12", NULL, "debian:12"},
		{"library/debian", "docker.io", "library/debian", NULL, NULL, "debian"},
		{"docker.io/debian", "docker.io", "library/debian", NULL, NULL, "debian"},
		{"docker.io/library/debian:12", "docker.io", "library/debian", "12", NULL, "debian:12"},
		{"index.docker.io/debian", "docker.io", "library/debian", NULL, NULL, "debian"},
		{"a/b", "docker.io", "a/b", NULL, NULL, "a/b"},
		{"library/a/b", "docker.io", "library/a/b", NULL, NULL, "library/a/b"},
		{"host:5000/a/b:tag@" SHA256, "host:5000", "a/b", "tag", SHA256, "host:5000/a/b:tag@" SHA256},
		{"localhost/x", "localhost", "x", NULL, NULL, "localhost/x"},
		{"localhost:5000/x/y:z", "localhost:5000", "x/y", "z", NULL, "localhost:5000/x/y:z"},
		{"Host/x", "Host", "x", NULL, NULL, "Host/x"},
		{"127.0.0.1:5000/x", "127.0.0.1:5000", "x", NULL, NULL, "127.0.0.1:5000/x"},
		{"[::1]:5000/x", "[::1]:5000", "x", NULL, NULL, "[::1]:5000/x"},
		{"[fe80::1]/x", "[fe80::1]", "x", NULL, NULL, "[fe80::1]/x"},
		{"quay.io/a_b/c__d/e--f.g:V1_.-x", "quay.io", "a_b/c__d/e--f.g", "V1_.-x", NULL,
			"quay.io/a_b/c__d/e--f.g:V1_.-x"},
		{"docker.io/quay.io/x", "docker.io", "quay.io/x", NULL, NULL, "docker.io/quay.io/x"},
		{"docker.io/localhost/x", "docker.io", "localhost/x", NULL, NULL, "docker.io/localhost/x"},
		{"docker.io/local/x", "docker.io", "local/x", NULL, NULL, "local/x"},
		{"foo:5000", "docker.io", "library/foo", "5000", NULL, "foo:5000"},
		{"x:" X128, "docker.io", "library/x", X128, NULL, "x:" X128},
		{"x@" SHA512, "docker.io", "library/x", NULL, SHA512, "x@" SHA512},
		{"h.example/" X250 "xxxxx", "h.example", X250 "xxxxx", NULL, NULL, "h.example/" X250 "xxxxx"},
		{"0123456789abcdef", "docker.io", "library/0123456789abcdef", NULL, NULL, "0123456789abcdef"},
		{"img_12345", "docker.io", "library/img_12345", NULL, NULL, "img_12345"},
		{"sha256:abc", "docker.io", "library/sha256", "abc", NULL, "sha256:abc"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena = {0};
		struct reference r, again;
		struct err e = {0};
		if (reference_parse(&arena, rows[i].text, &r, &e) < 0)
			fail_msg("%s: %s", rows[i].text, e.what);
		assert_string_equal(r.domain, rows[i].domain);
		assert_string_equal(r.path, rows[i].path);
		assert_string_equal(r.tag ? r.tag : "-", rows[i].tag ? rows[i].tag : "-");
		assert_string_equal(r.digest ? r.digest : "-", rows[i].digest ? rows[i].digest : "-");
		assert_string_equal(reference_familiar(&arena, &r), rows[i].familiar);
		/* Both forms read back as the same. */
		const char *full = reference_full(&arena, &r);
		assert_int_equal(reference_parse(&arena, full, &again, &e), 0);
		assert_string_equal(reference_full(&arena, &again), full);
		assert_int_equal(reference_parse(&arena, rows[i].familiar, &again, &e), 0);
		assert_string_equal(reference_full(&arena, &again), full);
		arena_free(&arena);
	}
}

static void test_refuses(void **state)
{
	(void)state;
	static const char format[] = "invalid reference format";
	static const struct {
		const char *text, *what;
	} rows[] = {
		{"", format},
		{"bad image", format},
		{"a:b:c", format},
		{"ref/a:.x", format},
		{"ref/a:", format},
		{":x", format},
		{"/x", format},
		{"x/", format},
		{"a//b", format},
		{"a/../b", format},
		{"../b", format},
		{".", format},
		{"..", format},
		{"-a", format},
		{"a-", format},
		{"a_", format},
		{"a___b", format},
		{"a..b", format},
		{"a._b", format},
		{"a\nb", format},
		{"a\xc3\xa9", format},
		{"x:" X128 "x", format},
		{"x@", format},
		{"x@sha256", format},
		{"x@sha256:abc", format},
		{"x@sha256:" HEX64 "@x", format},
		{"host.:5000/x", format},
		{"-host.example/x", format},
		{"host:/x", format},
		{"host:5x/x", format},
		{"a_b.c/x", format},
		{"[::1/x", format},
		{"[]/x", format},
		{"http://x/y", format},
		{"x;rm", format},
		{"BUSYBOX", "invalid reference format: repository name (library/BUSYBOX) must be lowercase"},
		{"Ref/B", "invalid reference format: repository name (B) must be lowercase"},
		{"BAD:::", "invalid reference format: repository name (library/BAD) must be lowercase"},
		{"B\x1b[1m",
			"invalid reference format: repository name (library/B\\x1b[1m) must be lowercase"},
		{HEX64, "invalid repository name (" HEX64 "), cannot specify 64-byte hexadecimal strings"},
		{"h.example/" X250 "xxxxxx",
			"invalid reference format: repository name must not be more than 255 "
			"characters"},
		{"x@md5:" HEX64, "unsupported digest algorithm: md5:" HEX64},
		{"x@sha256:" HEX64 "00", "invalid checksum digest length: sha256:" HEX64 "00"},
		{"x@sha256:A123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			"invalid checksum digest format: "
			"sha256:A123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena = {0};
		struct reference r = {.path = "untouched"};
		struct err e = {0};
		if (reference_parse(&arena, rows[i].text, &r, &e) == 0)
			fail_msg("accepted: %s", rows[i].text);
		assert_string_equal(e.what, rows[i].what);
		assert_int_equal(e.kind, ERR_INVALID);
		assert_string_equal(r.path, "untouched");
		arena_free(&arena);
	}
}

static void test_new_names(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int rc;
	} rows[] = {
		{"img_1", -1},
		{"img_12345", -1},
		{"ps_42", -1},
		{"docker.io/library/img_1:x", -1},
		{"img_", 0},
		{"img_x1", 0},
		{"img_1x", 0},
		{"me/img_1", 0},
		{"localhost/img_1", 0},
		{"img1", 0},
		{"ps_1a", 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena = {0};
		struct reference r;
		struct err e = {0};
		/* "img_" alone is not in the grammar; what is tested is the check. */
		if (reference_parse(&arena, rows[i].text, &r, &e) == 0)
			assert_int_equal(reference_check_new(&r, &e), rows[i].rc);
		arena_free(&arena);
	}
	struct reference plain = {.tag = NULL}, digested = {.digest = SHA256}, tagged = {.tag = "1"};
	reference_default_tag(&plain);
	reference_default_tag(&digested);
	reference_default_tag(&tagged);
	assert_string_equal(plain.tag, "latest");
	assert_null(digested.tag);
	assert_string_equal(tagged.tag, "1");
}

static void test_digests(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool valid;
	} rows[] = {
		{SHA256, true},
		{SHA512, true},
		{"sha256:" HEX64 "0", false},
		{"sha256:", false},
		{"", false},
		{"sha512:" HEX64, false},
		{"SHA256:" HEX64, false},
		{"sha256-" HEX64, false},
		{HEX64, false},
		{"sha256:../456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", false},
		{"sha384:" HEX64, false},
		{"sha256:" HEX64 "\n", false},
		{"sha256:g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct oci_digest d = {0};
		struct err e = {0};
		assert_int_equal(oci_digest_valid(rows[i].text), rows[i].valid);
		assert_int_equal(oci_digest_parse(rows[i].text, &d, &e), rows[i].valid ? 0 : -1);
		assert_string_equal(d.text, rows[i].valid ? rows[i].text : "");
	}
	/* sha256sum of nothing and of "abc" */
	struct oci_digest d, chain;
	oci_digest_of("", 0, &d);
	assert_string_equal(
		d.text, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	oci_chain_id(NULL, &d, &chain);
	assert_true(oci_digest_equal(&d, &chain));
	oci_digest_of("abc", 3, &d);
	assert_string_equal(
		oci_digest_hex(&d), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	oci_chain_id(&chain, &d, &chain);
	/* printf '%s' 'sha256:e3b0… sha256:ba78…' | sha256sum */
	struct oci_digest expected;
	static const char both[] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 "
				   "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	oci_digest_of(both, sizeof both - 1, &expected);
	assert_string_equal(chain.text, expected.text);
}

static void test_platforms(void **state)
{
	(void)state;
	struct oci_platform host;
	char host_text[OCI_PLATFORM_TEXT];
	oci_platform_host(&host);
	oci_platform_format(host_text, &host);
	const struct {
		const char *text, *is;
	} rows[] = {
		{"linux/amd64", "linux/amd64"},
		{"linux/arm64/v8", "linux/arm64"},
		{"linux/arm64", "linux/arm64"},
		{"amd64", "linux/amd64"},
		{"x86_64", "linux/amd64"},
		{"aarch64", "linux/arm64"},
		{"LINUX/AMD64", "linux/amd64"},
		{"armhf", "linux/arm/v7"},
		{"armel", "linux/arm/v6"},
		{"arm", "linux/arm/v7"},
		{"linux/arm", "linux/arm/v7"},
		{"linux/arm/6", "linux/arm/v6"},
		{"linux/amd64/v3", "linux/amd64/v3"},
		{"linux/amd64/v1", "linux/amd64"},
		{"linux", host_text},
		{"i386", "linux/386"},
		{"bogus/x", "bogus/x"},
		{"windows/amd64", "windows/amd64"},
		{"macos/arm64", "darwin/arm64"},
		{"bogus", NULL},
		{"", NULL},
		{"/", NULL},
		{"linux/", NULL},
		{"linux//v8", NULL},
		{"linux/a/b/c", NULL},
		{"lin ux/amd64", NULL},
		{"linux/\x1b", NULL},
		{"linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct oci_platform p;
		struct err e = {0};
		char text[OCI_PLATFORM_TEXT];
		if ((oci_platform_parse(rows[i].text, &p, &e) == 0) != (rows[i].is != NULL))
			fail_msg("%s", rows[i].text);
		if (rows[i].is)
			assert_string_equal(oci_platform_format(text, &p), rows[i].is);
	}
	static const struct {
		const char *want, *have;
		int rank;
	} ranks[] = {
		{"linux/amd64", "linux/amd64", 0},
		{"linux/amd64", "linux/386", 100},
		{"linux/386", "linux/amd64", -1},
		{"linux/amd64", "linux/amd64/v2", -1},
		{"linux/amd64/v3", "linux/amd64", 2},
		{"linux/amd64/v3", "linux/amd64/v2", 1},
		{"linux/arm/v7", "linux/arm/v6", 1},
		{"linux/arm/v7", "linux/arm/v5", 2},
		{"linux/arm/v6", "linux/arm/v7", -1},
		{"linux/arm64", "linux/arm/v7", 101},
		{"linux/arm64", "linux/arm64/v8", 0},
		{"linux/arm64", "linux/amd64", -1},
		{"linux/amd64", "windows/amd64", -1},
		{"linux/riscv64", "linux/riscv64", 0},
		{"linux/amd64", "unknown/unknown", -1},
		{"linux/arm/v8", "linux/arm/v7", 1},
		{"linux/ppc64le", "linux/ppc64le/power9", -1},
	};
	for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
		struct oci_platform want, have;
		struct err e = {0};
		assert_int_equal(oci_platform_parse(ranks[i].want, &want, &e), 0);
		assert_int_equal(oci_platform_parse(ranks[i].have, &have, &e), 0);
		if (oci_platform_rank(&want, &have) != ranks[i].rank)
			fail_msg("%s on %s: %d", ranks[i].have, ranks[i].want,
				oci_platform_rank(&want, &have));
	}
	struct oci_platform p;
	oci_platform_from("linux", "aarch64", "v8", &p);
	assert_int_equal(oci_platform_rank(&p, &(struct oci_platform){"linux", "arm64", ""}), 0);
	oci_platform_from(NULL, "\x1b[1m", "", &p);
	assert_string_equal(p.os, "unknown");
	assert_string_equal(p.architecture, "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_new_names),
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_platforms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
