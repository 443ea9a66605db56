# SPDX-License-Identifier: Apache-2.0
"""The part of aipc that lives in the user's Python: it records, exports and serves the models of an unmodified program.

Nothing is imported here; `_hook/sitecustomize.py` and `aipc.hook` load what the mode needs.
"""
