"""Reading a sweep file: text to a plain mapping that remembers where each key stands.

JSON is YAML, so both are read alike. ``--set a.b=c`` overrides are applied to the
mapping, and blamed for what they break.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml.nodes import MappingNode, SequenceNode

from distmarl.config.yaml_text import YAMLError, composed, decoded, describe_error, load_yaml
from distmarl.errors import ConfigError
from distmarl.model.options import NAME_PATTERN
from distmarl.paths import is_utf8

KeyPath: TypeAlias = tuple[str | int, ...]

ENDINGS = (".yaml", ".yml", ".json")
# What to do about 0,95: in braces YAML reads a value of 0 and a key 95, elsewhere text.
DECIMAL_POINT = "write decimals with a point, as in 0.95"

# Python's own functions on what is nested deeper, or holds itself, end in a RecursionError.
MAX_DEPTH = 50
TOO_DEEP = f"must not be nested more than {MAX_DEPTH} deep, nor hold itself"

# No file and no table can hold it.
HALF = "must be text, got half a character (of the surrogates \\ud800 to \\udfff)"


@dataclass(frozen=True)
class RawSweep:
    """A sweep as written: a nested mapping, not checked yet.

    Attributes
    ----------
    mapping : dict
        Sections and keys, with overrides applied.
    source : str
        Name of the file, for messages.
    text : str
        The file, to find the line of a key.
    origins : dict of path to str
        Where keys come from that are not read off the file: ``--set ...``.
    varied : mapping of str to object
        The dotted keys that come from the grid, for one of its settings, and their values.
    """

    mapping: dict[str, Any]
    source: str
    text: str = ""
    origins: dict[KeyPath, str] = field(default_factory=dict)
    varied: Mapping[str, Any] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Return where a key comes from: ``file:line``, if need be of a grid's value, or the option that set it."""
        for length in range(len(path), 0, -1):
            key = ".".join(map(str, path[:length]))
            if key in self.varied and self.is_varied(path):
                is_section = isinstance(self.varied[key], Mapping)
                return self._place_in_grid(key, path[length:] if is_section else ())
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        line = _line_of(self.text, path)
        if line is None:  # a section that only such an option names
            within = [origin for key, origin in self.origins.items() if key[: len(path)] == path]
            return within[0] if within else self.source
        return f"{self.source}:{line}"

    def is_varied(self, path: KeyPath) -> bool:
        """Return whether a key comes from the grid: from a value of its own, or from one of its whole section."""
        section, *names = map(str, path)
        sets = self.varied.get(section)
        if names and isinstance(sets, Mapping) and names[0] in sets:
            return True
        return any(".".join(map(str, path[:length])) in self.varied for length in range(2, len(path) + 1))

    def varied_place(self, section: str) -> str | None:
        """Return where the grid has what is wrong with a section as a whole; None where it does not vary the section.

        Settings are unfolded with the grid's last key varying fastest. So of the first setting that is wrong it is the
        last value that is not its key's first, by which it differs from settings that were right.
        """
        values = {key: value for key, value in self.varied.items() if key.partition(".")[0] == section}
        later = [key for key, value in values.items() if value != self.mapping["grid"][key][0]]
        return self._place_in_grid([*values, *later][-1]) if values else None

    def _place_in_grid(self, key: str, inner: KeyPath = ()) -> str:
        """Return where the grid has the value of a key, or a key within it."""
        index = self.mapping["grid"][key].index(self.varied[key])
        return replace(self, varied={}).place(("grid", key, index, *inner))


