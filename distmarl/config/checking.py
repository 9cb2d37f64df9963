"""Checking a mapping against the dataclasses of :mod:`distmarl.model.options`, each key by itself.

pydantic finds what is wrong with a value; this module finds unknown keys, and says it all in the form
``file:line: section.key: rule, got value``, with the nearest known name for a misspelt key. Lines are looked up only
when there is something to say.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias, TypeGuard, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from distmarl.config.reading import DECIMAL_POINT, KeyPath, RawSweep
from distmarl.dynamics.transitions.kinds import TRANSITIONS
from distmarl.errors import ConfigError, nearest_name
from distmarl.model.checks import plain
from distmarl.model.options import DEFAULT_K_RANGE, Experiment, Matches, NameIn, SweepFile

# What breaks a rule: where, and how.
Problem: TypeAlias = tuple[KeyPath, str]

# What the options' annotation NameIn refers to.
REGISTRIES: dict[str, Iterable[str]] = {"transitions": TRANSITIONS}

DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+(,[0-9]+)+$")
STRICT = ConfigDict(strict=True, allow_inf_nan=False)

# What pydantic calls a broken rule, in our words.
RULES = {
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "finite_number": "must be finite",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "literal_error": "must be {expected}",
    "missing": "is missing",
    "too_short": "must have at least {min_length} value",
    "too_long": "must have at most {max_length} values",
    "string_pattern_mismatch": "must match {pattern}",
}


def validated_sweep(raw: RawSweep, environment_keys: Iterable[str] = ()) -> SweepFile:
    """Check a sweep, but for the grid's values, which are checked where they are unfolded; see :func:`with_keys`."""
    return with_keys(SweepFile(), raw.mapping, raw, environment_keys)


def with_keys(
    sweep: SweepFile, mapping: Mapping[str, Any], raw: RawSweep, environment_keys: Iterable[str] = ()
) -> SweepFile:
    """Check some keys and return the sweep with them; the others are taken to be right.

    Parameters
    ----------
    sweep : SweepFile
        The other keys.
    mapping : mapping
        Sections and keys as written.
    raw : RawSweep
        Where they were written, for messages.
    environment_keys : iterable of str
        Keys that environments have, to hint at.

    Raises
    ------
    ConfigError
        Naming every key that breaks a rule.
    """
    problems: list[Problem] = []
    sweep = _with_checked(sweep, mapping, (), environment_keys, problems)
    problems = problems or _broken_experiment_rules(sweep.experiment)
    if problems:
        raise ConfigError("\n".join(f"{raw.place(path)}: {format_path(path)}: {problem}" for path, problem in problems))
    return sweep


def key_types(section: type) -> dict[str, Any]:
    """Return the keys of a section, or of the sweep file, with their types as pydantic understands them."""
    return _key_types(section, _registered())


