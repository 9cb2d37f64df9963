"""DuckDB and polars read the tables as they are."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from distmarl.results.tables import TABLES
from tests.sweep.sweeps import TINY, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    run(folder, {**TINY, "grid": {"environment.n_agents": [6, 8]}})
    return folder


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_the_same_rows_in_every_reader(folder: Path, name: str) -> None:
    expected = pd.read_parquet(folder / name)
    in_polars = pl.read_parquet(folder / name)
    in_duckdb = duckdb.sql(f"from '{folder}/{name}/*.parquet'")
    assert in_polars.columns == in_duckdb.columns == list(expected.columns)
    rows = [tuple(plain(value) for value in row) for row in expected.itertuples(index=False)]
    assert [tuple(plain(value) for value in row) for row in in_polars.iter_rows()] == rows
    in_arrow = in_duckdb.to_arrow_table().to_pylist()  # rows of its own need pytz for times
    assert [tuple(plain(value) for value in row.values()) for row in in_arrow] == rows


def plain(value: object) -> object:
    """Return a value as a type that all readers share."""
    if isinstance(value, (list, np.ndarray)):
        items = [plain(item) for item in value]
        return [float(item) if isinstance(item, (int, float, np.number)) else item for item in items]
    if value is None or value is pd.NaT or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return None
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value


def test_a_question_in_sql_has_the_answer_of_pandas(folder: Path) -> None:
    evaluations = pd.read_parquet(folder / "evaluations")
    expected = evaluations.groupby(["environment.n_agents", "k"])["mean_return"].mean()
    answer = duckdb.sql(
        f"""
        select "environment.n_agents", k, avg(mean_return)
        from '{folder}/evaluations/*.parquet' group by all order by all
        """
    ).fetchall()
    assert {(n_agents, k): pytest.approx(mean) for n_agents, k, mean in answer} == expected.to_dict()
    lazily = pl.scan_parquet(folder / "evaluations").group_by("environment.n_agents", "k")
    frame = lazily.agg(pl.col("mean_return").mean()).collect()
    assert {(n_agents, k): pytest.approx(mean) for n_agents, k, mean in frame.iter_rows()} == expected.to_dict()
