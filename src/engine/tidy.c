/* tidy.c - work after the report. */
#include "engine/tidy.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "store/driver.h"
#include "store/layer_commit.h"

static void tidy(struct engine *engine, const struct image *image)
{
	struct store store;
	struct layer layer;
	struct err ignored;
	const char **layers = arena_array(engine->arena, image->layer_count + 1, sizeof *layers);

	/* Without the content lock: nobody's rmi shall find it taken. What is removed meanwhile, and all that
	 * stands on it, is nobody's any more, so what comes of it here does not matter. */
	if (!image->layer_count || store_open(&store, engine->data_root, STORE_WRITE, &ignored) < 0 ||
		driver_use(&store, NULL, &ignored) < 0)
		return;
	for (size_t i = 0; i < image->layer_count; i++)
		layers[i] = oci_digest_hex(&image->layers[i].chain_id);
	struct driver_rootfs rootfs = {
		.folder = -1,
		.layers = layers,
		.layer_count = image->layer_count,
		.hidden = image->hidden,
	};
	/* It may be gone already. */
	if (!layer_has(&store, layers[image->layer_count - 1]))
		return;
	if (store.driver->rootfs_tidy)
		store.driver->rootfs_tidy(&store, &rootfs, &ignored);
	layer_count(&store, layers[image->layer_count - 1], &layer, &ignored);
}

void tidy_later(struct engine *engine, const struct image *image)
{
	pid_t pid = fork();

	if (pid != 0)
		return;
	setsid();
	prctl(PR_SET_NAME, "brig-tidy");
	setpriority(PRIO_PROCESS, 0, 10);
	/* Whoever reads our output shall not wait for this. */
	auto_close int null = fd_open(AT_FDCWD, "/dev/null", O_RDWR, 0);
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup3(null, fd, O_CLOEXEC);
	kernel_close_range(3, ~0U, 0);
	tidy(engine, image);
	_exit(0);
}
