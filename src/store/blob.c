/* blob.c - manifests, configs and compressed layers by their digest. */
#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"

/* The file's name, or NULL where brig cannot keep such a blob. */
static const char *blob_name(const struct oci_digest *digest, struct err *e)
{
	if (oci_digest_is_sha256(digest))
		return oci_digest_hex(digest);
	err_set(e, ERR_UNSUPPORTED, 0, "blobs with the digest %.20s… are not supported, only sha256 is",
		digest->text);
	return NULL;
}

static int missing(const struct store *store, const struct oci_digest *digest, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, 0, "the blob %s is not in the store %s", digest->text, store->path);
}

bool blob_has(struct store *store, const struct oci_digest *digest, int64_t *size)
{
	struct err ignored;
	struct stat st;
	const char *name = blob_name(digest, &ignored);
	int folder = name ? store_folder(store, STORE_BLOBS, &ignored) : -1;

	if (folder < 0 || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	if (size)
		*size = st.st_size;
	return true;
}

int blob_open(struct store *store, const struct oci_digest *digest, struct err *e)
{
	const char *name = blob_name(digest, e);
	if (!name)
		return -1;
	int folder = store_folder(store, STORE_BLOBS, e);
	if (folder < 0)
		return e->kind == ERR_NOT_FOUND ? missing(store, digest, e) : -1;
	auto_close int fd = fd_open(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd == -ENOENT)
		return missing(store, digest, e);
	int rc = fd < 0 ? fd : fd_expect(fd, S_IFREG);
	if (rc < 0)
		return err_errno(e, rc, "cannot open %s/blobs/sha256/%s", store->path, name);
	return steal_fd(&fd);
}

int blob_read(
	struct store *store, const struct oci_digest *digest, size_t limit, struct buf *out, struct err *e)
{
	struct oci_digest found;
	size_t start = out->length;
	auto_close int fd = blob_open(store, digest, e);

	if (fd < 0)
		return -1;
	int rc = fd_slurp(fd, limit, out);
	if (rc == -EFBIG)
		return err_set(
			e, ERR_INVALID, 0, "the blob %s is larger than %zu bytes", digest->text, limit);
	if (rc < 0)
		return err_errno(
			e, rc, "cannot read %s/blobs/sha256/%s", store->path, oci_digest_hex(digest));
	oci_digest_of(out->data ? out->data + start : "", out->length - start, &found);
	if (!oci_digest_equal(&found, digest)) {
		out->length = start;
		err_set(e, ERR_CORRUPT, 0, "%s/blobs/sha256/%s is damaged: its bytes have another digest",
			store->path, oci_digest_hex(digest));
		return err_hint(e, "remove the image with brig rmi -f, and pull it again");
	}
	return 0;
}

int blob_stage(struct store *store, struct blob_stage *stage, struct err *e)
{
	*stage = (struct blob_stage){.fd = -1, .stage = {.fd = -1}};
	int folder = store_folder(store, STORE_BLOBS, e);
	if (folder < 0)
		return -1;
	int fd = fd_open(folder, ".", O_RDWR | O_TMPFILE, 0600);
	if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -ENOENT) {
		if (store_stage(store, "blob", &stage->stage, e) < 0)
			return -1;
		fd = fd_open(stage->stage.fd, "blob", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	}
	if (fd < 0) {
		store_stage_drop(store, &stage->stage);
		return err_errno(e, fd, "cannot make a file in %s/blobs", store->path);
	}
	stage->fd = fd;
	return 0;
}

/* 0, -EEXIST or another -errno. */
static int link_blob(const struct blob_stage *stage, int folder, const char *name)
{
	char path[40];

	if (stage->stage.fd >= 0)
		return linkat(stage->stage.fd, "blob", folder, name, 0) < 0 ? -errno : 0;
	/* Without CAP_DAC_READ_SEARCH in the first user namespace the descriptor itself cannot
	 * be linked, but what /proc shows of it can. */
	if (linkat(stage->fd, "", folder, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT && errno != EPERM)
		return -errno;
	snprintf(path, sizeof path, "/proc/self/fd/%d", stage->fd);
	return linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int blob_publish(struct store *store, struct blob_stage *stage, const struct oci_digest *digest, bool synced,
	struct err *e)
{
	const char *name = blob_name(digest, e);
	if (!name)
		return -1;
	int folder = store_folder(store, STORE_BLOBS, e);
	if (folder < 0)
		return -1;
	int rc = 0;
	if (!synced && fdatasync(stage->fd) < 0)
		rc = -errno;
	if (rc == 0)
		rc = link_blob(stage, folder, name);
	struct stat is, was;
	if (rc == -EEXIST && fstat(stage->fd, &is) == 0 &&
		fstatat(folder, name, &was, AT_SYMLINK_NOFOLLOW) == 0 && is.st_size != was.st_size) {
		/* What is there is damaged: a pull mends it. */
		if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
			rc = -errno;
		else
			rc = link_blob(stage, folder, name);
	}
	if (rc == -EEXIST)
		rc = 0;
	else if (rc == 0 && !synced)
		rc = store_sync_folder(folder);
	if (rc < 0)
		return err_errno(e, rc, "cannot write %s/blobs/sha256/%s", store->path, name);
	blob_drop(store, stage);
	return 0;
}

void blob_drop(struct store *store, struct blob_stage *stage)
{
	if (stage->fd < 0)
		return;
	close_fd(&stage->fd);
	store_stage_drop(store, &stage->stage);
}

int blob_write(struct store *store, const void *bytes, size_t size, struct oci_digest *digest, struct err *e)
{
	struct blob_stage stage;
	struct oci_digest made;

	oci_digest_of(bytes, size, &made);
	int64_t there;
	if (blob_has(store, &made, &there) && there == (int64_t)size) {
		auto_buf struct buf bytes_there = {0};
		if (blob_read(store, &made, size, &bytes_there, e) == 0) {
			*digest = made;
			return 0;
		}
		if (e->kind != ERR_CORRUPT || blob_remove(store, &made, e) < 0)
			return -1;
	}
	if (blob_stage(store, &stage, e) < 0)
		return -1;
	int rc = fd_write_full(stage.fd, bytes, size);
	if (rc < 0)
		err_errno(e, rc, "cannot write %s/blobs/sha256/%s", store->path, oci_digest_hex(&made));
	else
		rc = blob_publish(store, &stage, &made, false, e);
	if (rc < 0) {
		blob_drop(store, &stage);
		return -1;
	}
	*digest = made;
	return 0;
}

int blob_remove(struct store *store, const struct oci_digest *digest, struct err *e)
{
	const char *name = blob_name(digest, e);
	if (!name)
		return -1;
	int folder = store_folder(store, STORE_BLOBS, e);
	if (folder < 0)
		return e->kind == ERR_NOT_FOUND ? 0 : -1;
	if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
		return err_errno(e, errno, "cannot remove %s/blobs/sha256/%s", store->path, name);
	return 0;
}
