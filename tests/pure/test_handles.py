import base64
import os
import string
from zlib import crc32

import pytest
from hypothesis import example, given, strategies as st
from pure.samples import (
    BOTH_SECRETS,
    OTHER_RAW_SECRET,
    OTHER_SECRET,
    OTHER_SID,
    SECRET,
    SECRETS,
    SEED,
    SID,
)

from sojourn.handles import (
    MAX_GENERATION,
    SEED_BYTES,
    Handle,
    is_authentic,
    is_sid,
    mint,
    new_sid,
    parse,
    shard_of_sid,
    shard_of_subject,
)
from sojourn.model import Purpose
from sojourn.server_secret import ServerSecrets

ALPHABET = string.ascii_letters + string.digits + "-_"
sids = st.builds(new_sid, st.integers(0, 255), st.binary(min_size=15, max_size=15))
seeds = st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES)
generations = st.integers(1, MAX_GENERATION)
purposes = st.sampled_from(Purpose)


def minted(purpose=Purpose.REFRESH, sid=SID, generation=3, seed=SEED, secret=SECRET):
    """A handle, varied where a test says so."""
    return mint(secret, purpose=purpose, sid=sid, generation=generation, seed=seed)


def is_accepted(text, seed=SEED, secrets=SECRETS):
    """Whether a presented text is a handle of the seed's session."""
    handle = parse(text)
    return handle is not None and is_authentic(handle, seed=seed, secrets=secrets)


def with_checksum(text):
    """Mend the checksum of a handle that was tampered with, as an attacker would."""
    body = base64.urlsafe_b64decode(text[6:])[:56]
    return (
        text[:6]
        + base64.urlsafe_b64encode(body + crc32(text[:6].encode() + body).to_bytes(4)).decode()
    )


# --- round trip -----------------------------------------------------------------------------------


@given(purposes, sids, generations, seeds)
def test_what_is_minted_is_parsed_and_authentic(purpose, sid, generation, seed):
    """Each part comes back from the text, and the MAC verifies under the seed."""
    handle = parse(mint(SECRET, purpose=purpose, sid=sid, generation=generation, seed=seed))
    assert handle is not None
    assert (handle.purpose, handle.sid, handle.generation, handle.secret_id) == (
        purpose,
        sid,
        generation,
        SECRET.id,
    )
    assert is_authentic(handle, seed=seed, secrets=SECRETS) is True


@given(purposes, sids, generations, seeds)
def test_a_successor_is_derived_not_drawn(purpose, sid, generation, seed):
    """A repeated refresh derives the same successor again: minting is deterministic."""
    each = {
        mint(SECRET, purpose=purpose, sid=sid, generation=generation, seed=seed) for _ in range(3)
    }
    assert len(each) == 1


def test_the_format_is_fixed_for_good():
    """Handles in browsers outlive an upgrade, so this very text must stay this very handle."""
    assert (
        minted()
        == "sj_r1_AAECAwQFBgcICQoLDA0ODwAAAAMu9K0ambU-CZgxap53_NKe8G3rRMZ39ZAUODF8RnV-oR2gZoHv0DIh"
    )
    assert len(minted()) == 86


@pytest.mark.parametrize("generation", [1, 2, 255, 256, 65_536, MAX_GENERATION])
def test_generations_up_to_the_last(generation):
    """32 bits of generation: a rotation each second lasts 136 years."""
    handle = parse(minted(generation=generation))
    assert handle is not None
    assert handle.generation == generation


# --- forgery --------------------------------------------------------------------------------------


def test_every_one_character_change_is_refused_before_any_look_up():
    """All 86 by 63 substitutions within the alphabet: the checksum or the form refuses each."""
    text = minted()
    survivors = [
        changed
        for at in range(len(text))
        for character in ALPHABET
        if (changed := text[:at] + character + text[at + 1 :]) != text
        and parse(changed) is not None
    ]
    assert survivors == []


def test_every_one_character_change_with_a_mended_checksum_fails_its_mac():
    """The checksum proves nothing: an attacker who mends it is stopped by the MAC, each time."""
    text = minted()
    accepted = []
    for at in range(6, 80):
        for character in ALPHABET:
            changed = with_checksum(text[:at] + character + text[at + 1 :])
            if changed != text and is_accepted(changed, secrets=BOTH_SECRETS):
                accepted.append(changed)
    assert accepted == []


@given(st.integers(0, 85), st.characters(exclude_categories=()))
def test_any_character_at_any_place_is_refused(at, character):
    """The same for characters outside the alphabet, look-alikes and control characters included."""
    text = minted()
    changed = text[:at] + character + text[at + 1 :]
    assert is_accepted(changed) == (changed == text)


