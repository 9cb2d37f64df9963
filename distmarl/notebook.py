"""A results folder in a notebook: its tables as frames, its figures, its policies and its game.

::

    r = dm.open("results/robots")
    r.evaluations                                    # every table, as a pandas frame
    r.points()                                       # what the report shows: a row for each setting and k
    r.figures.reward_vs_k()                          # every figure of the report
    dm.evaluate(r.environment(n_agents=1000), r.global_policy(10), r.local_policy(), k=10)
"""

from __future__ import annotations

import html
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distmarl.config.checking import k_values
from distmarl.config.environments import build_environment, draws_at_random
from distmarl.config.reading import RawSweep
from distmarl.errors import InvalidArgumentError, ResultsError, nearest_name
from distmarl.model.checks import checked_integer
from distmarl.model.environment import Environment
from distmarl.model.random_streams import evaluation_seed
from distmarl.results.damage import deleted_tables, find_damage
from distmarl.results.folder import (
    open_results,
    read_settings,
    read_sweep,
    rollouts_per_seed,
    starts_per_setting,
)
from distmarl.results.grid_columns import content_of, value_at
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.location import Location
from distmarl.results.storage.opening import Place, open_location
from distmarl.results.stored_policies import read_chosen_policies, read_global_policies, read_local_policy
from distmarl.results.summary.comparison_rows import COLUMNS, comparison_rows
from distmarl.results.tables import SETTINGS, SUMMARY, TABLES
from distmarl.study.pending import find_pending
from distmarl.values.evaluate import EvaluationResult, evaluate
from distmarl.wording import harmless

if TYPE_CHECKING:
    from distmarl.report.gallery import Gallery

MAX_SETTINGS_NAMED = 20


