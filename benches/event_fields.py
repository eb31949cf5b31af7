"""The fields of an event in JSON, for the comparisons that are written in an engine's SQL."""

TEXT = ("event_id", "user_id", "video_id", "session_id", "event_type", "timestamp", "region", "device")
NUMBERS = ("position_s", "seek_from_s", "seek_to_s", "rate", "duration_s")
WHOLE = ("sequence",)


def columns(text: str, number: str, whole: str) -> dict[str, str]:
    """Each field with its type, in the words of an engine."""
    return {**dict.fromkeys(TEXT, text), **dict.fromkeys(NUMBERS, number), **dict.fromkeys(WHOLE, whole)}
