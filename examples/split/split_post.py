# SPDX-License-Identifier: Apache-2.0
"""What the program gets from the model's outputs. Written by `aipc split`.

    python post.py [--in FOLDER] [--files FOLDER] [ARGUMENTS...]

runs the program with the model's answers read from FOLDER (outputs): CALL-NAME.npy, as `infer.py --inputs` or a device
wrote them for the inputs of pre.py."""
import os

import numpy as np

from parts import flat


def answer(part, outputs, names, leaves):
    """{name: array} as the model gave it -> what the program's own model would have returned."""
    if names is not None:  # onnxruntime: a list
        return [outputs[n] for n in names]
    import torch
    made = {r["leaf"]: torch.from_numpy(np.array(outputs[r["output"]])) for r in part["results"]}
    kinds = [flat.torch_dtype(o["dtype"]) for o in part["outputs"]]
    device = next((x.device for x in leaves if hasattr(x, "device") and hasattr(x, "detach")), "cpu")
    return flat.unflatten(flat.thaw(part["out_spec"]), [made[i].to(device=device, dtype=k) for i, k in enumerate(kinds)])


def main():
    import pre
    mine, number = pre.options(("--files", "outputs")), [0]

    def read(part, inputs):
        number[0] += 1
        return {r["output"]: np.load(os.path.join(mine.files, "%04d-%s.npy" % (number[0], r["output"])))
                for r in part["results"]}
    pre.run(read, mine)


if __name__ == "__main__":
    main()
