// SPDX-License-Identifier: Apache-2.0
// text: makes text from outside (model names, vendor logs) safe to show and to store. Works in place, never
// changes a length, never allocates.
#ifndef AP_BASE_TEXT_H
#define AP_BASE_TEXT_H

#include <stddef.h>

// Control characters (C0 but for newline and tab, DEL, C1 written as UTF-8) become '?', so that a hostile
// name cannot steer the terminal.
void ap_text_printable(char *s);
// Bytes that are no part of valid UTF-8 (overlong forms and surrogates included) become '?'.
void ap_text_utf8(char *s, size_t bytes);
// Longest prefix of at most `max` bytes that does not end inside a UTF-8 character. `bytes` is s's length.
size_t ap_text_cut(const char *s, size_t bytes, size_t max);

#endif
