"""From the bytes of pages to objects, nothing else: no server, no socket."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import corpus
from benchmarks.clients.frame import Measure, Verb, perform
from benchmarks.task import Figure, Task

_SIZE = 1000
_DIFFERENT = 20
Decode = Callable[[bytes], int]


def ours() -> Decode:
    """What `pull(File)` does with the bytes of a page."""
    from paragon_async import File  # noqa: PLC0415  # who decodes otherwise does not pay
    from paragon_async.api import drafts, shapes  # noqa: PLC0415  # as above

    return lambda body: len(list(shapes.envelope(drafts.decode(body, File)).records(File)))


def ours_from_dicts() -> Decode:
    """Plain JSON first, then the hooks on our converter, as for values that a caller holds."""
    from paragon_async import File, convert  # noqa: PLC0415  # as above

    return lambda body: len(convert.structure(convert.parse(body)["data"], list[File]))


def cattrs_detailed() -> Decode:
    """The same decoder, then cattrs as it is."""
    return _cattrs(is_detailed=True)


def cattrs_plain() -> Decode:
    """The same decoder, then cattrs without detailed validation."""
    return _cattrs(is_detailed=False)


def pydantic() -> Decode:
    """Pydantic's own decoder and models."""
    from benchmarks.clients.pydantic_models import Page  # noqa: PLC0415  # as above

    return lambda body: len(Page.model_validate_json(body).data)


def untyped() -> Decode:
    """The decoder alone: dicts and strings."""
    import msgspec  # noqa: PLC0415  # as above

    return lambda body: len(msgspec.json.decode(body)["data"])


def _cattrs(*, is_detailed: bool) -> Decode:
    import msgspec  # noqa: PLC0415  # as above

    from benchmarks.clients.cattrs_models import File, converter  # noqa: PLC0415  # as above

    made = converter(is_detailed=is_detailed)
    return lambda body: len(made.structure(msgspec.json.decode(body)["data"], list[File]))


def _verb(prepare: Callable[[], Decode]) -> Verb:
    def run(task: Task) -> Figure:
        total = int(task.options["records"])
        decode = prepare()
        pages = [
            corpus.page(corpus.cursor_of(number * _SIZE), _SIZE)
            for number in range(min(_DIFFERENT, total // _SIZE))
        ]
        # The first page builds what is built once in a process: hooks, validators, tables.
        decode(pages[0])
        count = 0
        with Measure() as measure:
            while count < total:
                for page in pages:
                    count += decode(page)
        return measure.figure(count=count)

    return run


if __name__ == "__main__":
    ways = (ours, ours_from_dicts, cattrs_detailed, cattrs_plain, pydantic, untyped)
    perform({way.__name__: _verb(way) for way in ways})
