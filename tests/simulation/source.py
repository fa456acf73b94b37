"""A drive that people work in, and a service that indexes it: what the API says at any moment.

The drive changes by itself: files and folders are made, edited, renamed, moved, deleted and brought back.
Every few minutes the sync becomes ACTIVE and takes over what changed, record by record; only then the
feed shows it. Contents are served as they are now, so they can be ahead of their records. All of it
happens when somebody looks: `advance` brings the drive up to the moment.
"""

from __future__ import annotations

import base64
import datetime
import hashlib

import attrs

from tests.simulation.world import START

FOLDER = "application/vnd.google-apps.folder"
DOCUMENT = "application/vnd.google-apps.document"
_NAMES = (
    "a.txt",
    "b.txt",
    "ü.pdf",
    "con",
    "report.docx",
    "..",
    "A.TXT",
    "x" * 90 + ".bin",
    "a/b.txt",
)


@attrs.define(eq=False)
class Item:
    """Something in the drive. A document has no size and no hash until it is exported."""

    id: str
    name: str
    mime: str
    body: bytes
    tells: str  # which evidence its record has: "hash", "size", "none"
    parent: str | None = None
    changed: float = 0.0
    is_deleted: bool = False

    @property
    def has_hash(self):
        return self.mime not in {FOLDER, DOCUMENT} and self.tells == "hash"


