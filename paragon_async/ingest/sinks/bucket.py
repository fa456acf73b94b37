"""An object store below a prefix: blocking calls of obstore, and `run`, which makes them in threads.

Only obstore's blocking calls are used: its own async calls can abort the interpreter when the program
ends right after them (ecosystem.md 4.2). Errors that leave `run` quote one line of the store's words,
without the path and query of a URL, and keep nothing of the error that they stand for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from paragon_async.errors import ConfigurationError, ParagonError, SinkError
from paragon_async.ingest.sinks.files import VERIFY
from paragon_async.threads import in_thread

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")
P = ParamSpec("P")

_PIECE = 8 << 20
_PART = 5 << 20
_PARTS_AT_ONCE = 4
_MOST_PARTS = 9_000
_COPIED_AT_ONCE = 5_000_000_000
_LONGEST = 200
_TOLD = (r"<Code>([^<]+)</Code>", r"<Message>([^<]+)</Message>")
_STATUS = "non-2xx status code: "
_URL = re.compile(r"(\w+://)(?:[^\s/@]*@)?([^\s/?#]*)\S*")


class Bucket:
    """Objects by their location below *prefix*. All methods but `run` block, and raise anything."""

    def __init__(self, store: ObjectStore | str, prefix: str) -> None:
        self._obstore = _obstore()
        self._prefix = prefix
        self.store = _from_url(store) if isinstance(store, str) else store

    async def run(self, doing: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do *work* in a thread; raises `SinkError` that says what could not be done, and why."""
        try:
            return await in_thread(work, *args, **kwargs)
        except ParagonError:
            raise
        except Exception as error:  # noqa: BLE001  # a store runs its owner's code for credentials
            refusal = SinkError(f"cannot {doing}: {_reason(error)}")
        # Raised out here, it does not carry the foreign error along, nor what that one quotes.
        raise refusal

    def is_empty(self, but: str) -> bool:
        """Tell whether nothing is here, or the object *but* alone."""
        listing = self._obstore.list(self.store, self._prefix or None, chunk_size=3)
        # A console's empty "folder" object shows as the prefix itself.
        ignored = {self._prefix.removesuffix("/"), self._prefix + but}
        return all(entry["path"] in ignored for chunk in listing for entry in chunk)

    def small(self, location: str) -> bytes | None:
        """Return an object that is small, None where there is none."""
        try:
            return bytes(self._obstore.get(self.store, self._prefix + location).bytes())
        except FileNotFoundError:
            return None

    def create(self, location: str, content: bytes) -> None:
        """Store an object where there is none, else leave what is there.

        In a store that cannot tell, it replaces what came there since it was looked for.
        """
        key = self._prefix + location
        errors = self._obstore.exceptions
        try:
            self._obstore.put(self.store, key, content, mode="create", use_multipart=False)
        except (errors.AlreadyExistsError, errors.PreconditionError):
            return
        except (NotImplementedError, errors.NotSupportedError, errors.GenericError) as error:
            # A server that does not know the condition answers 501.
            if isinstance(error, errors.GenericError) and "NotImplemented" not in str(error):
                raise
            if self.size(location) is None:
                self._obstore.put(self.store, key, content, use_multipart=False)

    def size(self, location: str) -> int | None:
        """Return the bytes of an object, None where there is none."""
        try:
            return int(self._obstore.head(self.store, self._prefix + location)["size"])
        except FileNotFoundError:
            return None

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes of all objects in a folder, at any depth, by location."""
        listing = self._obstore.list(self.store, f"{self._prefix}{folder}/", chunk_size=1_000)
        start = len(self._prefix)
        return {entry["path"][start:]: entry["size"] for chunk in listing for entry in chunk}

    def pieces(self, location: str, size: int) -> Iterator[memoryview]:
        """Read an object in pieces, each a request of its own: a long one would time out."""
        for start in range(0, size, _PIECE):
            end = min(size, start + _PIECE)
            key = self._prefix + location
            yield memoryview(self._obstore.get_range(self.store, key, start=start, end=end))

    def read(self, location: str, size: int) -> bytearray:
        """Return an object that must have *size*."""
        if self.size(location) != size:
            raise SinkError(f"{location!r} is missing or altered in the store{VERIFY}")
        data = bytearray()
        for piece in self.pieces(location, size):
            data += piece
        return data

    def holds(self, location: str, size: int, sha256: str | None) -> bool:
        """Tell whether an object has *size*, and the hash *sha256* where one is given."""
        if self.size(location) != size:
            return False
        if sha256 is None:
            return True
        running = hashlib.sha256()
        try:
            for piece in self.pieces(location, size):
                running.update(piece)
        except FileNotFoundError:
            # It was removed meanwhile.
            return False
        return running.hexdigest() == sha256.lower()

    def put(self, location: str, content: Path | bytes | bytearray, size: int) -> None:
        """Store *size* bytes, whole or not at all, and ask the store whether it has them."""
        self._obstore.put(
            self.store,
            self._prefix + location,
            content,
            chunk_size=_part(size),
            max_concurrency=_PARTS_AT_ONCE,
        )
        self._check(location, size)

    def copy(self, old: str, new: str, at_once: int = _COPIED_AT_ONCE) -> None:
        """Copy an object; one of more than *at_once* bytes, which no store copies, goes through us."""
        size = self.size(old)
        if size is None:
            # A move that is repeated after a crash finds its work done.
            if self.size(new) is None:
                raise SinkError(f"there is nothing at {old!r} in the store{VERIFY}")
            return
        if size > at_once:
            self._send(new, self.pieces(old, size), size)
        else:
            self._obstore.copy(self.store, self._prefix + old, self._prefix + new)
        self._check(new, size)

    def delete(self, locations: Collection[str]) -> None:
        """Delete objects; one that is not there is deleted."""
        for location in locations:
            try:
                self._obstore.delete(self.store, self._prefix + location)
            except FileNotFoundError:
                continue

    def _send(self, location: str, pieces: Iterator[memoryview], size: int) -> None:
        # Not as a context: that would close it after an error, and give a torn object its name.
        writer = self._obstore.open_writer(
            self.store,
            self._prefix + location,
            buffer_size=_part(size),
            max_concurrency=_PARTS_AT_ONCE,
        )
        for piece in pieces:
            writer.write(piece)
        writer.close()

    def _check(self, location: str, size: int) -> None:
        found = self.size(location) or 0
        if found != size:
            raise SinkError(f"the store shows {found} of the {size} bytes put to {location!r}")


def _part(size: int) -> int:
    """Return the bytes of one part: stores take ten thousand of them at most."""
    return max(_PART, size // _MOST_PARTS)


def _reason(error: Exception) -> str:
    whole = str(error)
    lines = whole.strip().splitlines() or [type(error).__name__]
    # S3 explains itself in XML, from the second line on.
    head = re.split(r"<\?xml|<Error>", lines[0])[0]
    told = [found[1] for found in map(partial(re.search, string=whole), _TOLD) if found]
    head = head.rstrip(" :")
    text = f"{head.rpartition(_STATUS)[2]}: {': '.join(told)}" if told else head
    text = _URL.sub(r"\1\2", text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _obstore() -> Any:
    try:
        import obstore  # noqa: PLC0415  # optional, and only for this sink
        import obstore.exceptions  # noqa: PLC0415  # the same
        import obstore.store  # noqa: PLC0415  # the same
    except ImportError:
        raise ConfigurationError(
            "an object store needs obstore: pip install paragon-async[cloud]"
        ) from None
    return obstore


def _from_url(url: str) -> ObjectStore:
    refusal: ConfigurationError
    try:
        store: ObjectStore = _obstore().store.from_url(url)
    except Exception as error:  # noqa: BLE001  # each kind of store has errors of its own
        refusal = ConfigurationError(
            "*store* is no URL of an object store, such as s3://bucket/prefix, gs://… or az://…: "
            f"{type(error).__name__}"
        )
    else:
        return store
    # A URL can hold a password: neither it nor the error that quotes it goes along.
    raise refusal
