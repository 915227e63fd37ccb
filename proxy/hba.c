/*
 * hba.c: pg_hba.conf's lines, parsed into rules, and the first rule that fits a client.
 *
 *   file ──> hba_tokens: lines of fields of tokens ──> rule_parse (all errors in one go) ──> rules ──> hba_match
 *
 * Invariants:
 * - What PostgreSQL would understand and we cannot decide (host names, role membership, GSSAPI ...) is an error of the
 * file, never a line that silently does not match.
 * - Where no rule fits, the answer is REJECT.
 *
 * Thread: control parses; immutable afterwards, any thread matches.
 */
#include "proxy/hba_tokens.h"

#include <ifaddrs.h>
#include <netdb.h>

enum hba_connection { CONNECTION_LOCAL, CONNECTION_HOST, CONNECTION_TLS, CONNECTION_PLAIN, CONNECTION_NEVER };
enum hba_address { ADDRESS_ALL, ADDRESS_RANGE, ADDRESS_SAMEHOST, ADDRESS_SAMENET };

struct ip {
    size_t len; /* 4 or 16; 0: not an IP address */
    uint8_t bytes[16];
};

enum name_kind { NAME_EXACT, NAME_ALL, NAME_SAMEUSER, NAME_REPLICATION };

struct name {
    enum name_kind kind;
    char *text; /* owned, NULL but for EXACT */
};

struct names {
    struct name *items;
    size_t count;
};

struct rule {
    enum hba_connection connection;
    struct names databases;
    struct names users;
    enum hba_address address;
    struct ip ip, mask; /* RANGE */
    char *map;          /* owned, may be NULL */
    struct hba_answer answer;
};

struct hba {
    struct rule *rules;
    size_t count;
};

/* --- addresses --- */

static const uint8_t ipv4_mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:0:0/96 */

static struct ip ip_as_written(const struct sockaddr *sa)
{
    struct ip ip = {0};

