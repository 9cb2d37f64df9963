"""A results folder of the version before, whose tables lack columns, opens, resumes and reports."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pyarrow.parquet as pq

import distmarl as dm
from distmarl.results.fields import EARLIER_VERSIONS, VERSION_KEY
from distmarl.results.tables import TABLES
from tests.sweep.sweeps import run, table_bytes

# Of the earliest version that is read.
NEW_TABLES = {"welfare", "learners"}
NEW_COLUMNS = {
    "trainings": ["answer", "n_samples"],
    "alternations": ["start", "minimum_share", "random_value"],
    "nash_gaps": ["asked_max_enumerated", "asked_starts"],
}
TRAIN_SEED = "train_seed"


def made_older(folder: Path) -> None:
    """Take away what the version before did not have."""
    provenance = json.loads((folder / "provenance.json").read_text())
    provenance["sessions"] = [{**session, "tables": []} for session in provenance["sessions"]]
    (folder / "provenance.json").write_text(json.dumps({**provenance, "schema_version": EARLIER_VERSIONS[0]}))
    for name in TABLES:
        path = folder / name / "data.parquet"
        if name in NEW_TABLES:
            shutil.rmtree(folder / name)
        if path.exists():
            table = pq.read_table(path).drop_columns(NEW_COLUMNS.get(name, []))
            table = table.drop_columns([TRAIN_SEED] if TRAIN_SEED in table.column_names else [])
            pq.write_table(table.replace_schema_metadata({VERSION_KEY: EARLIER_VERSIONS[0].encode()}), path)


def test_a_folder_of_the_version_before_is_read_and_goes_on(tmp_path: Path) -> None:
    run(tmp_path)
    whole = table_bytes(tmp_path)
    made_older(tmp_path)
    results = dm.open(tmp_path)
    assert set(results.trainings["answer"]) == {"surrogate"}
    assert set(results.alternations["start"]) == {"uniform"}
    assert results.trainings["n_samples"].isna().all()
    assert results.alternations["minimum_share"].isna().all()
    assert run(tmp_path).n_done_before == 7
    (tmp_path / "trainings" / "data.parquet").unlink()
    run(tmp_path)
    assert table_bytes(tmp_path)["trainings"] == whole["trainings"]


def test_a_table_that_the_version_before_did_not_have_is_not_said_to_be_deleted(tmp_path: Path) -> None:
    run(tmp_path)
    made_older(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dm.open(tmp_path).welfare.empty
        assert dm.open(tmp_path).learners.empty
