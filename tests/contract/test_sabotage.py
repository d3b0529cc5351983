"""The contract suite proven: each broken store fails exactly where its fault is promised away."""

import pytest

from sojourn.stores.memory import MemoryStore
from sojourn.testing.contract import CONTRACT_TESTS, run_contract
from sojourn.testing.promises import bench
from sojourn.testing.sabotage import SABOTAGED, ending, feed, records, sessions

CAUGHT_BY = {
    sessions.NoCompareAndSwap: {
        "test_a_stale_replace_writes_nothing",
        "test_a_writer_between_get_and_replace_wins",
        "test_one_winner_per_revision",
    },
    sessions.NeverSwaps: {
        "test_a_touch_moves_the_end_of_life",
        "test_one_winner_per_revision",
        "test_the_current_revision_is_replaced",
    },
    sessions.CreateRolledBack: {
        "test_a_created_session_is_read_back",
        "test_a_writer_between_get_and_replace_wins",
        "test_one_winner_per_revision",
    },
    sessions.Resurrecting: {
        "test_a_refresh_and_a_logout_at_once",
        "test_a_replace_never_creates",
        "test_a_replace_never_resurrects",
    },
    sessions.EventBesideTheSwap: {
        "test_a_replace_never_creates",
        "test_a_replace_never_resurrects",
        "test_a_stale_replace_writes_nothing",
    },
    sessions.EventForgotten: {
        "test_a_replace_carries_its_event_and_audit",
    },
    sessions.AuditForgotten: {
        "test_a_create_writes_its_audit",
        "test_a_delete_appends_in_its_step",
        "test_a_replace_carries_its_event_and_audit",
        "test_an_append_writes_its_audit",
        "test_the_cutoff_is_its_entrys_id",
    },
    sessions.AuditOnRefusal: {
        "test_a_full_subject_is_refused",
        "test_a_superseded_create_writes_nothing",
    },
    sessions.LimitCheckedOutside: {
        "test_a_limit_holds_for_logins_at_once",
        "test_making_room_holds_for_logins_at_once",
    },
    sessions.LimitOffByOne: {
        "test_a_limit_admits_as_many_as_it_says",
    },
    sessions.LimitUnasked: {
        "test_without_a_limit_nobody_makes_room",
    },
    sessions.ExpiredCounted: {
        "test_a_session_is_alive_until_its_instant",
        "test_expired_sessions_do_not_count",
        "test_a_touch_moves_the_end_of_life",
    },
    sessions.NewestMakesRoom: {
        "test_sessions_are_listed_oldest_first",
        "test_a_lowered_limit_ends_as_many_as_needed",
        "test_the_oldest_session_makes_room",
    },
    sessions.OneMakesRoom: {
        "test_a_lowered_limit_ends_as_many_as_needed",
    },
    sessions.CaseBlind: {
        "test_subjects_are_told_apart_exactly",
    },
    sessions.StaleIndex: {
        "test_a_touch_moves_the_end_of_life",
    },
    sessions.SidsFolded: {
        "test_sids_are_told_apart_exactly",
    },
    sessions.GuestsUnlisted: {
        "test_guests_are_sessions_without_a_subject",
    },
    sessions.PartialReplace: {
        "test_the_current_revision_is_replaced",
    },
    sessions.ProcessTime: {
        "test_a_created_session_is_read_back",
        "test_an_unknown_sid_is_nothing",
    },
    sessions.ExpiredUnseen: {
        "test_an_expired_session_is_returned",
    },
    sessions.ClaimsFlattened: {
        "test_every_field_survives",
    },
    ending.EntryAfterTheStep: {
        "test_a_delete_appends_in_its_step",
        "test_the_head_moves_in_the_same_step",
    },
    ending.AllEnded: {
        "test_a_delete_ends_one_session",
    },
    ending.AdministratorRefused: {
        "test_an_administrator_ends_anybodys",
    },
    ending.DeadCountedAsEnded: {
        "test_an_expired_session_was_not_alive",
    },
    ending.SilentWhereAbsent: {
        "test_a_delete_may_be_retried",
        "test_an_absent_sid_is_revoked_all_the_same",
    },
    ending.OwnerIgnored: {
        "test_anothers_session_is_treated_as_absent",
        "test_a_guest_owns_nothing_of_others",
        "test_an_absent_sid_is_revoked_all_the_same",
    },
    ending.GuestOwnsAll: {
        "test_a_guest_owns_nothing_of_others",
    },
    ending.StrangersEntryBindsAll: {
        "test_anothers_session_is_treated_as_absent",
        "test_a_guest_owns_nothing_of_others",
        "test_events_are_read_as_appended",
    },
    ending.NoTombstones: {
        "test_a_deleted_session_leaves_a_tombstone",
        "test_a_subjects_sessions_all_end",
        "test_the_oldest_session_makes_room",
    },
    ending.TombstonesRewritten: {
        "test_a_delete_may_be_retried",
    },
    ending.TombstonesForever: {
        "test_tombstones_stay_for_thirty_days",
        "test_a_purge_takes_the_dead",
    },
    ending.TombstonesPurgedAtOnce: {
        "test_tombstones_stay_for_thirty_days",
        "test_a_purge_of_the_living_takes_nothing",
        "test_a_purge_takes_the_dead",
    },
    ending.KeepIgnored: {
        "test_one_session_may_be_kept",
    },
    ending.CutoffNotStored: {
        "test_a_login_before_a_cutoff_is_superseded",
        "test_no_login_slips_past_a_cutoff",
    },
    ending.CutoffForAll: {
        "test_a_cutoff_binds_its_subject_only",
    },
    ending.CutoffWithoutSessionsSkipped: {
        "test_a_subject_without_sessions_gets_a_cutoff",
        "test_cutoffs_are_of_one_subject",
    },
    ending.FloorLost: {
        "test_another_keep_makes_the_old_cutoff_the_floor",
        "test_cutoffs_follow_one_another",
    },
    ending.FloorAlwaysRaised: {
        "test_cutoffs_follow_one_another",
    },
    ending.FloorAdmits: {
        "test_a_new_session_is_never_the_kept_one",
    },
    ending.CutoffIncludesItself: {
        "test_a_login_before_a_cutoff_is_superseded",
    },
    ending.CutoffsPurgedEarly: {
        "test_a_cutoff_outlives_a_purge",
        "test_a_purge_takes_the_dead",
    },
    feed.ShardsShareAFeed: {
        "test_each_shard_has_its_own_feed",
    },
    feed.FeedBeginsSomewhere: {
        "test_an_unused_feed_begins_at_nothing",
    },
    feed.IdsCounted: {
        "test_ids_follow_the_clock",
    },
    feed.LossyFeed: {
        "test_a_cursor_misses_nothing_written_at_once",
        "test_events_are_read_as_appended",
        "test_readers_are_independent",
        "test_tags_chain_the_entries",
    },
    feed.ReorderingFeed: {
        "test_a_feed_is_read_in_pages",
        "test_events_are_read_as_appended",
        "test_tags_chain_the_entries",
    },
    feed.LateCommit: {
        "test_events_are_read_as_appended",
    },
    feed.HeadBesideThePage: {
        "test_a_cursor_misses_nothing_written_at_once",
    },
    feed.TagsUnchained: {
        "test_the_head_survives_a_purge",
        "test_tags_chain_the_entries",
        "test_another_process_reads_the_same_feed",
    },
    feed.TagsCounted: {
        "test_tags_cannot_be_guessed",
    },
    feed.FeedFollowsTheClock: {
        "test_ids_rise_although_the_clock_falls",
        "test_ids_are_not_used_again",
    },
    feed.IdsRestart: {
        "test_ids_are_not_used_again",
        "test_the_head_survives_a_purge",
    },
    feed.LimitIgnored: {
        "test_a_feed_is_read_in_pages",
    },
    feed.AfterIncluded: {
        "test_a_read_begins_behind_a_position",
        "test_ids_rise_although_the_clock_falls",
        "test_a_subject_without_sessions_gets_a_cutoff",
    },
    feed.EntriesDieYoung: {
        "test_an_entry_outlives_every_token",
    },
    feed.LongestTokenLowered: {
        "test_the_longest_token_only_grows",
    },
    feed.LongestTokenFixed: {
        "test_a_longer_token_elsewhere_counts_here",
    },
    feed.KeysForgotten: {
        "test_revoked_keys_are_never_forgotten",
    },
    feed.NothingPurged: {
        "test_a_purge_reckons_with_idle_and_absolute_life",
        "test_a_purge_takes_expired_entries_only",
        "test_a_purge_takes_the_dead",
        "test_a_replace_never_resurrects_the_purged",
    },
    feed.PlacementRotated: {
        "test_many_open_at_once",
        "test_opening_again_changes_nothing",
        "test_the_placement_key_is_never_rotated",
    },
    feed.DeafReader: {
        "test_an_append_before_the_wait_is_not_missed",
        "test_an_append_wakes_a_waiting_reader",
    },
    feed.SleepyReader: {
        "test_a_wait_ends_with_its_timeout",
    },
    feed.ShortSightedReader: {
        "test_a_reader_reads_what_the_store_reads",
    },
    feed.GreedyReader: {
        "test_a_reader_reads_all_shards_at_once",
        "test_a_reader_reads_what_the_store_reads",
    },
    feed.ForgetsPositions: {
        "test_a_reader_restores_positions",
        "test_ids_are_above_what_is_asked_for",
    },
    feed.RestoresNothing: {
        "test_a_reader_restores_positions",
        "test_a_reader_restores_a_change",
        "test_a_reader_restores_a_cutoff",
        "test_a_reader_restores_an_end",
        "test_a_reader_restores_what_has_no_record",
    },
    feed.RestoresEntriesOnly: {
        "test_a_reader_restores_a_change",
        "test_a_reader_restores_a_cutoff",
        "test_a_reader_restores_an_end",
    },
    feed.ForgetfulReader: {
        "test_an_append_before_the_wait_is_not_missed",
    },
    feed.StubbornReader: {
        "test_closing_releases_a_waiting_reader",
    },
    records.DataOutlivesItsSession: {
        "test_guests_have_data",
        "test_data_goes_with_its_session",
    },
    records.DataOverwritten: {
        "test_data_is_compared_and_swapped",
        "test_documents_are_compared_and_swapped",
        "test_one_document_of_many_put_at_once",
        "test_one_put_of_data_at_once",
    },
    records.DataWithoutASession: {
        "test_data_needs_a_live_session",
        "test_data_goes_with_its_session",
    },
    records.DataGoesWithARotation: {
        "test_data_belongs_to_one_session",
    },
    records.DataAsText: {
        "test_data_keeps_every_byte",
    },
    records.DocumentsShareAName: {
        "test_documents_are_named",
    },
    records.TrailBackwards: {
        "test_the_trail_is_read_as_written",
    },
    records.FilterAfterLimit: {
        "test_the_trail_is_read_in_pages",
    },
    records.EmptyFilterIgnored: {
        "test_lines_without_a_subject_can_be_asked_for",
    },
    records.TrailPurged: {
        "test_the_trail_survives_a_purge",
    },
    records.ClosedOnce: {
        "test_closing_twice_is_closing",
        "test_documents_are_shared",
    },
}
"""Each sabotaged store, and tests that must fail for it (others may, too)."""

