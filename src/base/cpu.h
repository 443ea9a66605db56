// SPDX-License-Identifier: Apache-2.0
// cpu: how many processors there are, and staying on one of them.
#ifndef AP_BASE_CPU_H
#define AP_BASE_CPU_H

#include <stddef.h>

size_t ap_cpu_count(void); // processors this process may use; at least 1
size_t ap_cpu_now(void);   // the one this thread is on, by a number of the system's
// Keeps this process on the n-th processor it may use (modulo their number). Best effort: where the system
// has no such call nothing happens. Two spinning vendor emulators on two processors finish 1.6 times as much
// when each has its own.
void ap_cpu_pin(size_t n);

#endif
