// SPDX-License-Identifier: Apache-2.0
// The builds of the table, one file each, and what runs one.
#ifndef AP_SURGERY_NATIVE_NATIVES_H
#define AP_SURGERY_NATIVE_NATIVES_H

#include "surgery/native.h"

void native_reduce_prod(ap_native_builder *b, const ap_match *m, ap_value **results);

#endif
