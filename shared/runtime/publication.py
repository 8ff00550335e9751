"""A definition takes effect in one transaction; releases in flight go on with the one that they began with."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain.loop import LoopState, Overview
from shared.errors import ConfigurationError, InvariantBroken
from shared.loopfile.published import Published
from shared.own import source_text
from shared.ports import Insert, Ports
from shared.runtime import overview_row, unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.state import hash_chain, rows
from shared.state.hash_chain import Draft

if TYPE_CHECKING:
    from shared.loopfile.definition import Serve

log = logging.getLogger("driftloop")


def publish(ports: Ports, published: Published) -> bool:
    """Store the definition and make it the loop's own; False when nothing in it changed. The overview, by which events
    and people find the loop, is made anew where it is missing or differs."""
    definition = published.definition
    _refuse_overlap(ports, published)
    digest = ports.documents.put(published.to_bytes())
    changed = unit_of_work.until_won(lambda: _stored(ports, published, digest))
    current = unit_of_work.read(ports, definition.loop)
    if _described(current, changed=changed):
        ports.store.wake(definition.loop, ports.clock.now())
    return changed


def _stored(ports: Ports, published: Published, digest: str) -> bool:
    loop = published.definition.loop
    if ports.store.read(loop, rows.LOOP) is None:
        _create(ports, published, digest)
        return True
    current = unit_of_work.read(ports, loop)
    _refuse_move(current, published)
    before = _before(current)
    if before and _content(before) == _content(published) and not _first_clean(before, published):
        return False
    _replace(current, published, digest)
    return True


def _content(published: Published) -> tuple[object, ...]:
    """All of it but who published it, when, and from which commit."""
    return published.definition, published.assets, published.environment, published.code


def _first_clean(before: Published, published: Published) -> bool:
    """Whether the same content was published before, but from no commit that has it."""
    is_clean, was_clean = (
        one.commit is not None and one.commit.dirty is False for one in (published, before)
    )
    return is_clean and not was_clean


def _before(current: Unit) -> Published | None:
    """What the loop runs with; None where it is lost or cannot be read: publishing is what mends that."""
    try:
        return current.published()
    except (InvariantBroken, ConfigurationError) as error:
        log.warning("the definition is replaced unread", extra={"loop": current.loop, "error": str(error)})
        return None


def _described(current: Unit, *, changed: bool) -> bool:
    """Whether the overview was made anew, or is to be: a row that cannot be read is for the loop's next run to tell."""
    try:
        release = current.open_release()
        if not changed and not overview_row.differs(current, release):
            return False
        overview_row.describe(current, release)
    except InvariantBroken as error:
        log.warning("a loop cannot be described", extra={"loop": current.loop}, exc_info=error)
    return True


def _create(ports: Ports, published: Published, digest: str) -> None:
    loop = published.definition.loop
    ports.store.describe(Overview(loop=loop, landing=published.definition.data.landing))
    state = LoopState(
        loop=loop, definition=digest, published_by=published.published_by, published_at=published.published_at
    )
    sealed, entries = hash_chain.append(state, [_told(published, "", digest)], ports.clock.now())
    ports.store.commit(
        loop,
        [
            Insert(rows.LOOP, rows.encode(sealed)),
            *(Insert(rows.ledger_key(entry.seq), rows.encode(entry)) for entry in entries),
        ],
    )


def _replace(current: Unit, published: Published, digest: str) -> None:
    before, is_now = _before(current), published.definition.data.target
    state = replace(
        current.state,
        task=current.state.task if before and before.definition.data.target == is_now else "",
        definition=digest,
        published_by=published.published_by,
        published_at=published.published_at,
        waiting_until=None,  # a budget may be another one, or the rest shorter
    )
    current.commit(state, [_told(published, current.state.definition, digest)])


def _told(published: Published, before: str, after: str) -> Draft:
    return Draft(
        "loop.published",
        f"loop {published.definition.loop}",
        published.published_by,
        f"publish-{after[:12]}",
        before=before,
        after=after,
        detail={
            "pipeline": published.assets.pipeline,
            "code": published.assets.code,
            **({"environment": published.environment} if published.environment else {}),
            **({"commit": published.commit.told} if published.commit else {}),
            **{file: source_text.digest(text) for file, text in published.code.items()},
        },
    )


def _refuse_move(current: Unit, published: Published) -> None:
    """What serves, or is on its way, stays where its callers are. Another spelling of the name is refused as well: the
    data collector's folders have the first one."""
    state, serve = current.state, published.definition.serve
    champion = state.champion.release if state.champion else None
    for number in (champion, state.open_release):
        theirs = _serve_of(current, number) if number is not None else None
        if theirs is None or (theirs.type, theirs.endpoint) == (serve.type, serve.endpoint):
            continue
        keep = f"keep `serve.endpoint: {theirs.endpoint}` (`type: {theirs.type}`)"
        if number == champion:
            raise ConfigurationError(
                f"release {number} of loop {current.loop} serves on {theirs.type} endpoint {theirs.endpoint}: {keep}; "
                "for another endpoint publish another loop, with a `loop` and a `data.landing` of its own"
            )
        raise ConfigurationError(
            f"release {number} of loop {current.loop} is open on {theirs.type} endpoint {theirs.endpoint}: {keep}, or "
            f"end it first with `driftloop abort {current.loop}/{number}`"
        )


def _serve_of(current: Unit, number: int) -> Serve | None:
    """Of the definition that a release runs with; None where that is lost or cannot be read."""
    try:
        return current.published(current.release(number)[0].definition).definition.serve
    except (InvariantBroken, ConfigurationError) as error:
        log.warning("where a release serves is unknown", extra={"loop": current.loop, "error": str(error)})
        return None


def _refuse_overlap(ports: Ports, published: Published) -> None:
    """Two loops on one endpoint would fight for its traffic, two on one landing prefix for its drops."""
    definition = published.definition
    for other in ports.store.overviews():
        if other.loop == definition.loop or not other.landing:  # woken, but not described yet
            continue
        if other.endpoint.casefold() == definition.serve.endpoint.casefold():  # Azure's names have no case
            raise ConfigurationError(
                f"endpoint {other.endpoint} belongs to loop {other.loop}; "
                f"give {definition.loop} its own `serve.endpoint`"
            )
        if other.landing.startswith(definition.data.landing) or definition.data.landing.startswith(
            other.landing
        ):
            raise ConfigurationError(
                f"`data.landing` {definition.data.landing} overlaps {other.landing} of loop {other.loop}; "
                "choose another prefix"
            )
