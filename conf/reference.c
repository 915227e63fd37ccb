/*
 * reference.c: conf/REFERENCE.md and the options' part of --help, printed from options.def and the key tables of
 * load_entries.c, so that they cannot differ from what the program does.
 * Thread: any (no state).
 */
#include "conf/load_parts.h"

#include <inttypes.h>
#include <limits.h>

/* The rows of options.def in their order, with the titles of the groups between them. */
static const struct {
    bool is_title;
    const char *text;
} parts[] = {
#define OPTION_GROUP(title) {true, title},
#define OPTION_BOOL(field, name, ...) {false, name},
#define OPTION_INT(field, name, ...) {false, name},
#define OPTION_MODE(field, name, ...) {false, name},
#define OPTION_SECONDS(field, name, ...) {false, name},
#define OPTION_MILLIS(field, name, ...) {false, name},
#define OPTION_BYTES(field, name, ...) {false, name},
#define OPTION_TEXT(field, name, ...) {false, name},
#define OPTION_SECRET(field, name, ...) {false, name},
#define OPTION_ENUM(field, name, ...) {false, name},
#define OPTION_IGNORED(name, ...) {false, #name},
#include "conf/options.def"
};

static const char buckets[] =
    "\n`buckets = N`: how many parts the functions that compute one (`modulo`, `hash`, `string_hash`) divide rows "
    "into; as many as shards unless\n"
    "written. Bucket b, from 0, lies on shard b % shards. `buckets = 16 s1:0-3,8 s2:4-7,9 s3:10-15`: which lie on "
    "which shard, each on\n"
    "one. A shard without any holds no rows by these functions (but those without a key, on the first).\n";

static const char placements[] =
    "\n## [tables NAME]\n\n"
    "Where the rows of a database with `shards=NAME` lie.\n\n"
    "| line | the rows |\n|-|-|\n"
    "| `table.column = modulo` | whole numbers: ((v % n) + n) % n of n shards, or buckets |\n"
    "| `table.column = hash` | as PostgreSQL partitions by hash |\n"
    "| `table.column = string_hash` | as JavaScript applications compute it: h = 31·h + UTF-16 unit in 32 bits, "
    "&#124;h&#124; % n |\n"
    "| `table.column = range s1:..100 s2:100..200 s3:200..` | by value; a range's start belongs to it, its end does "
    "not |\n"
    "| `table.column = list s1:a,b s2:c s4:*` | by value; `*`: all others |\n"
    "| `table.column = string_hash sequence=home` | behind any of those above: a row that comes without its key gets "
    "one "
    "from the first shard's sequence (of a serial or identity column). Without it, only keys by modulo are drawn, by "
    "each "
    "shard its own |\n"
    "| `table.column = lookup` | says that the table is also looked for by this column, besides its key; that asks all "
    "shards |\n"
    "| `table.column = unique` | says that its values are unique over all shards, though an index sees one shard's "
    "rows "
    "only; without it a "
    "table with a unique index that does not hold the key is not written. `lookup unique`: both |\n"
    "| `table = everywhere` | the same on each shard |\n"
    "| `table = shard s3` | all on one shard |\n"
    "| `* = shard s1` | those of all other tables; without it, they are refused |\n\n"
    "A table is written with its schema (`sales.orders`, `sales.orders.user_id`) unless that is public; names are "
    "written as the\n"
    "catalog has them. Behind a function's word may stand the column's type (`hash uuid`); it must be the catalog's. "
    "Values with\n"
    "blanks or commas are written in single quotes.\n"
    "\n## [functions NAME]\n\n"
    "`name = local`: calls only what is on the shard where it runs. `name = key(N)`: runs where the key is that its "
    "argument N\n"
    "holds, as with the table that it is written for: `name = key(N) table`.\n";

static const char opening[] =
    "# Configuration reference\n"
    "\n"
    "Generated from `conf/options.def` by `make reference`; do not edit.\n"
    "\n"
    "`sluice FILE` reads an INI file with the sections `[sluice]`, `[databases]`, `[users]`, `[peers]`, and, for "
    "databases with\n"
    "shards, `[shards NAME]`, `[tables NAME]` and `[functions NAME]`. A file with `[pgbouncer]` "
    "instead of `[sluice]`\n"
    "is read with PgBouncer's defaults.\n"
    "\n"
    "- A line is `name = value`; a line that begins with `;` or `#` is a comment. There are no comments behind values. "
    "A line may\n"
    "  be of any length.\n"
    "- Names of databases and users with other characters than letters, digits and `_ . - *` are written in double "
    "quotes.\n"
    "- `%include FILE` reads another file at that place. A relative name is looked for in the working directory, then "
    "in the folder\n"
    "  of the file that includes it; `auth_file` likewise.\n"
    "- seconds and milliseconds: a plain number of them, or a time such as `500ms`, `5s`, `2min`, `1h`, `1d`. bytes: a "
    "plain\n"
    "  number, or a size such as `64kB`, `1MB`, `1GB`. boolean: `0` or `1`, also `off`, `on`, `false`, `true`, `no`, "
    "`yes`.\n"
    "- An option with *reload* takes a new value by RELOAD, SIGHUP or SET on the admin console; the others need a "
    "restart.\n"
    "- Options of the type *ignored* are PgBouncer's; they are accepted, and logged as having no meaning here.\n";

