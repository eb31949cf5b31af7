"""Bronze to silver as one would write it in Spark SQL: window functions only, no call to the rules of the program.

It has, of docs/metrics.md: views by session or by a gap of 30 min; the order of events; copies of an event within a
view; the rate until the next one; play, pause, seek, ended, load and repeated plays; a stale play right after a seek;
a position that is possible, and one that is not (an unreported seek); implied plays; the end at the evidence of what
is never closed; the cut at the duration; segments of less than 0.25 s; watch time, unique seconds, playing time,
completion, engagement.

What a window can't say, since it depends on what was decided about the rows before, is left out: that the slack of
positions does not add up over a segment; that a position slightly behind the evidence does not move back; that time
of buffering is not expected to be played; places that become known after a seek to nowhere; rates that change between
two positions; a pause without a position as the place of the next play; a stale play that does not follow its seek at
once. Of the counters of a view only two are there. `compare` of run.py says in how many views that shows.
"""

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

#: Events by view, each with all the metadata. Copies are marked by a number above 1.
VIEWED = """
WITH gaps AS (
  SELECT b.*, v.title, v.creator, v.genre, v.published_at, v.language, v.kids_safe, v.duration_s AS metadata_duration_s,
    CASE event_type WHEN 'load' THEN 0 WHEN 'error' THEN 1 WHEN 'quality_change' THEN 2 WHEN 'buffer_end' THEN 3
      WHEN 'buffer_start' THEN 4 WHEN 'heartbeat' THEN 5 WHEN 'rate_change' THEN 6 WHEN 'pause' THEN 7
      WHEN 'ended' THEN 8 WHEN 'seek' THEN 9 ELSE 10 END AS kind,
    coalesce(sequence, 9223372036854775807) AS place,
    session_id IS NULL AND event_ts - lag(event_ts) OVER (
      PARTITION BY user_id, video_id, session_id ORDER BY event_ts) > INTERVAL 30 MINUTES AS is_new
  FROM bronze b LEFT JOIN videos v USING (video_id)
), counted AS (
  SELECT *, count_if(is_new) OVER (PARTITION BY user_id, video_id, session_id ORDER BY event_ts) AS number FROM gaps
), copies AS (
  SELECT *, row_number() OVER (
    PARTITION BY user_id, video_id, session_id, number, event_id ORDER BY event_ts, place, kind) AS copy
  FROM counted
)
SELECT *, md5(concat_ws('|', user_id, video_id, session_id, number)) AS view_id FROM copies WHERE copy = 1
"""

#: The window that the rest looks through: the events of a view in their order. `before` is without the event itself.
WINDOW = "PARTITION BY user_id, video_id, session_id, number ORDER BY event_ts, place, kind, event_id"

