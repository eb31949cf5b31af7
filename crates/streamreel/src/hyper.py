"""Writes one Hyper extract: argv is the extract, then the name of a table and its Parquet file, again and again.

Prints how many rows each table got, as JSON. The tables are in the schema Extract, where Tableau looks for them.
"""

import json
import sys

from tableauhyperapi import Connection, CreateMode, HyperProcess, TableName, Telemetry, escape_string_literal

target, *tables = sys.argv[1:]
log = {"log_config": ""}  # no hyperd.log beside the user's files
rows = {}
with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=log) as hyper:
    with Connection(hyper.endpoint, target, CreateMode.CREATE_AND_REPLACE) as connection:
        connection.catalog.create_schema("Extract")
        for table, source in zip(tables[::2], tables[1::2]):
            name = TableName("Extract", table)
            scan = f"external({escape_string_literal(source)}, format => 'parquet')"
            connection.execute_command(f"create table {name} as (select * from {scan})")
            rows[table] = connection.execute_scalar_query(f"select count(*) from {name}")
json.dump(rows, sys.stdout)
