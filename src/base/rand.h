// SPDX-License-Identifier: Apache-2.0
// rand: unpredictable numbers for hash seeds and temporary names. Not for keys.
#ifndef AP_BASE_RAND_H
#define AP_BASE_RAND_H

#include <stdint.h>

uint64_t ap_random_u64(void);
// Spreads the bits of x over all 64 (splitmix64's finisher); ap_mix64(0) is not 0.
uint64_t ap_mix64(uint64_t x);

#endif
