// SPDX-License-Identifier: Apache-2.0
// The .npy format: numpy/lib/format.py and NEP 1. Layout of a file:
//   0  "\x93NUMPY"   6  major, minor   8  header length (u16 in 1.0, u32 in 2.0 and 3.0, little-endian)
//   then the header, a Python dict literal {'descr': '<f4', 'fortran_order': False, 'shape': (1, 3)},
//   padded with spaces and ended by a newline; then the elements.
// Only this dict is accepted, not Python: three keys, each once, a string, a bool and a tuple of whole
// numbers.
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX_BYTES = 8, MAX_HEADER_BYTES = 65536, ALIGN_BYTES = 64 };

typedef struct npy_reader {
    const unsigned char *data; // the whole file
    size_t pos, end;           // the header's unread part
} npy_reader;

typedef struct npy_header {
    ap_dtype dtype;
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    bool has_descr, has_order, has_shape;
} npy_header;

static ap_err bad(const npy_reader *r, const char *what) {
    return ap_err_at(ap_err_new(AP_ERR_INPUT_FILE, "npy header: %s at byte %zu", what, r->pos), r->pos);
}

static int peek(const npy_reader *r) {
    return r->pos < r->end ? r->data[r->pos] : -1;
}

static void skip_space(npy_reader *r) {
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' || peek(r) == '\r') r->pos++;
}

static bool accept(npy_reader *r, int c) {
    skip_space(r);
    if (peek(r) != c) return false;
    r->pos++;
    return true;
}

static bool accept_word(npy_reader *r, const char *word) {
    skip_space(r);
    size_t n = strlen(word);
    if (r->end - r->pos < n || memcmp(r->data + r->pos, word, n) != 0) return false;
    r->pos += n;
    return true;
}

// A string in either quotes, printable ASCII without escapes, shorter than `size`.
static ap_err read_string(npy_reader *r, char *out, size_t size) {
    skip_space(r);
    int quote = peek(r);
    if (quote != '\'' && quote != '"') return bad(r, "expected a string");
    r->pos++;
    size_t n = 0;
    for (int c; (c = peek(r)) != quote; r->pos++) {
        if (c < ' ' || c > '~' || c == '\\') return bad(r, "unreadable string");
        if (n + 1 >= size) return bad(r, "string too long");
        out[n++] = (char)c;
    }
    r->pos++;
    out[n] = '\0';
    return NULL;
}

static ap_err read_descr(npy_reader *r, npy_header *h) {
    char text[32];
    skip_space(r);
    if (peek(r) == '[')
        return ap_err_hint(bad(r, "structured arrays are not supported"),
                           "save each field as its own file: np.save(path, a['field'])");
    ap_err err = read_string(r, text, sizeof text);
    if (err) return err;
        // The first entry of the table with this descr is the plain one (U8 before F8E4M3FN and so on).
#define DESCR(name, value, word, bits, npy)                                                                  \
    if (bits > 0 && h->dtype == AP_DTYPE_NONE && strcmp(text, npy) == 0) h->dtype = AP_##name;
    AP_DTYPE_TABLE(DESCR)
#undef DESCR
    if (h->dtype != AP_DTYPE_NONE) return NULL;
    // numpy writes one-byte types with '|', other writers with '<'.
    if (strcmp(text, "<u1") == 0) h->dtype = AP_U8;
    if (strcmp(text, "<i1") == 0) h->dtype = AP_I8;
    if (strcmp(text, "<b1") == 0 || strcmp(text, "|?") == 0 || strcmp(text, "?") == 0) h->dtype = AP_BOOL;
    if (h->dtype != AP_DTYPE_NONE) return NULL;
    err = ap_err_new(AP_ERR_INPUT_FILE, "npy header: element type '%s' is not supported", text);
    err = ap_err_at(err, r->pos);
    if (text[0] == '>')
        return ap_err_hint(err,
                           "the file is big-endian; save it again with a.astype(a.dtype.newbyteorder('<'))");
    if (strchr(text, 'O'))
        return ap_err_hint(err, "the file holds pickled Python objects; save a plain numeric array");
    return ap_err_hint(err, "save a numeric array, for example a.astype(np.float32)");
}

