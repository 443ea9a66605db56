// SPDX-License-Identifier: Apache-2.0
// budget: how often a whole model may be built for the target, and how long all of it may take.
#ifndef AP_SURGERY_BUDGET_H
#define AP_SURGERY_BUDGET_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What may be spent where nobody says otherwise.
#define AP_BUDGET_BUILDS 24
#define AP_BUDGET_SECONDS 600.0

typedef struct ap_budget {
    size_t builds;  // 0: AP_BUDGET_BUILDS
    double seconds; // 0: AP_BUDGET_SECONDS
} ap_budget;

// A budget that is being spent.
typedef struct ap_spending {
    ap_budget most;
    size_t builds; // so far; whoever has one made counts it
    uint64_t start_us;
} ap_spending;

ap_spending ap_spending_begin(ap_budget most); // the time runs from here
double ap_spending_seconds(const ap_spending *s);
bool ap_is_spent(const ap_spending *s);
// Which budget is spent and the option that gives more, in words; the text lives in `a`. NULL: none.
const char *ap_spent(const ap_spending *s, ap_arena *a);

#endif
