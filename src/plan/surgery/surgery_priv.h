// SPDX-License-Identifier: Apache-2.0
// The inside of the surgery stage.
#ifndef AP_PLAN_SURGERY_PRIV_H
#define AP_PLAN_SURGERY_PRIV_H

#include "plan/surgery/surgery.h"

// The cleaned model made to run on s->host's target. *w is what the target said of it and becomes what it
// says of the result. *now is replaced when something was repaired. *report is that of ap_repaired; *steps is
// extended.
AP_MUST ap_err surgery_repair(const ap_surgery_stage *s, const char *dir, ap_cleaned *now, ap_whole *w,
                              json_t **report, json_t *steps);
// The model, which runs right, rewritten for speed (surgery/repair/tune.h).
AP_MUST ap_err surgery_tune(const ap_surgery_stage *s, ap_cleaned *now, ap_whole *w, json_t **report,
                            json_t *steps);
// The model, which runs, rewritten for accuracy (surgery/repair/sharpen.h). `report` is that of a repair,
// extended; it has a list `sharpening`.
AP_MUST ap_err surgery_sharpen(const ap_surgery_stage *s, bool all, ap_cleaned *now, ap_whole *w,
                               json_t *report, json_t *steps);

// Who is asked about whole models in this stage: its host.
ap_whole_asker surgery_asker(const ap_surgery_stage *s);
// *now and *w become the model that was made and what the target says of it, which are taken; its steps are
// added to `steps`. Nothing happens to them when no model was made.
void surgery_adopt(ap_cleaned *now, ap_whole *w, ap_rewritten *made, json_t *steps);

#endif
