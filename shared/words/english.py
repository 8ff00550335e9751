"""English. A text names its facts in braces, as `str.format` has them; short, active, the subject first."""

from __future__ import annotations

from collections.abc import Mapping

from shared.domain.reason import Code

TEXTS: Mapping[Code, str] = {}
