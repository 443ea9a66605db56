// SPDX-License-Identifier: Apache-2.0
// protocol: framed JSON between aipc and its worker processes.
//
// A frame is "AIPC", a 4-byte little-endian length, and that many bytes of JSON. Requests {op, args}; replies
// {ok: true, result} or {ok: false, error}. Tensors never travel here: they are named files that both map,
// or, for a model that is run again and again, one piece of shared memory:
//   share {bytes, inputs: [{name, dtype, dims, offset}], outputs: [...], rooms, stride}, its descriptor sent
//   along → {}
// It is asked once after a load. There is room for the outputs `rooms` times, each `stride` bytes behind the
// one before. At the front of the memory lies a bell (worker/bell.h): with it a call is asked, which runs on
// what stands in the memory, and answered; only an error of a call comes as a reply. What was shared ends
// with the next share, build, load or profile.
//   heap  {bytes}, the descriptor of memory in which the asker's own tensors may lie (base/heap.h) → {}
// From then on an input of a call may lie there, wherever the bell says; it is only read. The channel is a
// socket of its own, so nothing a vendor library prints can be taken for a reply.
#ifndef AP_WORKER_PROTOCOL_H
#define AP_WORKER_PROTOCOL_H

#include "base/json.h"

// Raised when a request, a reply or the bell changes its meaning. A library may find the program of another
// build on its way; `open` carries the number to and fro, so that both see it before anything else is said.
#define AP_PROTOCOL 3

#define AP_FRAME_MAX ((size_t)256 << 20)

AP_MUST ap_err ap_frame_write(int fd, const json_t *message);
AP_MUST ap_err ap_frame_pass(int fd, const json_t *message, int pass); // with a descriptor; -1: none
// Parses one frame out of `buf` when it holds a whole one (then *out is set and the bytes are taken off its
// front), else leaves *out NULL. Error WORKER_GARBAGE when the bytes cannot be a frame.
AP_MUST ap_err ap_frame_take(ap_buf *buf, json_t **out);

#endif
