"""Executes the example notebook. To keep its outputs: ``python -m tests.example_notebook``."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import nbformat
from nbclient import NotebookClient

REPOSITORY = Path(__file__).parent.parent
NOTEBOOK = REPOSITORY / "sweeps" / "explore.ipynb"


def execute(folder: Path) -> nbformat.NotebookNode:
    """Return the notebook, executed on a copy of the sweep files.

    Parameters
    ----------
    folder : Path
        An empty folder. Jupyter's own files go there, too.
    """
    (folder / "sweeps").mkdir()
    for path in NOTEBOOK.parent.glob("*.yaml"):
        shutil.copy(path, folder / "sweeps")
    own = {"PYTHONPATH": str(REPOSITORY), "IPYTHONDIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder)}
    with mock.patch.dict(os.environ, own):
        client = NotebookClient(
            nbformat.read(NOTEBOOK, as_version=4),
            timeout=240,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder / "sweeps"}},
        )
        return client.execute()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        executed = execute(Path(folder))
    executed.metadata["language_info"] = {"name": "python"}  # without the version of this Python
    nbformat.write(executed, NOTEBOOK)
