"""The machine sizes of the region: what jobs and deployments may ask for."""

from __future__ import annotations

SIZES = {
    "Standard_DS2_v2": ("standardDSv2Family", 2),
    "Standard_DS3_v2": ("standardDSv2Family", 4),
    "Standard_DS4_v2": ("standardDSv2Family", 8),
    "Standard_D2_v2": ("standardDv2Family", 2),
    "Standard_D2s_v3": ("standardDSv3Family", 2),
    "Standard_D4s_v3": ("standardDSv3Family", 4),
    "Standard_E4s_v3": ("standardESv3Family", 4),
    "Standard_F2s_v2": ("standardFSv2Family", 2),
    "Standard_F4s_v2": ("standardFSv2Family", 4),
}
"""Size -> family and cores."""

_BY_NAME = {name.lower(): name for name in SIZES}


def size_of(name: str) -> str | None:
    """The size as Azure spells it; None when the region does not have it."""
    return _BY_NAME.get(name.lower())
