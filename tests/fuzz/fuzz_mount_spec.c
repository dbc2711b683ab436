/* fuzz_mount_spec.c - mounts as users and images write them: whatever is taken stays in its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/mount_spec.h"
#include "store/volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

/* A place in the container is absolute and clean, and neither the root nor in /proc. */
static void check_target(const char *target)
{
	demand(*target == '/' && target[1] && target[strlen(target) - 1] != '/');
	demand(!strstr(target, "//") && !strstr(target, "/../") && !strstr(target, "/./"));
	demand(strcmp(target, "/proc") != 0 && strncmp(target, "/proc/sys", 9) != 0);
}

static void check(struct arena *arena, const struct container_mount *mount)
{
	struct err e = {0};
	auto_buf struct buf text = {0};
	struct container_config again,
		config = {
			.id = "0123456789012345678901234567890123456789012345678901234567890123",
			.image_id = "x",
			.mounts_count = 1,
		};

	check_target(mount->target);
	demand(mount->type != CONTAINER_MOUNT_BIND || (mount->source && *mount->source == '/'));
	if (mount->type == CONTAINER_MOUNT_VOLUME)
		demand(mount->name ? volume_check_name(mount->name, &e) == 0 : mount->anonymous);
	if (mount->subpath)
		demand(*mount->subpath != '/' && strncmp(mount->subpath, "../", 3) != 0 &&
			strcmp(mount->subpath, "..") != 0 && !strstr(mount->subpath, "/../"));
	/* What a container's record keeps of it is all of it. */
	struct container_mount copy = *mount;
	if (copy.type == CONTAINER_MOUNT_VOLUME && !copy.name)
		copy.name = "made";
	strings_add(arena, &config.layers, "x");
	config.mounts = &copy;
	container_config_write(&config, &text);
	if (container_config_read(arena, text.data, text.length, &again, &e) == 0) {
		demand(again.mounts_count == 1 && again.mounts[0].type == mount->type &&
			again.mounts[0].readonly == mount->readonly &&
			again.mounts[0].labels.count == mount->labels.count);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct container_mount mount;
	struct mount_spec_from from;
	const char *clean;
	struct err e = {0};
	char *text = malloc(size + 1);

	demand(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (mount_spec_volume(&arena, "/here", text, &mount, &e) == 0)
		check(&arena, &mount);
	if (mount_spec_mount(&arena, text, &mount, &e) == 0)
		check(&arena, &mount);
	if (mount_spec_tmpfs(&arena, text, &mount, &e) == 0)
		check(&arena, &mount);
	if (mount_spec_from(&arena, text, &from, &e) == 0)
		demand(*from.container && !strchr(from.container, ':'));
	if (mount_spec_image_volume(&arena, text, &clean, &e) == 0) {
		check_target(clean);
		demand(strcmp(clean, "/sys") != 0 && strncmp(clean, "/sys/", 5) != 0);
	}
	free(text);
	arena_free(&arena);
	return 0;
}
