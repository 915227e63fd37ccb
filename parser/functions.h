/*
 * functions.h: what is known beforehand of pg_catalog's functions and views (functions.def, relations.def).
 * Thread: immutable.
 */
#ifndef SLUICE_FUNCTIONS_H
#define SLUICE_FUNCTIONS_H

#include "parser/stmt.h"

/* The class of a function that is called by this name; schema may be NULL. UNLISTED: the tables do not know it, or the
 * schema is not pg_catalog. Nothing is said of a user's function of the same name: pg_catalog is searched first unless
 * search_path names it later. */
enum stmt_class function_class(const char *schema, const char *name);

/* True if a table or view of this name speaks of the server or the session. schema may be NULL. */
bool relation_speaks(const char *schema, const char *name);

/* A row of the tables, for whoever looks for such names elsewhere. */
struct listed_name {
    const char *name;
    enum stmt_class class; /* of a relation: SESSION */
    bool is_prefix;        /* all whose names begin so are meant */
};
typedef void listed_call(void *arg, const struct listed_name *n);
void functions_each(listed_call *call, void *arg);
void relations_each(listed_call *call, void *arg);

#endif
