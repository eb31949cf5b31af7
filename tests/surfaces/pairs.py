"""Pairs of a video and a filter: how the API, SQL and whoever reads the exports ask for the same views."""

from dataclasses import dataclass
from datetime import date

UNSET = object()


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Pair:
    """A video and what of its views is looked at: dates (both included) and a region (None: an unknown one)."""

    video: str
    first: date | None = None
    last: date | None = None
    region: object = UNSET

    def __str__(self) -> str:
        return "&".join([f"video={self.video}", *(f"{name}={value}" for name, value in self.parameters())])

    def parameters(self) -> list[tuple[str, str]]:
        """As the page's address and the API have it."""
        pairs = [("from", self.first), ("to", self.last)]
        parameters = [(name, value.isoformat()) for name, value in pairs if value is not None]
        return parameters + ([] if self.region is UNSET else [("region", self.region or "")])

    def condition(self) -> str:
        """As SQL has it."""
        parts = [f"video_id = {literal(self.video)}"]
        if self.first is not None:
            parts.append(f"view_date >= date '{self.first}'")
        if self.last is not None:
            parts.append(f"view_date <= date '{self.last}'")
        if self.region is not UNSET:
            parts.append("region is null" if self.region is None else f"region = {literal(self.region)}")
        return " and ".join(parts)

    def includes(self, row: dict) -> bool:
        """Whether a row of an export (video_id, region, view_date) is one of its."""
        return (
            row["video_id"] == self.video
            and (self.first is None or row["view_date"] >= self.first)
            and (self.last is None or row["view_date"] <= self.last)
            and (self.region is UNSET or row["region"] == self.region)
        )


def choose(groups: list[dict], wanted: int) -> list[Pair]:
    """So many pairs over as many videos, with each kind of filter in turn.

    `groups` are rows with video_id, region, view_date and views. The choice depends on them alone.
    """
    by_video: dict[str, list[dict]] = {}
    for group in groups:
        by_video.setdefault(group["video_id"], []).append(group)
    videos = sorted(by_video)
    pairs = []
    for number in range(wanted):
        video = videos[number % len(videos)]
        rows = by_video[video]
        days = sorted({row["view_date"] for row in rows})
        first, middle = days[0], days[len(days) // 2]
        regions = sorted({row["region"] for row in rows if row["region"] is not None}) or [None]
        region = regions[number % len(regions)]
        kinds = [
            Pair(video),
            Pair(video, region=region),
            Pair(video, first=middle, last=middle),
            Pair(video, first=first, last=middle, region=region),
            Pair(video, region=None),
            Pair(video, first=middle),
            Pair(video, last=first),
        ]
        pairs.append(kinds[number % len(kinds)])
    return pairs
