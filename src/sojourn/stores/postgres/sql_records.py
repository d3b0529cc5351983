"""Data, documents and purging, in PL/pgSQL; `sojourn.stores.postgres.sql_feed` has the rules."""

from __future__ import annotations

from sojourn.ports import TOMBSTONE_MS

RECORD_FUNCTIONS = f"""
-- The session's row is held, so that whoever ends it waits, and then finds these data.
CREATE FUNCTION sojourn_put_data(p_now bigint, p_sid text, p_payload bytea, p_expected_version bigint)
RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM sojourn_be_durable();
    PERFORM FROM sojourn_sessions s
    WHERE s.sid = p_sid AND s.dies_at > sojourn_now(p_now) FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_expected_version = 0 THEN
        INSERT INTO sojourn_data (sid, version, payload) VALUES (p_sid, 1, p_payload)
        ON CONFLICT (sid) DO NOTHING;
    ELSE
        UPDATE sojourn_data d SET version = d.version + 1, payload = p_payload
        WHERE d.sid = p_sid AND d.version = p_expected_version;
    END IF;
    RETURN FOUND;
END
$$;

CREATE FUNCTION sojourn_put_document(p_name text, p_payload bytea, p_expected_version bigint)
RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM sojourn_be_durable();
    IF p_expected_version = 0 THEN
        INSERT INTO sojourn_documents (name, version, payload) VALUES (p_name, 1, p_payload)
        ON CONFLICT (name) DO NOTHING;
    ELSE
        UPDATE sojourn_documents d SET version = d.version + 1, payload = p_payload
        WHERE d.name = p_name AND d.version = p_expected_version;
    END IF;
    RETURN FOUND;
END
$$;

-- A bounded number of dead rows of each kind; who is at one of them is left alone.
CREATE FUNCTION sojourn_purge(p_now bigint, p_rows bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_now bigint := sojourn_now(p_now);
    v_sids text[];
    v_count bigint;
    v_removed bigint;
BEGIN
    PERFORM sojourn_be_durable();
    v_sids := ARRAY(
        SELECT s.sid FROM sojourn_sessions s WHERE s.dies_at <= v_now
        LIMIT p_rows FOR UPDATE SKIP LOCKED);
    DELETE FROM sojourn_data d WHERE d.sid = ANY (v_sids);
    DELETE FROM sojourn_sessions s WHERE s.sid = ANY (v_sids);
    v_removed := cardinality(v_sids);
    DELETE FROM sojourn_tombstones t WHERE t.sid IN (
        SELECT sid FROM sojourn_tombstones WHERE ended_at <= v_now - {TOMBSTONE_MS}
        LIMIT p_rows FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_removed := v_removed + v_count;
    DELETE FROM sojourn_cutoffs c WHERE c.subject IN (
        SELECT subject FROM sojourn_cutoffs WHERE expires_at <= v_now
        LIMIT p_rows FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_removed := v_removed + v_count;
    -- A revoked key stays revoked: whoever stole it mints any expiry.
    DELETE FROM sojourn_feed f WHERE f.id IN (
        SELECT id FROM sojourn_feed WHERE NOT is_permanent AND expires_at <= v_now
        LIMIT p_rows FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_removed + v_count;
END
$$;
"""  # noqa: S608 - numbers of our own
