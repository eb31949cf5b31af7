"""Where the job goes on: the newest complete checkpoint or savepoint of a folder."""

from pathlib import Path
from urllib.parse import unquote, urlparse


def local(place: str) -> Path | None:
    """The folder on this machine that a path or URI names; None for any other file system."""
    uri = urlparse(place)
    if uri.scheme == "file":
        return Path(unquote(uri.path))
    return None if uri.scheme else Path(place).resolve()


def uri(place: str) -> str:
    """The place as Flink takes it."""
    folder = local(place)
    return place if folder is None else folder.as_uri()


def newest(place: str) -> str | None:
    """The newest checkpoint or savepoint below a folder of this machine. `_metadata` is written last: where it is, all
    is there."""
    folder = local(place)
    if folder is None or not folder.is_dir():
        return None
    complete = [*folder.glob("*/chk-*/_metadata"), *folder.glob("savepoints/*/_metadata")]
    if not complete:
        return None
    return max(complete, key=lambda file: file.stat().st_mtime_ns).parent.as_uri()
