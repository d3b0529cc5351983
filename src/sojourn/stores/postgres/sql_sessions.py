"""Creating and replacing sessions, in PL/pgSQL; `sojourn.stores.postgres.sql_feed` has the rules."""

from __future__ import annotations

SESSION_FUNCTIONS = """
CREATE FUNCTION sojourn_create(
    p_now bigint, p_sid text, p_subject text, p_position bigint, p_created_at bigint, p_dies_at bigint,
    p_revision bigint, p_remains bytea, p_payload bytea, p_limit bigint, p_end_oldest boolean,
    p_audit text[], p_ended_audit text,
    OUT outcome text, OUT ended text[], OUT appended sojourn_appended
) LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_now bigint;
    v_excess bigint := 0;
    v_sids text[];
    v_events text[];
BEGIN
    PERFORM sojourn_lock_subject(p_subject);
    v_now := sojourn_now(p_now);
    PERFORM FROM sojourn_cutoffs c WHERE c.subject = p_subject AND c.cutoff > p_position;
    IF FOUND THEN
        outcome := 'superseded';
        RETURN;
    END IF;
    IF p_limit IS NOT NULL THEN
        SELECT count(*) - p_limit + 1 INTO v_excess FROM sojourn_sessions s
        WHERE s.subject = p_subject AND s.dies_at > v_now;
    END IF;
    IF v_excess > 0 AND NOT p_end_oldest THEN
        outcome := 'limit';
        RETURN;
    END IF;
    IF v_excess > 0 THEN
        v_sids := ARRAY(
            SELECT s.sid FROM sojourn_sessions s WHERE s.subject = p_subject AND s.dies_at > v_now
            ORDER BY s.created_at, s.sid LIMIT v_excess);
        SELECT array_agg(e.sid ORDER BY array_position(v_sids, e.sid)) INTO ended
        FROM sojourn_end(v_now, v_sids, array_fill(NULL::text, ARRAY[cardinality(v_sids)]),
            array_fill('session_limit'::text, ARRAY[cardinality(v_sids)])) AS e;
    END IF;
    IF ended IS NOT NULL AND p_subject <> '' THEN  -- nobody keeps copies of a guest
        v_events := ARRAY(
            SELECT sojourn_ended_event(sid, NULL::text, 'session_limit'::text)
            FROM unnest(ended) WITH ORDINALITY AS e (sid, n) ORDER BY n);
        IF p_ended_audit IS NOT NULL THEN
            p_audit := ARRAY(
                SELECT (p_ended_audit::jsonb || jsonb_build_object('sid', sid))::text
                FROM unnest(ended) WITH ORDINALITY AS e (sid, n) ORDER BY n) || p_audit;
        END IF;
    END IF;
    INSERT INTO sojourn_sessions (
        sid, subject, position, created_at, dies_at, revision, remains, payload)
    VALUES (
        p_sid, p_subject, p_position, p_created_at, p_dies_at, p_revision, p_remains, p_payload);
    outcome := 'created';
    appended := sojourn_append(v_now, v_events, p_audit, 0::bigint);
END
$$;

CREATE FUNCTION sojourn_replace(
    p_now bigint, p_sid text, p_expected_revision bigint, p_position bigint, p_dies_at bigint,
    p_revision bigint, p_remains bytea, p_payload bytea, p_events text[], p_audit text[]
) RETURNS SETOF sojourn_appended LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE sojourn_sessions s SET position = p_position, dies_at = p_dies_at,
        revision = p_revision, remains = p_remains, payload = p_payload
    WHERE s.sid = p_sid AND s.revision = p_expected_revision;
    IF FOUND THEN
        RETURN NEXT sojourn_append(p_now, p_events, p_audit, 0::bigint);
    END IF;
END
$$;
"""
