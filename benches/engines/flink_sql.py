"""The cleaning job as one would write it in Flink SQL: video-events -> sql-clean-events + sql-dead-letters, exactly
once.

    flink_sql.py BROKERS CHECKPOINTS PARALLELISM

It has: required fields and their lengths, event types in any case, the time and its range, positions, seeks, rates, a
made-up `event_id` where there is none, and the removal of copies of (`user_id`, `event_id`) for ten minutes.

It lacks, since SQL or Flink's JSON format can't say it: records that are no JSON are dropped without a trace; so are
copies, whereas the job sends both to the dead letters with their reason; a dead letter is what was understood of a
record, not its bytes; ten minutes are those of the machine's clock, not of the records'; further fields of an event
are lost, a number in quotes passes as a number, corrections are not noted; neither headers nor the order of a
partition say where a record came from.
"""

import sys
from pathlib import Path

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path += [str(ROOT / "benches"), str(ROOT / "flink")]
import connector  # noqa: E402
import event_fields  # noqa: E402

GROUP = "flink-sql"

FIELDS = event_fields.columns("STRING", "DOUBLE", "BIGINT")
KEPT = "session_id, kind, event_ms, position_s, seek_from_s, seek_to_s, rate, duration_s, region, device, sequence"

#: Every record with its reason, if it is not clean.
JUDGED = """
CREATE TEMPORARY VIEW judged AS
SELECT *, CASE
    WHEN user_id IS NULL THEN 'missing_user_id'
    WHEN video_id IS NULL THEN 'missing_video_id'
    WHEN `timestamp` IS NULL THEN 'missing_timestamp'
    WHEN event_type IS NULL THEN 'missing_event_type'
    WHEN CHAR_LENGTH(user_id) NOT BETWEEN 1 AND 128 THEN 'bad_user_id'
    WHEN CHAR_LENGTH(video_id) NOT BETWEEN 1 AND 128 THEN 'bad_video_id'
    WHEN event_ms IS NULL THEN 'bad_timestamp'
    WHEN event_ms NOT BETWEEN 946684800000 AND received_ms + 86400000 THEN 'timestamp_out_of_range'
    WHEN kind NOT IN ('play', 'pause', 'seek', 'heartbeat', 'ended', 'load', 'rate_change', 'buffer_start',
                      'buffer_end', 'quality_change', 'error') THEN 'unknown_event_type'
    WHEN CHAR_LENGTH(event_id) > 128 OR event_id = '' THEN 'bad_event_id'
    WHEN CHAR_LENGTH(session_id) > 128 THEN 'bad_session_id'
    WHEN position_s NOT BETWEEN 0 AND 999999.999 THEN 'bad_position'
    WHEN seek_from_s NOT BETWEEN 0 AND 999999.999 OR seek_to_s NOT BETWEEN 0 AND 999999.999 THEN 'bad_seek'
    WHEN rate <= 0 OR rate > 16 THEN 'bad_rate'
  END AS reason
FROM (
  SELECT event_id, TRIM(user_id) AS user_id, TRIM(video_id) AS video_id, session_id, event_type,
    LOWER(event_type) AS kind, `timestamp`, arrived_at, position_s, seek_from_s, seek_to_s, rate, duration_s,
    region, device, sequence, EXTRACT(EPOCH FROM received_at) * 1000 AS received_ms,
    CASE
      WHEN number IS NULL THEN
        (TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', local_at) - 60 * COALESCE(
          60 * TRY_CAST(REGEXP_EXTRACT(zone, '^([+-]..)', 1) AS INT)
          + TRY_CAST(CONCAT(SUBSTRING(zone, 1, 1), SUBSTRING(zone, 5, 2)) AS INT), 0)) * CAST(1000 AS BIGINT)
        + EXTRACT(MILLISECOND FROM local_at)
      WHEN number < 1e11 THEN CAST(number * 1e3 AS BIGINT)
      WHEN number < 1e14 THEN CAST(number AS BIGINT)
      ELSE CAST(number / 1e3 AS BIGINT)
    END AS event_ms
  FROM (
    SELECT *, TRY_CAST(`timestamp` AS DOUBLE) AS number,
      REGEXP_EXTRACT(`timestamp`, '(Z|[+-][0-9]{2}:[0-9]{2})$', 1) AS zone,
      TRY_CAST(REPLACE(REGEXP_EXTRACT(`timestamp`, '^(.*)(Z|[+-][0-9]{2}:[0-9]{2})$', 1), 'T', ' ')
        AS TIMESTAMP(3)) AS local_at
    FROM video_events))
"""

