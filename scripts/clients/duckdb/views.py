"""Reads a data directory through docs/duckdb.sql, over the files' glob and over the DuckLake.

usage: views.py DATA_DIR
Prints one line a table: name, rows by glob, rows by DuckLake (tab-separated). Then asks both for
QUESTIONS, one line each: name, answer by glob, answer by DuckLake.
"""

import pathlib
import sys

import duckdb

from main import TABLES, load, rows

VIEWS = pathlib.Path(__file__).parents[3] / "docs" / "duckdb.sql"

# Each must answer as otlake does; `run` asks it the same in its own words.
QUESTIONS = {
    "traces": "select count(distinct trace_id) from spans",
    "routes": "select count(*) from spans where http_route = '/orders/{id}' and http_status_code = 200",
    "attributes": "select count(*) from spans where attributes is not null",
    "ends": "select count(*) from spans where end_time >= start_time",
    "any key": "select count(*) from spans where attr_int(attributes, 'client.order') between 0 and 9",
}


def answers(connection):
    by_table = [(table, rows(connection, table)) for table in TABLES]
    return by_table + [(name, connection.execute(sql).fetchone()[0]) for name, sql in QUESTIONS.items()]


def main():
    data = pathlib.Path(sys.argv[1])
    connection = duckdb.connect()
    connection.execute(f"SET VARIABLE otlake = '{data}'")
    connection.execute(VIEWS.read_text())
    by_glob = answers(connection)
    for name in ("sqlite_scanner", "ducklake"):
        load(connection, name)
    connection.execute(f"ATTACH 'ducklake:sqlite:{data}/catalog.sqlite' AS lake (READ_ONLY)")
    for table in TABLES:
        connection.execute(f"SET VARIABLE otlake_{table} = 'FROM lake.{table}'")
    for (name, glob), (_, lake) in zip(by_glob, answers(connection)):
        print(name, glob, lake, sep="\t")


if __name__ == "__main__":
    main()
