/*
 * container.h - the index of containers: names, states, and who looks after each.
 *
 * Theory of operation. `containers/index` is a header of 4096 bytes and then one record
 * of 512 bytes for each container; a record never moves while its container exists.
 * A record has two halves, each with a checksum: what the container is (written when it
 * is claimed or renamed) and how it is (written by its owner). Both fit in a sector and
 * are written by one pwrite, so a crash leaves the old half or the new one.
 *
 * Locks are open file description locks on the index, so that they end with whoever
 * holds them, however it ends:
 *   - the header (byte 0): claiming and changing names, one process at a time;
 *   - a record's byte (RECORD_LOCKS + slot): held by the container's owner for as long as
 *     it lives: the command that makes it, then its monitor (the lock survives fork),
 *     a command that removes it. A reader asks F_OFD_GETLK: that is how `ps` knows in a
 *     microsecond whether a monitor still lives.
 * Order: a record's lock before the header's; nobody waits for a record's lock while it
 * holds the header's.
 *
 * What a crash leaves: a record that is CREATING or REMOVING and whose lock is free. The
 * next claim or sweep deletes its folder `containers/ID` and frees it. A record that says
 * RUNNING with its lock free had its monitor killed, or the host went down: the
 * record's pid, start time and boot id tell which. So whoever wants a container to outlive a power cut
 * syncs the index when the record says more than CREATING: containers_sync.
 */
#ifndef STORE_CONTAINER_H
#define STORE_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { CONTAINER_ID = 65, CONTAINER_NAME = 129, CONTAINER_IMAGE_ID = 8 };

enum container_state {
	CONTAINER_FREE = 0,
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_EXITED,
	CONTAINER_REMOVING,
};

enum container_flags {
	CONTAINER_AUTO_REMOVE = 1,
	CONTAINER_TERMINAL = 2,
	CONTAINER_OPEN_STDIN = 4,
	CONTAINER_OOM_KILLED = 8, /* in the status: the kernel ran out of its memory */
	CONTAINER_STOPPED = 16,   /* in the status: ended by stop or kill */
	CONTAINER_UNCLEAN =
		32, /* in the status: it has, or may have, more than its folder: it starts or ends */
	CONTAINER_COMMITTING = 64,     /* in the status: a layer is made of what it wrote */
	CONTAINER_VOLUMES = 128,       /* it has anonymous volumes */
	CONTAINER_TAKES_VOLUMES = 256, /* in the status: they are removed with it */
	CONTAINER_PUBLISHES = 512,     /* in the identity: ports of the host */
	CONTAINER_EXPOSES = 1024,      /* and of its own, its config.json says which */
};

/* What it is. Times are nanoseconds since 1970. */
struct container_identity {
	uint32_t checksum;
	uint32_t flags;
	int64_t created;
	unsigned char id[32];
	char name[CONTAINER_NAME]; /* "" while it is removed */
	char image[119];           /* as the user gave it, cut */
	char command[64];          /* the words joined, cut */
	/* Its cgroup, from the top of each hierarchy, which stays until rm; "": brig/ID, which goes
	 * when it ends. */
	char cgroup[16];
	/* The first bytes of its image's id, for who looks before there is a config.json; an older brig
	 * left them 0. */
	unsigned char image_id[CONTAINER_IMAGE_ID];
};

/* How it is. */
struct container_status {
	uint32_t checksum;
	uint32_t state;
	uint32_t flags;
	int32_t exit_code;
	int64_t started;
	int64_t finished;
	int32_t pid;
	int32_t monitor;
	uint64_t start_time; /* of pid, in clock ticks, /proc/PID/stat's 22nd field */
	uint64_t boot;       /* the boot id, folded */
	char address[16];    /* IPv4 in text, or "" */
	char padding[56];
};

struct container_record {
	struct container_identity identity;
	struct container_status status;
};