#: Every event with the piece of the video that it proves to have been played, if any, and the number of its segment.
STEPS = f"""
WITH reported AS (
  SELECT *,
    coalesce(last_value(rate) IGNORE NULLS OVER before, 1D) AS rate_now,
    coalesce(metadata_duration_s, last_value(duration_s) IGNORE NULLS OVER whole) AS video_duration_s,
    min(event_ts) OVER whole AS first_at,
    CASE WHEN event_type = 'seek' THEN coalesce(seek_to_s, position_s) ELSE position_s END AS told,
    CASE WHEN event_type = 'seek' AND abs(seek_from_s - coalesce(seek_to_s, position_s)) > 0.25
      THEN seek_from_s END AS left_at
  FROM viewed
  WINDOW before AS ({WINDOW} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
    whole AS ({WINDOW} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
), trusted AS (
  SELECT *,
    CASE WHEN event_type = 'play' AND lag(event_type) OVER w = 'seek'
      AND abs(told - lag(left_at) OVER w) <= 2 AND abs(told - lag(told) OVER w) > 2
      THEN lag(told) OVER w ELSE told END AS p
  FROM reported WINDOW w AS ({WINDOW})
), known AS (
  SELECT *,
    CASE WHEN event_type <> 'play' OR p IS NOT NULL THEN p
      WHEN last_value(CASE WHEN event_type IN ('ended', 'play', 'seek', 'load') THEN event_type END)
        IGNORE NULLS OVER before = 'ended' THEN 0D
      ELSE coalesce(last_value(p) IGNORE NULLS OVER before, 0D) END AS place_after,
    coalesce(last_value(
      CASE WHEN event_type = 'play' THEN true WHEN event_type IN ('pause', 'ended', 'load') THEN false END)
      IGNORE NULLS OVER before, false) AS told_playing
  FROM trusted WINDOW before AS ({WINDOW} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), evident AS (
  SELECT *, evidence.p AS evidence_s, evidence.at AS evidence_at,
    least(coalesce(unix_micros(event_ts) - unix_micros(evidence.at), 0), 14400000000) / 1e6 * rate_now AS advance
  FROM (
    SELECT *,
      last_value(CASE WHEN place_after IS NOT NULL THEN struct(place_after AS p, event_ts AS at) END)
        IGNORE NULLS OVER before AS evidence
    FROM known WINDOW before AS ({WINDOW} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
), implied AS (
  SELECT *, coalesce(event_type = 'heartbeat' AND NOT told_playing AND p >= evidence_s + 1
    AND abs(p - evidence_s - advance) <= 2 + 0.05 * advance, false) AS is_implied
  FROM evident
), playing AS (
  SELECT *,
    coalesce(last_value(CASE WHEN event_type = 'play' OR is_implied THEN true
      WHEN event_type IN ('pause', 'ended', 'load') THEN false END) IGNORE NULLS OVER before, false) AS is_playing,
    CASE event_type
      WHEN 'seek' THEN coalesce(left_at, evidence_s + advance)
      WHEN 'pause' THEN coalesce(p, evidence_s + advance)
      WHEN 'ended' THEN CASE
        WHEN (p IS NULL OR abs(p - video_duration_s) <= 2) AND video_duration_s <= evidence_s + 1.05 * advance + 2
          THEN video_duration_s
        ELSE coalesce(p, evidence_s + advance) END
      WHEN 'load' THEN NULL
      ELSE p END AS reached
  FROM implied WINDOW before AS ({WINDOW} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), judged AS (
  SELECT *, reached BETWEEN evidence_s - 2 AND evidence_s + 1.05 * advance + 2 AS is_possible FROM playing
), pieces AS (
  SELECT *,
    is_playing AND event_type <> 'play' AND NOT is_possible AS is_unreported,
    CASE WHEN (is_playing OR is_implied) AND is_possible THEN evidence_s
      WHEN is_playing AND event_type <> 'play' AND NOT is_possible THEN greatest(0D, reached - advance)
      END AS piece_start,
    event_type = 'seek' OR event_type = 'play' AND (NOT is_playing OR NOT coalesce(is_possible, true)) AS opens
  FROM judged
)
SELECT *, to_date(first_at) AS view_date,
  coalesce(count_if(opens) OVER before, 0) + count_if(coalesce(is_unreported, false) OR is_implied AND NOT is_playing)
    OVER upto AS segment
FROM pieces
WINDOW before AS ({WINDOW} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
  upto AS ({WINDOW} ROWS UNBOUNDED PRECEDING)
"""

ENRICHED_EVENTS = """
SELECT view_id, view_date, event_id, user_id, video_id, session_id, event_type, event_ts, position_s, seek_from_s,
  seek_to_s, rate, duration_s, region, device, sequence, extra, title, creator, genre, video_duration_s,
  100 * position_s / video_duration_s AS watch_time_percentage, corrections, source_log, source_topic, source_partition,
  source_offset, received_at, received_date, published_at, language, kids_safe
FROM steps
"""

WATCHED_SEGMENTS = """
WITH segments AS (
  SELECT view_id, first(user_id) AS user_id, first(video_id) AS video_id, first(view_date) AS view_date, segment,
    min(piece_start) AS start_s,
    least(max(greatest(reached, piece_start)), coalesce(first(video_duration_s), double('Infinity'))) AS end_s,
    min(evidence_at) AS started_at, max(event_ts) AS ended_at, max_by(event_type, event_ts) AS ended_by,
    sum(greatest(reached - piece_start, 0D) / rate_now) AS playing_time_s
  FROM steps WHERE piece_start IS NOT NULL GROUP BY view_id, segment
)
SELECT *, row_number() OVER (PARTITION BY view_id ORDER BY segment) AS segment_index
FROM segments WHERE end_s - start_s >= 0.25
"""