class Results:
    """What a sweep left behind, or has so far: read when it is asked for, and never written.

    Every table is an attribute: ``evaluations``, ``trainings``, ``settings`` and so on (see
    :mod:`distmarl.results.tables`). A table is read each time, so keep it in a name of its own.

    Parameters
    ----------
    folder : Location
        The results folder.

    Attributes
    ----------
    folder : Location
        The results folder.
    """

    def __init__(self, folder: Location) -> None:
        self.folder = folder

    @property
    def figures(self) -> Gallery:
        """The figures of the report, by name; each is drawn when it is called."""
        from distmarl.report.gallery import Gallery  # matplotlib, which a table need not wait for

        return Gallery(self.folder)

    def table(self, name: str) -> pd.DataFrame:
        """Return a table, with what has been committed but not published yet.

        Raises
        ------
        InvalidArgumentError
            When there is no such table.
        ResultsError
            When its files have gone.
        """
        if name not in TABLES:
            raise InvalidArgumentError(f"there is no table {name!r}; {nearest_name(str(name), TABLES)}")
        if name != SUMMARY.name and name in deleted_tables(self._snapshot()):
            raise ResultsError(_deleted(self.folder, [name]))
        return self._snapshot().summary() if name == SUMMARY.name else self._snapshot().read(TABLES[name])

    def points(self) -> pd.DataFrame:
        """Return what the report shows: a row for each setting and k of the sweep.

        Beside what the table ``summary`` holds, a row has the setting's label, the time of the training and its
        certificate; see :func:`distmarl.report.returns.summarise`.

        Raises
        ------
        ResultsError
            When nothing has been evaluated yet.
        """
        from distmarl.report.numbers import read_numbers  # which a table need not wait for

        return read_numbers(self._snapshot()).summary

    def local_policy(
        self, setting: str | Mapping[str, Any] | None = None, *, k: int | None = None, train_seed: int = 0
    ) -> NDArray[np.float64]:
        """Return the local policy that every k of a training shares, or the one that was chosen for a single k.

        Parameters
        ----------
        setting : str or mapping, optional
            Id, label or grid values of the setting; needed where there are several.
        k : int, optional
            Number of local agents that the global agent sees, where ``experiment.local_policy`` is ``per_k``.
        train_seed : int
            Number of the training (``experiment.n_train_seeds``).

        Returns
        -------
        ndarray, shape (G, L, A_l)

        Raises
        ------
        InvalidArgumentError
            When the setting is not clear; the message lists all of them.
        ResultsError
            When the policy has not been trained yet, or none was chosen for that k.
        """
        snapshot, train_seed = self._snapshot(), checked_integer("train_seed", train_seed, least=0)
        setting_id = _find_setting(snapshot, setting)["setting_id"]
        if k is not None:
            return read_chosen_policies(snapshot, setting_id, [k], train_seed)[k]
        return read_local_policy(snapshot, setting_id, train_seed)

    def global_policy(
        self, k: int, setting: str | Mapping[str, Any] | None = None, *, train_seed: int = 0
    ) -> NDArray[np.int32]:
        """Return a setting's global policy for one subsample size.

        Parameters
        ----------
        k : int
            Number of local agents that the global agent sees.
        setting : str or mapping, optional
            Id, label or grid values of the setting; needed where there are several.
        train_seed : int
            Number of the training (``experiment.n_train_seeds``).

        Returns
        -------
        ndarray, shape (G, C)
            Actions over the count vectors in lexicographic order.

        Raises
        ------
        InvalidArgumentError
            When k is no number of agents, or the setting is not clear; the message lists all of them.
        ResultsError
            When the policy has not been trained; the message says for which k one has been.
        """
        k, train_seed = checked_integer("k", k), checked_integer("train_seed", train_seed, least=0)
        snapshot = self._snapshot()
        return read_global_policies(snapshot, _find_setting(snapshot, setting)["setting_id"], [k], train_seed)[k]

    def environment(self, setting: str | Mapping[str, Any] | None = None, **changes: Any) -> Environment:
        """Return a setting's game, or one that differs from it in some parameters.

        Parameters
        ----------
        setting : str or mapping, optional
            Id, label or grid values of the setting; needed where there are several.
        **changes
            Parameters of the environment to change, for example ``n_agents=1000``.

        Raises
        ------
        InvalidArgumentError
            When the setting is not clear; the message lists all of them.
        ConfigError, EnvironmentLookupError
            When the environment has no such parameters, or cannot be built.
        ResultsError
            When the environment's code makes another game now than the one that was trained in.
        """
        row = _find_setting(self._snapshot(), setting)
        parameters = content_of(row)["environment"]
        digest = parameters.pop("digest")
        raw = RawSweep({}, str(self.folder))
        trained_in = build_environment(parameters, raw).environment
        if trained_in.digest() != digest:
            reason, remedy = "", "run the sweep again, or bring the code back"
            if draws_at_random(parameters, trained_in.digest()):
                reason, remedy = ", as it draws at random", "give it a seed, and run the sweep again"
            raise ResultsError(
                f"{self.folder}: the environment {parameters['name']} makes another game now than the one that "
                f"the setting {row['setting_id']} was trained in{reason}; {remedy}"
            )
        return build_environment({**parameters, **changes}, raw).environment if changes else trained_in

    def evaluate(
        self, k: int, seed: int = 0, setting: str | Mapping[str, Any] | None = None, *, train_seed: int = 0
    ) -> EvaluationResult:
        """Play a stored pair's evaluation again: the row of the table ``evaluations``, bit for bit.

        It is ``dm.evaluate(r.environment(), r.global_policy(k), r.local_policy(), k=k, seed=(s, seed), ...)`` with
        the setting's ``experiment.seed`` s and its options of ``evaluation``; of training t > 0 with the policies of
        that training, and the seed (s, t, seed).

        Parameters
        ----------
        k : int
            Number of local agents that the global agent sees.
        seed : int
            Number of the evaluation seed; one that the sweep has not evaluated gives a new row.
        setting : str or mapping, optional
            Id, label or grid values of the setting; needed where there are several.
        train_seed : int
            Number of the training (``experiment.n_train_seeds``).

        Raises
        ------
        InvalidArgumentError, ResultsError, ConfigError, EnvironmentLookupError
            As :meth:`environment` and :meth:`global_policy` do.
        """
        content = content_of(_find_setting(self._snapshot(), setting))
        train_seed = checked_integer("train_seed", train_seed, least=0)
        chosen_k = k if content["experiment"].get("local_policy") == "per_k" else None
        return evaluate(
            self.environment(setting),
            self.global_policy(k, setting, train_seed=train_seed),
            self.local_policy(setting, k=chosen_k, train_seed=train_seed),
            k=k,
            seed=evaluation_seed(content["experiment"]["seed"], train_seed, seed),
            **content["evaluation"],
        )

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name in TABLES:
            return self.table(name)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}; {nearest_name(name, dir(self))}"
        )

    def __dir__(self) -> list[str]:
        return sorted({*TABLES, *(name for name in super().__dir__() if not name.startswith("_"))})

    def __repr__(self) -> str:
        return "\n".join(f"{name:12}{harmless(value)}" for name, value in self._description())

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in self._description())
        return f"<table>{''.join(rows)}</table>"

    def _description(self) -> Iterator[tuple[str, str]]:
        """Yield what there is, in a few lines."""
        sweep, snapshot = read_sweep(self.folder), Snapshot(self.folder)
        ks = k_values(sweep.experiment)
        settings = read_settings(snapshot)
        pending = find_pending(sweep, rollouts_per_seed(settings, sweep), starts_per_setting(settings), snapshot)
        n_tasks, n_done = pending.asked_for.total(), pending.done.total()
        yield "sweep", f"{sweep.name}, in {self.folder}"
        yield "settings", f"{len(settings)}"
        yield "k", f"{ks[0]}" if len(ks) == 1 else f"{len(ks)} values from {ks[0]} to {ks[-1]}"
        damages = find_damage(snapshot)
        for word, is_gone in (("deleted", True), ("damaged", False)):
            if names := [damage.table for damage in damages if damage.is_gone == is_gone]:
                yield word, f"{', '.join(names)}; the sweep's command makes what is missing"
        n_rows = {name: len(snapshot.keys(table)) for name, table in TABLES.items() if table is not SUMMARY}
        yield "rows", ", ".join(f"{name} {number:,}" for name, number in n_rows.items() if number)
        if n_done < n_tasks:
            yield "unfinished", f"{n_done:,} of {n_tasks:,} tasks done"

    def _snapshot(self) -> Snapshot:
        """Return the tables as they are now; one that is damaged is an error when it is read."""
        return Snapshot(self.folder, strict=True)