    if (sa->sa_family == AF_INET) {
        ip.len = 4;
        memcpy(ip.bytes, &((const struct sockaddr_in *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        ip.len = 16;
        memcpy(ip.bytes, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
    }
    return ip;
}

/* An IPv4 client of a socket that listens on both families is one of IPv4, as it would be in PostgreSQL. */
static struct ip ip_of(const struct sockaddr *sa)
{
    struct ip ip = ip_as_written(sa);

    if (ip.len == 16 && memcmp(ip.bytes, ipv4_mapped, sizeof ipv4_mapped) == 0) {
        ip.len = 4;
        memmove(ip.bytes, ip.bytes + 12, 4);
    }
    return ip;
}

static bool ip_in_range(const struct ip *ip, const struct ip *base, const struct ip *mask)
{
    if (ip->len == 0 || ip->len != base->len || ip->len != mask->len)
        return false;
    for (size_t i = 0; i < ip->len; i++) {
        if (((ip->bytes[i] ^ base->bytes[i]) & mask->bytes[i]) != 0)
            return false;
    }
    return true;
}

/* An address in digits; never asks a name server. */
static bool ip_parse(const char *text, struct ip *ip)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *found = NULL;

    if (getaddrinfo(text, NULL, &hints, &found) != 0 || found == NULL)
        return false;
    *ip = ip_as_written(found->ai_addr);
    freeaddrinfo(found);
    return ip->len != 0;
}

/* The first `bits` bits set. */
static bool mask_of_bits(const char *text, size_t len, struct ip *mask)
{
    size_t digits = strspn(text, "0123456789");
    long bits = digits > 0 && digits <= 3 && text[digits] == '\0' ? strtol(text, NULL, 10) : -1;

    if (bits < 0 || bits > (long)len * 8)
        return false;
    *mask = (struct ip){.len = len};
    for (long i = 0; i < bits; i++)
        mask->bytes[i / 8] |= (uint8_t)(0x80 >> (i % 8));
    return true;
}

/* A range within ::ffff:0:0/96 is one of IPv4, since clients' addresses are unwrapped too. */
static void range_unwrap(struct rule *rule)
{
    uint8_t all[sizeof ipv4_mapped];

    memset(all, 0xff, sizeof all);
    if (rule->ip.len != 16 || memcmp(rule->ip.bytes, ipv4_mapped, sizeof ipv4_mapped) != 0 ||
        memcmp(rule->mask.bytes, all, sizeof all) != 0)
        return;
    memmove(rule->ip.bytes, rule->ip.bytes + 12, 4);
    memmove(rule->mask.bytes, rule->mask.bytes + 12, 4);
    rule->ip.len = rule->mask.len = 4;
}

/* --- parsing: each step takes fields from the cursor, and reports what is wrong with them --- */

struct cursor {
    struct hba_errors *errors;
    const struct hba_line *line;
    size_t next; /* field */
};

#define FAIL(c, ...) (hba_error((c)->errors, (c)->line->number, __VA_ARGS__), false)

static const struct hba_field *field_take(struct cursor *c, const char *what)
{
    if (c->next == c->line->count) {
        hba_error(c->errors, c->line->number, "end of line before %s", what);
        return NULL;
    }
    return &c->line->fields[c->next++];
}

static const struct hba_token *token_take(struct cursor *c, const char *what)
{
    const struct hba_field *f = field_take(c, what);

    if (f != NULL && f->count > 1) {
        hba_error(c->errors, c->line->number, "more than one value for %s; write one line for each", what);
        return NULL;
    }
    return f == NULL ? NULL : &f->tokens[0];
}

static bool parse_connection(struct cursor *c, struct rule *rule)
{
    /* GSSAPI encryption is never agreed to: nothing matches hostgssenc, and all of TCP hostnogssenc. */
    static const struct {
        const char *word;
        enum hba_connection connection;
    } table[] = {
        {"local", CONNECTION_LOCAL},     {"host", CONNECTION_HOST},        {"hostssl", CONNECTION_TLS},
        {"hostnossl", CONNECTION_PLAIN}, {"hostgssenc", CONNECTION_NEVER}, {"hostnogssenc", CONNECTION_HOST},
    };
    const struct hba_token *t = token_take(c, "connection type");

    for (size_t i = 0; t != NULL && i < ARRAY_LEN(table); i++) {
        if (strcmp(t->text, table[i].word) == 0) {
            rule->connection = table[i].connection;
            return true;
        }
    }
    return t != NULL && FAIL(c,
                             "invalid connection type \"%s\"; use local, host, hostssl, hostnossl, hostgssenc or "
                             "hostnogssenc",
                             t->text);
}

static void name_add(struct names *names, enum name_kind kind, const char *text)
{
    names->items = mem_realloc(names->items, (names->count + 1) * sizeof *names->items);
    names->items[names->count++] = (struct name){.kind = kind, .text = text != NULL ? mem_strdup(text) : NULL};
}

static bool parse_database(struct cursor *c, const struct hba_token *t, struct names *names)
{
    if (hba_token_is(t, "samerole") || hba_token_is(t, "samegroup"))
        return FAIL(c, "%s is not supported: role membership is not known here; list the databases", t->text);
    if (t->text[0] == '/')
        return FAIL(c, "regular expressions for databases are not supported: \"%s\"; list the databases", t->text);
    if (hba_token_is(t, "all"))
        name_add(names, NAME_ALL, NULL);
    else if (hba_token_is(t, "sameuser"))
        name_add(names, NAME_SAMEUSER, NULL);
    else if (hba_token_is(t, "replication"))
        name_add(names, NAME_REPLICATION, NULL);
    else
        name_add(names, NAME_EXACT, t->text);
    return true;
}

static bool parse_user(struct cursor *c, const struct hba_token *t, struct names *names)
{
    if (!t->quoted && t->text[0] == '+')
        return FAIL(c, "%s is not supported: role membership is not known here; list the users, or use @file", t->text);
    if (t->text[0] == '/')
        return FAIL(c, "regular expressions for users are not supported: \"%s\"; list the users", t->text);
    if (hba_token_is(t, "all"))
        name_add(names, NAME_ALL, NULL);
    else
        name_add(names, NAME_EXACT, t->text);
    return true;
}

static bool parse_databases(struct cursor *c, struct rule *rule)
{
    const struct hba_field *f = field_take(c, "database");
    bool good = f != NULL;

    for (size_t i = 0; good && i < f->count; i++)
        good = parse_database(c, &f->tokens[i], &rule->databases);
    return good;
}

static bool parse_users(struct cursor *c, struct rule *rule)
{
    const struct hba_field *f = field_take(c, "user");
    bool good = f != NULL;

    for (size_t i = 0; good && i < f->count; i++)
        good = parse_user(c, &f->tokens[i], &rule->users);
    return good;
}

static bool parse_mask(struct cursor *c, struct rule *rule)
{
    const struct hba_token *t = token_take(c, "network mask (or write the address as ADDRESS/BITS)");

    if (t == NULL)
        return false;
    if (!ip_parse(t->text, &rule->mask))
        return FAIL(c, "invalid network mask \"%s\"", t->text);
    if (rule->mask.len != rule->ip.len)
        return FAIL(c, "address and network mask \"%s\" are not of the same family", t->text);
    return true;
}

static bool parse_range(struct cursor *c, struct rule *rule, const char *text)
{
    const char *slash = strchr(text, '/');
    char *address = slash != NULL ? mem_strndup(text, (size_t)(slash - text)) : mem_strdup(text);
    bool is_ip = ip_parse(address, &rule->ip);

    free(address);
    if (!is_ip)
        return FAIL(c, "\"%s\" is not an IP address, and host names are not supported; use ADDRESS/BITS", text);
    rule->address = ADDRESS_RANGE;
    if (slash == NULL && !parse_mask(c, rule))
        return false;
    if (slash != NULL && !mask_of_bits(slash + 1, rule->ip.len, &rule->mask))
        return FAIL(c, "invalid number of bits in address \"%s\"; use 0 to %d", text, (int)rule->ip.len * 8);
    range_unwrap(rule);
    return true;
}

static bool parse_address(struct cursor *c, struct rule *rule)
{
    if (rule->connection == CONNECTION_LOCAL)
        return true;
    const struct hba_token *t = token_take(c, "address");
    if (t == NULL)
        return false;
    if (hba_token_is(t, "all"))
        rule->address = ADDRESS_ALL;
    else if (hba_token_is(t, "samehost"))
        rule->address = ADDRESS_SAMEHOST;
    else if (hba_token_is(t, "samenet"))
        rule->address = ADDRESS_SAMENET;
    else
        return parse_range(c, rule, t->text);
    return true;
}

static bool method_is_foreign(const char *word)
{
    static const char *const foreign[] = {"gss", "sspi", "pam", "bsd", "ldap", "radius"};

    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        if (strcmp(word, foreign[i]) == 0)
            return true;
    }
    return false;
}

static bool parse_method_word(struct cursor *c, struct rule *rule, const char *word)
{
    static const struct {
        const char *word;
        enum auth_method method;
    } table[] = {
        {"trust", AUTH_TRUST}, {"reject", AUTH_REJECT},       {"md5", AUTH_MD5},   {"password", AUTH_PLAIN},
        {"cert", AUTH_CERT},   {"scram-sha-256", AUTH_SCRAM}, {"peer", AUTH_PEER},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (strcmp(word, table[i].word) == 0) {
            rule->answer.method = table[i].method;
            return true;
        }
    }
    if (method_is_foreign(word))
        return FAIL(c,
                    "authentication method %s is not supported; use scram-sha-256, md5, password, cert, peer, trust or "
                    "reject",
                    word);
    return FAIL(
        c, "invalid authentication method \"%s\"; use scram-sha-256, md5, password, cert, peer, trust or reject", word);
}

static bool parse_method(struct cursor *c, struct rule *rule)
{
    const struct hba_token *t = token_take(c, "authentication method");
    bool local = rule->connection == CONNECTION_LOCAL;

    if (t == NULL)
        return false;
    if (strcmp(t->text, "ident") == 0) {
        if (!local)
            return FAIL(c, "authentication method ident is not supported over TCP; use cert or scram-sha-256");
        rule->answer.method = AUTH_PEER; /* what PostgreSQL takes it for, too */
        return true;
    }
    if (!parse_method_word(c, rule, t->text))
        return false;
    if (rule->answer.method == AUTH_PEER && !local)
        return FAIL(c, "authentication method peer works on local lines only");
    if (rule->answer.method == AUTH_CERT && rule->connection != CONNECTION_TLS)
        return FAIL(c, "authentication method cert works on hostssl lines only");
    if (rule->answer.method == AUTH_CERT)
        rule->answer.clientcert = CLIENTCERT_VERIFY_FULL;
    return true;
}

static bool option_clientcert(struct cursor *c, struct rule *rule, const char *value)
{
    if (rule->connection != CONNECTION_TLS)
        return FAIL(c, "option clientcert works on hostssl lines only");
    if (strcmp(value, "verify-full") == 0) {
        rule->answer.clientcert = CLIENTCERT_VERIFY_FULL;
    } else if (strcmp(value, "verify-ca") == 0) {
        if (rule->answer.method == AUTH_CERT)
            return FAIL(c, "with method cert, clientcert can only be verify-full");
        rule->answer.clientcert = CLIENTCERT_VERIFY_CA;
    } else {
        return FAIL(c, "invalid value for clientcert: \"%s\"; use verify-ca or verify-full", value);
    }
    return true;
}

static bool option_clientname(struct cursor *c, struct rule *rule, const char *value)
{
    if (rule->connection != CONNECTION_TLS)
        return FAIL(c, "option clientname works on hostssl lines only");
    if (strcmp(value, "CN") != 0 && strcmp(value, "DN") != 0)
        return FAIL(c, "invalid value for clientname: \"%s\"; use CN or DN", value);
    rule->answer.clientname_dn = value[0] == 'D';
    return true;
}

static bool option_map(struct cursor *c, struct rule *rule, const char *value)
{
    if (rule->answer.method != AUTH_PEER && rule->answer.method != AUTH_CERT)
        return FAIL(c, "option map works with methods peer and cert only");
    free(rule->map);
    rule->map = mem_strdup(value);
    return true;
}

static bool parse_option(struct cursor *c, struct rule *rule, const char *text)
{
    static const struct {
        const char *name;
        bool (*take)(struct cursor *c, struct rule *rule, const char *value);
    } table[] = {{"clientcert", option_clientcert}, {"clientname", option_clientname}, {"map", option_map}};
    const char *equals = strchr(text, '=');

    if (equals == NULL)
        return FAIL(c, "authentication option \"%s\" is not of the form name=value", text);
    size_t len = (size_t)(equals - text);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (strlen(table[i].name) == len && memcmp(text, table[i].name, len) == 0)
            return table[i].take(c, rule, equals + 1);
    }
    return FAIL(c, "unknown authentication option \"%.*s\"; use clientcert, clientname or map", (int)len, text);
}

static bool parse_options(struct cursor *c, struct rule *rule)
{
    bool good = true;

    for (; c->next < c->line->count; c->next++) {
        const struct hba_field *f = &c->line->fields[c->next];

        for (size_t i = 0; i < f->count; i++)
            good &= parse_option(c, rule, f->tokens[i].text);
    }
    return good;
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i].text);
    free(names->items);
}

