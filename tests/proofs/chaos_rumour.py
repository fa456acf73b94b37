"""What the chaos test sends: the emulator's own events, hints, repetitions, lies and nonsense, as posts."""

from __future__ import annotations

import json

import attrs

from paragon_async.emulator import events as forms
from tests.webhooks.sending import NONSENSE, OTHER, SECRET

RIGHT, WRONG = f"/webhook/{SECRET}", f"/webhook/{OTHER}"


@attrs.frozen
class Post:
    """One request: what is sent where, and what has to come back."""

    body: bytes
    path: str = RIGHT
    status: int = 200
    number: str | None = None


class Rumour:
    """Makes the posts of each round: the emulator's own events, hints, repetitions, lies, nonsense."""

    def __init__(self, drive, dice):
        self._drive, self._dice = drive, dice
        self._sync = drive.emulator.world.find(drive.sync_id, None, None)
        self._last, self._held = 0, []
        self.events = self.lies = self.broken = self.twice = 0
        self.forged, self.refused, self.acceptable = set(), set(), set()

    def told(self, living, share):
        """Return a round's posts, shuffled; a third of them is held back for the next."""
        told, total = self._true(), self.events + self.lies + self.broken + share
        lies, broken = total // 20 - self.lies, total // 100 - self.broken
        told += [self._hint(living) for _ in range(share - len(told) - lies - broken)]
        posts = [self._numbered(event) for event in told]
        posts += [self._lie(living) for _ in range(lies)]
        again = self._dice.sample(posts, share * 3 // 10)
        posts += again + [self._nonsense() for _ in range(broken)]
        self.events, self.lies = self.events + len(told), self.lies + lies
        self.broken, self.twice = self.broken + broken, self.twice + len(again)
        posts += self._held
        self._dice.shuffle(posts)
        self._held, posts = posts[: len(posts) // 3], posts[len(posts) // 3 :]
        return posts

    def rest(self):
        return self._held

    def _true(self):
        rows = self._drive.emulator.world.hooks.log(10_000, after=self._last)
        self._last = max((row["id"] for row in rows), default=self._last)
        return [row["event"] for row in rows if row["kind"] != forms.PROBE]

    def _hint(self, living):
        id_ = self._dice.choice(living)
        event = self._dice.choice(
            [
                forms.record_updated(self._sync, id_),
                forms.record_created(self._sync, id_),
                forms.record_errored(self._sync, id_, "a passing thing"),
                forms.sync_complete(self._sync, "2025-11-04T10:00:00Z", 7),
                {**forms.record_updated(self._sync, id_), "event": "recordUpdated"},
                {**forms.record_updated(self._sync, id_), "event": "record_moved"},
            ]
        )
        return forms.varied(event, self._dice.sample(sorted(forms.OPTIONS), 1))

    def _numbered(self, event, path=RIGHT, status=200):
        number = f"{self._dice.getrandbits(60):x}"
        if status == 200:
            self.acceptable.add(number)
        body = json.dumps({**event, "metadata": {"number": number}}).encode()
        return Post(body, path, status, number)

    def _lie(self, living):
        id_ = self._dice.choice(living)
        gone = forms.record_deleted(self._sync, id_)
        match self._dice.randrange(4):
            case 0:
                post = self._numbered(gone, WRONG, 401)
                self.refused.add(post.number)
                return post
            case 1:
                return self._numbered({**gone, "syncInstanceId": "another-sync"})
            case 2:
                return self._numbered({**gone, "user": {"id": "user-2"}})
        self.forged.add(id_)
        return self._numbered(gone)

    def _nonsense(self):
        if self._dice.random() < 0.3:
            return Post(b'{"event": "x", "data": "' + b"x" * 70_000 + b'"}', status=413)
        return Post(self._dice.choice(sorted(NONSENSE.values())), status=400)
