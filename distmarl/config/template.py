"""The sweep file with every key, its default and what it means, made from the schema that editors read."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from distmarl.config.schema import Schema, parameter_schemas, sweep_schema
from distmarl.config.settings import resolved_mapping
from distmarl.config.yaml_text import dump_yaml
from distmarl.games.lookup import GAMES
from distmarl.model.options import DEFAULT_ENVIRONMENT, SweepFile

WIDTH = 120


def all_keys() -> str:
    """Return a sweep file that writes out every default."""
    function = GAMES[DEFAULT_ENVIRONMENT]
    defaults = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
    sweep = SweepFile(name=DEFAULT_ENVIRONMENT)
    return sweep_template(function, resolved_mapping(sweep, {"name": DEFAULT_ENVIRONMENT, **defaults}))


def sweep_template(function: Callable[..., Any], written: Mapping[str, Any]) -> str:
    """Return a sweep file with all keys and what they mean.

    Parameters
    ----------
    function : callable
        What makes the game: its parameters are keys of the section ``environment``.
    written : mapping
        Sections and keys that have a value; all others are commented out, with their defaults.
    """
    schema = sweep_schema({})["properties"]
    schema["environment"]["properties"] |= parameter_schemas(function)
    lines = [line for name, key in schema.items() for line in _lines(name, key, written)]
    column = max(len(code) for code, _ in lines) + 2
    return "".join(_with_comment(code, comment, column) for code, comment in lines)


def _lines(name: str, key: Schema, written: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the line of a key, or those of a section, each with its comment."""
    off = "" if name in written else "# "
    if name == "grid" or "properties" not in key:
        yield f"{off}{_key_line(name, key, written)}", _comment(key)
        return
    yield f"{off}{name}:", _comment(key)
    values = written.get(name, {})
    for inner, inner_key in key["properties"].items():
        indent = f"{off}  " if off or inner in values else "  # "
        yield f"{indent}{_key_line(inner, inner_key, values)}", _comment(inner_key)


def _key_line(name: str, key: Schema, written: Mapping[str, Any]) -> str:
    """Return a key with its value, or with its default."""
    default = {} if "object" in key.get("type", ()) else key.get("default")
    line = dump_yaml({name: written.get(name, default)}).rstrip()
    return line[1:-1] if line.startswith("{") else line  # a mapping of one plain value is written {name: value}


def _comment(key: Schema) -> str:
    """Return what a key means, after the values that it may have where they are few."""
    choices = [str(choice) for choice in key.get("enum") or key.get("items", {}).get("enum", ())]
    listed = f"{', '.join(choices[:-1])} or {choices[-1]}. " if choices else ""
    return f"{listed}{key['description'].replace('`', '')}"


def _with_comment(code: str, comment: str, column: int) -> str:
    """Return a line with its comment in a column of its own, folded."""
    first, *others = textwrap.wrap(comment, WIDTH - column - 2, break_on_hyphens=False)
    return "".join(f"{text:<{column}}# {part}\n" for text, part in [(code, first), *(("", part) for part in others)])
