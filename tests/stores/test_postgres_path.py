"""Somebody else's functions in the schema of the tables: they never run as the store's role."""

import pytest
from psycopg import sql
from stores.postgres_samples import asking, opened
from stores.sqlite_samples import draft, sign_in

from sojourn.errors import ConfigurationError
from sojourn.model import ANY, AuditRecord, Event, Kind
from sojourn.stores.postgres import PostgresStore

BODY = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'taken'; END $$"
TRAPS = (
    "FUNCTION array_fill(text, integer[]) RETURNS text[]",
    "FUNCTION unnest(text[]) RETURNS SETOF text",
    "FUNCTION cardinality(text[]) RETURNS integer",
    "FUNCTION array_position(text[], text) RETURNS integer",
    "FUNCTION get_byte(bytea, bigint) RETURNS integer",
    "FUNCTION floor(double precision, integer) RETURNS bigint",
    "FUNCTION times(numeric, integer) RETURNS numeric",
    "FUNCTION field(json, json) RETURNS text",
    "FUNCTION joined(text, oid) RETURNS text",
    # Ours, where an argument is NULL or small: they would fit better than our own.
    "FUNCTION sojourn_now(text) RETURNS bigint",
    "FUNCTION sojourn_append(text, text[], text[], smallint) RETURNS sojourn_appended",
    "FUNCTION sojourn_append(bigint, text[], text[]) RETURNS sojourn_appended",
    "FUNCTION sojourn_end_some(bigint, text, text, text, text, OUT alive text[], OUT is_more boolean)",
    "FUNCTION sojourn_ended_event(text, integer, text) RETURNS text",
    "FUNCTION sojourn_purge(text, bigint) RETURNS bigint",
)
OPERATORS = (
    "OPERATOR * (FUNCTION = times, LEFTARG = numeric, RIGHTARG = integer)",
    "OPERATOR ->> (FUNCTION = field, LEFTARG = json, RIGHTARG = json)",
    "OPERATOR || (FUNCTION = joined, LEFTARG = text, RIGHTARG = oid)",
)


@pytest.fixture
def url(shared_postgres):
    return shared_postgres.new_schema()


def test_what_fits_better_than_a_built_in_is_not_called(url):
    """Whoever may create in the schema adds functions and operators; every operation goes past them."""
    with asking(url) as connection, opened(url) as store:
        for trap in TRAPS:
            connection.execute(f"CREATE {trap} {BODY}")
        for operator in OPERATORS:
            connection.execute(f"CREATE {operator}")
        audit = (AuditRecord(at_ms=1, action="x"),)
        feed = store.feed()
        store.append(0, (Event(kind=Kind.RING),), audit=audit)
        assert 1 == len(feed.read({0: 0})[0].entries)
        feed.close()
        for _ in range(2):
            last = draft()
            store.create(last, limit=1, on_excess="end_oldest", audit=audit, ended_audit=audit[0])
        store.put_data(last.sid, b"x", expected_version=0)
        store.put_document("x", b"x", expected_version=0)
        store.replace(last, expected_revision=last.revision, event=Event(kind=Kind.RING))
        assert [last] == store.list("ada")
        assert (last.sid,) == store.delete(last.sid, subject=ANY, reason="x", audit=audit).ended
        for _ in range(3):
            sign_in(store)
        assert 3 == len(store.delete_subject("ada", keep=None, reason="x", audit=audit).ended)
        store.purge()
        assert store.read_audit()


@pytest.mark.parametrize("name", ['Od"d one', "it's", "a$$b"])
def test_names_of_schemas(name, shared_postgres):
    """A schema's name is quoted where it must be; what no quoting of ours can hold is refused."""
    database = shared_postgres.new_database()
    with asking(database) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        path = sql.SQL("ALTER DATABASE {} SET search_path = {}")
        parts = (sql.Identifier(connection.info.dbname), sql.Identifier(name))
        connection.execute(path.format(*parts))
    if name == 'Od"d one':
        with opened(database) as store:
            assert sign_in(store).sid in store.delete_subject("ada", keep=None, reason="x").ended
    else:
        with pytest.raises(ConfigurationError, match="quote or a dollar"):
            PostgresStore(database).open(longest_token_ms=1)
