// SPDX-License-Identifier: Apache-2.0
#include "base/cpu.h"

#include <sched.h>
#include <unistd.h>

// Of a thread (0: this one). The process's first thread stands for the process.
static size_t count_of(pid_t thread, cpu_set_t *set) {
    CPU_ZERO(set);
    if (sched_getaffinity(thread, sizeof *set, set) != 0) return 0;
    int n = CPU_COUNT(set);
    return n > 0 ? (size_t)n : 0;
}

size_t ap_cpu_count(void) {
    cpu_set_t set;
    size_t n = count_of(0, &set);
    return n ? n : 1;
}

size_t ap_cpu_total(void) {
    cpu_set_t set;
    size_t n = count_of(getpid(), &set);
    return n ? n : 1;
}

size_t ap_cpu_now(void) {
    int cpu = sched_getcpu();
    return cpu > 0 ? (size_t)cpu : 0;
}

void ap_cpu_pin(size_t n) {
    cpu_set_t all, one;
    CPU_ZERO(&all);
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) < 1) return;
    size_t skip = n % (size_t)CPU_COUNT(&all);
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET((size_t)i, &all) || skip-- > 0) continue;
        CPU_SET((size_t)i, &one);
        break;
    }
    (void)sched_setaffinity(0, sizeof one, &one);
}

void ap_cpu_share(size_t k, size_t n) {
    cpu_set_t all, share;
    size_t count = count_of(getpid(), &all), at = 0;
    if (!count || !n) return;
    if (n > count) n = count;
    CPU_ZERO(&share);
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all)) continue;
        if (at < count / n * n && at % n == k % n) CPU_SET(i, &share);
        at++;
    }
    (void)sched_setaffinity(0, sizeof share, &share);
}
