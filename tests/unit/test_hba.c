/*
 * test_hba.c: pg_hba.conf and pg_ident.conf: what is read, what is refused and how that is told, and who may come in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/hba.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* --- files of our own --- */

static char folder[] = "/tmp/test_hba_XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *file_write(const char *name, const char *text, size_t len)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    return path;
}

static int group_setup(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int group_teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* --- errors, as they are told --- */

struct told {
    int count;
    int line;          /* of the last */
    char file[128];    /* of the last */
    char message[600]; /* the last */
};

static void tell(void *arg, const char *file, int line, const char *message)
{
    struct told *t = arg;

    t->count++;
    snprintf(t->file, sizeof t->file, "%s", file);
    t->line = line;
    snprintf(t->message, sizeof t->message, "%s", message);
}

static struct hba *load_text(const char *text, struct told *t)
{
    *t = (struct told){0};
    return hba_load(file_write("hba", text, strlen(text)), tell, t);
}

static struct hba *load_good(const char *text)
{
    struct told t;
    struct hba *h = load_text(text, &t);

    assert_string_equal(t.message, "");
    assert_non_null(h);
    return h;
}

/* --- questions --- */

struct peer {
    struct sockaddr_storage address;
};

/* An IP address, or "local". */
static struct peer peer_of(const char *text)
{
    struct peer p = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&p.address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&p.address;

    p.address.ss_family = AF_UNIX;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        p.address.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        p.address.ss_family = AF_INET6;
    else
        assert_string_equal(text, "local");
    return p;
}

static struct hba_answer ask(const struct hba *h, const char *peer, bool tls, const char *database, const char *user)
{
    struct peer p = peer_of(peer);
    struct hba_question q = {.peer = (const struct sockaddr *)&p.address,
                             .tls = tls,
                             .replication = strcmp(database, "REPLICATION") == 0,
                             .database = database,
                             .user = user};

    return hba_match(h, &q);
}

/* The method of a file of one line for one question; AUTH_REJECT with line 0 where the line does not fit. */
static bool fits(const char *line, const char *peer, bool tls, const char *database, const char *user)
{
    struct hba *h = load_good(line);
    struct hba_answer a = ask(h, peer, tls, database, user);

    assert_int_equal(a.method, a.line != 0 ? AUTH_TRUST : AUTH_REJECT);
    hba_free(h);
    return a.line != 0;
}

/* --- matching --- */

static void test_connection_types(void **state)
{
    static const struct {
        const char *type;
        bool local, plain, tls;
    } cases[] = {
        {"local all all", true, false, false},           {"host all all all", false, true, true},
        {"hostssl all all all", false, false, true},     {"hostnossl all all all", false, true, false},
        {"hostgssenc all all all", false, false, false}, {"hostnogssenc all all all", false, true, true},
    };
    char line[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(line, sizeof line, "%s trust\n", cases[i].type);
        assert_int_equal(fits(line, "local", false, "d", "u"), cases[i].local);
        assert_int_equal(fits(line, "1.2.3.4", false, "d", "u"), cases[i].plain);
        assert_int_equal(fits(line, "1.2.3.4", true, "d", "u"), cases[i].tls);
        assert_int_equal(fits(line, "2001:db8::1", true, "d", "u"), cases[i].tls);
    }
}

static void test_addresses(void **state)
{
    static const struct {
        const char *address, *peer;
        bool fits;
    } cases[] = {
        {"all", "9.9.9.9", true},
        {"all", "::9", true},
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.1.2.3/8", "10.255.0.1", true}, /* bits behind the mask do not count */
        {"10.1.2.3/32", "10.1.2.3", true},
        {"10.1.2.3/32", "10.1.2.2", false},
        {"10.1.2.0/23", "10.1.3.255", true},
        {"10.1.2.0/23", "10.1.4.0", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"10.1.2.3 255.255.255.255", "10.1.2.3", true},
        {"10.1.2.3 255.255.0.0", "10.1.9.9", true},
        {"10.1.2.3 255.255.0.0", "10.2.9.9", false},
        {"10.1.2.3 255.0.255.0", "10.77.2.9", true},
        {"::1/128", "::1", true},
        {"::1/128", "::2", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"2001:db8:: ffff:ffff::", "2001:db8:8000::1", true},
        {"::/0", "1.2.3.4", false},
        {"::/0", "::ffff:1.2.3.4", false}, /* an IPv4 client, whatever the socket */
        {"0.0.0.0/0", "::ffff:1.2.3.4", true},
        {"1.2.3.0/24", "::ffff:1.2.3.4", true},
        {"1.2.4.0/24", "::ffff:1.2.3.4", false},
        {"::ffff:1.2.3.0/120", "::ffff:1.2.3.4", true},
        {"::ffff:1.2.3.0/120", "1.2.3.4", true},
        {"::ffff:1.2.3.0/120", "1.2.4.4", false},
        {"samehost", "127.0.0.1", true},
        {"samehost", "127.0.0.2", false},
        {"samenet", "127.0.0.2", true},
        {"samenet", "::ffff:127.0.0.2", true},
        {"samehost", "203.0.113.77", false},
        {"samenet", "2001:db8:dead::1", false},
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(line, sizeof line, "host all all %s trust\n", cases[i].address);
        if (fits(line, cases[i].peer, false, "d", "u") != cases[i].fits)
            fail_msg("%s for %s", cases[i].address, cases[i].peer);
    }
}

static void test_databases_and_users(void **state)
{
    static const struct {
        const char *names, *database, *user;
        bool fits;
    } cases[] = {
        {"all all", "d", "u", true},
        {"all all", "REPLICATION", "u", false},
        {"replication all", "REPLICATION", "u", true},
        {"replication all", "replication", "u", false},
        {"\"replication\" all", "replication", "u", true},
        {"\"replication\" all", "REPLICATION", "u", false},
        {"all,replication all", "REPLICATION", "u", true},
        {"REPLICATION all", "REPLICATION", "u", false}, /* keywords are lower case; a connection without a database */
        {"d all", "d", "u", true},
        {"d all", "D", "u", false},
        {"a,b,d u,v", "d", "v", true},
        {"a, b,  d u, v", "d", "v", true}, /* a comma binds what follows, blanks or not */
        {"a,b u", "d", "u", false},
        {"sameuser all", "u", "u", true},
        {"sameuser all", "d", "u", false},
        {"\"sameuser\" all", "sameuser", "u", true},
        {"\"sameuser\" all", "u", "u", false},
        {"\"all\" all", "d", "u", false},
        {"all \"all\"", "d", "u", false},
        {"all \"all\"", "d", "all", true},
        {"all \"+u\"", "d", "+u", true},
        {"\"two words\" \"a,b\"", "two words", "a,b", true},
        {"\"with\"\"quote\" u", "with\"quote", "u", true},
        {"d\"x y\" u", "dx y", "u", true},
        {"\"@d\" u", "@d", "u", true},
        {"@ u", "@", "u", true},
        {"\"#d\" u", "#d", "u", true},
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(line, sizeof line, "host %s all trust\n", cases[i].names);
        if (fits(line, "1.2.3.4", false, cases[i].database, cases[i].user) != cases[i].fits)
            fail_msg("%s for %s %s", cases[i].names, cases[i].database, cases[i].user);
    }
}

static void test_methods(void **state)
{
    static const struct {
        const char *line;
        enum auth_method method;
        int clientcert;
        bool dn;
        const char *map;
    } cases[] = {
        {"host all all all trust", AUTH_TRUST, CLIENTCERT_NONE, false, NULL},
        {"host all all all reject", AUTH_REJECT, CLIENTCERT_NONE, false, NULL},
        {"host all all all md5", AUTH_MD5, CLIENTCERT_NONE, false, NULL},
        {"host all all all password", AUTH_PLAIN, CLIENTCERT_NONE, false, NULL},
        {"host all all all scram-sha-256", AUTH_SCRAM, CLIENTCERT_NONE, false, NULL},
        {"hostssl all all all cert", AUTH_CERT, CLIENTCERT_VERIFY_FULL, false, NULL},
        {"hostssl all all all cert map=m clientname=DN", AUTH_CERT, CLIENTCERT_VERIFY_FULL, true, "m"},
        {"hostssl all all all cert map=m map=n clientname=CN", AUTH_CERT, CLIENTCERT_VERIFY_FULL, false, "n"},
        {"hostssl all all all cert clientcert=verify-full", AUTH_CERT, CLIENTCERT_VERIFY_FULL, false, NULL},
        {"hostssl all all all md5 clientcert=verify-ca", AUTH_MD5, CLIENTCERT_VERIFY_CA, false, NULL},
        {"hostssl all all all scram-sha-256 clientcert=verify-full clientname=DN", AUTH_SCRAM, CLIENTCERT_VERIFY_FULL,
         true, NULL},
        {"local all all peer", AUTH_PEER, CLIENTCERT_NONE, false, NULL},
        {"local all all ident map=\"my map\"", AUTH_PEER, CLIENTCERT_NONE, false, "my map"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hba *h = load_good(cases[i].line);
        struct hba_answer a = ask(h, cases[i].line[0] == 'l' ? "local" : "1.2.3.4", true, "d", "u");

        assert_int_equal(a.line, 1);
        assert_int_equal(a.method, cases[i].method);
        assert_int_equal(a.clientcert, cases[i].clientcert);
        assert_int_equal(a.clientname_dn, cases[i].dn);
        assert_true((a.map == NULL) == (cases[i].map == NULL));
        if (a.map != NULL)
            assert_string_equal(a.map, cases[i].map);
        hba_free(h);
    }
}

/* The first line that fits decides; comments, empty and continued lines count as PostgreSQL counts them. */
static void test_order_and_lines(void **state)
{
    struct hba *h = load_good("# first\n"
                              "\n"
                              "host all bad all reject # not him\r\n"
                              "host shop \\\n"
                              "   ann,\\\r\n"
                              "bob 10.0.0.0/8 \\\n"
                              "md5\n"
                              "\t \n"
                              "# a comment that goes on \\\n"
                              "host all all all trust\n"
                              "local all all trust\\");

    (void)state;
    assert_int_equal(ask(h, "10.1.1.1", false, "shop", "bad").line, 3);
    assert_int_equal(ask(h, "10.1.1.1", false, "shop", "bad").method, AUTH_REJECT);
    assert_int_equal(ask(h, "10.1.1.1", false, "shop", "ann").line, 4);
    assert_int_equal(ask(h, "10.1.1.1", false, "shop", "bob").method, AUTH_MD5);
    assert_int_equal(ask(h, "10.1.1.1", false, "shop", "eve").line, 0);
    assert_int_equal(ask(h, "10.1.1.1", false, "shop", "eve").method, AUTH_REJECT);
    assert_int_equal(ask(h, "local", false, "shop", "eve").line, 11);
    hba_free(h);
}

static void test_includes(void **state)
{
    static const char users[] = "ann, bob\n# nobody\n\"carl x\" @more\n";
    char text[256];

    (void)state;
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    file_write("sub/users", users, strlen(users));
    file_write("sub/more", "dora", 4);
    struct hba *h = load_good("host shop eve,@sub/users,fay all trust\n");
    const char *const in[] = {"eve", "ann", "bob", "carl x", "dora", "fay"};
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        assert_int_equal(ask(h, "1.2.3.4", false, "shop", in[i]).line, 1);
    assert_int_equal(ask(h, "1.2.3.4", false, "shop", "nobody").line, 0);
    hba_free(h);
    snprintf(text, sizeof text, "host shop @%s all trust\n", path_of("sub/more"));
    h = load_good(text);
    assert_int_equal(ask(h, "1.2.3.4", false, "shop", "dora").line, 1);
    hba_free(h);
}

/* Records that name other files: PostgreSQL 16's. */
static void test_included_lines(void **state)
{
    struct told t;

    (void)state;
    assert_int_equal(mkdir(path_of("conf.d"), 0700), 0);
    file_write("conf.d/20.conf", "host all bob all trust\n", 23);
    file_write("conf.d/10.conf", "host all bob all reject\n", 24);
    file_write("conf.d/00.off", "nonsense\n", 9);
    file_write("conf.d/.00.conf", "nonsense\n", 9);
    file_write("conf.d/more", "host all ann all trust\ninclude 20.conf\n", 39);
    struct hba *h = load_good("include conf.d/more\ninclude_if_exists nowhere\nhost all eve all trust\n");
    assert_int_equal(ask(h, "1.2.3.4", false, "shop", "ann").method, AUTH_TRUST);
    assert_int_equal(ask(h, "1.2.3.4", false, "shop", "bob").method, AUTH_TRUST);
    assert_int_equal(ask(h, "1.2.3.4", false, "shop", "eve").line, 3);
    hba_free(h);
    h = load_good("include_dir conf.d");
    assert_int_equal(ask(h, "1.2.3.4", false, "shop", "bob").method, AUTH_REJECT);
    assert_int_equal(ask(h, "1.2.3.4", false, "shop", "bob").line, 1);
    hba_free(h);
    file_write("conf.d/bad", "host all all all trust\nhost all all all oops\n", 45);
    assert_null(load_text("\n\ninclude conf.d/bad\nhost all all all no\n", &t));
    assert_int_equal(t.count, 2);
    assert_int_equal(t.line, 4);
    assert_string_equal(t.file, path_of("hba"));
    assert_null(load_text("host all all all trust\ninclude conf.d/bad\n", &t));
    assert_int_equal(t.line, 2);
    assert_string_equal(t.file, path_of("conf.d/bad"));
}

/* --- what is refused --- */

static const struct {
    const char *line, *message;
} wrong_lines[] = {
    {"hosts all all all trust", "invalid connection type \"hosts\""},
    {"host,local all all all trust", "more than one value for connection type"},
    {"host", "end of line before database"},
    {"host all", "end of line before user"},
    {"host all all", "end of line before address"},
    {"host all all all", "end of line before authentication method"},
    {"local all all", "end of line before authentication method"},
    {"host samerole all all trust", "samerole is not supported: role membership is not known here"},
    {"host samegroup all all trust", "samegroup is not supported"},
    {"host all +staff all trust", "+staff is not supported: role membership is not known here"},
    {"host /^d all all trust", "regular expressions for databases are not supported"},
    {"host all /^u all trust", "regular expressions for users are not supported"},
    {"host all all db.example.com trust", "host names are not supported"},
    {"host all all .example.com trust", "host names are not supported"},
    {"host all all 1.2.3.256/8 trust", "not an IP address"},
    {"host all all db.example.com/8 trust", "not an IP address"},
    {"host all all 1.2.3.4/33 trust", "use 0 to 32"},
    {"host all all ::1/129 trust", "use 0 to 128"},
    {"host all all 1.2.3.4/ trust", "invalid number of bits"},
    {"host all all 1.2.3.4/-1 trust", "invalid number of bits"},
    {"host all all 1.2.3.4/8x trust", "invalid number of bits"},
    {"host all all 1.2.3.4/08000000008 trust", "invalid number of bits"},
    {"host all all 1.2.3.4 trust", "invalid network mask \"trust\""},
    {"host all all 1.2.3.4", "end of line before network mask"},
    {"host all all 1.2.3.4 ffff:: trust", "not of the same family"},
    {"host all all 1.2.3.4,1.2.3.5 trust", "more than one value for address"},
    {"host all all all trusty", "invalid authentication method \"trusty\""},
    {"host all all all trust,md5", "more than one value for authentication method"},
    {"host all all all ident", "ident is not supported over TCP"},
    {"host all all all peer", "peer works on local lines only"},
    {"host all all all cert", "cert works on hostssl lines only"},
    {"local all all cert", "cert works on hostssl lines only"},
    {"host all all all gss", "method gss is not supported"},
    {"host all all all sspi", "method sspi is not supported"},
    {"host all all all pam", "method pam is not supported"},
    {"host all all all ldap ldapserver=x", "method ldap is not supported"},
    {"host all all all radius", "method radius is not supported"},
    {"host all all all bsd", "method bsd is not supported"},
    {"host all all all md5 x", "not of the form name=value"},
    {"host all all all md5 x=y", "unknown authentication option \"x\""},
    {"host all all all md5 map=m", "option map works with methods peer and cert only"},
    {"host all all all md5 clientcert=verify-ca", "clientcert works on hostssl lines only"},
    {"hostssl all all all md5 clientcert=1", "invalid value for clientcert: \"1\""},
    {"hostssl all all all cert clientcert=verify-ca", "clientcert can only be verify-full"},
    {"host all all all md5 clientname=DN", "clientname works on hostssl lines only"},
    {"hostssl all all all cert clientname=X", "invalid value for clientname"},
    {"host \"all all all trust", "quoted text without an end"},
    {"host all @missing all trust", "No such file or directory"},
    {"host all @hba all trust", "file includes itself"},
    {"host all @/dev/zero all trust", "not a regular file"},
    {"host all @. all trust", "not a regular file"},
    {"host all @empty all trust", "has nothing in it"},
    {"host all @quote all trust", "quoted text without an end in line 2 of"},
    {"host all @ring all trust", "file includes itself"},
    {"host all @zero all trust", "zero byte in the line"},
    {"include", "include takes the name of one file"},
    {"include a,b", "include takes the name of one file"},
    {"include_dir a b", "include_dir takes the name of one folder"},
    {"include nowhere", "No such file or directory"},
    {"include_dir nowhere", "No such file or directory"},
    {"include hba", "file includes itself"},
    {"include_if_exists hba", "file includes itself"},
    {"\"include\" x", "invalid connection type \"include\""},
    {"", "no lines: nobody could log in"},
};

static void test_errors(void **state)
{
    struct told t;

    (void)state;
    file_write("empty", "# nobody\n", 9);
    file_write("quote", "a\n\"b\n", 5);
    file_write("ring", "@ring2", 6);
    file_write("ring2", "@ring", 5);
    file_write("zero", "a\0b", 3);
    for (size_t i = 0; i < ARRAY_LEN(wrong_lines); i++) {
        struct hba *h = load_text(wrong_lines[i].line, &t);

        assert_null(h);
        if (t.count != 1 || strstr(t.message, wrong_lines[i].message) == NULL)
            fail_msg("\"%s\": %d errors, \"%s\"", wrong_lines[i].line, t.count, t.message);
        assert_int_equal(t.line, wrong_lines[i].line[0] == '\0' ? 0 : 1);
    }
}

static void test_errors_all_at_once(void **state)
{
    struct told t;

    (void)state;
    assert_null(load_text("host all all all trust\nhost all all all oops\n# fine\nlocal all all trust\nlocal all\n"
                          "host all all all md5 a=b c\n",
                          &t));
    assert_int_equal(t.count, 4);
    assert_int_equal(t.line, 6);
}

static void test_errors_of_files(void **state)
{
    struct told t = {0};

    (void)state;
    assert_null(hba_load(path_of("not there"), tell, &t));
    assert_int_equal(t.count, 1);
    assert_non_null(strstr(t.message, "No such file or directory"));
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    assert_null(hba_load(path_of("pipe"), tell, &t)); /* and does not wait for a writer */
    assert_non_null(strstr(t.message, "not a regular file"));
    assert_null(hba_load(file_write("hba", "host all\0all all trust\n", 23), tell, &t));
    assert_string_equal(t.message, "zero byte in the line");
}

static void test_deep_includes(void **state)
{
    char name[16], text[16];
    struct told t;

    (void)state;
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "deep%d", i);
        int len = snprintf(text, sizeof text, i < 11 ? "@deep%d" : "ann", i + 1);
        file_write(name, text, (size_t)len);
    }
    hba_free(load_good("host all @deep2 all trust"));
    assert_null(load_text("host all @deep1 all trust", &t));
    assert_non_null(strstr(t.message, "more than 10 deep"));
}

