/*
 * Let system calls on some paths fail, as they do on a broken or full disk.
 *
 * Preloaded into a process. The file that VMSNAP_TEST_FAULT names is mapped, so that whoever writes
 * to it rules over all processes that have it: a line "CALL PATH ERRNO COUNT". From the COUNT-th on,
 * each such call of a process fails on every file whose path holds PATH; without a line none does.
 * The file ends with a "!" once a call has failed. CALL is open, make, read, write, sync, rename or unlink; "once:" before it lets it fail once only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static char *orders;
static long hits;

__attribute__((constructor)) static void map_orders(void)
{
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    const char *name = getenv("VMSNAP_TEST_FAULT");
    int descriptor = name ? real_open(name, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor < 0)
        return;
    void *found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    orders = found == MAP_FAILED ? NULL : found;
    close(descriptor);
}

static int fails(const char *call, const char *path)
{
    char wanted[16], part[1024];
    int number;
    long count;
    if (!orders || !orders[0] || !path)
        return 0;
    if (sscanf(orders, "%15s %1023s %d %ld", wanted, part, &number, &count) != 4)
        return 0;
    int once = !strncmp(wanted, "once:", 5);
    if (strcmp(wanted + (once ? 5 : 0), call) || !strstr(path, part))
        return 0;
    ++hits;
    if (hits < count || (once && hits > count))
        return 0;
    orders[4095] = '!';
    errno = number;
    return 1;
}

static const char *path_of(int descriptor)
{
    static __thread char found[4096];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, found, sizeof found - 1);
    if (length < 0)
        return NULL;
    found[length] = 0;
    return found;
}

static const char *path_at(int folder, const char *name)
{
    static __thread char joined[8192];
    if (folder == AT_FDCWD || !name || name[0] == '/')
        return name;
    int saved = errno;
    const char *above = orders && orders[0] ? path_of(folder) : NULL;
    errno = saved;
    if (!above)
        return name;
    snprintf(joined, sizeof joined, "%s/%s", above, name);
    return joined;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define IS_ORDERED (orders && orders[0])
#define ON_DESCRIPTOR(type, name, call, parameters, arguments) \
    type name parameters \
    { \
        if (IS_ORDERED && fails(call, path_of(fd))) \
            return -1; \
        return REAL(name) arguments; \
    }

ON_DESCRIPTOR(ssize_t, read, "read", (int fd, void *b, size_t n), (fd, b, n))
ON_DESCRIPTOR(ssize_t, pread, "read", (int fd, void *b, size_t n, off_t o), (fd, b, n, o))
ON_DESCRIPTOR(ssize_t, pread64, "read", (int fd, void *b, size_t n, off64_t o), (fd, b, n, o))
ON_DESCRIPTOR(ssize_t, write, "write", (int fd, const void *b, size_t n), (fd, b, n))
ON_DESCRIPTOR(ssize_t, pwrite, "write", (int fd, const void *b, size_t n, off_t o), (fd, b, n, o))
ON_DESCRIPTOR(ssize_t, pwrite64, "write", (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o))
ON_DESCRIPTOR(int, fsync, "sync", (int fd), (fd))
ON_DESCRIPTOR(int, fdatasync, "sync", (int fd), (fd))

#define OPENS(name, parameters, path, ...) \
    int name parameters \
    { \
        va_list list; \
        va_start(list, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; \
        va_end(list); \
        if (IS_ORDERED && (fails("open", path) || (flags & O_CREAT && fails("make", path)))) \
            return -1; \
        return REAL(name)(__VA_ARGS__, flags, mode); \
    }

OPENS(open, (const char *name, int flags, ...), name, name)
OPENS(open64, (const char *name, int flags, ...), name, name)
OPENS(openat, (int folder, const char *name, int flags, ...), path_at(folder, name), folder, name)
OPENS(openat64, (int folder, const char *name, int flags, ...), path_at(folder, name), folder, name)

int renameat2(int folder, const char *name, int other, const char *to, unsigned int flags)
{
    if (IS_ORDERED && fails("rename", path_at(folder, name)))
        return -1;
    return REAL(renameat2)(folder, name, other, to, flags);
}

int unlink(const char *name)
{
    if (IS_ORDERED && fails("unlink", name))
        return -1;
    return REAL(unlink)(name);
}

int unlinkat(int folder, const char *name, int flags)
{
    if (IS_ORDERED && fails("unlink", path_at(folder, name)))
        return -1;
    return REAL(unlinkat)(folder, name, flags);
}
