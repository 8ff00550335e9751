"""A component's command line with its placeholders filled in, as Azure ML fills them: as text, unquoted."""

from __future__ import annotations

import re
from collections.abc import Mapping

from local.jobs.exceptions import StepFailed

_OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$\{\{\s*(inputs|outputs|search_space)\.([\w.\-]+)\s*\}\}")


def render(
    template: str, inputs: Mapping[str, str], outputs: Mapping[str, str], search: Mapping[str, str]
) -> str:
    """Fill `${{inputs.x}}`, `${{outputs.x}}`, `${{search_space.x}}`; drop `$[[..]]` without its input."""
    values = {"inputs": {**inputs, **search}, "outputs": outputs, "search_space": search}

    def optional(match: re.Match[str]) -> str:
        known = all(name in values[group] for group, name in _PLACEHOLDER.findall(match[1]))
        return match[1] if known else ""

    def placeholder(match: re.Match[str]) -> str:
        group, name = match.groups()
        if name not in values[group]:
            raise StepFailed(f"The command uses ${{{{{group}.{name}}}}}, which the step does not have.")
        return values[group][name]

    return _PLACEHOLDER.sub(placeholder, _OPTIONAL.sub(optional, template))
