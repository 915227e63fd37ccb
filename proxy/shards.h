/*
 * shards.h: databases with shards: their maps are made when a configuration is loaded. Nothing serves them yet, so that
 * a file which has one is refused, after all else that is wrong with it was said.
 * Thread: control (or main before threads start).
 */
#ifndef SLUICE_SHARDS_H
#define SLUICE_SHARDS_H

#include "conf/load.h"

/* As config_load, with the maps' errors. */
struct config *shards_config_load(const char *file, struct config_errors *errors);

#endif
