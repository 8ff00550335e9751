"""A route template of ASP.NET, as the HTTP trigger takes it, tells whether a path is its own."""

import re
from dataclasses import dataclass

from local.host.errors import AppRefused

_PARAMETER = re.compile(
    r"\{(\*{0,2})([A-Za-z_][A-Za-z0-9_]*)((?::[a-z]+(?:\((?:[^()]|\([^()]*\))*\))?)*)(\?)?\}"
)
_CONSTRAINT = re.compile(r":([a-z]+)(?:\(((?:[^()]|\([^()]*\))*)\))?")
_PATTERNS = {
    "int": r"-?\d+",
    "long": r"-?\d+",
    "alpha": r"[A-Za-z]+",
    "guid": r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "bool": r"(?:[Tt]rue|[Ff]alse|TRUE|FALSE)",
    "decimal": r"-?\d+(?:\.\d+)?",
    "datetime": r"\d{4}-\d{2}-\d{2}(?:[T ][0-9:.Z+-]*)?",
}


@dataclass(frozen=True)
class Route:
    """One template, compiled."""

    template: str
    pattern: re.Pattern[str]
    shape: str
    rank: tuple[int, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The route's parameters when the path is its own, else None."""
        found = self.pattern.fullmatch(path.strip("/"))
        return None if found is None else {k: v for k, v in found.groupdict().items() if v is not None}


def compile_route(template: str, function: str) -> Route:
    """Compile a template; AppRefused when the host would not take it."""
    if template.startswith(("/", "~")):
        raise AppRefused(f"function {function}: the route {template!r} must not begin with '/' or '~'")
    first = template.split("/")[0].lower()
    if first.startswith(("admin", "runtime")):
        raise AppRefused(
            f"function {function}: the route {template!r} begins with {first!r}, which is the host's own"
        )
    segments = [s for s in template.split("/") if s] if template else []
    expressions, shape, rank = [], [], []
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        expression, form, weight = _segment(segment, last, template, function)
        expressions.append(expression if position else expression.removeprefix("/").replace("(?:/", "(?:", 1))
        shape.append(form)
        rank.append(weight)
    try:
        pattern = re.compile("".join(expressions), re.IGNORECASE)
    except re.error as error:
        raise AppRefused(f"function {function}: the route {template!r} is not valid: {error}") from None
    return Route(template, pattern, "/".join(shape).lower(), tuple(rank))


def _segment(segment: str, last: bool, template: str, function: str) -> tuple[str, str, int]:
    """The expression of one segment, its form without names, and its rank: what is fixed comes first."""
    if "{" not in segment and "}" not in segment:
        return "/" + re.escape(segment), segment, 0
    found = _PARAMETER.fullmatch(segment)
    if found is None:
        raise AppRefused(
            f"function {function}: the route {template!r} has the segment {segment!r}; the local host knows "
            "fixed text, {name}, {name:constraint}, {name?} and {*rest}, one to a segment"
        )
    stars, name, constraints, optional = found.groups()
    if stars or optional:
        if not last:
            raise AppRefused(
                f"function {function}: {segment!r} must be the last segment of the route {template!r}"
            )
        inner = ".*" if stars else _constrained(constraints, function)
        return f"(?:/(?P<{name}>{inner}))?", "{*}" if stars else "{?}", 3 if stars else 2
    return f"/(?P<{name}>{_constrained(constraints, function)})", "{}" + constraints, 1 if constraints else 2


def _constrained(constraints: str, function: str) -> str:
    looks = ""
    for name, argument in _CONSTRAINT.findall(constraints):
        looks += f"(?={_one(name, argument, function)}(?:/|$))"
    return looks + "[^/]+"


def _one(name: str, argument: str, function: str) -> str:
    if name in _PATTERNS and not argument:
        return _PATTERNS[name]
    if name == "regex" and argument:
        return argument.replace("{{", "{").replace("}}", "}").removeprefix("^").removesuffix("$")
    lengths = [int(part) for part in argument.split(",")] if re.fullmatch(r"\d+(,\d+)?", argument) else []
    if name == "length" and lengths:
        return f"[^/]{{{lengths[0]},{lengths[-1]}}}"
    if name == "minlength" and len(lengths) == 1:
        return f"[^/]{{{lengths[0]},}}"
    if name == "maxlength" and len(lengths) == 1:
        return f"[^/]{{0,{lengths[0]}}}"
    raise AppRefused(f"function {function}: the route constraint {name!r} is not known to the local host")