/* --- pg_ident.conf --- */

static struct ident_map *ident_text(const char *text, struct told *t)
{
    *t = (struct told){0};
    return ident_load(file_write("ident", text, strlen(text)), tell, t);
}

static void test_ident_match(void **state)
{
    static const struct {
        const char *map, *system, *user;
        bool fits;
    } cases[] = {
        {NULL, "ann", "ann", true},
        {NULL, "ann", "Ann", false},
        {"m", "ann", "ann", false}, /* a map replaces equality */
        {"m", "root", "admin", true},
        {"m", "root", "other", true},
        {"m", "root", "root", false},
        {"m", "ROOT", "admin", false},
        {"nomap", "root", "admin", false},
        {"re", "ann@example.com", "ann", true},
        {"re", "ann@example.com", "bob", false},
        {"re", "ann@exampleXcom", "ann", false},
        {"re", "ann@example.com.evil", "ann", false},
        {"re", "x-smith", "u_smith_db", true},
        {"re", "x-smith", "u_\\1_db", false},
        {"fixed", "anything at all", "guest", true},
        {"fixed", "anything", "\\1", false},
        {"lit", "a", "\\1", true},
        {"opt", "b", "", false},
        {"opt", "ab", "a", true},
        {"my map", "spaced out", "x", true},
        {"cls", "ab]9", "x", true},
        {"cls", "ab]", "x", false},
    };
    struct told t;
    struct ident_map *m = ident_text("# who\n"
                                     "m root admin\n"
                                     "m root other\n"
                                     "re /^(.*)@example\\.com$ \\1\n"
                                     "re /^x-(\\w+)$ u_\\1_db\n"
                                     "fixed /^ guest\n"
                                     "lit a \\1\n"
                                     "opt /^(a)?b$ \\1\n"
                                     "\"my map\" \"spaced out\" x\n"
                                     "cls /^[[:alpha:]]+[]x][0-9]$ x\n",
                                     &t);

    (void)state;
    assert_non_null(m);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (ident_match(m, cases[i].map, cases[i].system, cases[i].user) != cases[i].fits)
            fail_msg("case %zu", i);
    }
    ident_free(m);
    assert_true(ident_match(NULL, NULL, "a", "a"));
    assert_false(ident_match(NULL, "m", "a", "a"));
}

