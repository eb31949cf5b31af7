"""What the Flink job counts as forgotten, without a Flink: run by the Python of its environment, prints the counts.

flink_forgotten.py      -> a JSON object: a case's name -> [records that it wrote, what it counted]
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "flink"))
import cleaning  # noqa: E402
import pyarrow as pa  # noqa: E402

#: Offsets in what the window forgets at once, of which it remembers two at least.
BLOCK = 65_536


class State(dict):
    """A map of Flink's state."""

    put = dict.__setitem__
    remove = dict.__delitem__


class Counter:
    count = 0

    def inc(self, number: int = 1) -> None:
        self.count += number


def clean(state: State, written: int, offsets: list[list[int]]) -> list[int]:
    """Records at these offsets of one partition, batch by batch, each an event of its own at the same time."""
    counter = Counter()
    metrics = SimpleNamespace(counter=lambda name: {"forgotten": counter}[name])
    job = cleaning.Clean(cleaning.Rules("log", 600_000, 1, False), {0: written})
    job.open(SimpleNamespace(get_map_state=lambda _: state, get_metrics_group=lambda: metrics))
    outputs = [row for batch in offsets for row in job.process_element((0, cleaning.to_bytes(records(batch))), None)]
    return [len(outputs), counter.count]


def records(offsets: list[int]) -> pa.RecordBatch:
    event = '{"event_id":"%d","user_id":"u","video_id":"v","event_type":"play","timestamp":1767607200}'
    columns = [offsets, [1_767_607_200_000] * len(offsets), [b"u"] * len(offsets)]
    columns += [[(event % offset).encode() for offset in offsets], [None] * len(offsets)]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, cleaning.RECORDS, strict=True)],
        schema=cleaning.RECORDS,
    )


def main() -> None:
    blocks = [[block * BLOCK, block * BLOCK + 1] for block in range(4)]
    state = State()
    found = {
        "two blocks are remembered": clean(State(), 0, blocks[:2]),
        "what no longer fits is counted": clean(state, 0, blocks),
        "in one batch": clean(State(), 0, [sum(blocks, [])]),
        "from a checkpoint": clean(state, 0, [[4 * BLOCK]]),
        "again, what is written": clean(State(), 3 * BLOCK, blocks),
        "again, in one batch": clean(State(), 3 * BLOCK + 1, [sum(blocks, [])]),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
