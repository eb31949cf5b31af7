"""The simulator: the very bytes of `streamreel simulate`."""

import subprocess

import pyarrow as pa
import pytest
import streamreel


def test_the_same_bytes_as_the_program(program, tmp_path):
    path, home = tmp_path / "events.ndjson", tmp_path / "home"
    # Titles go into a home that is there.
    home.mkdir()
    subprocess.run(
        [
            program,
            "--quiet",
            "--home",
            home,
            "simulate",
            "--events",
            "5000",
            "--seed",
            "3",
            "--dirt",
            "0.1",
            "--to",
            path,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    simulation = streamreel.simulate(events=5000, seed=3, dirt=0.1, batch_size=700)
    records = pa.Table.from_batches(pa.record_batch(batch) for batch in simulation)
    assert records.num_rows == 5000
    assert b"".join(payload + b"\n" for payload in records["payload"].to_pylist()) == path.read_bytes()
    assert records["received_at"].to_pylist() == sorted(records["received_at"].to_pylist())
    assert simulation.titles() == (home / "metadata/video_metadata.csv").read_text()


def test_a_rate():
    records = [pa.record_batch(batch) for batch in streamreel.simulate(rate=100, for_s=60, seed=2)]
    assert 1000 < sum(batch.num_rows for batch in records) < 20_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "give either events .* or rate"),
        ({"events": 5, "rate": 1}, "give either"),
        ({"events": 5, "for_s": 1}, "for_s goes with rate"),
        ({"events": 5, "dirt": 2}, "dirt_ratio is 2; give a share from 0 to 0.9"),
        ({"events": 0}, "records is 0"),
        ({"rate": -1}, "the rate is -1"),
        ({"events": 5, "batch_size": 0}, "batch_size is 0"),
        ({"rate": 1, "for_s": 0}, "for_s must be"),
    ],
)
def test_what_is_wrong_is_said(arguments, says):
    with pytest.raises(ValueError, match=says):
        streamreel.simulate(**arguments)
