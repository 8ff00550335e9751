"""Rules made from a contract of another form, each with the place it came from; nothing is passed over unnamed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from shared.loopfile import yaml_lines as form
from shared.loopfile.contract import unusable
from shared.loopfile.yaml_lines import Document, Mistake, Path, Value


@dataclass
class Translation:
    """A contract on its way to rules."""

    document: Document
    rules: list[tuple[Mapping[str, Value], Path]] = field(default_factory=list)

    def rule(self, path: Path, on_breach: str, **keys: Value) -> None:
        """A rule that stands at `path`; keys without a value are left out."""
        said = {key: value for key, value in keys.items() if value is not None}
        self.rules.append(({**said, "on_breach": on_breach}, path))

    def refuse(self, path: Path, found: object, allowed: str) -> None:
        where = self.document.line(path), form.dotted(path)
        self.document.mistakes.append(Mistake(*where, form.show(found), allowed))

    def pattern(self, value: Value, path: Path) -> None:
        """A pattern that will stand within another is sound by itself."""
        if isinstance(value, str) and (wrong := unusable(value)):
            self.refuse(path, value, f"a regular expression (RE2): {wrong}")

    def section(self, value: Value, path: Path) -> Mapping[str, Value]:
        """A mapping, or a mistake and an empty one; nothing is empty."""
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self.refuse(path, value, "keys with values")
        return {}

    def items(self, value: Value, path: Path) -> Iterator[tuple[Value, Path]]:
        """The elements of a list with their places, or a mistake and none; nothing is empty."""
        if isinstance(value, tuple):
            yield from ((item, (*path, n)) for n, item in enumerate(value))
        elif value is not None:
            self.refuse(path, value, "a list")

    def only(self, section: Mapping[str, Value], path: Path, known: Collection[str]) -> None:
        """Every other key is a mistake: what is not understood is not silently left unchecked."""
        for key, value in section.items():
            says_nothing = value is None or value is False or value == () or value == {}
            if key not in known and not says_nothing:
                self.refuse(
                    (*path, key), value, "nothing: Driftloop cannot check this; take it out of the contract"
                )
