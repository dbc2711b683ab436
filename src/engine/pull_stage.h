/*
 * pull_stage.h - a layer on its way into the store: staging, then layers/CHAINHEX.
 */
#ifndef ENGINE_PULL_STAGE_H
#define ENGINE_PULL_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/digest.h"
#include "store/store.h"
#include "store/unpack.h"

struct pull_stage {
	struct store_stage stage;
	int tree; /* the folder to unpack into */
	enum unpack_whiteouts whiteouts;
	bool one_owner;
};

#define PULL_STAGE_NONE ((struct pull_stage){.stage = {.fd = -1}, .tree = -1})

struct pull_stage_facts {
	struct oci_digest chain, diff;
	int64_t size; /* of its files, bytes */
};

bool pull_stage_has(struct store *store, const struct oci_digest *chain);
int pull_stage_make(struct store *store, struct pull_stage *stage, struct err *e);
/* Gives a layer that is on the disk already its name, and ends the stage; one that has the name
 * stays. */
int pull_stage_publish(
	struct store *store, struct pull_stage *stage, const struct pull_stage_facts *facts, struct err *e);
/* Takes PULL_STAGE_NONE, and one that was published. */
void pull_stage_drop(struct store *store, struct pull_stage *stage);
int pull_stage_size(struct store *store, const struct oci_digest *chain, int64_t *size, struct err *e);

#endif