static void test_ident_errors(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"m", "end of line before system user name"},
        {"m root", "end of line before database user name"},
        {"m root a b", "unexpected text behind the database user name"},
        {"m root,toor a", "more than one value for system user name"},
        {"m /( a", "invalid regular expression \"(\""},
        {"m /^x$ \\1", "has no parentheses for the \\1"},
        {"m /^\\d+$ a", "an escape such as \\d"},
        {"m /(a)\\1 a", "an escape such as \\d"},
        {"m /(?:a) a", "a group that begins with (?"},
        {"m /^.*?x$ a", "a quantifier that is not greedy"},
        {"m /[\\d] a", "a backslash in a bracket expression"},
        {"m /[[:alpha:]\\]] a", "a backslash in a bracket expression"},
        {"m /[a a", "a bracket expression without an end"},
        {"m /[[:alpha: a", "a bracket expression without an end"},
        {"m /***=x a", "an embedded option"},
    };
    struct told t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_null(ident_text(cases[i].line, &t));
        if (t.count != 1 || t.line != 1 || strstr(t.message, cases[i].message) == NULL)
            fail_msg("\"%s\": %d errors, \"%s\"", cases[i].line, t.count, t.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection_types),    cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_databases_and_users), cmocka_unit_test(test_methods),
        cmocka_unit_test(test_order_and_lines),     cmocka_unit_test(test_includes),
        cmocka_unit_test(test_included_lines),      cmocka_unit_test(test_errors),
        cmocka_unit_test(test_errors_all_at_once),  cmocka_unit_test(test_errors_of_files),
        cmocka_unit_test(test_deep_includes),       cmocka_unit_test(test_ident_match),
        cmocka_unit_test(test_ident_errors),
    };

    return cmocka_run_group_tests_name("hba", tests, group_setup, group_teardown);
}
