"""A game in the terminal: its parameters and its tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from distmarl.config.environments import BuiltEnvironment
from distmarl.examine.listing import source, summary
from distmarl.games.lookup import find_function
from distmarl.model.arrays import Array
from distmarl.model.environment import Environment

MAX_ROWS = 100
MAX_COLUMNS = 12


def print_game(name: str, built: BuiltEnvironment, output: Console) -> None:
    """Print a game: what it is, its parameters, its start and its four tables.

    Parameters
    ----------
    name : str
        How it was called.
    built : BuiltEnvironment
        The game.
    output : Console
        Where to print.
    """
    env, function = built.environment, find_function(name, lambda: name)
    output.print(Text.assemble((name, "bold"), f"  {env!r}"), soft_wrap=True)
    for text in (summary(function), source(function)):
        if text:
            output.print(Text(text))
    output.print(Text(", ".join(f"{key}={value}" for key, value in built.parameters.items())))
    output.print(Text(f"start: s_g ~ {_numbers(env.initial_global)}, shares of s_l ~ {_start(env)}"))
    if not env.sees_states:
        output.print(Text(f"classes of s_l that are seen: {env.observation.tolist()}"))
    _print_table("P_g and r_g", ("s_g", "a_g"), "s_g'", env.transition_global, env.reward_global, output)
    _print_table("P_l and r_l", ("s_g", "s_l", "a_l"), "s_l'", env.transition_local, env.reward_local, output)


def _start(env: Environment) -> str:
    """Return what the first shares of the local states are drawn from."""
    if env.initial_local_concentration is not None:
        return f"Dirichlet({_numbers(env.initial_local_concentration)})"
    parts = zip(np.asarray(env.initial_weights), np.asarray(env.initial_shares), strict=True)
    return " or ".join(f"{_numbers(shares)} with probability {_number(float(weight))}" for weight, shares in parts)


def _print_table(
    title: str, axes: tuple[str, ...], successor: str, rows: Array, rewards: Array, output: Console
) -> None:
    """Print a table of transitions with the rewards beside it, as far as there is room."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    n_columns, n_rows = min(rows.shape[-1], MAX_COLUMNS), rewards.size
    for axis in axes:
        table.add_column(axis, justify="right")
    for state in range(n_columns):
        table.add_column(f"{successor}={state}", justify="right")
    table.add_column("reward", justify="right")
    for index in islice(np.ndindex(*rewards.shape), MAX_ROWS):
        cells = [_number(p) if p else "." for p in rows[index][:n_columns]]
        table.add_row(*map(str, index), *cells, _number(float(rewards[index])))
    output.print(Text(f"\n{title}", style="bold"))
    output.print(table)
    for note in _left_out(n_rows, rows.shape[-1]):
        output.print(Text(note, style="dim"))


def _left_out(n_rows: int, n_columns: int) -> Iterator[str]:
    """Yield what a table does not show."""
    if n_rows > MAX_ROWS:
        yield f"and {n_rows - MAX_ROWS:,} rows more"
    if n_columns > MAX_COLUMNS:
        yield f"and {n_columns - MAX_COLUMNS} states more in each row"


def _numbers(values: Array) -> str:
    if len(set(values.tolist())) == 1:
        return f"{_number(values[0])} each"
    return ", ".join(map(_number, values[:MAX_COLUMNS])) + (", ..." if len(values) > MAX_COLUMNS else "")


def _number(value: float) -> str:
    """Return a number with up to three decimals, or in three digits where it is small."""
    if 0 < abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value + 0.0:.3f}".rstrip("0").rstrip(".")
