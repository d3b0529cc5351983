"""Ending sessions, in PL/pgSQL; `sojourn.stores.postgres.sql_feed` has the rules."""

from __future__ import annotations

CHUNK_SESSIONS = 1000
"""So many sessions of a subject end in one transaction."""

ENDING_FUNCTIONS = f"""
CREATE FUNCTION sojourn_ended_event(p_sid text, p_subject text, p_reason text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_strip_nulls(json_build_object(
        'kind', 'ended', 'subject', p_subject, 'sid', p_sid, 'reason', p_reason))::text
$$;

-- Replace sessions by tombstones, each only if it is its owner's (NULL: anybody's); data go, too.
CREATE FUNCTION sojourn_end(p_now bigint, p_sids text[], p_owners text[], p_reasons text[])
RETURNS TABLE (sid text, subject text, is_alive boolean) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM sojourn_be_durable();
    PERFORM FROM sojourn_sessions s WHERE s.sid = ANY (p_sids) ORDER BY s.sid FOR UPDATE;
    RETURN QUERY
    WITH gone AS (
        DELETE FROM sojourn_sessions s USING unnest(p_sids, p_owners, p_reasons) AS g (sid, owner, reason)
        WHERE s.sid = g.sid AND (g.owner IS NULL OR g.owner = s.subject)
        RETURNING s.sid, s.subject, s.dies_at, s.remains, g.reason
    ), data AS (
        DELETE FROM sojourn_data d USING gone WHERE d.sid = gone.sid
    ), tombstones AS (
        -- A guest has nobody to be told why.
        INSERT INTO sojourn_tombstones (sid, subject, ended_at, reason, remains)
        SELECT g.sid, g.subject, p_now, g.reason, g.remains FROM gone g WHERE g.subject <> ''
        ON CONFLICT ON CONSTRAINT sojourn_tombstones_pkey DO UPDATE SET subject = excluded.subject,
            ended_at = excluded.ended_at, reason = excluded.reason, remains = excluded.remains
    )
    SELECT g.sid, g.subject, g.dies_at > p_now FROM gone g;
END
$$;

-- Several at once, each sid but once; `alive` are those that were.
CREATE FUNCTION sojourn_delete(
    p_now bigint, p_sids text[], p_owners text[], p_reasons text[], p_audit text[],
    OUT alive text[], OUT appended sojourn_appended
) LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_now bigint := sojourn_now(p_now);
    v_existed text[];
BEGIN
    SELECT array_agg(e.sid), array_agg(e.sid) FILTER (WHERE e.is_alive) INTO v_existed, alive
    FROM sojourn_end(v_now, p_sids, p_owners, p_reasons) AS e;
    appended := sojourn_append(v_now, ARRAY(
        SELECT sojourn_ended_event(g.sid, CASE WHEN e.sid IS NULL THEN g.owner END, g.reason)
        FROM unnest(p_sids, p_owners, p_reasons) WITH ORDINALITY AS g (sid, owner, reason, n)
        LEFT JOIN unnest(v_existed) AS e (sid) ON e.sid = g.sid
        ORDER BY g.n
    ), p_audit, 0::bigint);
END
$$;

-- The first step of ending a subject: the cutoff, and as many sessions as go in one transaction.
CREATE FUNCTION sojourn_delete_subject(
    p_now bigint, p_subject text, p_keep text, p_reason text, p_audit text[],
    OUT alive text[], OUT is_more boolean, OUT appended sojourn_appended
) LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_now bigint;
    v_floor bigint;
BEGIN
    PERFORM sojourn_lock_subject(p_subject);
    v_now := sojourn_now(p_now);
    SELECT e.alive, e.is_more INTO alive, is_more
    FROM sojourn_end_some(v_now, p_subject, p_keep, p_reason, NULL::bigint) AS e;
    -- As `Cutoff.succeeded_by`: with another keep, the old cutoff becomes the floor.
    IF p_keep IS NULL THEN
        SELECT greatest(v_now, h.head_id + 1) INTO v_floor
        FROM sojourn_shards h WHERE h.shard = 0 FOR UPDATE;
    ELSE
        SELECT CASE WHEN c.keep = p_keep THEN c.floor ELSE c.cutoff END INTO v_floor
        FROM sojourn_cutoffs c WHERE c.subject = p_subject;
        v_floor := coalesce(v_floor, 0);
    END IF;
    appended := sojourn_append(v_now, ARRAY[json_strip_nulls(json_build_object(
        'kind', 'cutoff', 'subject', p_subject, 'floor', v_floor, 'keep', p_keep,
        'reason', p_reason))::text], p_audit, 0::bigint);
    INSERT INTO sojourn_cutoffs (subject, floor, cutoff, keep, expires_at)
    VALUES (p_subject, v_floor, (appended).first_id, p_keep, (appended).expires_at)
    ON CONFLICT (subject) DO UPDATE SET floor = excluded.floor, cutoff = excluded.cutoff,
        keep = excluded.keep, expires_at = excluded.expires_at;
END
$$;

-- Sessions of a subject, but those that began at or after a position.
CREATE FUNCTION sojourn_end_some(
    p_now bigint, p_subject text, p_keep text, p_reason text, p_before bigint,
    OUT alive text[], OUT is_more boolean
) LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_sids text[] := ARRAY(
        SELECT s.sid FROM sojourn_sessions s
        WHERE s.subject = p_subject AND s.sid IS DISTINCT FROM p_keep
            AND (p_before IS NULL OR s.position < p_before)
        ORDER BY s.created_at, s.sid LIMIT {CHUNK_SESSIONS});
BEGIN
    SELECT array_agg(e.sid) FILTER (WHERE e.is_alive) INTO alive
    FROM sojourn_end(p_now, v_sids, array_fill(NULL::text, ARRAY[cardinality(v_sids)]),
        array_fill(p_reason, ARRAY[cardinality(v_sids)])) AS e;
    is_more := cardinality(v_sids) = {CHUNK_SESSIONS};
END
$$;
"""  # noqa: S608 - numbers of our own