@functools.cache
def _key_types(section: type, _names: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    """Return the types of keys, which are worked out anew where a registry has other names now."""
    return {name: _in_pydantics_words(hint) for name, hint in get_type_hints(section, include_extras=True).items()}


def _registered() -> tuple[tuple[str, ...], ...]:
    """Return the names in all registries."""
    return tuple(map(tuple, REGISTRIES.values()))


def is_section(kind: Any) -> TypeGuard[type]:
    """Return whether a key of the sweep file is a section with keys of ours; ``environment`` is a mapping."""
    return isinstance(kind, type) and is_dataclass(kind)


def section_types() -> dict[str, type]:
    """Return the sections of a sweep file by name."""
    return {name: kind for name, kind in key_types(SweepFile).items() if is_section(kind)}


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
    parameters = {name: plain(value) for name, value in parameters.items()}
    for name, value in parameters.items():
        if name not in named and not takes_any_key:
            problems.append((name, f"unknown key; {key_elsewhere(name, ()) or nearest_name(name, named)}"))
        elif hints.get(name) in (int, float, str, bool) or get_origin(hints.get(name)) is Literal:
            try:
                _parameter_adapter(hints[name]).validate_python(value, strict=True)
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
    keys = {
        **{section: key_types(kind) for section, kind in section_types().items()},
        "environment": {"name", *environment_keys},
    }
    found = [f"{section}.{name}" for section, names in sorted(keys.items()) if name in names]
    return f"did you mean {' or '.join(found)}?" if found else None


def _in_pydantics_words(hint: Any) -> Any:
    """Return a type whose annotations are pydantic's, where ours are its own."""
    if get_origin(hint) is not Annotated:
        return hint
    kind, *rules = get_args(hint)
    for rule in rules:
        if isinstance(rule, NameIn):
            return Literal[tuple(REGISTRIES[rule.registry])]
        if isinstance(rule, Matches):
            return Annotated[kind, Field(pattern=rule.pattern)]
    return hint


@functools.cache
def _key_adapter(section: type, key: str, names: tuple[tuple[str, ...], ...]) -> TypeAdapter[Any]:
    """Return what checks a key."""
    return TypeAdapter(_key_types(section, names)[key], config=STRICT)


@functools.cache
def _parameter_adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what checks a parameter of an environment's function."""
    return TypeAdapter(kind)


def _with_checked(
    section: Any, mapping: Mapping[str, Any], path: KeyPath, environment_keys: Iterable[str], problems: list[Problem]
) -> Any:
    """Return a section, or the whole sweep, with the keys of a mapping, and note what breaks a rule."""
    owner: type = type(section)
    kinds, kept = key_types(owner), {}
    for name in (name for name in kinds if name in mapping):
        here, value = (*path, name), mapping[name]
        if value is None and (is_section(kinds[name]) or get_origin(kinds[name]) is dict):
            continue  # every key of it is commented out
        if is_section(kinds[name]):
            if isinstance(value, Mapping):
                kept[name] = _with_checked(getattr(section, name), value, here, environment_keys, problems)
            else:
                problems.append((here, f"must be a mapping of keys, got {value!r}"))
            continue
        try:
            adapter = _key_adapter(owner, name, _registered())
            kept[name] = adapter.validate_python(tuple(value) if isinstance(value, list) else value)
        except ValidationError as error:
            found = [((*here, *details["loc"]), details) for details in error.errors()]
            # pydantic leaves out the items that are wrong, and calls a list too short of which none is left.
            found = [(place, details) for place, details in found if details["type"] != "too_short" or not value]
            problems += [(place, _describe_rule(details, place)) for place, details in found]
    for name in mapping:
        if name not in kinds:
            hint = key_elsewhere(name, environment_keys) or nearest_name(name, kinds)
            problems.append(((*path, name), f"unknown key; {hint}"))
    return replace(section, **kept)


def _describe_rule(details: ErrorDetails, path: KeyPath = ()) -> str:
    """Return a broken rule and the value that breaks it."""
    rule, value = RULES.get(details["type"]), details["input"]
    if details["type"] == "missing":
        return str(rule)
    if path[:1] == ("grid",) and isinstance(value, Mapping):
        return f"must be a list of values; write the key in full, as in {format_path(path[1:])}.key: [1, 2]"
    problem = rule.format(**details.get("ctx", {})) if rule else details["msg"]
    has_comma = details["type"] in ("int_type", "float_type") and isinstance(value, str) and DECIMAL_COMMA.match(value)
    hint = f"; {DECIMAL_POINT}, and nothing between thousands" if has_comma else _hint(details["type"], value)
    return f"{problem}, got {list(value) if isinstance(value, tuple) else value!r}{hint}"


def _hint(rule: str, value: Any) -> str:
    """Return how to write a single value that is of the wrong type for YAML alone."""
    if not isinstance(value, (str, int, float)):
        return ""
    if rule in ("list_type", "tuple_type"):
        return f"; write it in brackets, as in [{value}]"
    return f"; put it into quotes, as in '{value}'" if rule == "string_type" else ""


def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's annotations; one that cannot be resolved leaves its arguments unchecked."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        # For example names that are imported for type checkers only.
        return {}


def _broken_experiment_rules(experiment: Experiment) -> list[Problem]:
    """Return what no single key can be blamed for; the first such problem."""
    k_range, values = experiment.k_range, experiment.k_values or ()
    if k_range is not None and experiment.k_values is not None:
        rule = "k_range and k_values say the same thing twice; keep one of them (--set experiment.k_range=null does)"
        return [(("experiment", "k_values"), rule)]
    if k_range is not None and k_range[0] > k_range[1]:
        return [(("experiment", "k_range"), f"must not end before it starts, got {list(k_range)}")]
    first = {k: index for index, k in reversed(list(enumerate(values)))}
    repeated = [index for index, k in enumerate(values) if first[k] < index]
    return [(("experiment", "k_values", i), f"must not repeat a value, got {values[i]} twice") for i in repeated[:1]]