def open_folder(folder: Place) -> Results:
    """Open a results folder; see :func:`distmarl.open`."""
    snapshot = open_results(open_location(folder))
    read_sweep(snapshot.folder)
    read_settings(snapshot)
    if gone := deleted_tables(snapshot):
        warnings.warn(_deleted(snapshot.folder, gone), stacklevel=3)
    for damage in find_damage(snapshot):
        if not damage.is_gone:
            warnings.warn(str(damage), stacklevel=3)
    return Results(snapshot.folder)


def compare_settings(
    results: Results, a: str | Mapping[str, Any], b: str | Mapping[str, Any], *, k: int | None = None
) -> pd.DataFrame:
    """Compare two settings over their trainings; see :func:`distmarl.compare`."""
    points = results.points()
    snapshot = Snapshot(results.folder)
    rows = [_find_setting(snapshot, setting) for setting in (a, b)]
    first, second = (points[points["setting_id"] == row["setting_id"]] for row in rows)
    seeds = {value_at(content_of(row), "experiment.seed") for row in rows}
    found = pd.DataFrame(comparison_rows(first, second, shares_seeds=len(seeds) == 1), columns=list(COLUMNS))
    if k is not None:
        found = found[found["k"] == checked_integer("k", k)].reset_index(drop=True)
    if found.empty:
        both = sorted({*first["k"]} & {*second["k"]})
        known = f"both have k = {', '.join(map(str, both))}" if both else "they have no k in common"
        raise InvalidArgumentError(f"k: must be one that both settings have been evaluated at, got {k}; {known}")
    return found


def _deleted(folder: Location, names: Sequence[str]) -> str:
    """Return what to say of tables that have gone."""
    return (
        f"{folder}: {', '.join(names)}: deleted, or not copied; run the sweep's command again to make what is missing"
    )


def _find_setting(snapshot: Snapshot, setting: str | Mapping[str, Any] | None) -> Mapping[Any, Any]:
    """Return the row of the one setting that is meant; an id may be one of an earlier sweep file."""
    rows: list[Mapping[Any, Any]] = [*read_settings(snapshot).to_dict("records")]
    found = rows
    if isinstance(setting, str):
        found = [*snapshot.rows(SETTINGS, setting_id=setting)] or [row for row in rows if row["label"] == setting]
    elif setting is not None and not isinstance(setting, Mapping):
        found = []
    elif setting is not None:
        keys = _grid_keys(setting, snapshot.grid_keys())
        found = [row for row in rows if all(value_at(content_of(row), key) == value for key, value in keys)]
    if len(found) == 1:
        return found[0]
    named = [f"  {row['setting_id']}  {row['label']}".rstrip() for row in rows[:MAX_SETTINGS_NAMED]]
    named += [f"  and {len(rows) - MAX_SETTINGS_NAMED} more"] if len(rows) > MAX_SETTINGS_NAMED else []
    rule = f"{snapshot.folder} has {len(rows)}; must name one by its id, label or grid values, got {setting!r}:"
    raise InvalidArgumentError("\n".join([f"setting: {rule}", *named]))


def _grid_keys(values: Mapping[str, Any], grid_keys: Sequence[str]) -> list[tuple[str, Any]]:
    """Return the dotted keys that are meant, which may be given without their sections, with their values."""
    found = []
    for given, value in values.items():
        names = {key: key if "." in given else key.rpartition(".")[2] for key in grid_keys}
        keys = [key for key, name in names.items() if name == given]
        if not keys:
            hint = nearest_name(given, names.values()) if names else "there is one setting: leave setting out"
            raise InvalidArgumentError(f"setting: no grid has had the key {given!r}; {hint}")
        found += [(key, value) for key in keys]
    return found