SEEKS = """
SELECT view_id, user_id, video_id, view_date, event_ts AS seeked_at, reached AS from_s, p AS to_s,
  reached >= 0.5 * video_duration_s AS is_after_half
FROM steps WHERE event_type = 'seek'
"""

VIEWS = """
WITH covered AS (
  SELECT *, greatest(0D, end_s - greatest(start_s, coalesce(max(end_s) OVER (
    PARTITION BY view_id ORDER BY start_s, end_s ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0D))) AS new_s
  FROM watched_segments
), watched AS (
  SELECT view_id, sum(end_s - start_s) AS watch_time_s, sum(new_s) AS unique_s, sum(playing_time_s) AS playing_time_s,
    max(end_s) AS furthest_s, max_by(end_s, segment_index) AS exit_s
  FROM covered GROUP BY view_id
), seen AS (
  SELECT view_id, first(user_id) AS user_id, first(video_id) AS video_id, first(session_id) AS session_id,
    min_by(region, struct(event_ts, place, kind, event_id)) FILTER (WHERE region IS NOT NULL) AS region,
    min_by(device, struct(event_ts, place, kind, event_id)) FILTER (WHERE device IS NOT NULL) AS device,
    first(title) AS title, first(creator) AS creator, first(genre) AS genre, first(view_date) AS view_date,
    min(event_ts) AS started_at, max(event_ts) AS ended_at, first(video_duration_s) AS video_duration_s,
    count_if(event_type = 'pause') AS pauses, count_if(event_type = 'seek') AS seeks,
    count_if(event_type = 'seek' AND reached >= 0.5 * video_duration_s) AS seeks_after_half,
    coalesce(bool_or(is_unreported), false) AS has_unreported_seek,
    count_if(is_implied AND NOT is_playing) AS implied_plays, count_if(is_unreported) AS unreported_seeks
  FROM steps GROUP BY view_id HAVING bool_or(event_type = 'play' OR is_implied)
)
SELECT seen.*, coalesce(watch_time_s, 0D) AS watch_time_s, coalesce(unique_s, 0D) AS unique_s,
  coalesce(playing_time_s, 0D) AS playing_time_s,
  100 * coalesce(unique_s, 0D) / video_duration_s AS watch_time_percentage,
  furthest_s, exit_s, coalesce(unique_s, 0D) >= 0.95 * video_duration_s AS is_completed,
  coalesce(watch_time_s, 0D) >= least(10D, 0.5 * coalesce(video_duration_s, 20D)) AS is_engaged
FROM seen LEFT JOIN watched USING (view_id)
"""


def build(spark: SparkSession, lake: str, metadata: str) -> dict[str, int]:
    """Derives all of silver of a lake anew, into `silver_sql` beside the program's."""
    bronze = spark.read.format("delta").load(f"{lake}/bronze/events").where("outcome = 'clean'")
    bronze.drop("payload").createOrReplaceTempView("bronze")
    columns = (
        "video_id STRING, title STRING, creator STRING, genre STRING, duration_s DOUBLE, "
        "published_at TIMESTAMP, language STRING, kids_safe STRING"
    )
    spark.read.csv(f"{metadata}/video_metadata.csv", columns, header=True).createOrReplaceTempView("videos")
    spark.sql(VIEWED).createOrReplaceTempView("viewed")
    steps = spark.sql(STEPS).persist(StorageLevel.MEMORY_AND_DISK)
    steps.createOrReplaceTempView("steps")
    segments = spark.sql(WATCHED_SEGMENTS).persist(StorageLevel.MEMORY_AND_DISK)
    segments.createOrReplaceTempView("watched_segments")
    tables = {"enriched_events": spark.sql(ENRICHED_EVENTS), "watched_segments": segments}
    tables |= {"seeks": spark.sql(SEEKS), "views": spark.sql(VIEWS)}
    for name, rows in tables.items():
        write(rows, f"{lake}/silver_sql/{name}")
    views = spark.read.format("delta").load(f"{lake}/silver_sql/views").count()
    segments.unpersist()
    steps.unpersist()
    return {"new_events": bronze.count(), "views": views}


def write(rows: DataFrame, path: str) -> None:
    """A date in one place, as the job of the repository writes."""
    rows = rows.repartition("view_date")
    rows.write.format("delta").mode("overwrite").partitionBy("view_date").save(path)
