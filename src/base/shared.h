// SPDX-License-Identifier: Apache-2.0
// shared: memory that two processes see. It has no name; whoever is handed its descriptor may map it.
//
// Its size is sealed: neither side can cut it short under the other's feet.
#ifndef AP_BASE_SHARED_H
#define AP_BASE_SHARED_H

#include "base/mem.h"

// What such memory is sealed with (fcntl.h); it must be, to be mapped from another process.
#define AP_SHARED_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

typedef struct ap_shared {
    int fd;        // closes on exec; -1 when not open
    uint8_t *data; // NULL when not open
    size_t bytes;
} ap_shared;
#define AP_SHARED_NONE ((ap_shared){.fd = -1})

// Makes and maps zeroed memory. Error NO_MEMORY over half of what the machine has, IO.
AP_MUST ap_err ap_shared_create(size_t bytes, ap_shared *out);
// Maps what another process made. Takes `fd` over, also on failure. Error IO when it is not memory of this
// size with a sealed size.
AP_MUST ap_err ap_shared_open(int fd, size_t bytes, ap_shared *out);
// The same, to be read alone: who writes there dies of it.
AP_MUST ap_err ap_shared_open_to_read(int fd, size_t bytes, ap_shared *out);
// What is written to these whole pages from now on stays in this process, and in a fork of it: of the other
// process they keep what it wrote. Error IO.
AP_MUST ap_err ap_shared_part(const ap_shared *s, size_t offset, size_t bytes);
void ap_shared_close(ap_shared *s); // AP_SHARED_NONE is fine, and is what remains

#endif
