"""Does a process hold more from round to round? Decided from samples, after a warm-up.

counts      descriptors within two of what they were, tasks, threads and connections as they were
memory      the medians of the first and the last third do not part by more than noise does
"""

from __future__ import annotations

from statistics import linear_regression, median

EXACT = {"tasks": 0, "threads": 0, "connections": 0, "descriptors": 2}
MIB = 1 << 20
# Allocators hold on to eight megabytes for some rounds, and let go of them.
RSS = 12 * MIB
BLOCKS_A_ROUND = 60
SLOPE = MIB / 600  # bytes a second; of a run long enough for a slope to mean something
LONG = 1800.0


def found(samples, warm_up):
    """Return a sentence for each thing of which there is more than there was."""
    kept = [each for each in samples if each["round"] >= warm_up]
    assert len(kept) >= 6, f"{len(kept)} rounds after the warm-up are too few to judge"
    grown = []
    for name, room in EXACT.items():
        base = kept[0][name]
        if far := [each for each in kept if abs(each[name] - base) > room]:
            grown.append(f"{name}: {base}, then {far[-1][name]} in round {far[-1]['round']}")
    shown = figures(samples, warm_up)
    if shown["rss grown"] > RSS:
        grown.append(f"memory: {shown['rss grown'] / MIB:.1f} MiB more than in the beginning")
    if shown["blocks a round"] > BLOCKS_A_ROUND:
        grown.append(f"objects: {shown['blocks a round']:.0f} more in each round")
    if shown["seconds"] >= LONG and shown["rss a second"] > SLOPE:
        grown.append(f"memory: {shown['rss a second'] * 600 / MIB:.2f} MiB more in ten minutes")
    return grown


def figures(samples, warm_up):
    """Return how memory and objects went after the warm-up."""
    kept = [each for each in samples if each["round"] >= warm_up]
    third = max(2, len(kept) // 3)
    first, last = kept[:third], kept[-third:]
    rounds = median(each["round"] for each in last) - median(each["round"] for each in first)

    def grown(name):
        return median(each[name] for each in last) - median(each[name] for each in first)

    # The least of each stretch: what is held for a while only is no leak, and a leak lifts this too.
    stretch = max(1, len(kept) // 10)
    parts = [kept[at : at + stretch] for at in range(0, len(kept), stretch)]
    least = [min(part, key=lambda each: each["rss"]) for part in parts]
    slope = linear_regression([each["at"] for each in least], [each["rss"] for each in least]).slope
    return {
        "rounds": kept[-1]["round"],
        "seconds": kept[-1]["at"] - kept[0]["at"],
        "rss": kept[-1]["rss"],
        "rss grown": grown("rss"),
        "rss a second": slope,
        "blocks a round": grown("blocks") / rounds,
    }
