// SPDX-License-Identifier: Apache-2.0
#include "surgery/repair/budget.h"

#include "base/proc.h"

ap_spending ap_spending_begin(ap_budget most) {
    if (!most.builds) most.builds = AP_BUDGET_BUILDS;
    if (!(most.seconds > 0)) most.seconds = AP_BUDGET_SECONDS;
    return (ap_spending){.most = most, .start_us = ap_now_us()};
}

double ap_spending_seconds(const ap_spending *s) {
    return (double)(ap_now_us() - s->start_us) / 1e6;
}

static bool builds_are(const ap_spending *s) {
    return s->builds >= s->most.builds;
}

bool ap_is_spent(const ap_spending *s) {
    return builds_are(s) || ap_spending_seconds(s) >= s->most.seconds;
}

const char *ap_spent(const ap_spending *s, ap_arena *a) {
    if (builds_are(s))
        return ap_arena_printf(
            a, "the budget of %zu build%s of the whole model is spent (--repair-builds gives more)",
            s->most.builds, s->most.builds == 1 ? "" : "s");
    if (!ap_is_spent(s)) return NULL;
    return ap_arena_printf(a, "the budget of %g seconds is spent (--repair-time gives more)",
                           s->most.seconds);
}
