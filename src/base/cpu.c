// SPDX-License-Identifier: Apache-2.0
#include "base/cpu.h"

#include <sched.h>

size_t ap_cpu_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? (size_t)n : 1;
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
