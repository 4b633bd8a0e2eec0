-- What every database of a conversation holds at first. Each conversation has a copy of its own.
SET ROLE talker;

CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, price numeric(10, 2));
INSERT INTO item VALUES (1, 'apple', 0.50), (2, 'pear', 0.75), (3, 'plum', NULL);

CREATE TABLE log (at int, note text);

CREATE TABLE part (id int PRIMARY KEY, item int REFERENCES item DEFERRABLE INITIALLY DEFERRED);

CREATE SEQUENCE ticket;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');

CREATE DOMAIN small AS int CHECK (VALUE < 10);

CREATE FUNCTION say(words text) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE '%', words; RETURN length(words); END $$;

CREATE FUNCTION fail(words text) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '%', words USING DETAIL = 'the detail', HINT = 'the hint', ERRCODE = 'P0042'; END $$;

CREATE PROCEDURE two_steps() LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO log VALUES (1, 'first'); COMMIT; INSERT INTO log VALUES (2, 'second'); ROLLBACK; END $$;

CREATE PROCEDURE say_and_commit(moment timestamptz) LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO log VALUES (1, moment::text); COMMIT; RAISE NOTICE '%', moment AT TIME ZONE 'UTC'; END $$;
