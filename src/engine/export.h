/*
 * export.h - a container's files as a tar archive, without what is mounted in it.
 *
 * Of a stopped container its root file system is mounted for that. One that runs is looked into
 * from inside, as its root file system can be mounted only once: a process of ours joins its mount
 * namespace, copies the mount at "/", alone, and writes. What the container changes
 * meanwhile is in the archive or not, file by file. Mount points are empty folders and files.
 */
#ifndef ENGINE_EXPORT_H
#define ENGINE_EXPORT_H

#include "engine/engine.h"

/* The engine is open for ENGINE_CHANGE. Writes to the file path, which appears whole, or where that is NULL
 * to the descriptor output. */
int engine_export(struct engine *engine, const char *container, const char *path, int output, struct err *e);

#endif
