"""Reads Bicep files into declarations: what is declared, what is used, and the objects of resources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bicep.language()))
_KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
}


def text(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.named_children:
        yield from walk(child)


@dataclass(frozen=True)
class Declaration:
    """A param, var, resource, module or output."""

    kind: str
    name: str
    node: Node
    described: bool

    @property
    def kind_text(self) -> str:
        """A resource's type and version, a module's path."""
        found = next((child for child in self.node.named_children if child.type == "string"), None)
        return literal(found) or "" if found is not None else ""

    @property
    def existing(self) -> bool:
        return any(child.type == "existing" for child in self.node.children)

    @property
    def body(self) -> Node | None:
        """The object, also under `if` and `for`; of a `var` its value."""
        if self.kind == "var":
            return self.node.named_children[-1]
        node: Node | None = self.node
        while node is not None and node.type != "object":
            inner = ("object", "for_statement", "if_statement")
            node = next((child for child in node.named_children if child.type in inner), None)
        return node

    @property
    def has_default(self) -> bool:
        return self.kind == "param" and len(self.node.named_children) > 2


@dataclass(frozen=True)
class File:
    path: Path
    root: Node
    declarations: tuple[Declaration, ...]

    def of(self, kind: str) -> list[Declaration]:
        return [one for one in self.declarations if one.kind == kind]

    def find(self, name: str) -> Declaration | None:
        return next((one for one in self.declarations if one.name == name and one.kind != "output"), None)


def read(path: Path) -> File:
    root = _PARSER.parse(path.read_bytes()).root_node
    found: list[Declaration] = []
    decorators = ""
    for node in root.named_children:
        if node.type == "decorators":
            decorators = text(node)
        elif node.type in _KINDS:
            name = text(node.named_children[0])
            found.append(Declaration(_KINDS[node.type], name, node, "@description(" in decorators))
            decorators = ""
    return File(path, root, tuple(found))


def literal(node: Node) -> str | None:
    """The text of a string without interpolation, or of a number or boolean."""
    if node.type == "string":
        if any(child.type == "interpolation" for child in node.named_children):
            return None
        return text(node)[1:-1].replace("\\'", "'")
    return text(node) if node.type in {"number", "boolean"} else None


def properties(node: Node) -> dict[str, Node]:
    """Keys and values of an object literal; a key that is computed is `*`."""
    found: dict[str, Node] = {}
    for one in node.named_children:
        if one.type == "object_property":
            key, value = one.named_children[0], one.named_children[-1]
            found[(literal(key) or "*") if key.type == "string" else text(key)] = value
    return found


def identifiers(declaration: Declaration) -> set[str]:
    """Names that the declaration uses: no property, no function, no variable of its own loops."""
    bound, used = set(), set()
    for node in walk(declaration.node):
        children = node.named_children
        skipped = children[:1] if node.type in {"object_property", "call_expression"} else []
        if node.type in {"for_statement", "lambda_expression"}:
            bound.add(text(children[0]))
            skipped = children[:1]
        skipped_ids = {one.id for one in skipped if one.type == "identifier"}
        used |= {text(one) for one in children if one.type == "identifier" and one.id not in skipped_ids}
    return used - bound - {declaration.name}


def functions(file: File) -> set[str]:
    calls = (node for node in walk(file.root) if node.type == "call_expression")
    return {text(call.named_children[0]) for call in calls if call.named_children[0].type == "identifier"}


def problems_of_syntax(file: File) -> list[str]:
    broken: list[str] = []
    stack = [file.root]
    while stack:
        node = stack.pop()
        if node.type == "ERROR" or node.is_missing:
            broken.append(f"{file.path.name}:{node.start_point[0] + 1}: is no Bicep")
        stack += node.children
    return broken
