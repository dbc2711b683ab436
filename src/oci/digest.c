/* digest.c - a content digest. */
#include "oci/digest.h"

#include <stdio.h>
#include <string.h>

#include "base/sha256.h"

enum { SHA256_DIGITS = 64, SHA512_DIGITS = 128 };

static bool all_hex(const char *text, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return text[count] == '\0';
}

bool oci_digest_valid(const char *text)
{
	if (!strncmp(text, "sha256:", 7))
		return all_hex(text + 7, SHA256_DIGITS);
	if (!strncmp(text, "sha512:", 7))
		return all_hex(text + 7, SHA512_DIGITS);
	return false;
}

int oci_digest_parse(const char *text, struct oci_digest *digest, struct err *e)
{
	char shown[80];

	if (oci_digest_valid(text)) {
		memcpy(digest->text, text, strlen(text) + 1);
		return 0;
	}
	err_sanitize(shown, sizeof shown, text);
	const char *colon = strchr(text, ':');
	if (!colon)
		return err_set(e, ERR_INVALID, 0, "invalid checksum digest format: %s", shown);
	if (strncmp(text, "sha256:", 7) != 0 && strncmp(text, "sha512:", 7) != 0)
		return err_set(e, ERR_INVALID, 0, "unsupported digest algorithm: %s", shown);
	size_t want = text[3] == '2' ? SHA256_DIGITS : SHA512_DIGITS;
	if (strlen(colon + 1) != want)
		return err_set(e, ERR_INVALID, 0, "invalid checksum digest length: %s", shown);
	return err_set(e, ERR_INVALID, 0, "invalid checksum digest format: %s", shown);
}

void oci_digest_from_sha256(const unsigned char bytes[32], struct oci_digest *digest)
{
	memcpy(digest->text, "sha256:", 7);
	sha256_hex(bytes, digest->text + 7);
}

void oci_digest_of(const void *bytes, size_t size, struct oci_digest *digest)
{
	struct sha256 sha;
	unsigned char sum[SHA256_SIZE];

	sha256_init(&sha);
	sha256_update(&sha, bytes, size);
	sha256_final(&sha, sum);
	oci_digest_from_sha256(sum, digest);
}

void oci_digest_from_hex(const char *hex, struct oci_digest *digest)
{
	snprintf(digest->text, sizeof digest->text, "sha256:%.64s", hex);
}

const char *oci_digest_hex(const struct oci_digest *digest)
{
	return digest->text[0] ? digest->text + 7 : "";
}

bool oci_digest_is_sha256(const struct oci_digest *digest)
{
	return !strncmp(digest->text, "sha256:", 7);
}

bool oci_digest_equal(const struct oci_digest *a, const struct oci_digest *b)
{
	return !strcmp(a->text, b->text);
}

void oci_chain_id(const struct oci_digest *below, const struct oci_digest *diff, struct oci_digest *out)
{
	char both[2 * OCI_DIGEST_TEXT];

	if (!below || !below->text[0]) {
		*out = *diff;
		return;
	}
	int length = snprintf(both, sizeof both, "%s %s", below->text, diff->text);
	oci_digest_of(both, (size_t)length, out);
}
