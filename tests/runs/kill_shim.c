/* Kills the process before its Nth call that changes a file, to find every state a kill can leave behind.
 *
 * Preloaded (LD_PRELOAD) into a Python process; a forked child arms it by kill_shim_arm(N, partial) and then runs the
 * code under test. With `partial`, a write that is the Nth call is first done for half of its bytes, at a known offset
 * up to the last border of sectors of 512 bytes before its half: page caches and disks take a sector whole, and the
 * counter of a run file relies on that. kill_shim_calls() tells how many calls were counted since it was armed, and kill_shim_was_write(n) whether the nth was a write.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

static long countdown = -1; /* -1: only count */
static long calls = 0;
static int partial_write = 0;
static int armed = 0;

#define MOST_CALLS 100000
static char was_write[MOST_CALLS + 1];

void kill_shim_arm(long number, int partial) {
    countdown = number;
    partial_write = partial;
    calls = 0;
    armed = 1;
}

long kill_shim_calls(void) { return calls; }

int kill_shim_was_write(long number) { return number > 0 && number <= MOST_CALLS && was_write[number]; }

static int is_last(int writes) {
    if (!armed) return 0;
    if (++calls <= MOST_CALLS) was_write[calls] = (char)writes;
    return calls == countdown;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    pause();
}

static size_t torn(size_t size, off_t offset) {
    off_t border = (offset + (off_t)(size / 2)) / 512 * 512;
    return border > offset ? (size_t)(border - offset) : 0;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int descriptor, const void *data, size_t size) {
    if (is_last(1)) {
        if (partial_write) NEXT(write)(descriptor, data, size / 2);
        die();
    }
    return NEXT(write)(descriptor, data, size);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    if (is_last(1)) {
        if (partial_write) NEXT(pwrite)(descriptor, data, torn(size, offset), offset);
        die();
    }
    return NEXT(pwrite)(descriptor, data, size, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    if (is_last(1)) {
        if (partial_write) NEXT(pwrite64)(descriptor, data, torn(size, offset), offset);
        die();
    }
    return NEXT(pwrite64)(descriptor, data, size, offset);
}

#define KILL_BEFORE(name, parameters, arguments) \
    int name parameters {                        \
        if (is_last(0)) die();                   \
        return NEXT(name) arguments;             \
    }

KILL_BEFORE(ftruncate, (int descriptor, off_t size), (descriptor, size))
KILL_BEFORE(ftruncate64, (int descriptor, off64_t size), (descriptor, size))
KILL_BEFORE(posix_fallocate, (int descriptor, off_t offset, off_t size), (descriptor, offset, size))
KILL_BEFORE(posix_fallocate64, (int descriptor, off64_t offset, off64_t size), (descriptor, offset, size))
KILL_BEFORE(fsync, (int descriptor), (descriptor))
KILL_BEFORE(fdatasync, (int descriptor), (descriptor))
KILL_BEFORE(rename, (const char *from, const char *to), (from, to))
KILL_BEFORE(renameat, (int from_at, const char *from, int to_at, const char *to), (from_at, from, to_at, to))
KILL_BEFORE(unlink, (const char *path), (path))
KILL_BEFORE(unlinkat, (int at, const char *path, int flags), (at, path, flags))
KILL_BEFORE(mkdir, (const char *path, mode_t mode), (path, mode))