CLEAN = f"""
INSERT INTO clean_events
SELECT event_id, user_id, video_id, {KEPT} FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id, event_id ORDER BY arrived_at) AS copy FROM (
    SELECT user_id, video_id, {KEPT}, arrived_at,
      COALESCE(event_id, MD5(CONCAT_WS('|', user_id, video_id, session_id, kind, `timestamp`,
      CAST(position_s AS STRING), CAST(sequence AS STRING)))) AS event_id
    FROM judged WHERE reason IS NULL))
WHERE copy = 1
"""

DEAD = f"""
INSERT INTO dead_letters
SELECT event_id, user_id, video_id, `timestamp`, event_type, {KEPT}, reason FROM judged WHERE reason IS NOT NULL
"""


def main() -> None:
    brokers, checkpoints, parallelism = sys.argv[1:]
    environment = StreamExecutionEnvironment.get_execution_environment(configuration(checkpoints))
    environment.set_parallelism(int(parallelism))
    environment.add_jars(connector.find(None).as_uri())
    tables = StreamTableEnvironment.create(environment)
    fields = ", ".join(f"`{name}` {kind}" for name, kind in FIELDS.items())
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE video_events ({fields}, arrived_at AS PROCTIME(),
          received_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL) WITH (
          {options(brokers)}, 'topic' = 'video-events', 'format' = 'json', 'json.ignore-parse-errors' = 'true',
          'scan.startup.mode' = 'earliest-offset', 'properties.isolation.level' = 'read_committed')""")
    kept = {**FIELDS, "kind": "STRING", "event_ms": "BIGINT"}
    columns = ["event_id", "user_id", "video_id", *KEPT.split(", ")]
    sink(tables, brokers, "clean_events", "sql-clean-events", columns, kept)
    dead = [*columns[:3], "timestamp", "event_type", *columns[3:], "reason"]
    sink(tables, brokers, "dead_letters", "sql-dead-letters", dead, {**kept, "reason": "STRING"})
    tables.execute_sql(JUDGED)
    both = tables.create_statement_set()
    both.add_insert_sql(CLEAN)
    both.add_insert_sql(DEAD)
    both.execute().wait()


def configuration(checkpoints: str) -> Configuration:
    """As the job of the repository, but for what only Python workers need."""
    made = Configuration()
    for name, value in {
        "execution.checkpointing.interval": "2 s",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": f"file://{checkpoints}",
        "execution.checkpointing.incremental": "true",
        "state.backend.type": "rocksdb",
        "restart-strategy.type": "none",
        "table.local-time-zone": "UTC",
        "table.exec.state.ttl": "10 min",
    }.items():
        made.set_string(name, value)
    return made


def sink(
    tables: StreamTableEnvironment, brokers: str, name: str, topic: str, columns: list[str], kinds: dict[str, str]
) -> None:
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {name} ({", ".join(f"`{column}` {kinds[column]}" for column in columns)}) WITH (
          {options(brokers)}, 'topic' = '{topic}', 'key.format' = 'raw', 'key.fields' = 'user_id',
          'value.format' = 'json',
          'value.json.encode.ignore-null-fields' = 'true', 'sink.delivery-guarantee' = 'exactly-once',
          'sink.transactional-id-prefix' = '{topic}', 'properties.transaction.timeout.ms' = '600000',
          'properties.compression.type' = 'lz4', 'properties.linger.ms' = '5', 'properties.batch.size' = '262144')""")


def options(brokers: str) -> str:
    return f"'connector' = 'kafka', 'properties.bootstrap.servers' = '{brokers}', 'properties.group.id' = '{GROUP}'"


if __name__ == "__main__":
    main()
