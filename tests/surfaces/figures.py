"""What is compared: the numbers of a pair, put together from additive rows, and the comparison of what surfaces say."""

import math
from itertools import accumulate

DROP_OFF = ("exits", "seeks_away", "seeks_in", "pauses")
RELATIVE = 1e-9


def curve(changes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int]]:
    """Counts by second from changes (second, plays, watched, survived), to the last second that has any."""
    if not changes:
        return []
    by_second = {second: (plays, watched, survived) for second, plays, watched, survived in changes}
    dense = [by_second.get(second, (0, 0, 0)) for second in range(max(by_second) + 1)]
    columns = [accumulate(column) for column in zip(*dense)]
    return trimmed(list(zip(*columns)))


def trimmed(counts: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Without the seconds at the end that nobody watched."""
    end = len(counts)
    while end and not any(counts[end - 1]):
        end -= 1
    return counts[:end]


def same(left, right) -> bool:
    """Whether two surfaces say the same: whole numbers exactly, others to nine digits, nulls alike."""
    if isinstance(left, float) or isinstance(right, float):
        return left is not None and right is not None and math.isclose(left, right, rel_tol=RELATIVE, abs_tol=RELATIVE)
    return left == right


def compare(name: str, surfaces: dict[str, dict]) -> list[str]:
    """Where surfaces disagree on a pair, each number by name."""
    problems = []
    for number in sorted({number for said in surfaces.values() for number in said}):
        said = {surface: values[number] for surface, values in surfaces.items() if number in values}
        (first, expected), *others = said.items()
        if not others:
            problems.append(f"{name}: {number} is said by {first} alone")
        for surface, value in others:
            if not same(expected, value):
                problems.append(f"{name}: {number} is {brief(expected)} by {first}, {brief(value)} by {surface}")
    return problems


def brief(value) -> str:
    """A value that fits into a line."""
    text = repr(value)
    return text if len(text) < 120 else f"{text[:117]}..."
