"""Checking a mapping against the dataclasses of :mod:`distmarl.model.options`.

pydantic finds what is wrong; this module says it in the form
``file:line: section.key: rule, got value``, with the nearest known name for a misspelt key.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from distmarl.config.reading import KeyPath, RawSweep
from distmarl.errors import ConfigError, nearest_name
from distmarl.model.options import Experiment, SweepFile

DEFAULT_K_RANGE = (1, 25)

# What pydantic calls a broken rule, in our words.
RULES = {
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "dataclass_type": "must be a mapping of keys",
    "finite_number": "must be finite",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "literal_error": "must be {expected}",
    "missing": "is missing",
    "too_short": "must have at least {min_length} values",
    "too_long": "must have at most {max_length} values",
    "string_pattern_mismatch": "must match {pattern}",
}


def validated_sweep(raw: RawSweep, environment_keys: Iterable[str] = ()) -> SweepFile:
    """Check a sweep's sections; the grid's values are checked where they are unfolded.

    Parameters
    ----------
    raw : RawSweep
        The sweep as written.
    environment_keys : iterable of str
        Keys that environments have, to hint at.

    Raises
    ------
    ConfigError
        Naming every key that breaks a rule.
    """
    try:
        sweep = TypeAdapter(SweepFile).validate_python(raw.mapping)
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(raw, details, environment_keys) for details in error.errors())) from None
    for path, problem in _broken_experiment_rules(sweep.experiment):
        raise ConfigError(f"{raw.place(path)}: {format_path(path)}: {problem}")
    return sweep


def k_values(experiment: Experiment) -> Sequence[int]:
    """Return the subsample sizes of a sweep, in increasing order."""
    if experiment.k_values is not None:
        return sorted(experiment.k_values)
    first, last = experiment.k_range or DEFAULT_K_RANGE
    return range(first, last + 1)


def bind_parameters(
    function: Callable[..., Any], parameters: Mapping[str, Any], raw: RawSweep, section: str
) -> dict[str, Any]:
    """Return a function's keyword arguments, checked, with its defaults filled in.

    Parameters
    ----------
    function : callable
        Its signature names the keys; parameters annotated ``int``, ``float``, ``str``, ``bool`` or
        ``Literal`` are checked for their type.
    parameters : mapping
        Keys and values as written.
    raw : RawSweep
        Where they were written, for messages.
    section : str
        Name of the section that they were written in.

    Raises
    ------
    ConfigError
        Naming every key that is unknown, missing or of the wrong type.
    """
    try:
        signature = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        name = getattr(function, "__name__", "the function")
        raise ConfigError(f"{raw.place((section,))}: {section}: {name} does not tell its parameters") from None
    named = {
        parameter.name: parameter.default
        for parameter in signature
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    }
    takes_any_key = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature)
    hints = _type_hints(function)
    problems: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if name not in named and not takes_any_key:
            problems.append((name, f"unknown key; {key_elsewhere(name, ()) or nearest_name(name, named)}"))
        elif hints.get(name) in (int, float, str, bool) or get_origin(hints.get(name)) is Literal:
            try:
                TypeAdapter(hints[name]).validate_python(value, strict=True)
            except ValidationError as error:
                problems.append((name, _describe_rule(error.errors()[0])))
    missing = [name for name, default in named.items() if default is inspect.Parameter.empty and name not in parameters]
    problems += [(name, "is required") for name in missing]
    if problems:
        lines = [f"{raw.place((section, name))}: {section}.{name}: {problem}" for name, problem in problems]
        raise ConfigError("\n".join(lines))
    return {**named, **parameters}


def format_path(path: KeyPath) -> str:
    """Return a path as it is read: ``experiment.k_values[3]``."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def key_elsewhere(name: str, environment_keys: Iterable[str]) -> str | None:
    """Return a hint at the sections that do have a key of this name, if there are any.

    Parameters
    ----------
    name : str
        A key that is unknown where it stands.
    environment_keys : iterable of str
        Keys of the section ``environment``, which its function alone knows.
    """
    kinds: dict[str, type[Any]] = get_type_hints(SweepFile)
    keys = {section: known_keys(kind) for section, kind in kinds.items() if dataclasses.is_dataclass(kind)}
    keys["environment"] = sorted({"name", *environment_keys})
    found = [f"{section}.{name}" for section, names in sorted(keys.items()) if name in names]
    return f"did you mean {' or '.join(found)}?" if found else None


def known_keys(section: type[Any]) -> list[str]:
    """Return the names of a section's keys."""
    return [field.name for field in dataclasses.fields(section)]


def _describe(raw: RawSweep, details: ErrorDetails, environment_keys: Iterable[str]) -> str:
    """Return one line that names the place, the key, the rule and the value."""
    path = details["loc"]
    where = f"{raw.place(path)}: {format_path(path)}: "
    if details["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        name = str(path[-1])
        return f"{where}unknown key; {key_elsewhere(name, environment_keys) or nearest_name(name, _keys_beside(path))}"
    if path[0] == "grid" and isinstance(details["input"], Mapping):
        return f"{where}must be a list of values; write the key in full, as in {format_path(path[1:])}.key: [1, 2]"
    return where + _describe_rule(details)


def _describe_rule(details: ErrorDetails) -> str:
    """Return a broken rule and the value that breaks it."""
    rule = RULES.get(details["type"])
    if details["type"] == "missing":
        return str(rule)
    problem = rule.format(**details.get("ctx", {})) if rule else details["msg"]
    return f"{problem}, got {details['input']!r}"


def _keys_beside(path: KeyPath) -> list[str]:
    """Return the keys that are known where an unknown one was found."""
    owner: Any = SweepFile
    for key in path[:-1]:
        owner = get_type_hints(owner)[str(key)]
    return known_keys(owner)


def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's annotations; one that cannot be resolved leaves its arguments unchecked."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        # For example names that are imported for type checkers only.
        return {}


def _broken_experiment_rules(experiment: Experiment) -> Iterable[tuple[KeyPath, str]]:
    """Yield what no single key can be blamed for."""
    if experiment.k_range is not None and experiment.k_values is not None:
        rule = "k_range and k_values say the same thing twice; keep one of them (--set experiment.k_range=null does)"
        yield ("experiment", "k_values"), rule
    if experiment.k_range is not None and experiment.k_range[0] > experiment.k_range[1]:
        first, last = experiment.k_range
        yield ("experiment", "k_range"), f"must not end before it starts, got [{first}, {last}]"
    values = experiment.k_values or ()
    for index, k in enumerate(values):
        if k in values[:index]:
            yield ("experiment", "k_values", index), f"must not repeat a value, got {k} twice"
