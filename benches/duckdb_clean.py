"""The cleaning job in DuckDB: NDJSON -> decode, validate, deduplicate exactly -> Parquet (zstd-1).

Usage: duckdb_clean.py FILE OUTPUT_DIR [THREADS]        (needs `pip install duckdb==1.5.5`)

Prints one line of JSON with the counts and the CPU time an event. The same job as `measure direct` of crates/process,
as far as SQL says it sensibly: all required fields, their lengths, the time range, event types, positions, seeks and
rates; a number in quotes and trailing bytes are not told apart, and the unknown fields are not kept. Records that are
not clean go to a file of their own with their reason, as text (DuckDB reads JSON without the original bytes, so those
are not kept either).
"""

import datetime
import json
import os
import sys
import time

import duckdb
import event_fields

SOURCE = """
CREATE TEMP TABLE decoded AS
SELECT *,
  CASE
    WHEN coalesce(user_id, video_id, "timestamp", event_type) IS NULL THEN 'not_json'
    WHEN user_id IS NULL THEN 'missing_user_id'
    WHEN video_id IS NULL THEN 'missing_video_id'
    WHEN "timestamp" IS NULL THEN 'missing_timestamp'
    WHEN event_type IS NULL THEN 'missing_event_type'
    WHEN octet_length(encode(user_id)) NOT BETWEEN 1 AND 128 THEN 'bad_user_id'
    WHEN octet_length(encode(video_id)) NOT BETWEEN 1 AND 128 THEN 'bad_video_id'
    WHEN event_ts IS NULL THEN 'bad_timestamp'
    WHEN event_ts NOT BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00Z' AND $received_at + INTERVAL 24 HOUR
      THEN 'timestamp_out_of_range'
    WHEN kind NOT IN ('play', 'pause', 'seek', 'heartbeat', 'ended', 'load', 'rate_change', 'buffer_start',
                      'buffer_end', 'quality_change', 'error') THEN 'unknown_event_type'
    WHEN strlen(event_id) > 128 OR event_id = '' THEN 'bad_event_id'
    WHEN strlen(session_id) > 128 THEN 'bad_session_id'
    WHEN position_s NOT BETWEEN 0 AND 999999.999 THEN 'bad_position'
    WHEN seek_from_s NOT BETWEEN 0 AND 999999.999 OR seek_to_s NOT BETWEEN 0 AND 999999.999 THEN 'bad_seek'
    WHEN rate <= 0 OR rate > 16 THEN 'bad_rate'
  END AS reason
FROM (
  SELECT
    trim(user_id) AS user_id, trim(video_id) AS video_id, nullif(session_id, '') AS session_id, event_type, "timestamp",
    CASE WHEN event_type = lower(event_type) THEN event_type ELSE lower(event_type) END AS kind,
    CASE
      WHEN try_cast("timestamp" AS DOUBLE) IS NULL THEN try_cast("timestamp" AS TIMESTAMPTZ)
      WHEN try_cast("timestamp" AS DOUBLE) < 1e11 THEN to_timestamp(try_cast("timestamp" AS DOUBLE))
      WHEN try_cast("timestamp" AS DOUBLE) < 1e14 THEN to_timestamp(try_cast("timestamp" AS DOUBLE) / 1e3)
      ELSE to_timestamp(try_cast("timestamp" AS DOUBLE) / 1e6)
    END AS event_ts,
    position_s, seek_from_s, seek_to_s, rate,
    CASE WHEN duration_s BETWEEN 1e-9 AND 1e6 THEN duration_s END AS duration_s,
    region, device, CASE WHEN sequence >= 0 THEN sequence END AS sequence,
    coalesce(event_id, md5(concat_ws('|', user_id, video_id, session_id, event_type, "timestamp", position_s,
                                     seek_from_s, seek_to_s, rate, duration_s, region, device, sequence))) AS event_id
  FROM read_ndjson($file, ignore_errors = true, maximum_object_size = 65536, columns = $columns)
)
"""

CLEAN = """
COPY (
  SELECT DISTINCT ON (user_id, event_id) event_id, user_id, video_id, session_id, kind AS event_type, event_ts,
    position_s, seek_from_s, seek_to_s, rate, duration_s, region, device, sequence, $received_at AS received_at
  FROM decoded WHERE reason IS NULL
) TO '{path}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)
"""

REJECTED = """
COPY (SELECT * FROM decoded WHERE reason IS NOT NULL)
TO '{path}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)
"""


def main() -> None:
    file, output = sys.argv[1], sys.argv[2]
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else os.cpu_count()
    os.makedirs(output, exist_ok=True)
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}; SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
    begun, cpu = time.monotonic(), sum(os.times()[:2])
    received_at = {"received_at": datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)}
    columns = event_fields.columns("VARCHAR", "DOUBLE", "BIGINT")
    connection.execute(SOURCE, {"file": file, "columns": columns, **received_at})
    clean, rejected = os.path.join(output, "clean.parquet"), os.path.join(output, "rejected.parquet")
    connection.execute(CLEAN.format(path=clean), received_at)
    connection.execute(REJECTED.format(path=rejected))
    wall_s, cpu_s = time.monotonic() - begun, sum(os.times()[:2]) - cpu
    count = lambda query: connection.execute(query).fetchone()[0]
    events = count("SELECT count(*) FROM decoded")
    print(json.dumps({
        "engine": f"duckdb {duckdb.__version__}",
        "events": events,
        "clean": count(f"SELECT count(*) FROM '{clean}'"),
        "rejected": count(f"SELECT count(*) FROM '{rejected}'"),
        "bytes": os.path.getsize(clean) + os.path.getsize(rejected),
        "wall_s": round(wall_s, 3),
        "cpu_us_per_event": round(cpu_s / events * 1e6, 3),
    }))


if __name__ == "__main__":
    main()
