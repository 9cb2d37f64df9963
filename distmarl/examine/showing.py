"""A game in the terminal: its parameters and its tables."""

from __future__ import annotations

import itertools

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
from distmarl.wording import counted

# Tables of more rows, and of more columns, are shown in part.
SHOWN_WHOLE, MAX_ROWS = 30, 12
MAX_COLUMNS = 12
# Of what is listed in a line, such as the parts of a start: so many.
MAX_LISTED, MAX_SUCCESSORS = 3, 5


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
        output.print(Text(f"classes that are seen: {_classes(env)}"))
    _print_table("P_g and r_g", ("s_g", "a_g"), "s_g'", env.transition_global, env.reward_global, output)
    _print_table("P_l and r_l", ("s_g", "s_l", "a_l"), "s_l'", env.transition_local, env.reward_local, output)


def _start(env: Environment) -> str:
    """Return what the first shares of the local states are drawn from."""
    if env.initial_local_concentration is not None:
        return f"Dirichlet({_numbers(env.initial_local_concentration)})"
    parts = zip(np.asarray(env.initial_weights), np.asarray(env.initial_shares), strict=True)
    told = [f"{_numbers(shares)} with probability {_number(float(weight))}" for weight, shares in parts]
    return " or ".join(told[:MAX_LISTED]) + _more(len(told) - MAX_LISTED, "such part", " or ")


def _classes(env: Environment) -> str:
    """Return the local states of each class, neighbours together."""
    firsts = [0, *(np.flatnonzero(np.diff(env.observation)) + 1).tolist(), env.n_local_states]
    runs = [
        f"{env.observation[first]} (s_l={first}{f' to {after - 1}' if after - first > 1 else ''})"
        for first, after in itertools.pairwise(firsts)
    ]
    return ", ".join(runs[:MAX_COLUMNS]) + _more(len(runs) - MAX_COLUMNS, "range")


def _more(n_left: int, what: str, joint: str = ", ") -> str:
    return f"{joint}{counted(n_left, what)} more" if n_left > 0 else ""


def _print_table(
    title: str, axes: tuple[str, ...], successor: str, rows: Array, rewards: Array, output: Console
) -> None:
    """Print a table of transitions with the rewards beside it, as far as there is room."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    n_columns, n_rows = rows.shape[-1], rewards.size
    is_wide = n_columns > MAX_COLUMNS
    for axis in axes:
        table.add_column(axis, justify="right")
    for name in (
        [f"{successor}: likeliest first"] if is_wide else [f"{successor}={state}" for state in range(n_columns)]
    ):
        table.add_column(name, justify="left" if is_wide else "right")
    table.add_column("reward", justify="right")
    n_shown = n_rows if n_rows <= SHOWN_WHOLE else MAX_ROWS
    for index in itertools.islice(np.ndindex(*rewards.shape), n_shown):
        row = rows[index]
        cells = [_successors(row)] if is_wide else [_number(p) if p else "." for p in row]
        table.add_row(*map(str, index), *cells, _number(float(rewards[index])))
    output.print(Text(f"\n{title}", style="bold"))
    output.print(table)
    if n_shown < n_rows:
        output.print(Text(f"… and {counted(n_rows - n_shown, 'row')} more", style="dim"))


def _successors(row: Array) -> str:
    """Return the states that a row leads to, the likeliest first."""
    likeliest = np.argsort(-row, kind="stable")[: np.count_nonzero(row)]
    told = ", ".join(f"{state}: {_number(row[state])}" for state in likeliest[:MAX_SUCCESSORS])
    return told + _more(len(likeliest) - MAX_SUCCESSORS, "state")


def _numbers(values: Array) -> str:
    if len(set(values.tolist())) == 1:
        return f"{_number(values[0])} each"
    return ", ".join(map(_number, values[:MAX_COLUMNS])) + (", …" if len(values) > MAX_COLUMNS else "")


def _number(value: float) -> str:
    """Return a number with up to three decimals, or in three digits where it is small."""
    if 0 < abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value + 0.0:.3f}".rstrip("0").rstrip(".")
