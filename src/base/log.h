// SPDX-License-Identifier: Apache-2.0
// log: the talk on stderr, and the progress line.
// Lines are "warning: ...", "error: ...", "debug: 1.234s ..." and plain for info; control characters in them
// become '?', since names come from hostile models.
//
// A log is a value handed down by its owner (the command line makes one, libraries get a silent one): no
// global state. Progress is drawn only on a terminal; in a pipe nothing but warnings appears.
#ifndef AP_BASE_LOG_H
#define AP_BASE_LOG_H

#include "base/mem.h"

typedef enum ap_level { AP_LOG_DEBUG, AP_LOG_INFO, AP_LOG_WARN, AP_LOG_ERROR, AP_LOG_SILENT } ap_level;

typedef struct ap_log {
    ap_level level;    // lines below are dropped
    int fd;            // -1: drop everything
    bool tty;          // draw progress
    size_t drawn_cols; // width of the progress line now on screen
    uint64_t started_us;
} ap_log;

ap_log ap_log_silent(void);
ap_log ap_log_stderr(ap_level level); // finds out whether stderr is a terminal; INFO becomes WARN when not
void ap_log_line(ap_log *l, ap_level level, const char *fmt, ...) AP_PRINTF(3, 4);
// Shows "[3/6] build htp:sm8650  compiling" on a terminal; done 0..total; total 0 hides the count.
void ap_log_progress(ap_log *l, size_t done, size_t total, const char *fmt, ...) AP_PRINTF(4, 5);
void ap_log_progress_end(ap_log *l); // wipes the line

// Nearest candidate for a mistyped word, NULL when none is near (edit distance ≤ 1 + length/3).
const char *ap_nearest(const char *word, const char *const *candidates, size_t count);

#endif