static void rule_free(struct rule *rule)
{
    names_free(&rule->databases);
    names_free(&rule->users);
    free(rule->map);
}

struct load {
    struct hba *hba;
    struct hba_errors errors;
};

static void rule_parse(void *arg, const struct hba_line *line)
{
    struct load *load = arg;
    struct cursor c = {.errors = &load->errors, .line = line};
    struct rule rule = {0};

    if (!parse_connection(&c, &rule) || !parse_databases(&c, &rule) || !parse_users(&c, &rule) ||
        !parse_address(&c, &rule) || !parse_method(&c, &rule) || !parse_options(&c, &rule)) {
        rule_free(&rule);
        return;
    }
    rule.answer.line = line->number;
    rule.answer.map = rule.map;
    struct hba *h = load->hba;
    h->rules = mem_realloc(h->rules, (h->count + 1) * sizeof *h->rules);
    h->rules[h->count++] = rule;
}

struct hba *hba_load(const char *file, hba_error_fn *on_error, void *arg)
{
    struct load load = {
        .hba = mem_zalloc(sizeof *load.hba),
        .errors = {.report = on_error, .arg = arg, .file = file},
    };

    hba_lines_read(&load.errors, rule_parse, &load);
    if (load.errors.count == 0 && load.hba->count == 0)
        hba_error(&load.errors, 0, "no lines: nobody could log in");
    if (load.errors.count == 0)
        return load.hba;
    hba_free(load.hba);
    return NULL;
}

