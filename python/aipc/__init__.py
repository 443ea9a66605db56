# SPDX-License-Identifier: Apache-2.0
"""The part of aipc in the user's Python: records, exports and serves models. _hook/sitecustomize.py loads it."""
