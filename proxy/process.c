/*
 * process.c: see process.h. The pidfile is locked as long as the process lives, so that a file left behind by a killed
 * one is known to be stale, whatever process has its number now.
 * Source of the notifications: sd_notify(3): datagrams of NAME=value lines to the Unix socket in NOTIFY_SOCKET.
 * Thread: main before other threads start; control.
 */
#include "proxy/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char *pidfile;
static int pidfile_fd = -1;

uint64_t process_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    return limit.rlim_cur;
}

bool process_pidfile_taken(const char *path, int *pid)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[32] = "";

    if (fd < 0)
        return false;
    bool taken = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ssize_t n = read(fd, text, sizeof text - 1);
    *pid = n > 0 ? atoi(text) : 0;
    close(fd);
    return taken;
}

int process_become(const char *user, char *error, size_t error_size)
{
    const struct passwd *pw = getpwnam(user);

    if (pw == NULL) {
        snprintf(error, error_size, "there is no operating system user \"%s\"", user);
        return -1;
    }
    if (pw->pw_uid == geteuid())
        return 0;
    if (initgroups(user, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0) {
        snprintf(error, error_size, "cannot become user \"%s\": %s", user, strerror(errno));
        return -1;
    }
    return 0;
}

int process_daemonize(char *error, size_t error_size)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t child = null < 0 ? -1 : fork();

    if (child < 0) {
        snprintf(error, error_size, "cannot go to the background: %s", strerror(errno));
        if (null >= 0)
            close(null);
        return -1;
    }
    if (child > 0)
        _exit(0);
    setsid();
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
    return 0;
}

int process_pidfile_write(const char *path, char *error, size_t error_size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0) {
        snprintf(error, error_size, "cannot write the pidfile %s: %s", path, strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        snprintf(error, error_size, "pidfile %s: another process that runs holds it", path);
        close(fd);
        return -1;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        snprintf(error, error_size, "cannot write the pidfile %s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    pidfile = mem_strdup(path);
    pidfile_fd = fd; /* stays open: the lock lives as long */
    return 0;
}

void process_name(const char *name)
{
    prctl(PR_SET_NAME, name); /* takes what fits */
}

void process_end(void)
{
    if (pidfile_fd < 0)
        return;
    unlink(pidfile);
    close(pidfile_fd);
    pidfile_fd = -1;
    free(pidfile);
    pidfile = NULL;
}

void process_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof un.sun_path)
        return;
    memcpy(un.sun_path, path, strlen(path));
    if (path[0] == '@')
        un.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    /* If systemd does not hear it, it will say so itself. */
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&un,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    close(fd);
}
