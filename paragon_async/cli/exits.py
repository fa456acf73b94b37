"""The exit statuses, in one table: what `paragon-async help exits` shows, and tests hold it to."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command can end."""

    GOOD = 0
    NOT_ALL = 1
    WRONG = 2
    STOPPED = 3
    LATER = 4
    FAULT = 70
    NOT_RUN = 127
    INTERRUPTED = 130
    NO_READER = 141
    TERMINATED = 143


MEANING = {
    Exit.GOOD: "done, and all is well",
    Exit.NOT_ALL: "done, and the answer is no, or something is not as it should be: access denied, "
    "dead letters, damage, records that wait for deletion, a list that was cut, a finding of `doctor`",
    Exit.WRONG: "a wrong call: an option, a name, credentials that are missing or cannot be read",
    Exit.STOPPED: "stopped by an error: the service refuses, the disk refuses, a state is damaged or "
    "held, a question was answered with no",
    Exit.LATER: "stopped by trouble that passes: no connection, a time-out, 429, 5xx; the same command "
    "may succeed later",
    Exit.FAULT: "a fault of this program; --debug shows where",
    Exit.NOT_RUN: "`emulator exec`: the command cannot be run; else its own status is passed on",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
    Exit.NO_READER: "nobody reads the output any more, as with `| head`",
    Exit.TERMINATED: "ended by SIGTERM",
}