/* Text inside a Markdown table. */
static void cell_print(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '<' || *text == '*' || *text == '_') {
            fputc('\\', out);
        }
        fputc(*text, out);
    }
}

static void value_print(FILE *out, const char *text)
{
    if (*text != '\0') {
        fprintf(out, " `%s` |", text);
    } else {
        fputs(" |", out);
    }
}

static void type_print(FILE *out, const struct option_info *info)
{
    if (info->choices != NULL) {
        for (size_t i = 0; info->choices[i] != NULL; i++) {
            fprintf(out, "%s`%s`", i == 0 ? "" : " ", info->choices[i]);
        }
    } else if (info->max == INT_MAX && info->unit[0] == '\0') {
        fprintf(out, "%s, %" PRId64 " or more", info->type, info->min);
    } else if (info->max != 0) {
        fprintf(out, "%s, %" PRId64 " to %" PRId64, info->type, info->min, info->max);
    } else {
        fputs(info->type, out);
    }
}

static void option_print(FILE *out, const struct option_info *info)
{
    fprintf(out, "| `%s` | ", info->name);
    type_print(out, info);
    fputs(" |", out);
    value_print(out, info->fallback_sluice);
    value_print(out, info->fallback_pgbouncer);
    fprintf(out, " %s | ", info->reloadable ? "reload" : "");
    cell_print(out, info->help);
    fputs(" |\n", out);
}

static const char *pair_type(enum pair_kind kind)
{
    switch (kind) {
    case PAIR_COUNT:
        return "integer, 0 or more";
    case PAIR_SECONDS:
        return "seconds";
    case PAIR_MILLIS:
        return "milliseconds";
    case PAIR_POOL_MODE:
        return "`session` `transaction` `statement`";
    case PAIR_BALANCE:
        return "`disable` `round-robin`";
    case PAIR_CHOICE:
        break;
    case PAIR_TARGET:
        return "`primary` `standby`";
    case PAIR_HOSTS:
    case PAIR_PORTS:
    case PAIR_WEIGHTS:
        return "list";
    case PAIR_TEXT:
        break;
    }
    return "text";
}

static void keys_print(FILE *out, const char *intro, const struct pair_key *keys)
{
    fprintf(out, "\n%s\n\n| key | type | meaning |\n|-|-|-|\n", intro);
    for (; keys->name != NULL; keys++) {
        fprintf(out, "| `%s` | ", keys->name);
        if (keys->kind == PAIR_CHOICE) {
            type_print(out, option_find(keys->name));
        } else {
            fputs(pair_type(keys->kind), out);
        }
        fputs(" | ", out);
        cell_print(out, keys->help);
        fputs(" |\n", out);
    }
}

void options_print_reference(FILE *out)
{
    fputs(opening, out);
    fputs("\n## [sluice] or [pgbouncer]\n", out);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].is_title) {
            fprintf(out,
                    "\n### %s\n\n| option | type | in [sluice] | in [pgbouncer] | change | meaning |\n|-|-|-|-|-|-|\n",
                    parts[i].text);
        } else {
            option_print(out, option_find(parts[i].text));
        }
    }
    keys_print(out,
               "## [databases]\n\n`NAME = key=value ...`; values with blanks are written in single quotes, `''` is a "
               "quote inside them. `*` is for every\nname that has no line of its own.",
               database_keys);
    keys_print(out, "## [users]\n\n`NAME = key=value ...`", user_keys);
    keys_print(out, "## [peers]\n\n`PEER_ID = key=value ...`", peer_keys);
    keys_print(out,
               "## [shards NAME]\n\n`SHARD = key=value ...`, a line for each in the order of their numbers, and "
               "`coordinator = key=value ...` for the database in\nwhich the shards are foreign partitions.",
               shard_keys);
    fputs(buckets, out);
    fputs(placements, out);
    fputs("\n## auth_file\n\n`\"user\" \"secret\"` on each line; the secret is a plain password, `md5...` or "
          "`SCRAM-SHA-256$...`; `\"\"` is a quote inside quotes;\na line that begins with `;` is a comment.\n",
          out);
}

void options_print_help(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const struct option_info *info = option_find(parts[i].text);
        if (parts[i].is_title) {
            fprintf(out, "\n%s\n", parts[i].text);
        } else if (!info->ignored) {
            const char *fallback = strlen(info->fallback_sluice) > 30 ? "..." : info->fallback_sluice;
            fprintf(out, "  %-28s %-15s %s\n", info->name, fallback, info->help);
        }
    }
}
