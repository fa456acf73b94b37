"""The proofs need a tool that only developers install; without it they are not there to be run."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("schemathesis") else ["test_schemathesis.py"]