def read_sweep_file(path: str | Path) -> RawSweep:
    """Read a YAML or JSON sweep file; one without a ``name`` is named like the file.

    Raises
    ------
    ConfigError
        When the file cannot be read, is not YAML, repeats a key, or is no mapping of named keys.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file{_similar_files(Path(path))}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; name the sweep file{_first_file(Path(path))}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_sweep(content, str(path))


def parse_sweep(content: bytes, source: str) -> RawSweep:
    """Read a sweep file that is in memory; ``source`` is its path, or whatever names it.

    Raises
    ------
    ConfigError
        As :func:`read_sweep_file` does.
    """
    try:
        text = decoded(content)
    except ValueError as error:
        raise ConfigError(f"{source}{error}") from None
    try:
        mapping = load_yaml(text)
    except YAMLError as error:
        raise ConfigError(f"{source}{describe_error(error)}") from None
    except RecursionError:
        raise ConfigError(f"{source}: {TOO_DEEP}") from None
    if nests_too_deeply(mapping):
        raise ConfigError(f"{source}: {TOO_DEEP}")
    if mapping is None:
        mapping = {}
    if not isinstance(mapping, dict):
        raise ConfigError(f"{source}: must be a mapping of sections, got a {type(mapping).__name__}")
    raw = RawSweep(mapping, source, text)
    _check_keys(mapping, raw.place)
    if (path := _half_a_character(mapping)) is not None:
        raise ConfigError(f"{raw.place(path)}: {HALF}")
    stem = Path(source).stem
    if "name" not in mapping and not re.fullmatch(NAME_PATTERN, stem):
        raise ConfigError(f"{source}: name: is required, since the file's own name cannot name a folder")
    return RawSweep({"name": stem, **mapping}, source, text)


def apply_overrides(raw: RawSweep, assignments: Iterable[str]) -> RawSweep:
    """Return the sweep with ``a.b=value`` assignments applied; values are YAML.

    Raises
    ------
    ConfigError
        When an assignment is not of that form, or goes through a key that is not a section.
    """
    mapping, origins = raw.mapping, dict(raw.origins)
    for assignment in assignments:
        dotted, equals, value_text = assignment.partition("=")
        dotted = dotted.strip()
        if not equals or not all(dotted.split(".")):
            raise ConfigError(f"--set {assignment}: must be of the form section.key=value")
        try:
            value = load_yaml(value_text)
        except YAMLError as error:
            raise ConfigError(f"--set {assignment}{describe_error(error, with_line=False)}") from None
        except RecursionError:
            raise ConfigError(f"--set {dotted}: {TOO_DEEP}") from None
        if nests_too_deeply(value):
            raise ConfigError(f"--set {dotted}: {TOO_DEEP}")
        if _half_a_character(value) is not None:
            raise ConfigError(f"--set {dotted}: {HALF}")
        if isinstance(value, Mapping):
            _check_keys(value, functools.partial(_anywhere, f"--set {assignment}"))
        path = split_key(dotted)
        mapping = with_value(mapping, path, value, place=f"--set {assignment}")
        origins[path] = f"--set {assignment}"
    return replace(raw, mapping=mapping, origins=origins)


def names_function(raw: RawSweep) -> bool:
    """Return whether a sweep, which may not be checked yet, names something as ``module:function``."""
    environment, experiment, grid = (raw.mapping.get(section) for section in ("environment", "experiment", "grid"))
    names = [environment.get("name")] if isinstance(environment, Mapping) else []
    policies = experiment.get("policies") if isinstance(experiment, Mapping) else None
    names += policies.values() if isinstance(policies, Mapping) else []
    for key in ("environment.name", "environment"):
        varied = grid.get(key) if isinstance(grid, Mapping) else None
        values = varied if isinstance(varied, list) else []
        names += [value.get("name") if isinstance(value, Mapping) else value for value in values]
    return any(":" in str(name) for name in names)


def setting_note(varied: Mapping[str, Any]) -> str:
    """Return which setting of the grid a message is about."""
    return f"(in the grid's setting {', '.join(f'{key}={value!r}' for key, value in varied.items())})"


def split_key(dotted: str) -> tuple[str, ...]:
    """Split a dotted key; what follows ``grid.`` is one dotted key itself."""
    if dotted.startswith("grid."):
        return "grid", dotted.removeprefix("grid.")
    return tuple(dotted.split("."))


def with_value(mapping: Mapping[str, Any], path: tuple[str, ...], value: Any, *, place: str) -> dict[str, Any]:
    """Return a copy of a nested mapping with one value set.

    Raises
    ------
    ConfigError
        When a key on the way holds something other than a mapping.
    """
    key, *rest = path
    copy = dict(mapping)
    if rest:
        inner = copy.get(key)
        if inner is not None and not isinstance(inner, Mapping):
            raise ConfigError(f"{place}: {key} is {inner!r}, not a section with keys")
        value = with_value(inner or {}, tuple(rest), value, place=place)
    copy[key] = value
    return copy


def nests_too_deeply(value: Any) -> bool:
    """Return whether lists and mappings lie in one another too often."""
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        inner = [each for outer in level for each in (outer.values() if isinstance(outer, dict) else outer)]
        level = [*{id(each): each for each in inner if isinstance(each, (dict, list))}.values()]
        if not level:
            return False
    return True


def _anywhere(origin: str, _path: KeyPath) -> str:
    """Return what is to blame for every key of an override."""
    return origin


def _check_keys(mapping: Mapping[Any, Any], place: Callable[[KeyPath], str], path: KeyPath = ()) -> None:
    """Refuse keys that are no text, such as numbers; ``place`` says where a key is."""
    for key, value in mapping.items():
        if not isinstance(key, str):
            is_number = isinstance(key, (int, float)) and not isinstance(key, bool)
            hint = f"; {DECIMAL_POINT}" if is_number and value is None else ""
            raise ConfigError(f"{place((*path, key))}: keys must be text, got {key!r}{hint}")
        if isinstance(value, Mapping):
            _check_keys(value, place, (*path, key))


def _half_a_character(value: Any, path: KeyPath = ()) -> KeyPath | None:
    """Return where a text, a key or a value, holds what is no character; None where all are text."""
    if isinstance(value, str):
        return None if is_utf8(value) else path
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        if any(isinstance(key, str) and not is_utf8(key) for key in value):
            return path
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    found = (_half_a_character(each, (*path, key)) for key, each in inner)
    return next((place for place in found if place is not None), None)


def _line_of(text: str, path: KeyPath) -> int | None:
    """Return the line of a key, or of its nearest ancestor that is written in the file."""
    node = composed(text)
    line = None
    for key in path:
        if isinstance(node, MappingNode):
            found = [(name, value) for name, value in node.value if name.value == str(key)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _sweep_files(folder: Path) -> list[str]:
    """Return the names of what may be sweep files, those of YAML first."""
    return sorted(
        (entry.name for entry in folder.iterdir() if entry.suffix in ENDINGS),
        key=lambda name: (ENDINGS.index(Path(name).suffix), name),
    )


def _first_file(folder: Path) -> str:
    names = _sweep_files(folder)
    return f", for example {folder / names[0]}" if names else ""


def _similar_files(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    names = _sweep_files(path.parent)
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" (did you mean {path.parent / close[0]}?)" if close else ""
