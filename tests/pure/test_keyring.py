import os
import random

import msgspec
import pytest
from hypothesis import given, strategies as st
from pure.samples import (
    BOTH_SECRETS,
    NOW_MS,
    OTHER_RAW_SECRET,
    OTHER_SECRET,
    SECRET,
    SECRETS,
    some_settings,
)

from sojourn.errors import ConfigurationError
from sojourn.jose import SigningKey
from sojourn.keyring import Ring, RingKey, make_key, unseal
from sojourn.server_secret import ServerSecrets

HOUR_MS = 3_600_000
JWKS_MS = 600_000
SETTINGS = some_settings(key_ttl_seconds=3600, jwks_ttl_seconds=600)
LONGEST_MS = 12 * HOUR_MS


def made(*, signs_from_ms=NOW_MS, now_ms=NOW_MS, settings=SETTINGS, secret=SECRET):
    """A key as the engine makes it."""
    return make_key(
        settings,
        secret,
        signs_from_ms=signs_from_ms,
        now_ms=now_ms,
        longest_token_ms=LONGEST_MS,
        nonce=os.urandom(12),
    )


def bare(kid, *, signs_from_ms, signs_until_ms, dies_at_ms=2**62, alg="ES256"):
    """A key of which only the schedule matters."""
    return RingKey(
        kid=kid,
        alg=alg,
        secret_id="",
        sealed=b"",
        created_at_ms=0,
        signs_from_ms=signs_from_ms,
        signs_until_ms=signs_until_ms,
        dies_at_ms=dies_at_ms,
    )


