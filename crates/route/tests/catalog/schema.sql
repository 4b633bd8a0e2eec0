-- One object for each rule.

CREATE SCHEMA app;
CREATE SCHEMA legacy;

-- Relations -------------------------------------------------------------------------------------

CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, total numeric, note text);
CREATE TABLE "Mixed" (id integer);
CREATE TABLE app.tags (id integer);
CREATE TABLE legacy.orders (id bigint);
CREATE UNLOGGED TABLE cache (key text, value text);
CREATE UNLOGGED TABLE legacy.tags (id integer);
CREATE TABLE metrics (host text) PARTITION BY LIST (host);
CREATE TABLE metrics_north PARTITION OF metrics FOR VALUES IN ('n1', 'n2') PARTITION BY LIST (host);
CREATE UNLOGGED TABLE metrics_hot PARTITION OF metrics_north FOR VALUES IN ('n1');
CREATE TABLE metrics_cold PARTITION OF metrics_north FOR VALUES IN ('n2');
CREATE TABLE events (id integer) PARTITION BY LIST (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
CREATE FOREIGN DATA WRAPPER elsewhere;
CREATE SERVER far_away FOREIGN DATA WRAPPER elsewhere;
CREATE TABLE jobs (id integer);
CREATE FOREIGN TABLE far_jobs () INHERITS (jobs) SERVER far_away;
CREATE SEQUENCE numbers;
CREATE MATERIALIZED VIEW numbered AS SELECT nextval('numbers') AS number;

-- Functions -------------------------------------------------------------------------------------

CREATE FUNCTION tax(numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS 'SELECT trunc($1 * 0.19)';
CREATE FUNCTION total_of(bigint) RETURNS numeric STABLE LANGUAGE plpgsql
    AS 'BEGIN RETURN (SELECT tax(total) FROM public.orders WHERE id = $1); END';
CREATE FUNCTION standard(bigint) RETURNS numeric STABLE RETURN (SELECT total FROM orders WHERE id = $1);
CREATE FUNCTION standard_lock(bigint) RETURNS boolean STABLE RETURN pg_try_advisory_lock($1);
CREATE FUNCTION volatile_reader() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.orders';
CREATE FUNCTION liar() RETURNS bigint STABLE LANGUAGE plpgsql
    AS $$ BEGIN RETURN pg_catalog . "nextval" /* of */ ('public.numbers'); END $$;
CREATE FUNCTION liar_outer() RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT Public.LIAR() + 1';
CREATE FUNCTION runs_text(text) RETURNS void STABLE LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; END';
CREATE FUNCTION reads_cache() RETURNS text STABLE LANGUAGE sql AS 'SELECT max(value) FROM "cache"';
CREATE FUNCTION reads_activity() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM pg_stat_activity';
CREATE FUNCTION tenant() RETURNS text STABLE LANGUAGE sql AS $$ SELECT current_setting('app.tenant', true) $$;
CREATE FUNCTION which_port() RETURNS text STABLE LANGUAGE sql AS $$ SELECT current_setting('port') $$;
CREATE FUNCTION escaped() RETURNS bigint STABLE LANGUAGE sql AS $$ SELECT U&"\006eextval"('public.numbers') $$;
CREATE FUNCTION endless() RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN ''; END
    -- $$;
DO $$ BEGIN EXECUTE format('CREATE FUNCTION too_long() RETURNS int IMMUTABLE LANGUAGE sql AS %L', 'SELECT 1 -- ' || repeat('x', 70000)); END $$;
CREATE FUNCTION my_txid() RETURNS bigint STABLE LANGUAGE internal AS 'pg_current_xact_id';
CREATE FUNCTION defaulted(bigint DEFAULT nextval('numbers')) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION optional(a integer, b integer DEFAULT 1, c integer DEFAULT 2) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION many(VARIADIC integer[]) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION overloaded(integer) RETURNS integer STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION overloaded(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION overloaded(integer, integer) RETURNS integer STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION public.round(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION legacy.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.steady(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION legacy.steady(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app."Round Up"(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION "Bad Fn"(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION quotes() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT '5" pipe' || "Bad Fn"(1) $$;
CREATE PROCEDURE closing() LANGUAGE sql AS 'UPDATE public.orders SET total = 0';
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION mutual_a(integer) RETURNS integer STABLE LANGUAGE plpgsql AS 'BEGIN RETURN mutual_b($1); END';
CREATE FUNCTION mutual_b(integer) RETURNS integer STABLE LANGUAGE plpgsql AS 'BEGIN RETURN mutual_a($1); END';

CREATE AGGREGATE product(numeric) (SFUNC = numeric_mul, STYPE = numeric);
CREATE FUNCTION logged_add(bigint, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT $1 + $2';
CREATE AGGREGATE logged_sum(bigint) (SFUNC = logged_add, STYPE = bigint);

-- Views -----------------------------------------------------------------------------------------

CREATE VIEW recent AS SELECT o.id, tax(o.total), now() FROM orders o WHERE current_setting('app.tenant') = o.note;
CREATE VIEW tickets AS SELECT nextval('numbers') AS ticket;
CREATE VIEW app.tickets AS SELECT * FROM public.tickets;
CREATE VIEW told AS SELECT id FROM orders WHERE overloaded(note) = 'x';
CREATE VIEW untold AS SELECT id FROM orders WHERE overloaded(id::integer) = 1;
CREATE VIEW cached AS SELECT key FROM cache;
CREATE VIEW far AS SELECT id FROM jobs;
CREATE VIEW busy AS SELECT pid FROM pg_stat_activity;
CREATE VIEW last_number AS SELECT last_value FROM numbers;
CREATE VIEW ported AS SELECT current_setting('port');
CREATE VIEW any_setting AS SELECT current_setting(note) FROM orders;
CREATE VIEW windowed AS SELECT rank() OVER (ORDER BY liar()) FROM orders;
CREATE VIEW sums AS SELECT logged_sum(id) FROM orders;
CREATE VIEW roles AS SELECT rolname FROM pg_roles;
CREATE VIEW drawn AS SELECT random() FROM generate_series(1, 3);

-- Row security ----------------------------------------------------------------------------------

CREATE TABLE notes (tenant text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (tenant = current_setting('app.tenant', true));
CREATE TABLE secrets (id integer);
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY told ON secrets FOR SELECT USING ("Bad Fn"(id) = 1);
CREATE TABLE drafts (id integer);
ALTER TABLE drafts ENABLE ROW LEVEL SECURITY;
CREATE POLICY kept ON drafts FOR INSERT WITH CHECK ("Bad Fn"(id) = 1);
CREATE TABLE dormant (id integer);
CREATE POLICY asleep ON dormant USING ("Bad Fn"(id) = 1);
CREATE VIEW titles AS SELECT id FROM secrets;

-- Out of sight ----------------------------------------------------------------------------------

CREATE FUNCTION near(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR app.<~> (LEFTARG = text, RIGHTARG = text, FUNCTION = near);
CREATE OPERATOR app.<=> (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE TYPE celsius AS (degrees float8);
CREATE FUNCTION warm(celsius) RETURNS float8 LANGUAGE sql AS 'SELECT $1.degrees';
CREATE CAST (celsius AS float8) WITH FUNCTION warm(celsius);
CREATE FUNCTION checked(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE DOMAIN word AS text CHECK (checked(VALUE));
CREATE DOMAIN amount AS integer CHECK (VALUE > 0);
