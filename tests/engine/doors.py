"""Doors for tests: proofs are plain words, the old sessions a dictionary."""

from dataclasses import dataclass, field

from sojourn.arrivals import Arrival
from sojourn.messages import Incoming

YEAR_SECONDS = 365 * 86_400


@dataclass
class OldSessions:
    """A cookie door: ``old=WORD`` stands for the subject in `sessions`."""

    sessions: dict[str, str] = field(default_factory=dict)
    name: str = "old"
    longest_seconds: int = 30 * 86_400
    closed: list[tuple[str, int]] = field(default_factory=list)
    fails_to_close: bool = False
    arrival: dict = field(default_factory=dict)

    def knock(self, incoming: Incoming, *, now_ms: int) -> Arrival | None:
        for pair in incoming.cookies.split("; "):
            name, _, word = pair.partition("=")
            if name == "old" and word in self.sessions:
                return Arrival(
                    subject=self.sessions[word],
                    proof=word,
                    remove_cookies=("old=; Max-Age=0; Path=/",),
                    **self.arrival,
                )
        return None

    def close_behind(self, arrival: Arrival, *, after_seconds: int) -> None:
        if self.fails_to_close:
            raise OSError("the old store is away")
        self.closed.append((arrival.proof, after_seconds))


@dataclass
class OldTokens:
    """A token door: ``access.SUBJECT.EXPIRY`` and ``refresh.SUBJECT.WORD``."""

    name: str = "old-jwt"
    longest_seconds: int = YEAR_SECONDS

    def read_access(self, token_text: str, *, now_ms: int) -> Arrival | None:
        kind, _, rest = token_text.partition(".")
        subject, _, expiry = rest.partition(".")
        if kind != "access" or int(expiry) * 1000 <= now_ms:
            return None
        return Arrival(
            subject=subject,
            proof=token_text,
            expires_at=int(expiry),
            roles=frozenset({"editor"}),
            scopes=frozenset({"notes"}),
            claims={"plan": "pro"},
        )

    def read_refresh(self, token_text: str, *, now_ms: int) -> Arrival | None:
        kind, _, rest = token_text.partition(".")
        if kind != "refresh":
            return None
        return Arrival(subject=rest.partition(".")[0], proof=token_text, auth_time=now_ms // 1000)