static ap_err read_order(npy_reader *r) {
    if (accept_word(r, "False")) return NULL;
    if (accept_word(r, "True"))
        return ap_err_hint(bad(r, "the array is in Fortran order"), "save np.ascontiguousarray(a)");
    return bad(r, "expected True or False");
}

static ap_err read_shape(npy_reader *r, npy_header *h) {
    bool comma = true; // may another number follow?
    if (!accept(r, '(')) return bad(r, "expected a tuple");
    while (!accept(r, ')')) {
        if (!comma) return bad(r, "expected , or )");
        if (peek(r) < '0' || peek(r) > '9') return bad(r, "expected a size");
        if (h->rank == AP_MAX_RANK) return bad(r, "more than 16 dimensions");
        int64_t v = 0;
        for (; peek(r) >= '0' && peek(r) <= '9'; r->pos++)
            if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, peek(r) - '0', &v))
                return bad(r, "size too big");
        h->dims[h->rank++] = v;
        comma = accept(r, ',');
    }
    // In Python (3) is a number, only (3,) is a tuple.
    if (h->rank == 1 && !comma) return bad(r, "expected a tuple, found a number in parentheses");
    return NULL;
}

static ap_err read_entry(npy_reader *r, npy_header *h) {
    char key[32];
    size_t start = r->pos;
    ap_err err = read_string(r, key, sizeof key);
    if (err) return err;
    bool *seen = strcmp(key, "descr") == 0           ? &h->has_descr
                 : strcmp(key, "fortran_order") == 0 ? &h->has_order
                 : strcmp(key, "shape") == 0         ? &h->has_shape
                                                     : NULL;
    if (!seen || *seen)
        return ap_err_at(ap_err_new(AP_ERR_INPUT_FILE, "npy header: %s key '%s' at byte %zu",
                                    seen ? "repeated" : "unknown", key, start),
                         start);
    *seen = true;
    if (!accept(r, ':')) return bad(r, "expected :");
    if (seen == &h->has_descr) return read_descr(r, h);
    if (seen == &h->has_order) return read_order(r);
    return read_shape(r, h);
}

static ap_err read_dict(npy_reader *r, npy_header *h) {
    bool comma = true;
    if (!accept(r, '{')) return bad(r, "expected {");
    while (!accept(r, '}')) {
        if (!comma) return bad(r, "expected , or }");
        ap_err err = read_entry(r, h);
        if (err) return err;
        comma = accept(r, ',');
    }
    skip_space(r);
    if (r->pos != r->end) return bad(r, "text behind the dict");
    if (!h->has_descr) return bad(r, "no 'descr'");
    if (!h->has_order) return bad(r, "no 'fortran_order'");
    if (!h->has_shape) return bad(r, "no 'shape'");
    return NULL;
}

// Finds the header's place: sets pos and end.
static ap_err read_prefix(npy_reader *r, size_t bytes) {
    static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    const unsigned char *d = r->data;
    if (bytes < sizeof magic || memcmp(d, magic, sizeof magic) != 0)
        return ap_err_at(ap_err_new(AP_ERR_INPUT_FILE, "not an npy file: it does not begin with \\x93NUMPY"),
                         0);
    r->pos = sizeof magic;
    if (bytes < PREFIX_BYTES + 2) return bad(r, "the file ends");
    unsigned major = d[6], minor = d[7];
    if (major < 1 || major > 3 || minor != 0)
        return ap_err_at(
            ap_err_new(AP_ERR_INPUT_FILE, "npy format %u.%u is unknown (1.0 to 3.0 are read)", major, minor),
            6);
    r->pos = PREFIX_BYTES;
    size_t length_bytes = major == 1 ? 2 : 4;
    if (bytes < PREFIX_BYTES + length_bytes) return bad(r, "the file ends");
    size_t length = 0;
    for (size_t i = length_bytes; i-- > 0;) length = length << 8 | d[PREFIX_BYTES + i];
    if (length > MAX_HEADER_BYTES)
        return ap_err_at(ap_err_new(AP_ERR_INPUT_FILE, "npy header of %zu bytes is over the limit of %d",
                                    length, MAX_HEADER_BYTES),
                         PREFIX_BYTES);
    r->pos += length_bytes;
    if (bytes - r->pos < length)
        return ap_err_at(ap_err_new(AP_ERR_INPUT_FILE, "npy header needs %zu bytes, the file has %zu left",
                                    length, bytes - r->pos),
                         bytes);
    r->end = r->pos + length;
    return NULL;
}

