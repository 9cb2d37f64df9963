"""The settings of the sweep that ran last in a folder."""

from __future__ import annotations

import pandas as pd

from distmarl.errors import ResultsError
from distmarl.model.options import SweepFile
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import SETTINGS


def read_settings(snapshot: Snapshot) -> pd.DataFrame:
    """Return the rows of the sweep's settings, in the order of the sweep file.

    Raises
    ------
    ResultsError
        When a session has begun that had not noted its settings yet.
    """
    settings = sweep_settings(snapshot.read(SETTINGS))
    if settings.empty:
        raise ResultsError(f"{snapshot.folder}: has no settings of its sweep yet; run the sweep's command again")
    return settings


def sweep_settings(settings: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the table ``settings`` that are in the sweep, in the order of the sweep file."""
    return settings[settings["in_sweep"]].sort_values(["position", "setting_id"])


def rollouts_per_seed(settings: pd.DataFrame, sweep: SweepFile) -> dict[str, int]:
    """Return how many rollouts an evaluation seed has in each setting, by the settings' ids."""
    everywhere = pd.Series(sweep.evaluation.n_rollouts, index=settings.index)
    return dict(zip(settings["setting_id"], settings.get("evaluation.n_rollouts", everywhere), strict=True))
