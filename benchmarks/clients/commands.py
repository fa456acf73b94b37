"""curl, aria2c and wget as a shell would call them, measured from their start to their end.

They get the list of files the way each documents for many of them: curl and aria2c in a file of their
own, `task.concurrency` at once. What they have written is counted afterwards.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.clients.frame import Measure, perform, whole
from benchmarks.clients.storing import place
from benchmarks.task import Figure, Task


def curl(task: Task) -> Figure:
    """Fetch one file with `-o`, or many with `-Z` and a configuration that lists them."""
    argv = ["curl", "-q", "-sSf", *_with_headers(task, "-H")]
    argv += ["--cacert", task.ca_file] if task.ca_file else []
    if len(task.items) == 1:
        item = task.items[0]
        return _run(task, [*argv, "-o", str(place(task, item)), task.content_url(item)])
    argv += ["-Z", "--parallel-max", str(task.concurrency)]
    lines = (f'url="{task.content_url(item)}"\noutput="{item.id}"' for item in task.items)
    return _run(task, [*argv, "-K"], lines)


def aria2c(task: Task) -> Figure:
    """Fetch with one connection a file, without an allocation of space beforehand."""
    argv = ["aria2c", "--no-conf", "-q", "--file-allocation=none", "-x1", "-s1"]
    argv += [f"-j{task.concurrency}", f"--dir={task.folder}", *_with_headers(task, "--header")]
    argv += [f"--ca-certificate={task.ca_file}"] if task.ca_file else []
    lines = (f"{task.content_url(item)}\n  out={item.id}" for item in task.items)
    return _run(task, [*argv, "-i"], lines)


def wget(task: Task) -> Figure:
    """Fetch one file with `-O`."""
    (item,) = task.items
    argv = ["wget", "--no-config", "-q", *_with_headers(task, "--header")]
    argv += [f"--ca-certificate={task.ca_file}"] if task.ca_file else []
    return _run(task, [*argv, "-O", str(place(task, item)), task.content_url(item)])


def _run(task: Task, argv: Sequence[str], listed: Iterable[str] = ()) -> Figure:
    """Measure the program; *listed* goes to a file, whose name is its last argument."""
    with tempfile.TemporaryDirectory() as room:
        if listed:
            names = Path(room) / "files"
            names.write_text("\n".join(listed) + "\n")
            argv = [*argv, str(names)]
        measure = whole(argv, cwd=task.folder)
    if task.options.get("fsync"):
        _flush(task, measure)
    sizes = [place(task, item).stat().st_size for item in task.items]
    return measure.figure(count=len(sizes), size=sum(sizes))


def _flush(task: Task, measure: Measure) -> None:
    """Flush what was written, as `sync FILE` does, and count the time as the program's."""
    begun, spent = time.perf_counter(), time.process_time()
    for item in task.items:
        file = os.open(place(task, item), os.O_RDONLY)
        os.fsync(file)
        os.close(file)
    measure.wall += time.perf_counter() - begun
    measure.cpu += time.process_time() - spent


def _with_headers(task: Task, option: str) -> list[str]:
    lines = [f"{name}: {value}" for name, value in task.headers.items()]
    return [word for line in lines for word in (option, line)]


if __name__ == "__main__":
    perform({"curl": curl, "aria2c": aria2c, "wget": wget})