ap_err ap_npy_parse(const void *data, size_t bytes, ap_tensor *out) {
    npy_reader r = {.data = data};
    npy_header h = {0};
    ap_err err = read_prefix(&r, bytes);
    if (err) return err;
    err = read_dict(&r, &h);
    if (err) return err;
    size_t need, have = bytes - r.end;
    err = ap_shape_bytes(h.dtype, h.dims, h.rank, &need);
    if (err) {
        // The dims come from a file, not from a model: the same words under the right code.
        ap_err mine = ap_err_new(AP_ERR_INPUT_FILE, "npy header: %s", ap_err_message(err));
        ap_err_free(err);
        return ap_err_at(mine, r.end);
    }
    if (need != have)
        return ap_err_at(ap_err_new(AP_ERR_INPUT_FILE,
                                    "npy data: the header asks for %zu bytes, the file has %zu", need, have),
                         need < have ? r.end + need : bytes);
    // The view is never written through: mappings are read-only, and ap_npy_parse lends its caller's own
    // bytes.
    return ap_tensor_view(h.dtype, h.dims, h.rank, (void *)(uintptr_t)(r.data + r.end), need, out);
}

// The view keeps the mapping it lies in.
static ap_tensor held(const ap_tensor *view, ap_filemap *map) {
    ap_tensor t = *view;
    t.map = *map;
    t.hold = AP_HOLD_MAP;
    *map = (ap_filemap){0};
    return t;
}

ap_err ap_npy_map(const char *path, ap_tensor *out) {
    ap_filemap map = {0};
    ap_tensor view = {0}, copy = {0};
    ap_err err = NULL;
    AP_TRY(ap_filemap_open(path, &map));
    AP_TRY(ap_npy_parse(map.data, map.bytes, &view));
    size_t width = ap_dtype_bits(view.dtype) / 8;
    if (view.bytes > 0 && (uintptr_t)view.data % (width > 8 ? 8 : width) != 0) {
        // A header of odd length (no known writer makes one) would hand out misaligned floats.
        AP_TRY(ap_tensor_clone(&view, &copy));
        *out = copy;
        goto done;
    }
    *out = held(&view, &map);
done:
    ap_filemap_close(&map);
    return ap_err_subject(err, path);
}

ap_err ap_npy_open(const json_t *tensor, ap_tensor *out) {
    ap_dtype as = ap_dtype_from_name(ap_json_str(tensor, "dtype", ""));
    ap_err err = ap_npy_map(ap_json_str(tensor, "file", ""), out);
    if (!err && ap_dtype_bits(as) == ap_dtype_bits(out->dtype)) out->dtype = as;
    return err;
}

