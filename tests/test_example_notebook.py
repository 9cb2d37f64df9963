"""The example notebook runs, and is committed as it ran."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.example_notebook import NOTEBOOK, execute

MAX_BYTES = 100_000
AGAIN = "type: python -m tests.example_notebook"


def outputs(notebook: nbformat.NotebookNode) -> list[list[Any]]:
    """Return the kinds of what each cell of code put out."""
    return [
        [sorted(output["data"]) if "data" in output else output["name"] for output in cell["outputs"]]
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


@pytest.fixture(scope="module")
def committed() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_committed_executed_from_top_to_bottom(committed: nbformat.NotebookNode) -> None:
    nbformat.validate(committed)
    counts = [cell["execution_count"] for cell in committed["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1)), AGAIN
    assert sum(map(len, outputs(committed))) >= 5


def test_it_is_small_and_says_nothing_of_the_machine_that_ran_it(committed: nbformat.NotebookNode) -> None:
    text = NOTEBOOK.read_text()
    assert len(text) < MAX_BYTES
    assert not re.search(r"(?<![\w.])/(home|root|tmp|usr|Users|var|work)\b", text)
    assert committed["metadata"]["language_info"] == {"name": "python"}, AGAIN


def test_it_runs_as_it_was_committed(tmp_path: Path, committed: nbformat.NotebookNode) -> None:
    executed = execute(tmp_path)  # raises what a cell raises
    assert outputs(executed) == outputs(committed), AGAIN
    (figure,) = [
        output for cell in executed["cells"] for output in cell.get("outputs", []) if "image/png" in str(output)
    ]
    assert len(figure["data"]["image/png"]) > 10_000
