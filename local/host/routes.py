"""A route template of ASP.NET, as the HTTP trigger takes it, tells whether a path is its own."""

import re
from dataclasses import dataclass

from local.host.errors import FunctionRefused, HostJsonRefused

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
    bits: dict[str, int]
    """How many bits a parameter that is a whole number may have."""

    def match(self, path: str) -> dict[str, str] | None:
        """The route's parameters when the path, without its first slash, is its own; else None."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        parameters = {name: value for name, value in found.groupdict().items() if value}
        for name, bits in self.bits.items():
            if name in parameters and not -(2 ** (bits - 1)) <= int(parameters[name]) < 2 ** (bits - 1):
                return None
        return parameters


def compile_route(template: str, function: str, prefix: str = "") -> Route:
    """Compile a template, as written below the routePrefix; AppRefused when the host would not take it.

    Without a routePrefix a first '/' falls away, so that "/" is the root; below one it makes two in a row, which stops
    the whole host (azure-webjobs-sdk-extensions, WebJobsRouteBuilder.BuildRouteTemplate; aspnetcore,
    RoutePatternParser.TrimPrefix).
    """
    if template.startswith("~") or (prefix and template.startswith("/")):
        raise HostJsonRefused(
            f"function {function}: the route {template!r} must not begin with '/' below a routePrefix, nor with '~'"
        )
    template = template.removeprefix("/")
    first = template.split("/")[0].lower()
    if first.startswith(("admin", "runtime")):
        raise FunctionRefused(
            f"function {function}: the route {template!r} begins with {first!r}, which is the host's own"
        )
    segments = [s for s in template.split("/") if s] if template else []
    expressions, shape = [], []
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        expression, form = _segment(segment, last, template, function)
        expressions.append(expression if position else expression.removeprefix("/").replace("(?:/", "(?:", 1))
        shape.append(form)
    end = "" if segments and "{*" in segments[-1] else "/?"  # only {*rest} keeps a slash at the end
    try:
        pattern = re.compile("".join(expressions) + end, re.IGNORECASE)
    except re.error as error:
        raise FunctionRefused(f"function {function}: the route {template!r} is not valid: {error}") from None
    return Route(template, pattern, "/".join(shape).lower(), _bits(segments))


def _bits(segments: list[str]) -> dict[str, int]:
    found = [match for segment in segments if (match := _PARAMETER.fullmatch(segment))]
    whole = {match[2]: {name for name, _ in _CONSTRAINT.findall(match[3])} for match in found}
    return {n: 32 if "int" in kinds else 64 for n, kinds in whole.items() if kinds & {"int", "long"}}


def _segment(segment: str, last: bool, template: str, function: str) -> tuple[str, str]:
    """The expression of one segment, and its form without names."""
    if "{" not in segment and "}" not in segment:
        return "/" + re.escape(segment), segment
    found = _PARAMETER.fullmatch(segment)
    if found is None:
        raise FunctionRefused(
            f"function {function}: the route {template!r} has the segment {segment!r}; the local host knows "
            "fixed text, {name}, {name:constraint}, {name?} and {*rest}, one to a segment (Azure knows more)"
        )
    stars, name, constraints, optional = found.groups()
    if stars or optional:
        if not last:
            raise FunctionRefused(
                f"function {function}: {segment!r} must be the last segment of the route {template!r}"
            )
        inner = ".*" if stars else _constrained(constraints, function)
        return f"(?:/(?P<{name}>{inner}))?", "{*}" if stars else "{?}"
    return f"/(?P<{name}>{_constrained(constraints, function)})", "{}" + constraints


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
    raise FunctionRefused(
        f"function {function}: the route constraint {name!r} is not known to the local host"
    )