@given(st.integers(0, 86), st.text(min_size=1, max_size=3))
def test_nothing_can_be_inserted(at, inserted):
    """No white space, padding, newline or comment is tolerated within or around a handle."""
    text = minted()
    assert parse(text[:at] + inserted + text[at:]) is None


@given(st.integers(0, 85), st.integers(1, 86))
def test_nothing_can_be_left_out(at, count):
    """A shortened handle is no handle."""
    text = minted()
    assert parse(text[:at] + text[at + count :]) is None


@given(st.text() | st.text(alphabet=ALPHABET, min_size=80, max_size=80).map("sj_r1_".__add__))
@example("")
@example("sj_")
@example("sj_r1_" + "=" * 80)
@example("sj_r1_" + "A" * 80)
def test_garbage_is_none(text):
    """Anything that was never a handle is None, without an exception and without a look-up."""
    assert parse(text) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n",
        lambda text: text + "=",
        lambda text: text + "==",
        lambda text: " " + text,
        lambda text: text.replace("sj_", "SJ_"),
        lambda text: text.replace("1_", "2_", 1),
        lambda text: text[:6] + text[6:].replace("-", "+").replace("_", "/"),
        lambda text: text[:6] + "ｓ" + text[7:],
        lambda text: text[:6] + text[6:].swapcase(),
        lambda text: text + "\x00",
        lambda text: text + text,
    ],
)
def test_a_handle_has_exactly_one_spelling(change):
    """Padding, newline, the other base64 alphabet, other case and versions are not taken."""
    text = next(t for t in (minted(generation=g) for g in range(1, 200)) if {*"-_"} < {*t[6:]})
    assert parse(text) is not None
    assert parse(change(text)) is None


def test_no_two_texts_decode_to_one_handle():
    """60 bytes are exactly 80 characters: no trailing bits are free, so re-encoding is identity."""
    for generation in range(1, 500):
        text = minted(generation=generation)
        raw = base64.urlsafe_b64decode(text[6:])
        assert len(raw) == 60
        assert base64.urlsafe_b64encode(raw).decode() == text[6:]


def test_purposes_never_interchange():
    """A handle relabelled for another purpose fails, checksum mended or not."""
    accepted = []
    for purpose in Purpose:
        text = minted(purpose=purpose)
        for other in set(Purpose) - {purpose}:
            relabelled = f"sj_{other}1_" + text[6:]
            assert parse(relabelled) is None
            mended = with_checksum(relabelled)
            assert parse(mended) is not None
            accepted += [mended] if is_accepted(mended) else []
    assert accepted == []


def test_the_secret_of_each_purpose_differs():
    """The same session and generation give unrelated MACs for session, refresh and guest."""
    macs = {getattr(parse(minted(purpose=purpose)), "mac", None) for purpose in Purpose}
    assert len(macs) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"sid": OTHER_SID},
        {"generation": 4},
        {"generation": 2},
        {"seed": bytes(32)},
        {"purpose": Purpose.SESSION},
        {"secret": OTHER_SECRET},
    ],
)
def test_the_mac_covers_every_part(other):
    """Grafting the MAC of any other handle onto this one fails, with both secrets configured."""
    wanted, donor = parse(minted()), parse(minted(**other))
    assert wanted is not None
    assert donor is not None
    grafted = Handle(wanted.purpose, wanted.sid, wanted.generation, wanted.secret_id, donor.mac)
    assert is_authentic(grafted, seed=SEED, secrets=BOTH_SECRETS) is False


def test_a_leaked_secret_alone_is_not_enough():
    """Who knows the server secret and the public sid, but not the seed, mints nothing of worth."""
    assert is_accepted(minted(seed=os.urandom(32))) is False


def test_a_leaked_database_alone_is_not_enough():
    """Who knows the seed, but not the secret, mints nothing of worth, whichever id it names."""
    forged = minted(secret=OTHER_SECRET)
    assert is_accepted(forged) is False
    body = bytearray(base64.urlsafe_b64decode(forged[6:]))
    body[20:24] = bytes.fromhex(SECRET.id)
    renamed = with_checksum(forged[:6] + base64.urlsafe_b64encode(body).decode())
    handle = parse(renamed)
    assert handle is not None
    assert handle.secret_id == SECRET.id
    assert is_accepted(renamed) is False


def test_a_handle_under_an_older_secret_is_still_authentic():
    """While both are configured, what was minted under the one before verifies; then no more."""
    text = minted()
    promoted = ServerSecrets([OTHER_RAW_SECRET])
    assert is_accepted(text, secrets=BOTH_SECRETS) is True
    assert is_accepted(text, secrets=promoted) is False


