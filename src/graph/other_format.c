// SPDX-License-Identifier: Apache-2.0
#include "graph/other_format.h"

#include <stdbool.h>
#include <string.h>

#define FROM_APP "'aipc deploy -- python app.py' takes the model out of the program that runs it"
#define TO_ONNX "convert it to ONNX with its framework's own tool first"

typedef struct signature {
    size_t at, len;
    const char *bytes;
    ap_other_format format;
} signature;

// Longer ones first where one begins another. Sources: the formats' own descriptions.
static const signature signatures[] = {
    {0, 12, "version http", {"the Git LFS pointer to a file", "fetch the file with 'git lfs pull'"}},
    {0, 4, "PK\3\4", {"a zip archive, such as a PyTorch checkpoint or a Core ML package", FROM_APP}},
    {0, 2, "\x80\2", {"a Python pickle, such as an old PyTorch checkpoint", FROM_APP}},
    {0, 2, "\x80\4", {"a Python pickle", FROM_APP}},
    {9, 12, "__metadata__", {"a safetensors file: weights without a graph", FROM_APP}},
    {8, 2, "{\"", {"a safetensors file: weights without a graph", FROM_APP}},
    {4, 4, "TFL3", {"a TensorFlow Lite model", TO_ONNX}},
    {0, 8, "\x89HDF\r\n\x1a\n", {"an HDF5 file, such as a Keras model", TO_ONNX}},
    {0, 4, "GGUF", {"a GGUF file: a language model of llama.cpp", "aipc does not read GGUF"}},
    {4, 4, "ORTM", {"a model in ONNX Runtime's own format", "give the ONNX file it was made from"}},
    {0, 6, "\x93NUMPY", {"a NumPy array", "give the model here, and arrays with --input NAME=FILE"}},
    {0, 7, "7767517", {"the description of an ncnn model", TO_ONNX}},
    {0, 5, "<?xml", {"XML, such as an OpenVINO model", "give the ONNX file it was made from"}},
    {0, 9, "<!DOCTYPE", {"a web page", "fetch the file itself: the download has brought a page about it"}},
    {0, 5, "<html", {"a web page", "fetch the file itself: the download has brought a page about it"}},
    {0, 2, "\x1f\x8b", {"a gzip archive", "unpack it first"}},
    {0,
     5,
     "\xfd"
     "7zXZ",
     {"an xz archive", "unpack it first"}},
    {257, 5, "ustar", {"a tar archive", "unpack it first"}},
};

static const ap_other_format text = {"a text", "give a whole ONNX file: fetch or export the model again"};

static bool is_text(const unsigned char *bytes, size_t len) {
    size_t look = len < 512 ? len : 512;
    if (look < 8) return false;
    for (size_t i = 0; i < look; i++)
        if (bytes[i] < ' ' && !strchr("\n\r\t\f", bytes[i])) return false;
    return true;
}

const ap_other_format *ap_other_format_of(const void *bytes, size_t len) {
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const signature *s = &signatures[i];
        if (len >= s->at + s->len && !memcmp((const char *)bytes + s->at, s->bytes, s->len))
            return &s->format;
    }
    return is_text(bytes, len) ? &text : NULL;
}
