"""doctor: whether what serves is scaled as its loop file says, and what scaled deployments that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.diagnosis import BROKEN, OK, WARNING, Finding

if TYPE_CHECKING:
    from shared.checkup.platform_checkup import Surroundings
    from shared.domain.loop import Overview
    from shared.ports import Ports


def examined(around: Surroundings, ports: Ports, group: str, overview: Overview) -> Iterator[Finding]:
    """`group`: where this deployment of Driftloop makes autoscale settings; empty: nowhere."""
    from shared.runtime import unit_of_work

    check, current = f"scaling of {overview.endpoint}", unit_of_work.read(ports, overview.loop)
    serve = current.published().definition.serve
    if serve.type == "batch":
        return
    wanted = serve.autoscale
    if not group:
        if wanted:
            words = "serve.autoscale is in the loop file, and the app may make no autoscale setting"
            yield Finding(check, BROKEN, words, "azd env set DRIFTLOOP_AUTOSCALE on, then azd provision")
        return
    scaled = around.scaled(group, overview.endpoint)
    there = ports.serving.endpoint_state(overview.endpoint) != "missing"
    names = set(ports.serving.deployments(overview.endpoint)) if there else set()
    left = sorted(setting for setting, name in scaled.items() if name not in names)
    if left:
        words = f"autoscale settings of deployments that are gone: {', '.join(left)}"
        yield Finding(check, WARNING, words, f"az monitor autoscale delete -g {group} -n NAME, for each")
    champion = current.state.champion.deployment if current.state.champion else ""
    if wanted and champion in names and champion not in scaled.values():
        words = f"nothing scales {champion}, which serves: it was deployed without, or somebody took it away"
        yield Finding(check, WARNING, words, f"driftloop retrain {overview.loop}: the next release is scaled")
    elif wanted and not left:
        yield Finding(check, OK, f"scaled: {', '.join(sorted(scaled.values())) or 'nothing serves yet'}")
