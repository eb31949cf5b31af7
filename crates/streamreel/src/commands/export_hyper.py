"""Writes one Hyper extract: argv is a Parquet file, the extract, and the name of its table."""

import sys

try:
    from tableauhyperapi import Connection, CreateMode, HyperProcess, TableName, Telemetry, escape_string_literal
except ImportError:
    sys.exit("the Python package tableauhyperapi is missing; pip install tableauhyperapi")

source, target, table = sys.argv[1:4]
log = {"log_config": ""}  # no hyperd.log beside the user's files
with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=log) as hyper:
    with Connection(hyper.endpoint, target, CreateMode.CREATE_AND_REPLACE) as connection:
        connection.catalog.create_schema("Extract")
        rows = f"external({escape_string_literal(source)}, format => 'parquet')"
        connection.execute_command(f"create table {TableName('Extract', table)} as (select * from {rows})")
