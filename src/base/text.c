// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <stdbool.h>
#include <string.h>

void ap_text_printable(char *text) {
    for (unsigned char *s = (unsigned char *)text; *s; s++) {
        bool c0 = (*s < 0x20 && *s != '\n' && *s != '\t') || *s == 0x7f;
        bool c1 = *s == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f; // U+0080..U+009F, 0x9b is a terminal's CSI
        if (c1) *s++ = '?';
        if (c0 || c1) *s = '?';
    }
}

static bool is_continuation(unsigned char c) {
    return (c & 0xc0) == 0x80;
}

// Length of the valid character at s, 0 when there is none. Ranges are Unicode's table 3-7.
static size_t utf8_char(const unsigned char *s, size_t left) {
    unsigned char c = s[0];
    if (c < 0x80) return 1;
    size_t need = c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (!need || left < need) return 0;
    for (size_t i = 1; i < need; i++) {
        if (!is_continuation(s[i])) return 0;
    }
    if (c == 0xe0 && s[1] < 0xa0) return 0; // overlong
    if (c == 0xed && s[1] > 0x9f) return 0; // surrogate
    if (c == 0xf0 && s[1] < 0x90) return 0; // overlong
    if (c == 0xf4 && s[1] > 0x8f) return 0; // above U+10FFFF
    return need;
}

void ap_text_utf8(char *s, size_t bytes) {
    for (size_t i = 0; i < bytes;) {
        size_t n = utf8_char((const unsigned char *)s + i, bytes - i);
        if (!n) s[i] = '?';
        i += n ? n : 1;
    }
}

size_t ap_text_cut(const char *s, size_t bytes, size_t max) {
    if (bytes <= max) return bytes;
    // A character has at most three continuation bytes; in broken text more of them mean nothing.
    size_t n = max;
    for (int back = 0; n && back < 3 && is_continuation((unsigned char)s[n]); back++) n--;
    return is_continuation((unsigned char)s[n]) ? max : n;
}