def test_a_shown_handle_hides_its_mac():
    """repr, str and format show what is public and not the MAC, in no spelling."""
    text = minted()
    handle = parse(text)
    assert handle is not None
    assert repr(handle) == f"Handle(purpose=REFRESH, sid={SID!r}, gen=3)"
    assert str(handle) == repr(handle)
    assert f"{handle!s} {handle!r} {handle}".count("mac") == 0


# --- sids -----------------------------------------------------------------------------------------


@given(st.integers(0, 255), st.binary(min_size=15, max_size=15))
def test_a_sid_carries_its_shard(shard, randomness):
    """The shard is read back, and the text is a sid."""
    sid = new_sid(shard, randomness)
    assert (is_sid(sid), shard_of_sid(sid), len(sid)) == (True, shard, 22)


@given(sids)
def test_a_sid_has_exactly_one_spelling(sid):
    """Of the 64 last characters only the one without stray bits is a sid (RFC 4648 section 3.5)."""
    same = base64.urlsafe_b64decode(sid + "==")
    spellings = [
        sid[:-1] + last
        for last in ALPHABET
        if base64.urlsafe_b64decode(sid[:-1] + last + "==") == same
    ]
    assert len(spellings) == 16
    assert [text for text in spellings if is_sid(text)] == [sid]


@pytest.mark.parametrize(
    "text",
    [
        "",
        SID[:-1],
        SID + "A",
        SID + "==",
        SID + "\n",
        " " + SID,
        SID[:-1] + "B",
        SID.replace("A", "+", 1),
        SID.replace("A", "/", 1),
        SID.replace("A", "\N{CYRILLIC CAPITAL LETTER A}", 1),
        "../" + SID[3:],
        "' OR 1=1 --" + SID[11:],
        SID[:-1] + "\x00",
    ],
)
def test_what_is_no_sid(text):
    """A sid from a URL is checked by form before it reaches a store: nothing else passes."""
    assert is_sid(text) is False


def test_nothing_in_a_sid_links_the_sessions_of_a_subject():
    """But for the shard, a sid is its randomness: it is made without the subject.

    Two subjects of one shard and two sessions of one subject look alike to an outsider.
    """
    randomness = [os.urandom(15) for _ in range(4)]
    raws = [base64.urlsafe_b64decode(new_sid(7, r) + "==") for r in randomness]
    assert raws == [bytes([7]) + r for r in randomness]


def test_a_handle_holds_nothing_of_the_subject_beyond_the_sid():
    """Two handles of sessions of one subject differ in every part that is not public by design."""
    one, other = minted(sid=new_sid(7, os.urandom(15))), minted(sid=new_sid(7, os.urandom(15)))
    raws = [base64.urlsafe_b64decode(text[6:]) for text in (one, other)]
    assert raws[0][1:16] != raws[1][1:16]
    assert raws[0][24:56] != raws[1][24:56]


# --- shards ---------------------------------------------------------------------------------------


@given(st.text(min_size=1).filter(str.isprintable), st.integers(1, 256))
def test_a_shard_is_in_range_and_stays(subject, shards):
    """A subject's shard is within what the store has, and the same each time."""
    places = {shard_of_subject(subject, placement_key=b"k" * 32, shards=shards) for _ in range(2)}
    assert len(places) == 1
    assert places <= set(range(shards))


def test_one_shard_holds_everybody():
    """Stores of one shard place every subject there."""
    assert shard_of_subject("alice", placement_key=b"k" * 32, shards=1) == 0


def test_nobody_can_aim_at_a_shard():
    """Placement is keyed: another store's key places the same subjects elsewhere."""
    subjects = [f"user-{n}" for n in range(1000)]
    one, other = (
        [shard_of_subject(s, placement_key=key, shards=16) for s in subjects]
        for key in (b"a" * 32, b"b" * 32)
    )
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 150


def test_subjects_spread_over_the_shards():
    """16,000 subjects on 16 shards: each gets about 1,000."""
    counts = [0] * 16
    for n in range(16_000):
        counts[shard_of_subject(f"user-{n}", placement_key=b"k" * 32, shards=16)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


# --- a million ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_million_handles_without_duplicate():
    """10^6 handles of fresh sids and seeds: no handle, MAC or sid occurs twice (security.md 3)."""
    count = 1_000_000
    seen_sids: set[str] = set()
    seen_macs: set[str] = set()
    for _ in range(count):
        randomness = os.urandom(47)
        sid = new_sid(0, randomness[:15])
        text = mint(SECRET, purpose=Purpose.SESSION, sid=sid, generation=1, seed=randomness[15:])
        seen_sids.add(sid)
        seen_macs.add(text[38:80])
    assert (len(seen_sids), len(seen_macs)) == (count, count)
