"""What happened, and whether it may have: the judge of recorded runs. Pure: no I/O, no clock.

What is unknown is taken as either: it happened, or it did not.

`judge` decides, for each session: one chain of generations, each with one successor; nothing
accepted whose request began after it was ended and the bound had passed; after a change of roles
the new ones (or later ones); nothing refused as revoked that nobody revoked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from faults.operations import MS, NEVER, Operation, Violation

ROUNDING_MS = 1
"""Stores count whole milliseconds."""
_ENDED = frozenset({"revoked", "refresh_reuse", "refresh_late"})
"""The refusals that say for good: this session is over."""


def judge(history: Iterable[Operation], *, grace_ms: float) -> list[Violation]:
    """Find every broken promise of a run.

    Args:
        history: All operations of all processes, in any order.
        grace_ms: The grace window the run was configured with; 0 is strict.
    """
    operations = sorted(history, key=lambda one: one.start)
    subjects: dict[str, list[Operation]] = defaultdict(list)
    sessions: dict[str, list[Operation]] = defaultdict(list)
    for one in operations:
        if one.name in {"revoke_all", "update"}:
            subjects[one.subject].append(one)
        elif one.sid:
            sessions[one.sid].append(one)
    losses = [one for one in operations if one.name == "store_loss"]
    found: list[Violation] = []
    for of_session in sessions.values():
        login = next((one for one in of_session if one.name == "login" and one.is_ok), None)
        subject = login.subject if login else of_session[0].subject
        of_subject = subjects[subject]
        found += _branches(of_session, grace_ms)
        found += _goes_back(of_session, grace_ms, losses)
        if login is None:
            continue  # whoever signed in never heard of it: what concerned it is not known
        found += _accepted_when_over(login, of_session, of_subject)
        first_end = _first_end(login, of_session, of_subject, grace_ms)
        found += _outdated_roles(login, of_session, of_subject, first_end)
        found += _refused_for_nothing(login, of_session, first_end)
    return found


# --- one chain ------------------------------------------------------------------------------------


def _refreshes(of_session: Sequence[Operation]) -> list[Operation]:
    return [one for one in of_session if one.name == "refresh" and one.is_ok]


def _branches(of_session: Sequence[Operation], grace_ms: float) -> Iterator[Violation]:
    """A generation has one successor; without a window, it is handed out once."""
    first: dict[int | None, Operation] = {}
    for one in _refreshes(of_session):
        before = first.setdefault(one.presented, one)
        if before is one:
            continue
        if not grace_ms:
            yield Violation("strict: one generation was refreshed twice", (before, one))
        elif before.successor != one.successor:
            yield Violation("one generation has two successors", (before, one))


def _goes_back(
    of_session: Sequence[Operation], grace_ms: float, losses: Sequence[Operation]
) -> Iterator[Violation]:
    """What was replaced is not taken again: a generation by its successor, or by the window's end."""
    refreshes = _refreshes(of_session)
    for later in refreshes:
        for earlier in refreshes:
            if earlier.end > later.start or any(
                loss.start < later.end and loss.end > earlier.start for loss in losses
            ):
                continue
            assert earlier.presented is not None
            assert later.presented is not None
            if later.presented < earlier.presented:
                yield Violation("a generation went back", (earlier, later))
            elif later.presented == earlier.presented and (
                later.start > earlier.end + (grace_ms + ROUNDING_MS) * MS
            ):
                yield Violation("a replaced handle was taken after its window", (earlier, later))


# --- over is over ---------------------------------------------------------------------------------


def _accepted_when_over(
    login: Operation, of_session: Sequence[Operation], of_subject: Sequence[Operation]
) -> Iterator[Violation]:
    ends = [one for one in of_session if _says_over(one)]
    # A sign-in that began before the cutoff was stored may be on either side of it.
    ends += [
        one
        for one in of_subject
        if one.name == "revoke_all"
        and one.is_ok
        and login.end <= one.start
        and one.keep != login.sid
    ]
    for one in of_session:
        if not one.accepts:
            continue
        for end in ends:
            if one.start > end.end + _bound_ns(one, end):
                yield Violation("accepted after it was over", (end, one))
                break


