/*
 * main.c: the command line.
 * Thread: main, which becomes control.
 */
#include "proxy/coordinator_command.h"
#include "proxy/map_command.h"
#include "proxy/publish.h"
#include "proxy/shards.h"
#include "proxy/shards_command.h"
#include "proxy/version.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

enum { OPT_REFERENCE = 256 };

static const struct option long_options[] = {{"daemon", no_argument, NULL, 'd'},
                                             {"quiet", no_argument, NULL, 'q'},
                                             {"verbose", no_argument, NULL, 'v'},
                                             {"user", required_argument, NULL, 'u'},
                                             {"test", no_argument, NULL, 't'},
                                             {"version", no_argument, NULL, 'V'},
                                             {"help", no_argument, NULL, 'h'},
                                             {"reboot", no_argument, NULL, 'R'},
                                             {"reference", no_argument, NULL, OPT_REFERENCE},
                                             {NULL, 0, NULL, 0}};

static void print_usage(FILE *out, const char *program)
{
    fprintf(out,
            "Sluice is a SQL-aware proxy and connection pooler for PostgreSQL.\n\n"
            "Usage: %s [OPTION]... FILE\n"
            "       %s shards FILE DATABASE [--apply]    what each shard needs, printed or run there\n"
            "       %s map FILE DATABASE [--adopt]    what the shards say of their places, compared, or made so\n"
            "       %s coordinator FILE DATABASE [--apply]    what the coordinator has, printed or made there\n\n"
            "  -d, --daemon        run in the background (needs pidfile in FILE)\n"
            "  -q, --quiet         nothing to stderr\n"
            "  -v, --verbose       log more; twice: still more\n"
            "  -u, --user=NAME     become this operating system user\n"
            "  -t, --test          only test FILE: print all that is wrong in it\n"
            "  -V, --version       print the version\n"
            "  -h, --help          print this, and the options that FILE may have\n"
            "      --reference     print the reference of FILE's options\n",
            program, program, program, program);
}

struct command {
    struct control_flags flags;
    bool test;
};

/* Returns true to go on, false to exit with *status. */
static bool parse_flag(int flag, const char *program, struct command *c, int *status)
{
    *status = 0;
    switch (flag) {
    case 'd':
        c->flags.daemon = true;
        return true;
    case 'q':
        c->flags.quiet = true;
        return true;
    case 'v':
        c->flags.verbose++;
        return true;
    case 'u':
        c->flags.user = optarg;
        return true;
    case 't':
        c->test = true;
        return true;
    case 'V':
        printf("Sluice %s\n", SLUICE_VERSION);
        return false;
    case 'h':
        print_usage(stdout, program);
        printf("\n");
        options_print_help(stdout);
        return false;
    case 'R':
        fprintf(stderr, "-R (--reboot, PgBouncer's online restart) is not supported: end the old process by SHUTDOWN "
                        "WAIT_FOR_CLIENTS on its console, or by SIGTERM, then start the new one.\n");
        *status = 1;
        return false;
    case OPT_REFERENCE:
        options_print_reference(stdout);
        return false;
    default: /* getopt has said what is wrong */
        fprintf(stderr, "Try \"%s --help\".\n", program);
        *status = 1;
        return false;
    }
}

static struct config *load(const char *file)
{
    struct config_errors errors = {0};
    struct config *c = shards_config_load(file, &errors);

    for (size_t i = 0; i < errors.count; i++)
        fprintf(stderr, "%s\n", errors.lines[i]);
    config_errors_free(&errors);
    return c;
}

int main(int argc, char **argv)
{
    struct command command = {.test = false};
    int flag, status;

    if (argc > 1 && strcmp(argv[1], "shards") == 0)
        return shards_command(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "map") == 0)
        return map_command(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "coordinator") == 0)
        return coordinator_command(argc - 2, argv + 2);
    while ((flag = getopt_long(argc, argv, "dqvu:tVhR", long_options, NULL)) != -1)
        if (!parse_flag(flag, argv[0], &command, &status))
            return status;
    if (optind + 1 != argc) {
        fprintf(stderr, "%s\n", optind == argc ? "Which configuration file?" : "Only one configuration file.");
        print_usage(stderr, argv[0]);
        return 1;
    }
    command.flags.file = argv[optind];
    struct config *c = load(command.flags.file);
    if (c == NULL)
        return 1;
    if (!command.test)
        return control_run(c, &command.flags);
    status = publish_test(c) == 0 ? 0 : 1;
    if (status == 0)
        printf("OK\n");
    config_unref(c);
    return status;
}
