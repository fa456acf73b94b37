"""A program from its start to its end, as often as the options say: what imports cost."""

from __future__ import annotations

from benchmarks.clients.frame import perform, whole
from benchmarks.task import Figure, Task


def program(task: Task) -> Figure:
    """Run the program of the option `argv`; its whole life is measured."""
    return whole(task.options["argv"]).figure(count=1)


if __name__ == "__main__":
    perform({"program": program})
