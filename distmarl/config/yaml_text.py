"""YAML as text: what is read is plain data, and what is written reads back the same elsewhere, too.

Sweep files are YAML 1.2, of which JSON is a part. PyYAML, and with it most of Python, reads YAML 1.1, to which
``off`` is false and ``1e-06`` is text: what is written here means the same in both.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode
from ruamel.yaml.representer import SafeRepresenter
from ruamel.yaml.resolver import VersionedResolver

__all__ = ["YAMLError", "composed", "decoded", "describe_error", "dump_yaml", "load_yaml"]

TAG = "tag:yaml.org,2002:"
NOT_PLAIN = ("binary", "set", "omap", "pairs")
# How files begin that are no UTF-8 text, and what to do about them.
FOREIGN = {
    b"\xff\xfe": "it is UTF-16, which Windows PowerShell writes; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
    b"\x1f\x8b": "it is compressed; unpack it with gunzip",
}


class PlainConstructor(SafeConstructor):
    """What makes data of YAML: what JSON knows and nothing else. A date is text, as it is in JSON."""

    def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:
        """Refuse a key that is given twice, naming both lines."""
        try:
            return bool(super().check_mapping_key(node, key_node, mapping, key, value))
        except DuplicateKeyError:
            first = next(each for each, _ in node.value if each.value == key_node.value)
            problem = f"{key_node.value} is given twice, first in line {first.start_mark.line + 1}; keep one of them"
            raise MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark) from None

    def refuse_tag(self, node: Any) -> Any:
        """Refuse a value whose tag would make it something else than plain data."""
        tag = str(node.tag).replace(TAG, "!!")
        problem = f"the tag {tag} is not known; write numbers, text, lists and mappings without tags"
        raise MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


PlainConstructor.add_constructor(f"{TAG}timestamp", PlainConstructor.construct_yaml_str)
for _tag in (*(f"{TAG}{name}" for name in NOT_PLAIN), None):
    PlainConstructor.add_constructor(_tag, PlainConstructor.refuse_tag)


class PortableRepresenter(SafeRepresenter):
    """What makes YAML of data, so that it means the same in YAML 1.1 and 1.2."""

    def represent_float(self, data: float) -> ScalarNode:
        """Write a number with a point, without which YAML 1.1 takes an exponent for text."""
        node = super().represent_float(data)
        if "e" in node.value and "." not in node.value:
            node.value = node.value.replace("e", ".0e")
        return node

    def represent_str(self, data: str) -> ScalarNode:
        """Quote what YAML 1.1 takes for something else than text, such as ``off`` and ``12:30``."""
        is_text = str(_resolver_1_1().resolve(ScalarNode, data, (True, False))) == f"{TAG}str"
        return self.represent_scalar(f"{TAG}str", data, style=None if is_text else "'")


PortableRepresenter.add_representer(float, PortableRepresenter.represent_float)
PortableRepresenter.add_representer(str, PortableRepresenter.represent_str)


def decoded(content: bytes) -> str:
    """Return a file's text; raise ValueError with what is wrong, after the line if it is one, where it is none."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        for start, problem in FOREIGN.items():
            if content.startswith(start):
                raise ValueError(f": cannot be read: {problem}") from None
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f":{line}: cannot be read: it is not UTF-8 text; save it as UTF-8") from None


def load_yaml(text: str) -> Any:
    """Return what a YAML text holds; raise YAMLError where it is none."""
    yaml = _yaml()
    yaml.Constructor = PlainConstructor
    return yaml.load(text)


@functools.lru_cache(maxsize=1)
def composed(text: str) -> Node | None:
    """Return a text's nodes, which know their lines."""
    return _yaml().compose(text) if text else None


def dump_yaml(mapping: Mapping[str, Any]) -> str:
    """Return a nested mapping as YAML text that reads back the same."""
    yaml = _yaml()
    yaml.Representer = PortableRepresenter
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    stream = io.StringIO()
    yaml.dump(dict(mapping), stream)
    return stream.getvalue()


def describe_error(error: YAMLError, *, with_line: bool = True) -> str:
    """Return what is wrong with a YAML text, after its line."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        problem = (error.problem or "it is malformed").strip()
        if problem == "but found another document":
            problem = "it holds several documents; --- may stand before the first alone"
        line = f":{error.problem_mark.line + 1}" if with_line else ""
        return f"{line}: is not valid YAML: {problem}"
    return ": is not valid YAML"


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


@functools.cache
def _resolver_1_1() -> VersionedResolver:
    return VersionedResolver(version=(1, 1))
