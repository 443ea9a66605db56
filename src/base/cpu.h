// SPDX-License-Identifier: Apache-2.0
// cpu: how many processors there are, and staying on one of them.
#ifndef AP_BASE_CPU_H
#define AP_BASE_CPU_H

#include <stddef.h>

size_t ap_cpu_count(void); // processors this thread may use; at least 1
size_t ap_cpu_total(void); // those of the process, whatever share of them this thread has
size_t ap_cpu_now(void);   // the one this thread is on, by a number of the system's
// Keeps this process on the n-th processor it may use (modulo their number). Best effort: where the system
// has no such call nothing happens. Two spinning vendor emulators on two processors finish 1.6 times as much
// when each has its own.
void ap_cpu_pin(size_t n);
// Keeps this thread, and the threads and processes it starts from now on, to the k-th of n equal shares of
// the process's processors; ap_cpu_count and ap_cpu_pin mean that share then. A share is every n-th
// processor: siblings of one core stand side by side or half the list apart. What does not divide is
// nobody's. At least one processor; best effort.
void ap_cpu_share(size_t k, size_t n);

#endif