// Appends the whole prefix and header. 4-bit types are stored as the bytes they are packed in, in one
// dimension: numpy has no type of half a byte.
static ap_err write_header(ap_dtype t, const int64_t *dims, size_t rank, ap_buf *out) {
    size_t bytes;
    ap_err err = ap_shape_bytes(t, dims, rank, &bytes);
    if (err) return err;
    const char *descr = "";
#define NPY_DESCR(name, value, word, bits, npy)                                                              \
    if (t == AP_##name) descr = npy;
    AP_DTYPE_TABLE(NPY_DESCR)
#undef NPY_DESCR
    int64_t packed[1] = {(int64_t)bytes};
    if (ap_dtype_bits(t) < 8) dims = packed, rank = 1;
    ap_buf dict = {0};
    ap_buf_printf(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (size_t i = 0; i < rank; i++)
        ap_buf_printf(&dict, "%s%lld%s", i ? ", " : "", (long long)dims[i], rank == 1 ? "," : "");
    ap_buf_puts(&dict, "), }");
    // numpy aligns the data to 64 bytes, so a mapping can be used with any vector instruction.
    while ((PREFIX_BYTES + 2 + dict.len + 1) % ALIGN_BYTES != 0) ap_buf_putc(&dict, ' ');
    ap_buf_putc(&dict, '\n');
    const char prefix[PREFIX_BYTES + 2] = {
        (char)0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(dict.len & 255U), (char)(dict.len >> 8)};
    ap_buf_append(out, prefix, sizeof prefix);
    ap_buf_append(out, dict.data, dict.len);
    ap_buf_free(&dict);
    return NULL;
}

ap_err ap_npy_write(const char *path, const ap_tensor *t) {
    ap_buf header = {0};
    ap_file_writer w = {0};
    ap_err err = NULL;
    AP_TRY(write_header(t->dtype, t->dims, t->rank, &header));
    AP_TRY(ap_file_writer_begin(path, &w));
    AP_TRY(ap_file_writer_put(&w, header.data, header.len));
    if (t->bytes > 0) AP_TRY(ap_file_writer_put(&w, t->data, t->bytes));
    err = ap_file_writer_commit(&w);
done:
    ap_file_writer_abort(&w); // nothing to do after a commit
    ap_buf_free(&header);
    return ap_err_subject(err, path);
}

ap_err ap_npy_create(const char *path, ap_dtype t, const int64_t *dims, size_t rank, ap_tensor *out) {
    ap_buf header = {0};
    ap_filemap map = {0};
    ap_tensor view = {0};
    ap_err err = NULL;
    size_t bytes, total;
    AP_TRY(ap_shape_bytes(t, dims, rank, &bytes));
    AP_TRY(write_header(t, dims, rank, &header));
    if (!ap_add_size(bytes, header.len, &total))
        AP_FAIL(AP_ERR_MODEL_DIMS, "tensor of %zu bytes is too big", bytes);
    AP_TRY(ap_filemap_create(path, total, &map));
    memcpy(map.data, header.data, header.len);
    AP_TRY(ap_tensor_view(t, dims, rank, map.data + header.len, bytes, &view));
    *out = held(&view, &map);
done:
    ap_filemap_close(&map);
    ap_buf_free(&header);
    return ap_err_subject(err, path);
}

ap_err ap_raw_map(const char *path, ap_dtype t, const int64_t *dims, size_t rank, ap_tensor *out) {
    ap_filemap map = {0};
    ap_tensor view = {0};
    ap_err err = NULL;
    size_t bytes;
    AP_TRY(ap_shape_bytes(t, dims, rank, &bytes));
    AP_TRY(ap_filemap_open(path, &map));
    if (map.bytes != bytes) {
        ap_buf text = {0};
        ap_shape_format(dims, rank, &text);
        err = ap_err_new(AP_ERR_INPUT_FILE, "%s of shape %s needs %zu bytes, the file has %zu",
                         ap_dtype_name(t), ap_buf_str(&text), bytes, map.bytes);
        ap_buf_free(&text);
        err = ap_err_at(err, bytes < map.bytes ? bytes : map.bytes);
        goto done;
    }
    AP_TRY(ap_tensor_view(t, dims, rank, map.data, bytes, &view));
    *out = held(&view, &map);
done:
    ap_filemap_close(&map);
    return ap_err_subject(err, path);
}
