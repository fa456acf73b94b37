"""`download`: files, from the socket to their place: one large, some large, very many small."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from benchmarks import canned, corpus
from benchmarks.corpus import Corpus, Room
from benchmarks.running import Case, Contender, Row, Setting, Table, python
from benchmarks.serving import Served, UnavailableError, serving
from benchmarks.task import Item, Task

ONE = "One file of 2 GiB"
HASHED = "One file of 2 GiB with SHA-256, against the hash alone"
ON_DISK = "One file of 2 GiB, on disk and flushed"
OVER_TLS = "One file of 2 GiB, over TLS"
LARGE = "64 files of 32 MiB, 8 at once"
SMALL = "10,000 files of 16 KiB, 32 at once"
LATENCY = "10,000 files of 16 KiB, 20 ms an answer, 64 at once"

OURS = "ours"
OURS_WATCHED = "ours, its loop watched"
OURS_HASHED = "ours, with SHA-256"
OURS_UVLOOP = "ours, on uvloop"
OURS_FILE = "ours, durability file"
OURS_BATCH = "ours, durability batch"
CURL = "curl"
CURL_FLUSHED = "curl, then fsync"
ARIA2C = "aria2c"
WGET = "wget"
HTTPX = "httpx"
NIQUESTS = "niquests"
OBSTORE = "obstore"
ANYIO = "aiohttp + anyio.open_file, 64 KiB"
UNDICI = "Node's fetch (undici)"
FLOOR = "floor: a bare socket"
HASH = "hashlib alone"

_MIB = 1 << 20
_UNDICI = Path(__file__).parent.parent / "clients" / "undici.mjs"


@attrs.frozen
class _Sizes:
    """How much is fetched: bytes of the one file, (number, bytes) of the large and the small ones."""

    one: int
    large: tuple[int, int]
    small: tuple[int, int]


_WHOLE = _Sizes(one=2048 * _MIB, large=(64, 32 * _MIB), small=(10_000, 16_384))
_QUICK = _Sizes(one=20 * _MIB, large=(8, 2 * _MIB), small=(200, 16_384))


def measure(setting: Setting) -> list[Table]:
    """Measure all cases; where no server speaks TLS, the rows of that case are missing."""
    sizes = _QUICK if setting.is_quick else _WHOLE
    return [
        _one(setting, sizes.one),
        _hashed(setting, sizes.one),
        _on_disk(setting, sizes.one),
        _over_tls(setting, sizes.one),
        _large(setting, *sizes.large),
        _small(setting, *sizes.small),
        _with_latency(setting, *sizes.small),
    ]


def _one(setting: Setting, size: int) -> Table:
    with _files(1, size) as (served, room):
        contenders = [
            python(OURS, "ours_files", "one", is_ours=True),
            python(OURS_HASHED, "ours_files", "one", is_ours=True, sha256=True),
            python(OURS_WATCHED, "ours_files", "one", is_ours=True, watch=True),
            python(FLOOR, "bare", "stream"),
            _command(CURL, "curl"),
            _command(WGET, "wget"),
            _command(ARIA2C, "aria2c"),
            python(OBSTORE, "obstore_", "stream", "module:obstore"),
            python(NIQUESTS, "niquests_", "stream", "module:niquests"),
            python(HTTPX, "httpx_files", "stream", "module:httpx"),
            python(ANYIO, "byhand_files", "stream"),
            _undici("stream"),
        ]
        table = _run(setting, ONE, served, room, contenders)
    watched = table.row(OURS_WATCHED)
    if watched:
        p99, most = watched.more("lag_p99_ms"), watched.more("lag_max_ms")
        table.notes.append(
            f"A task that sleeps 1 ms in the loop of ours woke {p99:.1f} ms late at the 99th "
            f"percentile, {most:.1f} ms at most (medians of the rounds)."
        )
    return table


def _hashed(setting: Setting, size: int) -> Table:
    with _files(1, size) as (served, room):
        case = Case(
            title=HASHED,
            task=served.task(room=str(room.path)),
            contenders=[
                python(OURS_HASHED, "ours_files", "one", is_ours=True, sha256=True),
                python(HASH, "bare", "hash"),
            ],
            count=1,
            size=size,
            floor=HASH,
            unit="files",
            notes=[_place(served, room), "The hash reads one MiB of memory over and over."],
        )
        return setting.run(case)


def _on_disk(setting: Setting, size: int) -> Table:
    with _files(1, size) as (served, _), corpus.room(size, in_memory=False) as room:
        contenders = [
            python(OURS_FILE, "ours_files", "one", is_ours=True, durability="file"),
            attrs.evolve(_command(CURL_FLUSHED, "curl"), options={"fsync": True}),
        ]
        return _run(setting, ON_DISK, served, room, contenders, floor=CURL_FLUSHED)


def _over_tls(setting: Setting, size: int) -> Table:
    try:
        with _files(1, size, is_tls=True) as (served, room):
            contenders = [
                python(OURS, "ours_files", "one", is_ours=True),
                _command(CURL, "curl"),
                _command(WGET, "wget"),
            ]
            return _run(setting, OVER_TLS, served, room, contenders, floor=CURL)
    except UnavailableError as error:
        rows = [Row(name=name, missing=str(error)) for name in (OURS, CURL, WGET)]
        return Table(title=OVER_TLS, rows=rows, unit="files")


def _large(setting: Setting, count: int, size: int) -> Table:
    with _files(count, size) as (served, room):
        contenders = [
            python(OURS, "ours_files", "all", is_ours=True),
            python(OURS_HASHED, "ours_files", "all", is_ours=True, sha256=True),
            python(FLOOR, "bare", "stream"),
            _command(CURL, "curl"),
            _command(ARIA2C, "aria2c"),
            python(OBSTORE, "obstore_", "stream", "module:obstore"),
            python(HTTPX, "httpx_files", "stream", "module:httpx"),
            _undici("stream"),
        ]
        return _run(setting, LARGE, served, room, contenders, at_once=8)


def _small(setting: Setting, count: int, size: int) -> Table:
    with _files(count, size) as (served, room):
        contenders = [
            python(OURS, "ours_files", "all", is_ours=True),
            python(OURS_UVLOOP, "ours_files", "all-uvloop", "module:uvloop", is_ours=True),
            python(OURS_HASHED, "ours_files", "all", is_ours=True, sha256=True),
            python(OURS_BATCH, "ours_files", "all", is_ours=True, durability="batch"),
            python(OURS_FILE, "ours_files", "all", is_ours=True, durability="file"),
            python(FLOOR, "bare", "small"),
            _command(CURL, "curl"),
            _command(ARIA2C, "aria2c"),
            python(OBSTORE, "obstore_", "small", "module:obstore"),
            python(HTTPX, "httpx_files", "small", "module:httpx"),
            python(ANYIO, "byhand_files", "stream"),
            _undici("small"),
        ]
        note = (
            "All but curl and aria2c write beside and rename; ours is durability none unless said."
        )
        return _run(setting, SMALL, served, room, contenders, at_once=32, notes=[note])


def _with_latency(setting: Setting, count: int, size: int) -> Table:
    latency, at_once = 0.02, 64
    ideal = count * latency / at_once
    with (
        corpus.room(count * size) as room,
        canned.canned(latency=latency, records=0, file_size=size) as url,
    ):
        items = canned.items(count, size)
        case = Case(
            title=LATENCY,
            task=Task(
                base_url=url,
                sync_id=corpus.SYNC,
                token="token",  # noqa: S106  # nobody looks at it
                items=items,
                concurrency=at_once,
            ),
            contenders=[
                python(OURS, "ours_files", "all", is_ours=True),
                _command(CURL, "curl"),
                python(OBSTORE, "obstore_", "small", "module:obstore"),
            ],
            count=count,
            size=count * size,
            ideal=ideal,
            room=room.path,
            digest=functools.partial(_same, Corpus(room.path).digest(items[0])),
            unit="files",
            notes=[
                f"Ideal {ideal:.2f} s: {count:,} files, 20 ms each, {at_once} at once; to {room.kind}."
            ],
        )
        return setting.run(case)


def _same(digest: str, item: Item) -> str:  # noqa: ARG001  # all files of the canned server are alike
    return digest


@contextlib.contextmanager
def _files(count: int, size: int, *, is_tls: bool = False) -> Iterator[tuple[Served, Room]]:
    """Serve *count* files of *size* bytes; yield the service and a place with room for them."""
    with corpus.room(2 * count * size) as room:
        made = Corpus(room.path)
        made.files(count, size)
        with serving(made, is_tls=is_tls) as served:
            yield served, room


def _run(  # noqa: PLR0917  # what differs between the cases
    setting: Setting,
    title: str,
    served: Served,
    room: Room,
    contenders: Sequence[Contender],
    at_once: int = 1,
    floor: str = FLOOR,
    notes: Sequence[str] = (),
) -> Table:
    case = Case(
        title=title,
        task=served.task(concurrency=at_once),
        contenders=contenders,
        count=len(served.items),
        size=sum(item.size for item in served.items),
        floor=floor,
        room=room.path,
        digest=functools.cache(served.digest),  # of 2 GiB it takes seconds
        unit="files",
        notes=[_place(served, room), *notes],
    )
    return setting.run(case)


def _place(served: Served, room: Room) -> str:
    count, size = len(served.items), served.items[0].size
    shown = f"{size / _MIB:g} MiB" if size >= _MIB else f"{size / 1024:g} KiB"
    return f"{count:,} of {shown} from {served.name} to {room.kind}."


def _command(name: str, verb: str) -> Contender:
    return python(name, "commands", verb, f"program:{verb}")


def _undici(verb: str) -> Contender:
    return Contender(name=UNDICI, argv=("node", str(_UNDICI), verb), needs=("program:node",))