class TestSchedule:
    def test_the_first_key_signs_at_once(self):
        """An empty ring has no signer, and its first key is due now."""
        assert Ring().signer(alg="ES256", now_ms=NOW_MS) is None
        assert Ring().next_signs_from_ms(SETTINGS, now_ms=NOW_MS) == NOW_MS

    def test_a_key_is_made_for_its_time(self):
        """Its times follow from when it takes over; it stays until its last token is dead."""
        key = made(signs_from_ms=NOW_MS + 5, now_ms=NOW_MS)
        assert (
            key.alg,
            key.secret_id,
            key.created_at_ms,
            key.signs_from_ms,
            key.signs_until_ms,
            key.dies_at_ms,
        ) == (
            "ES256",
            SECRET.id,
            NOW_MS,
            NOW_MS + 5,
            NOW_MS + 5 + HOUR_MS,
            NOW_MS + 5 + HOUR_MS + LONGEST_MS,
        )

    @pytest.mark.parametrize(
        ("at_ms", "expected"), [(-1, None), (0, "a"), (99, "a"), (100, None), (10**9, None)]
    )
    def test_a_key_signs_from_and_never_past_its_time(self, at_ms, expected):
        """Inclusive at the beginning, exclusive at the end: a stale copy of the ring stops too."""
        ring = Ring((bare("a", signs_from_ms=0, signs_until_ms=100),))
        signer = ring.signer(alg="ES256", now_ms=at_ms)
        assert (signer and signer.kid) == expected

    def test_the_newest_that_may_sign_signs(self):
        """Not the oldest (CVE-2025-47278 in Flask), in whatever order the ring lists them."""
        keys = [bare(str(n), signs_from_ms=n, signs_until_ms=1000) for n in range(5)]
        for order in (keys, keys[::-1]):
            signer = Ring(tuple(order)).signer(alg="ES256", now_ms=500)
            assert signer is not None
            assert signer.kid == "4"

    def test_a_key_of_another_algorithm_does_not_sign(self):
        """After a change of algorithm a new key is due at once; the old one only verifies."""
        ring = Ring((bare("a", signs_from_ms=0, signs_until_ms=2**62),))
        settings = some_settings(signing_algorithm="Ed25519")
        assert ring.signer(alg="Ed25519", now_ms=5) is None
        assert ring.next_signs_from_ms(settings, now_ms=5) == 5
        new = bare("b", signs_from_ms=5, signs_until_ms=2**62, alg="Ed25519")
        assert ring.with_key(new, now_ms=5).keys == (*ring.keys, new)

    def test_one_successor_is_enough(self):
        """Once the next key is published, no other is due until it signs."""
        first = made()
        ring = Ring((first,))
        due_ms = first.signs_until_ms - 1
        assert ring.next_signs_from_ms(SETTINGS, now_ms=due_ms) == first.signs_until_ms
        ring = ring.with_key(made(signs_from_ms=first.signs_until_ms), now_ms=due_ms)
        assert ring.next_signs_from_ms(SETTINGS, now_ms=due_ms) is None

    def test_a_key_is_not_due_early(self):
        """A fresh key has its time: no successor right after it."""
        ring = Ring((made(),))
        assert ring.next_signs_from_ms(SETTINGS, now_ms=NOW_MS) is None
        assert ring.next_signs_from_ms(SETTINGS, now_ms=NOW_MS + HOUR_MS // 2) is None

    def test_a_key_taken_over_early_signs_no_longer(self):
        """A rotation by hand ends the current key's signing where the new one's begins."""
        first = made()
        second = made(signs_from_ms=NOW_MS + JWKS_MS)
        ring = Ring((first,)).with_key(second, now_ms=NOW_MS)
        assert [key.signs_until_ms for key in ring.keys] == [
            NOW_MS + JWKS_MS,
            second.signs_until_ms,
        ]
        for at_ms, expected in ((JWKS_MS - 1, first.kid), (JWKS_MS, second.kid)):
            signer = ring.signer(alg="ES256", now_ms=NOW_MS + at_ms)
            assert signer is not None
            assert signer.kid == expected

    def test_the_dead_are_dropped_at_their_time(self):
        """At `dies_at_ms` and not before, when the next key is added."""
        old = bare("old", signs_from_ms=0, signs_until_ms=10, dies_at_ms=100)
        new = bare("new", signs_from_ms=50, signs_until_ms=1000)
        ring = Ring((old,))
        assert [key.kid for key in ring.with_key(new, now_ms=99).keys] == ["old", "new"]
        assert [key.kid for key in ring.with_key(new, now_ms=100).keys] == ["new"]

    def test_a_revoked_key_is_gone_at_once(self):
        """`without` removes exactly the named keys."""
        keys = [bare(str(n), signs_from_ms=n, signs_until_ms=1000) for n in range(3)]
        assert [key.kid for key in Ring(tuple(keys)).without(["0", "2", "x"]).keys] == ["1"]

    @pytest.mark.parametrize("seed", range(20))
    @pytest.mark.parametrize(("key_ttl", "jwks_ttl"), [(3600, 600), (1200, 600), (60, 1)])
    def test_rotation_by_simulated_time(self, seed, key_ttl, jwks_ttl):
        """Ten rotations, looked after at random moments at most `jwks_ttl_seconds` apart.

        There is always a signer and it is the newest able one. Each key but the first was published
        a whole `jwks_ttl_seconds` before it signs, so that every verifier has fetched it. Every
        token's key stays until the token is dead. A process that kept the ring as it was long ago
        signs with nothing that verifiers do not have, and with no key past its time.
        """
        draw = random.Random(seed)
        settings = some_settings(key_ttl_seconds=key_ttl, jwks_ttl_seconds=jwks_ttl)
        longest_ms = draw.choice([60_000, key_ttl * 500, key_ttl * 5000])
        jwks_ms = jwks_ttl * 1000
        now_ms, ring = NOW_MS, Ring()
        first, made_keys = None, 0
        published: dict[str, int] = {}
        tokens: list[tuple[str, int]] = []
        history: list[Ring] = []
        while now_ms < NOW_MS + key_ttl * 10_000:
            signs_from_ms = ring.next_signs_from_ms(settings, now_ms=now_ms)
            if signs_from_ms is not None:
                key = bare(
                    f"k{made_keys}",
                    signs_from_ms=signs_from_ms,
                    signs_until_ms=signs_from_ms + key_ttl * 1000,
                    dies_at_ms=signs_from_ms + key_ttl * 1000 + longest_ms,
                )
                made_keys += 1
                first = first or key.kid
                published[key.kid] = now_ms
                ring = ring.with_key(key, now_ms=now_ms)
                assert all(k.dies_at_ms > now_ms for k in ring.keys)
            signer = ring.signer(alg="ES256", now_ms=now_ms)
            assert signer is not None
            able = [k for k in ring.keys if k.signs_from_ms <= now_ms < k.signs_until_ms]
            assert signer.signs_from_ms == max(k.signs_from_ms for k in able)
            if signer.kid != first:
                assert published[signer.kid] + jwks_ms <= signer.signs_from_ms
            history.append(ring)
            stale = draw.choice(history).signer(alg="ES256", now_ms=now_ms)
            signers = [signer] if stale is None else [signer, stale]
            tokens += [(key.kid, now_ms + longest_ms) for key in signers]
            tokens = [(kid, over_ms) for kid, over_ms in tokens if over_ms > now_ms]
            assert {kid for kid, _ in tokens} <= {key.kid for key in ring.keys}
            now_ms += draw.randint(1, jwks_ms) if jwks_ttl > 1 else draw.randint(500, 1000)
        assert made_keys >= 10

    def test_after_a_long_silence_a_key_signs_at_once(self):
        """Nothing was signed for longer than a key lives: the next has no time to be published."""
        ring = Ring((made(),))
        late_ms = NOW_MS + 2 * HOUR_MS
        assert ring.signer(alg="ES256", now_ms=late_ms) is None
        assert ring.next_signs_from_ms(SETTINGS, now_ms=late_ms) == late_ms


class TestSeal:
    @pytest.mark.parametrize(
        "alg", ["ES256", "ES384", "Ed25519", "EdDSA", "RS256", "PS256", "HS256"]
    )
    def test_what_is_sealed_is_opened(self, alg):
        """The private part comes back with its kid and algorithm, through storage too."""
        key = made(settings=some_settings(signing_algorithm=alg))
        ring = msgspec.msgpack.decode(msgspec.msgpack.encode(Ring((key,))), type=Ring)
        assert ring == Ring((key,))
        (opened,) = unseal(ring.keys, SECRETS)
        assert isinstance(opened, SigningKey)
        assert (opened.kid, opened.alg) == (key.kid, alg)

    def test_the_sealed_key_is_not_readable(self):
        """Neither the record nor its repr holds the private part in the clear."""
        key = made()
        (opened,) = unseal([key], SECRETS)
        private = opened.to_jwk()["d"].encode()
        assert private not in key.sealed
        assert private.decode() not in repr(key)

    @given(st.data())
    def test_an_altered_seal_is_refused(self, data):
        """Any flipped bit, of the nonce, the text or the tag, is noticed."""
        key = made()
        at = data.draw(st.integers(0, len(key.sealed) - 1))
        bit = data.draw(st.integers(0, 7))
        sealed = bytearray(key.sealed)
        sealed[at] ^= 1 << bit
        with pytest.raises(ConfigurationError, match=f"{key.kid} was altered"):
            unseal([msgspec.structs.replace(key, sealed=bytes(sealed))], SECRETS)

    @pytest.mark.parametrize("length", [0, 1, 7, 8, 11, 12, 13, 27, 28, 29, 100])
    def test_a_cut_seal_is_refused(self, length):
        """A record cut short by a bad restore is an altered one, not a crash."""
        key = made()
        with pytest.raises(ConfigurationError, match="was altered in the store"):
            unseal([msgspec.structs.replace(key, sealed=key.sealed[:length])], SECRETS)

    @pytest.mark.parametrize(
        "change", [{"kid": "another"}, {"alg": "ES384"}, {"alg": "HS256"}, {"kid": ""}]
    )
    def test_the_seal_is_bound_to_kid_and_algorithm(self, change):
        """A key cannot be relabelled in the store: kid and algorithm are within the seal."""
        with pytest.raises(ConfigurationError, match="was altered"):
            unseal([msgspec.structs.replace(made(), **change)], SECRETS)

    def test_seals_cannot_be_swapped(self):
        """One key's sealed part under another's name is refused."""
        one, other = made(), made()
        with pytest.raises(ConfigurationError, match="was altered"):
            unseal([msgspec.structs.replace(one, sealed=other.sealed)], SECRETS)

    def test_a_seal_under_a_claimed_secret_is_refused(self):
        """Naming another configured secret does not open it."""
        key = msgspec.structs.replace(made(), secret_id=OTHER_SECRET.id)
        with pytest.raises(ConfigurationError, match="was altered"):
            unseal([key], BOTH_SECRETS)

    def test_an_unknown_secret_is_named_and_the_remedy_told(self):
        """The wrong SOJOURN_SECRET for a store: its id and what to set, and no material."""
        key = made()
        with pytest.raises(ConfigurationError) as caught:
            unseal([key], ServerSecrets(OTHER_RAW_SECRET))
        message = str(caught.value)
        assert f"{key.kid} was sealed under server secret {SECRET.id}" in message
        assert "set SOJOURN_SECRET to the secret this store was made with" in message
        assert OTHER_RAW_SECRET not in message

    def test_rotation_of_the_server_secret(self):
        """Add, promote, re-make, remove: keys under both are opened while both are configured."""
        old, new = made(secret=SECRET), made(secret=OTHER_SECRET)
        promoted = ServerSecrets([OTHER_RAW_SECRET, *["Zr3xVq8Lk2Nw7Tb5Yh9Gd4Js6Mc1Pf0AaXeRuQo"]])
        assert [key.kid for key in unseal([old, new], promoted)] == [old.kid, new.kid]
        removed = ServerSecrets(OTHER_RAW_SECRET)
        assert [key.kid for key in unseal([new], removed)] == [new.kid]
        with pytest.raises(ConfigurationError):
            unseal([old, new], removed)

    def test_two_keys_share_nothing(self):
        """Each key has its own kid, private part and seal."""
        one, other = made(), made()
        assert len({one.kid, other.kid}) == 2
        assert len({one.sealed, other.sealed}) == 2

    def test_no_keys_are_no_error(self):
        """An empty ring opens to nothing."""
        assert unseal([], SECRETS) == []
