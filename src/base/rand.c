// SPDX-License-Identifier: Apache-2.0
#include "base/rand.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

uint64_t ap_mix64(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t ap_random_u64(void) {
    uint64_t r = 0;
    ssize_t n;
    do n = getrandom(&r, sizeof r, GRND_NONBLOCK);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof r) return r;
    // No entropy yet (early boot) or no such system call (sandbox): the clock, the process and the address
    // of a local still differ from call to call.
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    r = ap_mix64((uint64_t)t.tv_nsec ^ ((uint64_t)t.tv_sec << 32));
    return ap_mix64(r ^ (uint64_t)getpid() ^ (uint64_t)(uintptr_t)&r);
}