void hba_free(struct hba *h)
{
    if (h == NULL)
        return;
    for (size_t i = 0; i < h->count; i++)
        rule_free(&h->rules[i]);
    free(h->rules);
    free(h);
}

/* --- matching --- */

static bool connection_fits(const struct rule *rule, const struct hba_question *q)
{
    bool local = q->peer->sa_family == AF_UNIX;

    switch (rule->connection) {
    case CONNECTION_LOCAL:
        return local;
    case CONNECTION_HOST:
        return !local;
    case CONNECTION_TLS:
        return !local && q->tls;
    case CONNECTION_PLAIN:
        return !local && !q->tls;
    default:
        return false;
    }
}

/* Whether the address is one of this machine's own, or (nets) in a net that it is connected to. Asked anew each time,
 * as PostgreSQL does: interfaces come and go. */
static bool ip_is_near(const struct ip *ip, bool nets)
{
    struct ifaddrs *all = NULL;
    bool near = false;

    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *i = all; i != NULL && !near; i = i->ifa_next) {
        if (i->ifa_addr == NULL || (nets && i->ifa_netmask == NULL))
            continue;
        struct ip own = ip_of(i->ifa_addr);
        struct ip mask = {.len = own.len};
        if (nets)
            mask = ip_of(i->ifa_netmask);
        else
            memset(mask.bytes, 0xff, sizeof mask.bytes);
        near = ip_in_range(ip, &own, &mask);
    }
    freeifaddrs(all);
    return near;
}

