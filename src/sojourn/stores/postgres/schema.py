"""The store's tables in PostgreSQL, as migrations; the functions on them are in `sql_…`.

Text that is compared or ordered is collated "C": exact bytes, and the order of Python. What queries
need stands in columns. A session's record is msgpack in two pieces, because what remains of it in
a tombstone is less: a tombstone keeps no claims and no addresses for thirty days. What is there
for people to read (the feed, the trail) is JSON.
"""

from __future__ import annotations

import re

from sojourn.stores.postgres.migrations import SCHEMA
from sojourn.stores.postgres.sql_ending import ENDING_FUNCTIONS
from sojourn.stores.postgres.sql_feed import FEED_FUNCTIONS
from sojourn.stores.postgres.sql_records import RECORD_FUNCTIONS
from sojourn.stores.postgres.sql_sessions import SESSION_FUNCTIONS

TABLES = """
CREATE TABLE sojourn_meta (
    id integer PRIMARY KEY CHECK (id = 1),
    placement_key bytea NOT NULL,
    shards integer NOT NULL
);

-- The row that every append updates and holds to its commit: ids become visible in their order.
-- The longest token stands in it, so that raising it and appending come one after the other.
CREATE TABLE sojourn_shards (
    shard integer PRIMARY KEY,
    head_id bigint NOT NULL,
    head_tag bigint NOT NULL,
    previous_tag bigint NOT NULL,
    longest_token_ms bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE sojourn_feed (
    id bigint PRIMARY KEY,
    tag bigint NOT NULL,
    previous_tag bigint NOT NULL,
    event json NOT NULL,
    expires_at bigint NOT NULL,
    is_permanent boolean NOT NULL
);
CREATE INDEX sojourn_feed_expiry ON sojourn_feed (expires_at) WHERE NOT is_permanent;

CREATE TABLE sojourn_sessions (
    sid text COLLATE "C" PRIMARY KEY,
    subject text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    created_at bigint NOT NULL,
    dies_at bigint NOT NULL,
    revision bigint NOT NULL,
    remains bytea NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX sojourn_sessions_subject ON sojourn_sessions (subject, created_at, sid, dies_at);
CREATE INDEX sojourn_sessions_death ON sojourn_sessions (dies_at);

-- No foreign key: its trigger would run for each session of a batch that ends.
CREATE TABLE sojourn_data (
    sid text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    payload bytea NOT NULL
);

CREATE TABLE sojourn_tombstones (
    sid text COLLATE "C" PRIMARY KEY,
    subject text COLLATE "C" NOT NULL,
    ended_at bigint NOT NULL,
    reason text NOT NULL,
    remains bytea NOT NULL
);
CREATE INDEX sojourn_tombstones_end ON sojourn_tombstones (ended_at);

CREATE TABLE sojourn_cutoffs (
    subject text COLLATE "C" PRIMARY KEY,
    floor bigint NOT NULL,
    cutoff bigint NOT NULL,
    keep text COLLATE "C",
    expires_at bigint NOT NULL
);
CREATE INDEX sojourn_cutoffs_expiry ON sojourn_cutoffs (expires_at);

CREATE TABLE sojourn_documents (
    name text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    payload bytea NOT NULL
);

CREATE TABLE sojourn_audit (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text COLLATE "C" NOT NULL,
    sid text COLLATE "C" NOT NULL,
    record json NOT NULL
);
CREATE INDEX sojourn_audit_subject ON sojourn_audit (subject, number);
CREATE INDEX sojourn_audit_sid ON sojourn_audit (sid, number);
"""


def _qualified(functions: str) -> str:
    """Name the schema of whatever is ours: functions do not search it."""
    return re.sub(r"(?<!CONSTRAINT )\bsojourn_(?=[a-z])", f"{SCHEMA}.sojourn_", functions)


STORE_NAMESPACE = "store"
STORE_MIGRATIONS = (
    TABLES,
    _qualified(FEED_FUNCTIONS + ENDING_FUNCTIONS + SESSION_FUNCTIONS + RECORD_FUNCTIONS),
)
"""Every name is prefixed: the database may be the application's own."""
