"""Unfolding a grid: from one sweep file to its settings.

A *setting* is one combination of everything but k, the number of evaluation seeds, how returns are
evaluated, what they are compared with, and ``runner``: what one shared local policy is trained for.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from distmarl.config.ceilings import check_size
from distmarl.config.checking import k_values, key_elsewhere, key_types, section_types, validated_sweep, with_keys
from distmarl.config.grids import GRID_EXPERIMENT_KEYS, GRID_SECTIONS, label_of, values_by_section, varied_keys
from distmarl.config.reading import KeyPath, RawSweep, setting_note, split_key
from distmarl.errors import ConfigError, nearest_name
from distmarl.model.options import (
    DEFAULT_ENVIRONMENT,
    Alternating,
    Evaluation,
    GlobalAgent,
    LocalAgent,
    LocalChoice,
    SweepFile,
)
from distmarl.version import NUMBERS

ID_LENGTH = 12
MAX_VALUES_TOLD = 20


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One combination of a sweep's grid, checked, with its environment still unbuilt.

    Attributes
    ----------
    environment : dict
        The environment's ``name`` and its parameters, as written.
    global_agent, local_agent, alternating, evaluation
        The sections of the sweep file.
    reference_k : int
        Subsample size at which the shared local policy is trained.
    seed : int
        Root of every random stream.
    grid : dict
        The grid's keys, dotted ones and sections, and this setting's values.
    local_policy : {"shared", "per_k"}
        Whether every k has the same local policy.
    """

    environment: Mapping[str, Any]
    global_agent: GlobalAgent
    local_agent: LocalAgent
    alternating: Alternating
    evaluation: Evaluation
    reference_k: int
    seed: int
    grid: Mapping[str, Any]
    local_policy: LocalChoice = "shared"

    @property
    def label(self) -> str:
        """A short name: the grid's keys, without their sections where that is clear, and the values."""
        return label_of(self.grid, str(self.environment["name"]))


def unfold_settings(raw: RawSweep, environment_keys: Iterable[str] = ()) -> tuple[SweepFile, list[Setting]]:
    """Check a sweep and return it with the settings of its grid.

    Parameters
    ----------
    raw : RawSweep
        The sweep as written.
    environment_keys : iterable of str
        Keys that environments have, to hint at.

    Raises
    ------
    ConfigError
        When a key breaks a rule, in the file or in a combination of the grid.
    """
    sweep = validated_sweep(raw, environment_keys)
    for key, values in sweep.grid.items():
        _check_grid_key(raw, key, values, sweep.grid, environment_keys)
    check_size(raw, sweep)
    combinations = itertools.product(*sweep.grid.values())
    return sweep, [_setting(raw, sweep, dict(zip(sweep.grid, values, strict=True))) for values in combinations]


def _check_grid_key(
    raw: RawSweep, key: str, values: Sequence[Any], grid: Mapping[str, Any], environment_keys: Iterable[str]
) -> None:
    """Refuse a key of the grid that cannot be varied, or not by these values."""
    path: KeyPath = ("grid", key)
    problem = None if key in GRID_SECTIONS else _problem_of_key(key, environment_keys)
    if not problem and (not values or _has_twins(values)):
        problem = f"must list at least one value, and none twice, got {_in_short(values)}"
    if not problem and key in GRID_SECTIONS:
        path, problem = next(_problems_of_sections(key, values, grid, environment_keys), (path, None))
    if problem:
        inner = "" if len(path) == 2 else f"[{path[2]}]" + "".join(f".{name}" for name in path[3:])
        raise ConfigError(f"{raw.place(path)}: grid.{key}{inner}: {problem}")
    for dotted in dict.fromkeys((key, *varied_keys({key: values}))):
        if origin := raw.origins.get(split_key(dotted)):
            raise ConfigError(f"{origin}: {dotted} is varied by the grid; override grid.{key} with a list instead")


