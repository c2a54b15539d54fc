"""Reads a data directory with DuckDB alone: the Parquet files, and the catalog as a DuckLake.

usage: main.py DATA_DIR
Prints one line a table: name, rows by the files' glob, rows by DuckLake (tab-separated).
"""

import importlib.util
import pathlib
import sys

import duckdb

TABLES = (
    "spans",
    "logs",
    "metric_points",
    "metric_histograms",
    "metric_summaries",
    "metric_exemplars",
)


def load(connection, name):
    """Loads an extension from its PyPI package; DuckDB's own repository is not asked."""
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    folder = pathlib.Path(package.origin).parent
    path = next(folder.glob(f"extensions/*/{name}.duckdb_extension"))
    connection.execute(f"LOAD '{path}'")


def rows(connection, source):
    return connection.execute(f"select count(*) from {source}").fetchone()[0]


def main():
    data = pathlib.Path(sys.argv[1])
    connection = duckdb.connect()
    for name in ("sqlite_scanner", "ducklake"):
        load(connection, name)
    connection.execute(f"ATTACH 'ducklake:sqlite:{data}/catalog.sqlite' AS lake (READ_ONLY)")
    for table in TABLES:
        files = sorted((data / table).glob("**/*.parquet"))
        glob = f"read_parquet('{data}/{table}/**/*.parquet', union_by_name = true)"
        print(table, rows(connection, glob) if files else 0, rows(connection, f"lake.{table}"), sep="\t")


if __name__ == "__main__":
    main()
