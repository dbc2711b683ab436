/* replay.c - runs a fuzz target over every file of the folders named: the corpus as a test. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int replay_folder(const char *path)
{
	int dir = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return -1;
	DIR *entries = fdopendir(dir);
	int count = 0;
	for (struct dirent *entry; entries && (entry = readdir(entries));) {
		if (entry->d_name[0] == '.')
			continue;
		auto_buf struct buf input = {0};
		if (fd_read_file(dir, entry->d_name, 64 << 20, &input) < 0)
			return -1;
		/* A copy of just this size, so that the sanitizer sees a byte too many. */
		auto_free uint8_t *bytes = malloc(input.length ? input.length : 1);
		for (size_t i = 0; i < input.length; i++)
			bytes[i] = (uint8_t)input.data[i];
		fprintf(stderr, "replaying %s\n", entry->d_name);
		LLVMFuzzerTestOneInput(bytes, input.length);
		count++;
	}
	if (entries)
		closedir(entries);
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;
	for (int i = 1; i < argc; i++) {
		int count = replay_folder(argv[i]);
		if (count < 0) {
			fprintf(stderr, "replay: cannot read %s\n", argv[i]);
			return 1;
		}
		total += count;
	}
	printf("%d inputs\n", total);
	/* An empty corpus tests nothing. */
	return total ? 0 : 1;
}