def _problems_of_sections(
    section: str, values: Sequence[Any], grid: Mapping[str, Any], environment_keys: Iterable[str]
) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with values that are whole sections, each after its path."""
    for index, value in enumerate(values):
        path: KeyPath = ("grid", section, index)
        if not isinstance(value, Mapping):
            example = "{name: robots}" if section == "environment" else "{key: value}"
            yield path, f"must be a mapping of the section's keys, as in {example}, got {value!r}"
            continue
        for name in value:
            dotted = f"{section}.{name}"
            problem = None if isinstance(name, str) else f"keys must be text, got {name!r}"
            problem = problem or _problem_of_key(dotted, environment_keys)
            if dotted in grid:
                problem = f"is varied by grid.{dotted}, too; keep one of them"
            if problem:
                yield (*path, name), problem


def _has_twins(values: Sequence[Any]) -> bool:
    """Return whether two values are equal."""
    lists = [value for value in values if not isinstance(value, Hashable)]
    others = [value for value in values if isinstance(value, Hashable)]
    return len(set(others)) < len(others) or any(value in lists[:index] for index, value in enumerate(lists))


def _in_short(values: Sequence[Any]) -> str:
    """Return a list as text that a message can hold."""
    shown = ", ".join(map(repr, values[:MAX_VALUES_TOLD]))
    return f"[{shown}, and {len(values) - MAX_VALUES_TOLD:,} more]" if len(values) > MAX_VALUES_TOLD else f"[{shown}]"


def resolved_mapping(sweep: SweepFile, environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sweep with every default filled in; it reads back as the same sweep.

    Parameters
    ----------
    sweep : SweepFile
        The checked sweep.
    environment : mapping
        Its environment section, with the parameters' defaults.
    """
    mapping = asdict(sweep)
    mapping["environment"] = dict(environment)
    experiment = mapping["experiment"]
    if sweep.experiment.k_values is None:
        ks = k_values(sweep.experiment)
        experiment["k_range"] = [ks[0], ks[-1]]
    if sweep.experiment.reference_k is None and "experiment.reference_k" not in sweep.grid:
        experiment["reference_k"] = k_values(sweep.experiment)[-1]
    mapping["experiment"] = {key: value for key, value in experiment.items() if value is not None}
    return mapping | {section: _plain(mapping[section]) for section in section_types()}


def setting_content(setting: Setting, parameters: Mapping[str, Any], environment_digest: str) -> dict[str, Any]:
    """Return all that makes a setting what it is, as plain data.

    Parameters
    ----------
    setting : Setting
        The setting.
    parameters : mapping
        The environment's parameters, with defaults filled in.
    environment_digest : str
        Digest of the environment's tables and start, so that an edited game is a new setting.
    """
    content = {
        section: _plain(asdict(getattr(setting, section))) for section in GRID_SECTIONS if section != "environment"
    }
    del content["evaluation"]["method"]
    content["environment"] = {"name": setting.environment.get("name"), **parameters, "digest": environment_digest}
    content["experiment"] = {
        "reference_k": setting.reference_k,
        "seed": setting.seed,
        "local_policy": setting.local_policy,
        "numbers": NUMBERS,
    }
    return content


def setting_id(content: Mapping[str, Any]) -> str:
    """Return the name of a setting: the start of a SHA-256 over its content."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def _plain(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section as a file has it: lists for tuples."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in section.items()}


def _setting(raw: RawSweep, sweep: SweepFile, combination: Mapping[str, Any]) -> Setting:
    """Check one combination of the grid and return it."""
    varied = values_by_section(combination)
    varied["environment"] = {"name": DEFAULT_ENVIRONMENT, **sweep.environment, **varied.get("environment", {})}
    try:
        sweep = with_keys(sweep, varied, replace(raw, varied=combination))
    except ConfigError as error:
        raise ConfigError(f"{error}\n{setting_note(combination)}") from None
    return Setting(
        environment=sweep.environment,
        global_agent=sweep.global_agent,
        local_agent=sweep.local_agent,
        alternating=sweep.alternating,
        evaluation=sweep.evaluation,
        reference_k=sweep.experiment.reference_k or k_values(sweep.experiment)[-1],
        seed=sweep.experiment.seed,
        grid=combination,
        local_policy=sweep.experiment.local_policy,
    )


def _problem_of_key(key: str, environment_keys: Iterable[str]) -> str | None:
    """Return why a key cannot be varied by a grid, if it cannot: it is no part of a setting."""
    section, dot, name = key.partition(".")
    if section == "environment" and dot and name and "." not in name:
        return None  # its keys are known to the environment alone
    if section == "experiment" and name in GRID_EXPERIMENT_KEYS:
        return None
    if key == "evaluation.method":
        return "is not part of a setting, as it changes no number; ask for both instead"
    if section in GRID_SECTIONS and section != "environment" and dot:
        known = key_types(section_types()[section])
        return None if name in known else f"unknown key; {nearest_name(name, known)}"
    if section not in key_types(SweepFile):
        elsewhere = None if dot else key_elsewhere(key, environment_keys)
        return f"unknown section; {elsewhere or nearest_name(section, GRID_SECTIONS)}"
    allowed = [f"{each}.*" for each in GRID_SECTIONS] + [f"experiment.{name}" for name in GRID_EXPERIMENT_KEYS]
    return f"is not part of a setting; a grid takes keys of {', '.join(allowed)}"
