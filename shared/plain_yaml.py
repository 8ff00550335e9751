"""YAML that a stranger wrote becomes plain values, in little time however it is nested."""

from __future__ import annotations

DEEPEST = 32


def load(content: bytes, *, aliases: bool = True) -> object:
    """The one document; ValueError says why there is none, or that it is nested deeper than `DEEPEST`.

    Without `aliases` a name that stands for what another place says is refused: a small file stands for a large one.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the other takes ten times as long
    try:
        text = content.decode("utf-8-sig")
        depth = 0
        for event in yaml.parse(text, loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise ValueError(f"it is nested more than {DEEPEST} deep")
            if isinstance(event, yaml.AliasEvent) and not aliases:
                raise ValueError(f"it has an alias (*{event.anchor})")
        return loader(text).get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"it is no YAML: {error}") from error
