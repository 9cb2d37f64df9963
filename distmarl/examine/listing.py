"""The built-in games as a list: what each is, how large, its parameters and where it comes from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from distmarl.config.schema import Schema, parameter_schemas
from distmarl.games.lookup import GAMES
from distmarl.model.environment import Environment

# Numbers that may be as large as this may be any, to people.
UNBOUNDED = 10**6
LEGEND = """\
G, L: numbers of states of the global agent, and of each local agent; A_g, A_l: of their actions. B: number of classes
of local states that the global agent tells apart, where it does not see the states themselves."""


def print_games(output: Console) -> None:
    """Print all of them."""
    for name, function in GAMES.items():
        output.print(Text.assemble((name, "bold"), f"  {sizes(function())}"))
        for text in (summary(function), parameters_in_words(function), f"source: {source(function)}"):
            output.print(Padding(Text(text), (0, 0, 0, 4), expand=False))
    output.print(Text(f"\n{LEGEND}", style="dim"))
    output.print(Text("\nTo see the tables of one: python -m distmarl.games show NAME", style="dim"))


def sizes(env: Environment) -> str:
    """Return the sizes of a game's tables."""
    states = f"G={env.n_global_states}, L={env.n_local_states}{'' if env.sees_states else f' in B={env.n_classes}'}"
    return f"{states}, A_g={env.n_global_actions}, A_l={env.n_local_actions}"


def summary(function: Callable[..., Any]) -> str:
    """Return what a game is, from the first line of its docstring."""
    return (inspect.getdoc(function) or "").partition("\n")[0].removeprefix("Return ")


def source(function: Callable[..., Any]) -> str:
    """Return where a game comes from, from its docstring; nothing where that does not say so."""
    _, _, text = (inspect.getdoc(function) or "").partition("References\n----------\n")
    return " ".join(text.partition("\n\n")[0].split())


def parameters_in_words(function: Callable[..., Any]) -> str:
    """Return a built-in game's parameters with their defaults and ranges."""
    parameters = parameter_schemas(function).items()
    return ", ".join(f"{name}={schema['default']} ({_range(schema)})" for name, schema in parameters)


def _range(schema: Schema) -> str:
    """Return the values that a parameter may have, in short."""
    if "enum" in schema:
        return " or ".join(schema["enum"])
    low, high = schema["minimum"], schema.get("maximum", schema.get("exclusiveMaximum"))
    if high is None or (high >= UNBOUNDED and low > -UNBOUNDED):
        return f"{low:,} or more"
    if high >= UNBOUNDED:
        return "any"
    return f"{low} to {high}" if "maximum" in schema else f"{low} to below {high}"