class Source:
    """The drive, the sync and the feed of one world."""

    def __init__(self, world, plan):
        self.items = {}
        self.status = "IDLE"
        self.contents = {}  # every content that an item ever had, with the moment it began
        self._dice = world.dice("source")
        self._world = world
        self._plan = plan
        self._stale = {}
        self._shown_at = {}
        self._feed = {}  # the place and the record of each, in the order of places
        self._place = 0
        self._next_change = 0.0
        self._next_step = 0.0
        self._changes = plan.changes
        for _ in range(plan.files):
            self._make(0.0)
        self._index_all(0.0)

    def advance(self, now):
        """Let everything happen that had happened by *now*."""
        while min(self._next_change, self._next_step) <= now:
            if self._next_change <= self._next_step:
                self._change(self._next_change)
            else:
                self._step(self._next_step)

    def settle(self, now):
        """Let people go home, and the sync come to its end."""
        self.advance(now)
        self._next_change = self._next_step = float("inf")
        self._index_all(now)
        self.status = "IDLE"

    def page(self, cursor, size):
        """Return what the feed shows after *cursor*: records, the next cursor, how many remain."""
        after = read_cursor(cursor)
        waiting = [(place, record) for place, record in self._feed.values() if place > after]
        shown = waiting[:size]
        last = make_cursor(shown[-1][0]) if shown else cursor
        return [record for _, record in shown], last, len(waiting) - len(shown)

    def before(self, cursor, most):
        """Return the last records that the feed showed before *cursor*."""
        places = [(p, record) for p, record in self._feed.values() if p <= read_cursor(cursor)]
        return [record for _, record in places[len(places) - most :]]

    @property
    def total(self):
        return len(self._feed)

    def record(self, id_):
        """Return the record, None for one that is gone."""
        found = self._feed.get(id_)
        return None if found is None or found[1].get("deleted") else found[1]

    def acceptable(self, id_):
        """Return the hashes of what a mirror may hold that has met this record: its content, or newer."""
        since = self._shown_at[id_]
        known = self.contents[id_]
        newer = [sha for begun, sha in known if begun > since]
        return {[sha for begun, sha in known if begun <= since][-1], *newer}

    # People.

    def _change(self, now):
        self._changes -= 1
        gap = self._dice.expovariate(1 / self._plan.between_changes)
        self._next_change = now + gap if self._changes > 0 else float("inf")
        alive = [item for item in self.items.values() if not item.is_deleted]
        kind = self._dice.choices(
            ("make", "edit", "rename", "move", "delete", "restore"), (4, 5, 2, 2, 3, 2)
        )[0]
        if kind == "make" or not alive:
            self._make(now)
            return
        item = self._dice.choice(alive)
        if kind == "restore":
            gone = [each for each in self.items.values() if each.is_deleted]
            item = self._dice.choice(gone) if gone else item
        getattr(self, f"_{kind}")(item, now)
        item.changed = now
        self._stale[item.id] = True
        self._world.note("drive", kind, item.id)

    def _make(self, now):
        id_ = f"r{len(self.items):03d}"
        folders = [i.id for i in self.items.values() if i.mime == FOLDER and not i.is_deleted]
        kind = self._dice.choices(("file", "document", "folder"), (8, 1, 1))[0]
        mime = {"file": "text/plain", "document": DOCUMENT, "folder": FOLDER}[kind]
        tells = self._dice.choices(("hash", "size", "none"), (8, 1, 1))[0]
        item = Item(id_, self._dice.choice(_NAMES), mime, b"", tells, changed=now)
        item.parent = self._dice.choice([None, *folders])
        self.items[id_] = item
        self.contents[id_] = []
        self._edit(item, now)
        self._stale[id_] = True
        self._world.note("drive", "make", id_, kind, len(item.body))

    def _edit(self, item, now):
        if item.mime == FOLDER:
            return
        least = 1 if item.mime == DOCUMENT else 0
        size = self._dice.choice((0, 1, 7, 60, 300, 2_000)) or least
        if self._plan.has_large and self._dice.random() < 0.05:
            size = (1 << 20) + 17
        item.body = self._dice.randbytes(size)
        self.contents[item.id].append((now, hashlib.sha256(item.body).hexdigest()))

    def _rename(self, item, now):
        item.name = self._dice.choice(_NAMES)

    def _move(self, item, now):
        folders = [i.id for i in self.items.values() if i.mime == FOLDER and i is not item]
        item.parent = self._dice.choice([None, *folders])

    def _delete(self, item, now):
        item.is_deleted = True

    def _restore(self, item, now):
        item.is_deleted = False

    # The sync.

    def _step(self, now):
        """Begin a run, take over one record, or end a run."""
        if self.status == "ERRORED" or not self._stale:
            is_new = self.status == "IDLE" and self._dice.random() < self._plan.errors / 4
            self.status = "ERRORED" if is_new else "IDLE"
            self._next_step = now + self._plan.between_syncs * self._dice.uniform(0.5, 1.5)
        elif self.status == "IDLE":
            self.status = "ACTIVE"
            self._next_step = now + self._dice.uniform(0.1, 5)
        else:
            self._index(self._dice.choice(list(self._stale)), now)
            self._next_step = now + self._dice.expovariate(1 / 2)
        self._world.note("sync", self.status)

    def _index_all(self, now):
        for id_ in list(self._stale):
            self._index(id_, now)

    def _index(self, id_, now):
        del self._stale[id_]
        item = self.items[id_]
        self._feed.pop(id_, None)
        self._place += 1
        self._shown_at[id_] = now
        self._feed[id_] = (self._place, _record(item, now))


def _record(item, now):
    if item.is_deleted:
        return {"id": item.id, "deleted": True, "syncedAt": _date(now)}
    found = {
        "id": item.id,
        "externalId": f"x-{item.id}",
        "name": item.name,
        "mimeType": item.mime,
        "parentFolderId": item.parent,
        "updatedAt": _date(item.changed),
        "syncedAt": _date(now),
        "deleted": False,
    }
    if item.mime not in {FOLDER, DOCUMENT} and item.tells != "none":
        found["size"] = len(item.body)
        if item.has_hash:
            found["hash"] = {"type": "sha256", "value": hashlib.sha256(item.body).hexdigest()}
    return found


def make_cursor(place):
    return base64.urlsafe_b64encode(f"place {place:09d}".encode()).decode()


def read_cursor(cursor):
    return int(base64.urlsafe_b64decode(cursor)[6:]) if cursor else 0


def _date(seconds):
    moment = datetime.datetime.fromtimestamp(START + seconds, datetime.UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
