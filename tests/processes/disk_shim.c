/* A disk that fails on demand, for one process: LD_PRELOAD this and name a rule file in DISK_SHIM_RULE.

   The file holds one line, read at every call:  OP MATCH ACTION NTH ARG
   OP      write (write, pwrite) or sync (fsync, fdatasync)
   MATCH   part of the path that the descriptor leads to
   ACTION  eio, enospc, erofs, edquot, short, kill, sleep (ARG milliseconds)
   NTH     which matching call since the line was written; 0 for every one
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char armed[256];
static long seen;

static long action(int fd, const char *op, char *what, long *arg)
{
    char rule[256] = "", path[512], link[64], want[16], match[128];
    const char *file = getenv("DISK_SHIM_RULE");
    long nth, length;
    int rules;
    if (!file || (rules = open(file, O_RDONLY | O_CLOEXEC)) < 0)
        return 0;
    length = syscall(SYS_read, rules, rule, sizeof rule - 1);
    close(rules);
    if (length <= 0 || sscanf(rule, "%15s %127s %15s %ld %ld", want, match, what, &nth, arg) < 5 || strcmp(want, op))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (!strstr(path, match))
        return 0;
    if (strcmp(rule, armed)) {
        strcpy(armed, rule);
        seen = 0;
    }
    seen++;
    return nth == 0 || seen == nth;
}

static int failed(const char *what, long arg)
{
    if (!strcmp(what, "kill"))
        kill(getpid(), SIGKILL);
    if (!strcmp(what, "sleep")) {
        struct timespec pause = {arg / 1000, arg % 1000 * 1000000};
        nanosleep(&pause, NULL);
        return 0;
    }
    errno = !strcmp(what, "eio") ? EIO : !strcmp(what, "erofs") ? EROFS : !strcmp(what, "edquot") ? EDQUOT : ENOSPC;
    return 1;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define WRITER(name, offset_decl, offset_type, offset_use) \
    ssize_t name(int fd, const void *from, size_t size offset_decl) \
    { \
        char what[16]; \
        long arg; \
        REAL(ssize_t, #name, int, const void *, size_t offset_type); \
        if (action(fd, "write", what, &arg)) { \
            if (!strcmp(what, "short")) \
                return real(fd, from, size / 2 offset_use); \
            if (failed(what, arg)) \
                return -1; \
        } \
        return real(fd, from, size offset_use); \
    }

#define COMMA_OFF_DECL , off_t at
#define COMMA_OFF_TYPE , off_t
#define COMMA_OFF_USE , at
WRITER(write, , , )
WRITER(pwrite, COMMA_OFF_DECL, COMMA_OFF_TYPE, COMMA_OFF_USE)
WRITER(pwrite64, COMMA_OFF_DECL, COMMA_OFF_TYPE, COMMA_OFF_USE)

#define SYNCER(name) \
    int name(int fd) \
    { \
        char what[16]; \
        long arg; \
        REAL(int, #name, int); \
        if (action(fd, "sync", what, &arg) && failed(what, arg)) \
            return -1; \
        return real(fd); \
    }

SYNCER(fsync)
SYNCER(fdatasync)
