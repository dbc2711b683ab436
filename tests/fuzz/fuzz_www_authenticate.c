/* fuzz_www_authenticate.c - the WWW-Authenticate parser, and the realm's way to a URL. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry/challenge.h"
#include "registry/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct challenge c;
	struct url home, realm;
	const char *why;

	memcpy(text, data, size);
	text[size] = '\0';
	if (challenge_parse(text, &c) == 0) {
		if (c.scheme != CHALLENGE_BEARER && c.scheme != CHALLENGE_BASIC && c.scheme != CHALLENGE_NONE)
			abort();
		if (c.scheme == CHALLENGE_BEARER && !c.realm[0])
			abort();
		if (!memchr(c.realm, 0, sizeof c.realm) || !memchr(c.service, 0, sizeof c.service))
			abort();
		if (url_parse(c.realm, &realm) == 0 && url_parse("https://r.example.com", &home) == 0) {
			if (url_may_follow(&home, &realm, &why) && !realm.https)
				abort();
			if (url_may_have_credentials(&home, &realm) && !realm.https)
				abort();
		}
	}
	/* The same bytes as an address. */
	if (url_parse(text, &realm) == 0) {
		url_place_of(&realm);
		if (strchr(realm.host, '@') || !realm.host[0] || !realm.port)
			abort();
	}
	free(text);
	return 0;
}
