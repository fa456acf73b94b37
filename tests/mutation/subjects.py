"""What is mutated, and by which tests each part has to be defended.

A part's tests are those written for it: a mutant that only a distant test would notice by chance is
not defended. Names of functions are those of the tool: `x_receive`, `xǁGuardǁnext_cursor`.
"""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Subject:
    """A part of the library: its *sources*, its *tests*, and which *functions* count; none, all."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()

    @property
    def modules(self) -> list[str]:
        return [source.removesuffix(".py").replace("/", ".") for source in self.sources]


SUBJECTS = {
    "paging": Subject(
        sources=("paragon_async/api/paging.py",),
        tests=("tests/test_paging.py",),
    ),
    "retry": Subject(
        sources=("paragon_async/transport/retry.py",),
        tests=("tests/test_retry.py",),
    ),
    "names": Subject(
        sources=("paragon_async/names.py",),
        tests=("tests/test_names.py",),
    ),
    "frontier": Subject(
        sources=("paragon_async/ingest/frontier.py",),
        tests=("tests/ingest/test_frontier.py",),
    ),
    "receipts": Subject(
        sources=(
            "paragon_async/ingest/values.py",
            "paragon_async/ingest/statements.py",
            "paragon_async/ingest/contents.py",
        ),
        tests=(
            "tests/ingest/test_receipts.py",
            "tests/ingest/test_receipts_kept.py",
            "tests/ingest/test_contents.py::test_what_concerns_one_record",
            "tests/ingest/test_contents.py::test_what_concerns_all",
            "tests/ingest/test_contents.py::test_a_reason_is_bounded",
        ),
        # The rest of `statements` counts deletes, and keeps passes and the log of runs.
        functions=(
            *("x_version_of", "x_digest_of", "xǁContentsǁ*", "x_judge", "x_has_content"),
            *("x_label_of", "x_content_name", "x__is_there", "x_look", "x_is_empty", "x_intend"),
            *("x_clear", "x_intents", "x_receive", "x_commit", "x__apply", "x_drop_receipts"),
            *("x_delete", "x_receipts", "x__receipt"),
        ),
    ),
    "auth": Subject(
        sources=("paragon_async/auth.py",),
        tests=("tests/test_auth.py",),
    ),
}
