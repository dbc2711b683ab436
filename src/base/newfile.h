/*
 * newfile.h - a file that is written from beginning to end and appears when it is whole.
 *
 * Until new_file_commit() it has no name where the file system can do that (O_TMPFILE), so a
 * kill leaves nothing; elsewhere it has a hidden one beside its place. What is no regular file (a
 * pipe, /dev/full) is written to as it is. For small ones that have to be durable: fd_replace().
 */
#ifndef BASE_NEWFILE_H
#define BASE_NEWFILE_H

#include <stdbool.h>

struct new_file {
	int fd;  /* for writing */
	int dir; /* the folder that it will be in; -1: it is no regular file */
	bool named;
	char name[48];
};

/* Begins a file for path, with the mode 0666 less the umask. 0 or -errno; after a failure
 * there is nothing to be dropped. */
int new_file_open(struct new_file *file, const char *path);
/* Gives it its name, where it replaces an older file, and ends it: 0 or -errno. */
int new_file_commit(struct new_file *file, const char *path);
/* Ends it without a trace. One that was committed is left alone. */
void new_file_drop(struct new_file *file);

#endif