/* The open index. */
struct containers {
	int dir; /* containers/ */
	int index;
	const struct container_record *records; /* mapped; slot 0.. */
	size_t count;
	void *mapping;
	size_t mapped; /* bytes */
	/* Where a container is more than the files in its folder: called before those are removed,
	 * by whoever removes them. Set after containers_open; NULL: nothing. */
	int (*remove)(void *context, int dir, const char *id, struct err *e);
	void *remove_context;
};

/* One container: a copy of its record as it was read, and its place. */
struct container {
	size_t slot;
	struct container_record record;
	char id[CONTAINER_ID];
	int lock; /* an index descriptor that holds its lock, or -1 */
};

/* Opens the index below the store's root, making it where writable is set. A store
 * that has none is an empty one. */
int containers_open(struct containers *containers, int root, bool writable, struct err *e);
void containers_close(struct containers *containers);
/* Sees containers, too, that were added since; copies of records stay good. 0 or -errno. */
int containers_refresh(struct containers *containers);

/* Claims a new container: a free slot, an id, a name (name NULL: a new ps_NNNNN), its
 * lock (held by *container), its folder containers/ID; its state is CREATING. A name that
 * is taken is ERR_CONFLICT. durable syncs it. */
struct container_claim {
	const char *name;
	const char *image;
	const char *image_id; /* 64 hex digits; NULL: none */
	const char *command;
	uint32_t flags;
	bool durable;
	bool own_cgroup; /* called after its name, which is a new one */
	/* Whether a new ps_NNNNN is taken outside this store; NULL: it is not. */
	bool (*taken)(const char *name);
};
int container_claim(struct containers *containers, const struct container_claim *claim,
	struct container *container, struct err *e);

/* An image's id as records have it. */
void container_image_id(const char *image, unsigned char id[CONTAINER_IMAGE_ID]);

/* Finds by full id, name, or a prefix of the id that fits one only, as docker does. */
int container_find(
	struct containers *containers, const char *text, struct container *container, struct err *e);

/* Reads record slot; false where it is free or damaged: *container holds nothing then. What is left of a
 * damaged one is mended by containers_sweep. */
bool container_read(const struct containers *containers, size_t slot, struct container *container);

/* The exit code of a container that is gone already, until its place is taken by another one;
 * false where it was. */
bool container_read_left(const struct containers *containers, struct container *container);

/* Takes the container's lock without waiting (-EAGAIN: somebody looks after it) and
 * reads its record anew. 0 or -errno; -ENOENT when it is gone meanwhile. */
int container_lock(struct containers *containers, struct container *container);
void container_unlock(struct container *container);
/* Whether anybody holds it: a live monitor, or a command at work. */
bool container_locked(const struct containers *containers, size_t slot);
/* Waits until nobody holds the lock. */
int container_wait_unlocked(const struct containers *containers, size_t slot);

/* What was written to the index is on the disk. */
int containers_sync(const struct containers *containers, struct err *e);

/* Writes the container's status; only its owner may. */
int container_write_status(struct containers *containers, struct container *container,
	const struct container_status *status, struct err *e);
/* Moves it to another name, "" for none; ERR_CONFLICT where that is taken. */
int container_rename(
	struct containers *containers, struct container *container, const char *name, struct err *e);

/* Opens containers/ID. */
int container_open_dir(const struct containers *containers, const struct container *container, struct err *e);

/* The end of a container whose lock is held: its name is free at once (begin), its
 * folder and slot when that is done (finish). */
int container_remove_begin(struct containers *containers, struct container *container, struct err *e);
int container_remove_finish(struct containers *containers, struct container *container, struct err *e);

/* Frees what crashed commands left; cheap when there is nothing. Returns how many. */
int containers_sweep(struct containers *containers);

/* The boot id folded to 64 bits, and the start time of a process (0: no such process,
 * or one that has ended). */
uint64_t container_boot(void);
uint64_t container_start_time(pid_t pid);

/* Whether the recorded first process is that very process and alive. */
bool container_process_alive(const struct container_status *status);

#endif
