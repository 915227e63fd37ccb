/*
 * map_file.h: the map of a configuration's text and of columns that the test knows, for all tests of a file.
 * Thread: main.
 */
#ifndef SLUICE_MAP_FILE_H
#define SLUICE_MAP_FILE_H

#include "tests/unit/conf_files.h"

#include "shard/map.h"

static struct map *map;

/* For the setup of a group of tests; its teardown is map_drop. */
static inline int map_make(void **state, const char *text, map_column_fn *column_of)
{
    struct config_errors errors = {NULL, 0};

    if (folder_make(state) != 0)
        return -1;
    struct config *c = load_text(text);
    map = map_new(c->shardings[0], column_of, NULL, &errors);
    config_unref(c);
    return map == NULL ? -1 : 0;
}

static inline int map_drop(void **state)
{
    map_unref(map);
    return folder_remove(state);
}

#endif