EVERYDAY = {
    "test_a_created_session_is_read_back",
    "test_a_delete_may_be_retried",
    "test_a_full_subject_is_refused",
    "test_a_purge_takes_expired_entries_only",
    "test_a_replace_never_creates",
    "test_a_subjects_sessions_all_end",
    "test_an_absent_sid_is_revoked_all_the_same",
    "test_data_is_compared_and_swapped",
}
"""Tried on each as well: most faults survive everyday use, or they would not get as far as users."""


@pytest.mark.parametrize("store", CAUGHT_BY, ids=lambda store: store.__name__)
async def test_a_sabotaged_store_is_caught(store, monkeypatch):
    """Each fault fails the tests of the promises it breaks."""
    monkeypatch.setattr(bench, "PATIENCE_SECONDS", 0.5)  # deaf readers are waited for in vain
    expected = CAUGHT_BY[store]
    tests = sorted(expected | EVERYDAY)
    failures = await run_contract(lambda clock: store(clock=clock), tests=tests)
    assert expected - set(failures) == set()


async def test_the_store_beneath_keeps_the_contract():
    """What the sabotaged stores are made from fails nothing, so the fault is what is caught."""
    failures = await run_contract(lambda clock: MemoryStore(clock=clock))
    assert failures == {}


def test_each_sabotaged_store_is_tried():
    """The table names every sabotaged store there is."""
    assert set(CAUGHT_BY) == set(SABOTAGED)


def test_each_contract_test_catches_something():
    """No test of the contract passes whatever a store does."""
    assert set().union(*CAUGHT_BY.values()) == set(CONTRACT_TESTS)