def _says_over(one: Operation) -> bool:
    # A refusal that says so is as good as an acknowledgement: whoever refused has read it.
    return (one.is_ok and one.name in {"revoke", "logout"}) or one.code in _ENDED


def _refused_for_nothing(
    login: Operation, of_session: Sequence[Operation], first_end: int
) -> Iterator[Violation]:
    """Nobody is told that a sign-in was ended which nobody can have ended."""
    for one in of_session:
        if one.outcome == "refused" and one.code in _ENDED and one.end <= first_end:
            yield Violation("refused as ended, and nobody ended it", (login, one))


def _first_end(
    login: Operation,
    of_session: Sequence[Operation],
    of_subject: Sequence[Operation],
    grace_ms: float,
) -> int:
    """Give when the first call began that can have ended a session, acknowledged or not."""
    causes = [one.start for one in of_session if one.name in {"revoke", "logout"}]
    for one in of_subject:
        if one.name == "revoke_all" and one.keep != login.sid and login.start < one.end:
            causes.append(one.start)
        if one.name == "update" and login.is_stateless and login.start < one.end:
            causes.append(one.start)
    # A refresh of something replaced ends the session, whatever its own outcome was.
    causes += [
        one.start
        for one in of_session
        if one.name == "refresh" and not one.is_ok and _can_be_reuse(one, of_session, grace_ms)
    ]
    return min(causes, default=NEVER)


def _can_be_reuse(one: Operation, of_session: Sequence[Operation], grace_ms: float) -> bool:
    """Whether somebody else may have replaced the handle long enough before, or twice."""
    assert one.presented is not None
    return any(
        other is not one
        and other.name == "refresh"
        and other.presented is not None
        and other.start < one.end
        and (
            other.presented > one.presented
            or (other.presented == one.presented and one.end - other.start > grace_ms * MS)
        )
        for other in of_session
    )


# --- roles ----------------------------------------------------------------------------------------


def _outdated_roles(
    login: Operation,
    of_session: Sequence[Operation],
    of_subject: Sequence[Operation],
    first_end: int,
) -> Iterator[Violation]:
    """After an acknowledged change the new roles are shown, or later ones."""
    updates = [one for one in of_subject if one.name == "update"]
    if login.is_stateless:
        yield from _outdated_tokens(login, of_session, updates)
        return
    said = [login, *updates]
    for one in of_session:
        if not one.accepts:
            continue
        # Whatever was over before the latest change that must be known began is overwritten.
        latest = max(
            (
                update.start
                for update in updates
                if update.is_ok
                and update.end <= first_end  # what is gone is not changed any more
                and update.end + _bound_ns(one, update) < one.start
            ),
            default=-1,
        )
        holding = [value for value in said if value.start < one.end and value.end > latest]
        if one.roles not in {value.roles for value in holding}:
            yield Violation("roles that had been changed were shown", (*holding, one))


def _outdated_tokens(
    login: Operation, of_session: Sequence[Operation], updates: Sequence[Operation]
) -> Iterator[Violation]:
    for one in of_session:
        for update in updates:
            if (
                one.accepts
                and update.is_ok
                and login.end <= update.start
                and one.start > update.end + _bound_ns(one, update)
            ):
                yield Violation("a token outlived the change of its roles", (update, one))


def _bound_ns(one: Operation, told: Operation) -> float:
    """Give how long after an acknowledgement a process may not know of it.

    Nothing where the store is asked, and in the process that was given the acknowledgement.
    """
    is_told = told.is_ok and told.process == one.process
    return 0 if one.name == "refresh" or is_told else one.max_lag_ms * MS
