"""A results folder of the version before, whose tables lack columns, opens, resumes and reports."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

import distmarl as dm
from distmarl.results.fields import EARLIER_VERSIONS, VERSION_KEY
from distmarl.results.tables import TABLES
from tests.sweep.sweeps import run, table_bytes

NEW_COLUMNS = {"trainings": ["answer"], "alternations": ["start", "minimum_share"]}
TRAIN_SEED = "train_seed"


def made_older(folder: Path) -> None:
    """Take away what the version before did not have."""
    for name in TABLES:
        path = folder / name / "data.parquet"
        if path.exists():
            table = pq.read_table(path).drop_columns(NEW_COLUMNS.get(name, []))
            table = table.drop_columns([TRAIN_SEED] if TRAIN_SEED in table.column_names else [])
            pq.write_table(table.replace_schema_metadata({VERSION_KEY: EARLIER_VERSIONS[-1].encode()}), path)


def test_a_folder_of_the_version_before_is_read_and_goes_on(tmp_path: Path) -> None:
    run(tmp_path)
    whole = table_bytes(tmp_path)
    made_older(tmp_path)
    results = dm.open(tmp_path)
    assert set(results.trainings["answer"]) == {"surrogate"}
    assert set(results.alternations["start"]) == {"uniform"}
    assert results.alternations["minimum_share"].isna().all()
    assert run(tmp_path).n_done_before == 7
    (tmp_path / "trainings" / "data.parquet").unlink()
    run(tmp_path)
    assert table_bytes(tmp_path)["trainings"] == whole["trainings"]
