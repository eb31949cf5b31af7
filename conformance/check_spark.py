"""The Spark job against `streamreel build`: silver row by row, then gold on top of either silver."""

from __future__ import annotations

import json
from pathlib import Path

import spark_bucket
from engines import say
from lakes import Comparison, Home, portions, refuse_newer, step, write_metadata
from spark_job import Spark, expect


def check(program: Path, scratch: Path, is_quick: bool) -> None:
    comparison = Comparison()
    embedded, other = Home(program, scratch / "embedded"), Home(program, scratch / "other")
    spark = Spark(other)
    parts, titles = portions(program, scratch, 20_000 if is_quick else 400_000, 2 if is_quick else 3)
    write_metadata(embedded.metadata, titles)

    def compare(what: str, *arguments: str) -> dict:
        step(what)
        embedded.copy_bronze(other)
        summary = spark.enrich(*arguments)
        say(json.dumps(summary))
        embedded.build("--layer", "silver", *arguments)
        comparison.silver(embedded.lake, other.lake)
        return summary

    for number, lines in enumerate(parts):
        embedded.land(lines)
        if number == len(parts) - 1 and is_quick:
            write_metadata(embedded.metadata, titles, changed=True)
        if number == 1 and not is_quick:
            step("killed half way")
            embedded.copy_bronze(other)
            spark.kill_half_way()
        summary = compare(f"portion {number + 1} of {len(parts)}")
        expect(summary["full"] == (number == 0), "only the first run derives everything", summary)
    expect(summary["replaced_views"] > 0, "late events touch views of before", summary)

    step("again, with nothing new")
    before = versions(other.lake)
    summary = spark.enrich()
    expect(
        summary["build_id"] is None and versions(other.lake) == before,
        "a run with nothing new changes nothing",
        summary,
    )

    if not is_quick:
        write_metadata(embedded.metadata, titles, changed=True)
        summary = compare("changed metadata")
        expect(summary["new_events"] == 0 and summary["replaced_views"] > 0, "changed metadata touches views", summary)
        compare("everything again", "--full-refresh")
        step("bad metadata")
        good = (other.metadata / "video_metadata.csv").read_text()
        for text, says in bad_metadata():
            (other.metadata / "video_metadata.csv").write_text(text)
            spark.refuse(says)
        (other.metadata / "video_metadata.csv").write_text(good)

    step("another build is at work")
    with spark_bucket.leased(other):
        spark.refuse('another build is at work on this lake: {"lease":"build","pid":')
    step("tables of a newer protocol")
    embedded.land(parts[0][:200])
    embedded.copy_bronze(other)
    refuse_newer(other.lake, ("bronze/events", "silver/views", "silver/builds"), spark.refused, each=not is_quick)
    compare("and once they are what they were")

    step("the program goes on with what Spark derived: late events, gold")
    embedded.land(parts[0][:500] + [line for line in parts[-1][:500]])
    embedded.copy_bronze(other)
    for home in (embedded, other):
        home.build()
    comparison.silver(embedded.lake, other.lake)
    comparison.gold(embedded.lake, lambda table: f"delta_scan('{other.lake}/gold/{table}')")
    comparison.finish()
    if not is_quick:
        spark_bucket.check(program, scratch, parts[0][:20_000], spark)


def bad_metadata() -> list[tuple[str, str]]:
    header = "video_id,title,creator,genre,duration_s\n"
    return [
        (
            "video_id,title,creator,genre\nv1,T,C,G\n",
            "lacks the column duration_s; it has video_id, title, creator, genre",
        ),
        (f"{header}v1,T,C,G,10\nv1,T,C,G,11\n", "repeats the id `v1`"),
        (f"{header}v1,T,C,G,long\n", "`v1` has the duration_s `long`, which is no double"),
        (f"{header}v1,T,C,G,-5\n", "`v1` has the duration_s `-5.0`, it must be above 0"),
        (
            "video_id,title,creator,genre,duration_s,region\nv1,T,C,G,10,DE\n",
            "would become `region`, which silver has already",
        ),
    ]


def versions(lake: Path) -> dict[str, int]:
    """How many commits each table of silver has."""
    return {log.parent.name: len(list(log.glob("*.json"))) for log in (lake / "silver").glob("*/_delta_log")}
