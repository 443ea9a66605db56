// SPDX-License-Identifier: Apache-2.0
// host: what machine this is, for the report.
#ifndef AP_PLAN_HOST_H
#define AP_PLAN_HOST_H

#include "base/json.h"

json_t *ap_host_json(void); // {os, cpu, cores}

#endif
