"""Types of what the functions take, for annotations."""

from __future__ import annotations

from typing import Literal, Protocol, TypedDict, Union


class ArrowArrayExportable(Protocol):
    """One batch."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...


class ArrowStreamExportable(Protocol):
    """Any number of batches of one schema."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Batches = Union[ArrowArrayExportable, ArrowStreamExportable]


class Settings(TypedDict, total=False):
    """Thresholds of a view; what is left out has the default with which the numbers are defined."""

    view_gap_s: float
    """Without a session id a longer gap between two events begins another view; 1800."""
    max_unproven_s: float
    """Wall seconds credited at most between two reports; 14400."""
    agree_s: float
    """Two positions agree when they differ by at most this; 2."""
    drift_ratio: float
    """How much faster than the wall clock positions may run; 0.05."""
    implied_advance_s: float
    """By how much a heartbeat must have advanced to imply a lost play; 1."""
    seek_echo_s: float
    """A seek's origin this close to its target is read as unknown; 0.25."""
    shortest_segment_s: float
    """Shorter segments are dropped; 0.25."""
    duration_tolerance_s: float
    """Durations may differ by this before it is counted; 1."""
    completed_ratio: float
    """Share of the duration that completes a view; 0.95."""
    engaged_s: float
    """Watch time of an engaged view; 10."""
    engaged_ratio: float
    """... or this share of a short video; 0.5."""
    short_video_s: float
    """What a short video is shorter than; 20."""
    open_play: Literal["evidence", "drop", "elapsed"]
    """Where a play ends that nothing closes: at its last report, nowhere, at the view's last event; "evidence"."""