static bool address_fits(const struct rule *rule, const struct ip *peer)
{
    switch (rule->address) {
    case ADDRESS_RANGE:
        return ip_in_range(peer, &rule->ip, &rule->mask);
    case ADDRESS_SAMEHOST:
        return ip_is_near(peer, false);
    case ADDRESS_SAMENET:
        return ip_is_near(peer, true);
    default:
        return true; /* all; a local line has no address */
    }
}

/* A physical replication connection has no database: only the word replication lets it in. */
static bool database_fits(const struct name *name, const struct hba_question *q)
{
    switch (name->kind) {
    case NAME_ALL:
        return !q->replication;
    case NAME_SAMEUSER:
        return !q->replication && strcmp(q->database, q->user) == 0;
    case NAME_REPLICATION:
        return q->replication;
    default:
        return !q->replication && strcmp(q->database, name->text) == 0;
    }
}

static bool databases_fit(const struct rule *rule, const struct hba_question *q)
{
    for (size_t i = 0; i < rule->databases.count; i++) {
        if (database_fits(&rule->databases.items[i], q))
            return true;
    }
    return false;
}

static bool users_fit(const struct rule *rule, const struct hba_question *q)
{
    for (size_t i = 0; i < rule->users.count; i++) {
        const struct name *name = &rule->users.items[i];

        if (name->kind == NAME_ALL || strcmp(q->user, name->text) == 0)
            return true;
    }
    return false;
}

struct hba_answer hba_match(const struct hba *h, const struct hba_question *q)
{
    struct ip peer = ip_of(q->peer);

    for (size_t i = 0; i < h->count; i++) {
        const struct rule *rule = &h->rules[i];

        if (connection_fits(rule, q) && databases_fit(rule, q) && users_fit(rule, q) && address_fits(rule, &peer))
            return rule->answer;
    }
    return (struct hba_answer){.method = AUTH_REJECT};
}
