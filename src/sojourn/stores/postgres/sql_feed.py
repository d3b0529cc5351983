"""The feed's functions in PL/pgSQL, and the rules that all of the store's functions keep.

Each change is one function: one statement, one round trip, one step. Nothing deadlocks and nothing
is lost because everybody takes locks in one order: the subject's (an advisory one, held by whoever
reads or writes its cutoff), then rows of sessions by sid, then the one row of `sojourn_shards`,
last and to the commit. In READ COMMITTED each statement of a function sees what was committed
before it began, so what is read under a lock is the newest.

Whoever may create in the schema must not slip in between: what the store calls, and with it all that
this calls, sees ``pg_catalog`` alone (the migration qualifies what is ours), since a function or an
operator that fits better than a built-in one would win although ``pg_catalog`` is searched first. For
the same reason our own functions are called with arguments of exactly their types.

`p_now` is the clock of a test; without one the server's decides.
"""

from __future__ import annotations

from sojourn.ports import RETENTION_MARGIN_MS

FEED_FUNCTIONS = f"""
-- Used in queries, too: inlined there, which a path of its own would prevent (40 µs a call).
CREATE FUNCTION sojourn_now(p_now bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(p_now, pg_catalog.floor(
        extract(epoch FROM pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000)::bigint)
$$;

-- Of this store alone, as is the channel below: several may share a database.
CREATE FUNCTION sojourn_lock_subject(p_subject text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- What was committed while this waits for the lock would not be seen.
        RAISE EXCEPTION 'sojourn needs default_transaction_isolation = ''read committed''';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(
        'sojourn:' || p_subject COLLATE "C", 'sojourn_shards'::regclass::oid::bigint));
END
$$;

CREATE FUNCTION sojourn_channel() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'sojourn_'::text OPERATOR(pg_catalog.||) 'sojourn_shards'::regclass::oid::text
$$;

-- What is acknowledged survives a crash, whatever the role or the database prefers.
CREATE FUNCTION sojourn_be_durable() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
END
$$;

CREATE TYPE sojourn_appended AS (
    first_id bigint, previous_tag bigint, tags bigint[], expires_at bigint, now_ms bigint, events text[]
);

-- Append events (JSON each) and audit records: the last thing a change does. Ids are above `p_above`.
CREATE FUNCTION sojourn_append(p_now bigint, p_events text[], p_audit text[], p_above bigint)
RETURNS sojourn_appended LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count bigint := coalesce(cardinality(p_events), 0);
    v_now bigint := sojourn_now(p_now);
    v_head sojourn_shards;
    v_tags bigint[];
    v_first bigint;
    v_expires_at bigint;
BEGIN
    PERFORM sojourn_be_durable();
    IF v_count > 0 THEN
        -- 53 bits each, of the server's strong randomness.
        v_tags := ARRAY(
            SELECT (('x' || right(u::text, 12))::bit(48)::bigint << 5) | (get_byte(uuid_send(u), 0) & 31)
            FROM (SELECT gen_random_uuid() AS u FROM generate_series(1, v_count)) AS r);
        UPDATE sojourn_shards SET
            head_id = greatest(v_now, head_id + 1, p_above + 1) + v_count - 1,
            previous_tag = head_tag,
            head_tag = v_tags[v_count]
        WHERE shard = 0 RETURNING * INTO STRICT v_head;
        v_first := v_head.head_id - v_count + 1;
        v_expires_at := v_now + v_head.longest_token_ms + {RETENTION_MARGIN_MS};
        INSERT INTO sojourn_feed (id, tag, previous_tag, event, expires_at, is_permanent)
        SELECT v_first + n - 1, v_tags[n], coalesce(v_tags[n - 1], v_head.previous_tag),
            event::json, v_expires_at, event::json ->> 'kind' = 'key'
        FROM unnest(p_events) WITH ORDINALITY AS e (event, n);
        PERFORM pg_notify(sojourn_channel(), '');
    END IF;
    IF p_audit IS NOT NULL THEN
        INSERT INTO sojourn_audit (subject, sid, record)
        SELECT coalesce(record::json ->> 'subject', ''), coalesce(record::json ->> 'sid', ''),
            record::json
        FROM unnest(p_audit) WITH ORDINALITY AS a (record, n) ORDER BY n;
    END IF;
    RETURN (v_first, v_head.previous_tag, v_tags, v_expires_at, v_now, p_events)::sojourn_appended;
END
$$;
"""  # noqa: S608 - numbers of our own
