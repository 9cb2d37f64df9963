"""The sweep file as a JSON schema, by which editors complete, explain and check it.

Keys, types, ranges and defaults are those of the dataclasses and of the environments' signatures, descriptions those of
their docstrings: nothing is said twice. The schema is of draft 7 and has no references, which every editor can read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeAlias, get_origin, get_type_hints

from pydantic import TypeAdapter

from distmarl.config.checking import is_section, key_types
from distmarl.config.grids import GRID_EXPERIMENT_KEYS, GRID_SECTIONS
from distmarl.model.options import DEFAULT_ENVIRONMENT, SweepFile

Schema: TypeAlias = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
DESCRIPTION = "What python -m distmarl.sweep runs. Every key has a default."
USER_FUNCTION = r"^[^:]+:.+$"
# One whose keys are all commented out is null.
SECTION = ["object", "null"]
GRID_OF_ENVIRONMENT = r"^environment\.[^.]+$"


def sweep_schema(environments: Mapping[str, Callable[..., Any]]) -> Schema:
    """Return the JSON schema of sweep files.

    Parameters
    ----------
    environments : mapping of str to callable
        The built-in environments: their parameters are keys of the section ``environment``. A user's
        own environment may have any keys.
    """
    schema = _object_schema(SweepFile)
    keys = schema["properties"]
    del keys["name"]["default"]  # it is the file's own name
    name = _name_schema(environments)
    keys["environment"] |= {"type": SECTION, "properties": {"name": name}}
    keys["grid"] = _grid_schema(keys, name, environments)
    return {
        "$schema": DIALECT,
        "title": "distmarl sweep",
        **schema,
        "description": DESCRIPTION,
        "allOf": [_built_in_schema(name, function) for name, function in environments.items()],
    }


def described_names(item: Any, heading: str) -> dict[str, str]:
    """Return the names under a heading of a numpydoc docstring, with their descriptions."""
    lines = (inspect.getdoc(item) or "").splitlines()
    descriptions: dict[str, str] = {}
    names: list[str] = []
    for line in lines[lines.index(heading) + 2 :] if heading in lines else []:
        if not line:
            break
        if line.startswith(" "):
            text = line.strip().replace("``", "`")
            descriptions |= {name: f"{descriptions.get(name, '')} {text}".lstrip() for name in names}
        else:
            names = line.partition(" : ")[0].split(", ")
    return descriptions


def _object_schema(section: type) -> Schema:
    """Return the schema of a section, or of the whole sweep file with its sections."""
    kinds, descriptions = key_types(section), described_names(section, "Attributes")
    properties: dict[str, Schema] = {}
    for field in fields(section):
        kind = kinds[field.name]
        if is_section(kind):
            properties[field.name] = {"description": _summary(kind), **_object_schema(kind), "type": SECTION}
            continue
        schema = _type_schema(kind)
        if get_origin(kind) is dict:
            schema["type"] = SECTION
        if field.default is not MISSING:
            schema["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
        properties[field.name] = {"description": descriptions[field.name], **dict(sorted(schema.items()))}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _type_schema(kind: Any) -> Schema:
    """Return the schema of a type, in draft 7."""
    return _in_draft_7(TypeAdapter(kind).json_schema())


def _in_draft_7(schema: Any) -> Any:
    """Return a schema of pydantic's in an older dialect, without its titles, and the same from all of its versions."""
    if isinstance(schema, list):
        return [_in_draft_7(item) for item in schema]
    if isinstance(schema, float) and schema.is_integer():
        return int(schema)  # a bound of 0 may be written 0.0
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    if kept.get("additionalProperties") is True:
        del kept["additionalProperties"]  # what is so anyway is only said at times
    return {"items" if key == "prefixItems" else key: _in_draft_7(value) for key, value in kept.items()}


def _name_schema(environments: Mapping[str, Callable[..., Any]]) -> Schema:
    """Return the schema of an environment's name."""
    return {
        "description": "A built-in environment, or a function of one's own as `package.module:function`.",
        "anyOf": [{"enum": list(environments)}, {"type": "string", "pattern": USER_FUNCTION}],
        "default": DEFAULT_ENVIRONMENT,
    }


def _grid_schema(keys: Mapping[str, Schema], name: Schema, environments: Mapping[str, Callable[..., Any]]) -> Schema:
    """Return the schema of the grid: sections, or keys of them, each with a list of values."""
    varied = {f"{section}.{key}": keys[section]["properties"][key] for section, key in _grid_keys(keys)}
    sections = {section: {**keys[section], "type": "object"} for section in GRID_SECTIONS}
    sections["environment"]["allOf"] = [_value_schema(*each) for each in environments.items()]
    values = {**sections, "environment.name": name, **varied}
    return {
        **keys["grid"],
        "type": SECTION,
        "properties": {key: _values_schema(schema) for key, schema in values.items()},
        "patternProperties": {GRID_OF_ENVIRONMENT: _values_schema({})},
        "additionalProperties": False,
    }


def _grid_keys(keys: Mapping[str, Schema]) -> list[tuple[str, str]]:
    """Return the sections and keys that a grid may vary, but for the environment's."""
    sections = [section for section in GRID_SECTIONS if section != "environment"]
    pairs = [(section, key) for section in sections for key in keys[section]["properties"]]
    return [*pairs, *(("experiment", key) for key in GRID_EXPERIMENT_KEYS)]


def _values_schema(key: Schema) -> Schema:
    """Return the schema of a key's values in a grid."""
    description = {"description": key["description"]} if "description" in key else {}
    items = {name: value for name, value in key.items() if name not in ("description", "default")}
    return {**description, "type": "array", "items": items, "minItems": 1, "uniqueItems": True}


def _built_in_schema(name: str, function: Callable[..., Any]) -> Schema:
    """Return what holds of a sweep file whose environment is a built-in one, and not varied by the grid."""
    parameters = parameter_schemas(function)
    varied = {f"environment.{key}": _values_schema(schema) for key, schema in parameters.items()}
    others = {"not": {"pattern": GRID_OF_ENVIRONMENT}}
    is_named: Schema = {"properties": {"name": {"const": name}}}
    varies_game = {"anyOf": [{"required": ["environment.name"]}, {"required": ["environment"]}]}
    condition: Schema = {"properties": {"environment": is_named, "grid": {"not": varies_game}}}
    if name != DEFAULT_ENVIRONMENT:
        is_named["required"], condition["required"] = ["name"], ["environment"]
    return {
        "if": condition,
        "then": {
            "properties": {
                "environment": {"properties": {"name": {}, **parameters}, "additionalProperties": False},
                "grid": {"properties": varied, "propertyNames": {"anyOf": [{"enum": list(varied)}, others]}},
            }
        },
    }


def _value_schema(name: str, function: Callable[..., Any]) -> Schema:
    """Return what holds of a value of the section ``environment`` in a grid that names a built-in game."""
    keys = {"name": {}, **parameter_schemas(function)}
    is_named = {"properties": {"name": {"const": name}}, "required": ["name"]}
    return {"if": is_named, "then": {"properties": keys, "additionalProperties": False}}


def parameter_schemas(function: Callable[..., Any]) -> dict[str, Schema]:
    """Return the schemas of a function's parameters, with the ranges that their annotations tell."""
    annotations = get_type_hints(function, include_extras=True)
    descriptions = described_names(function, "Parameters")
    return {
        name: {
            "description": descriptions[name],
            **_type_schema(annotations[name]),
            "default": parameter.default,
        }
        for name, parameter in inspect.signature(function).parameters.items()
    }


def _summary(item: Any) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(item) or "").partition("\n")[0]
