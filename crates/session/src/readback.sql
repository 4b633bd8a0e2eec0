/* What the session has on this server. $1: the mark of the functions that were gone through last; $2: settings that are
   told of only if they are asked for by name; $3: functions that were called; $4: whether all is asked for, whatever
   these are. */
WITH RECURSIVE catalog AS MATERIALIZED (
  SELECT pg_catalog.concat(
    (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtext(xmin::pg_catalog.text)))
     FROM pg_catalog.pg_proc WHERE oid OPERATOR(pg_catalog.>=) 16384), '/',
    /* Triggers, rules, defaults and the like depend on what they call; 1255 is pg_proc. */
    (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(objid::pg_catalog.int8)) FROM pg_catalog.pg_depend
     WHERE refclassid OPERATOR(pg_catalog.=) 1255 AND refobjid OPERATOR(pg_catalog.>=) 16384)) AS mark
), changed AS MATERIALIZED (
  SELECT mark OPERATOR(pg_catalog.<>) $1::pg_catalog.text AS anew FROM catalog
), asked AS MATERIALIZED (
  /* A function that is not in the database is built in, and then one that is not known to leave nothing behind. */
  SELECT anew OR $4::pg_catalog.bool OR EXISTS (
    SELECT FROM pg_catalog.unnest($3::pg_catalog.text[]) AS called(name) WHERE NOT EXISTS (
      SELECT FROM pg_catalog.pg_proc WHERE proname OPERATOR(pg_catalog.=) name::pg_catalog.name
        AND oid OPERATOR(pg_catalog.>=) 16384)) AS whole FROM changed
), bodies AS MATERIALIZED (
  /* Without comments. That of a function in the form of the SQL standard is not in prosrc. They go through arrays because
     the planner takes these for short: it would have the whole question compiled for the sake of what is hardly ever run. */
  SELECT unpacked.* FROM (
    SELECT pg_catalog.array_agg(oid) AS oids, pg_catalog.array_agg(proname) AS names,
      pg_catalog.array_agg(pg_catalog.lower(pg_catalog.regexp_replace(
        CASE WHEN prosrc OPERATOR(pg_catalog.=) '' THEN pg_catalog.pg_get_functiondef(oid) ELSE prosrc END,
        E'--[^\\n]*|/\\*.*?\\*/', ' ', 'g'))) AS texts
    FROM pg_catalog.pg_proc WHERE (SELECT anew FROM changed) AND oid OPERATOR(pg_catalog.>=) 16384
  ) AS packed, ROWS FROM (pg_catalog.unnest(packed.oids), pg_catalog.unnest(packed.names), pg_catalog.unnest(packed.texts))
    AS unpacked(oid, proname, body)
), makers(oid, proname) AS (
  /* Functions that may leave something behind, and those whose bodies name one that does. */
  SELECT oid, proname FROM bodies WHERE body OPERATOR(pg_catalog.~) E'\\mset_config\\M|\\mpg_(try_)?advisory_lock(_shared)?\\M|(^|;|''|\\$|\\mbegin|\\mthen|\\melse|\\mloop|\\matomic)\\s*(set|reset|discard|listen|unlisten|load|prepare|deallocate|declare)\\s|\\mtemp(orary)?\\M|\\mpg_temp\\M|\\mdblink_connect|\\mpg_replication_origin_session_setup\\M|\\mpg_(create|copy)_(logical|physical)_replication_slot\\M'
  UNION SELECT b.oid, b.proname FROM bodies AS b JOIN makers AS m
    ON pg_catalog.strpos(b.body, pg_catalog.lower(m.proname::pg_catalog.text)) OPERATOR(pg_catalog.>) 0
), keepers(proname, stays) AS (
  /* Those among them of whose leavings the server does not tell, and whether these stay as long as the server. */
  SELECT proname, false FROM bodies WHERE body OPERATOR(pg_catalog.~) E'\\mset_config\\s*\\(\\s*(?!''{1,2}[a-z_][a-z0-9_$.]*''{1,2}\\s*,)(?![^;]*,\\s*true\\s*\\))|''\\s*set\\s+(?:session\\s+)?(?:%|''\\s*\\|\\|)'
  UNION SELECT proname, true FROM bodies WHERE body OPERATOR(pg_catalog.~) E'(^|;|''|\\$|\\mbegin|\\mthen|\\melse|\\mloop)\\s*load\\s|\\mdblink_connect|\\mpg_(replication_origin_session_setup|backup_start|start_backup)\\M'
  UNION SELECT b.proname, k.stays FROM bodies AS b JOIN keepers AS k
    ON pg_catalog.strpos(b.body, pg_catalog.lower(k.proname::pg_catalog.text)) OPERATOR(pg_catalog.>) 0
), readers(proname) AS (
  /* Those that read what the session has got from a sequence. */
  SELECT proname FROM bodies WHERE body OPERATOR(pg_catalog.~) E'\\m(curr|last)val\\M'
  UNION SELECT b.proname FROM bodies AS b JOIN readers AS r
    ON pg_catalog.strpos(b.body, pg_catalog.lower(r.proname::pg_catalog.text)) OPERATOR(pg_catalog.>) 0
)
SELECT 'mark' AS kind, NULL::pg_catalog.text AS name, mark AS value FROM catalog
UNION ALL SELECT 'path', CURRENT_USER::pg_catalog.text, pg_catalog.current_setting('search_path')
UNION ALL SELECT 'anew', NULL, NULL FROM changed WHERE anew
UNION ALL SELECT 'whole', NULL, NULL FROM asked WHERE whole
UNION ALL SELECT DISTINCT 'named', m[1], pg_catalog.current_setting(m[1], true)
  FROM bodies, LATERAL pg_catalog.regexp_matches(body, E'(?:\\mset_config\\s*\\(\\s*|\\mset\\s+(?:session\\s+|local\\s+)?)[''"]{0,2}([a-z_][a-z0-9_$]*(?:\\.[a-z_][a-z0-9_$]*)+)', 'g') AS m
UNION ALL SELECT DISTINCT 'maker', proname, NULL FROM makers
UNION ALL SELECT 'keeper', proname, CASE WHEN stays THEN 'stays' END FROM keepers
UNION ALL SELECT 'reader', proname, NULL FROM readers
UNION ALL SELECT 'trigger', NULL, NULL WHERE EXISTS (
  SELECT FROM pg_catalog.pg_trigger JOIN makers ON makers.oid OPERATOR(pg_catalog.=) tgfoid WHERE NOT tgisinternal)
/* Of pg_proc (1255) depend rules, defaults, operators, casts, constraints, policies and indexes that call a function. */
UNION ALL SELECT 'anywhere', NULL, NULL WHERE EXISTS (
  SELECT FROM pg_catalog.pg_depend JOIN makers ON makers.oid OPERATOR(pg_catalog.=) refobjid
  WHERE refclassid OPERATOR(pg_catalog.=) 1255
    AND classid OPERATOR(pg_catalog.=) ANY ('{2618,2604,2617,2605,2606,3256,1259}'::pg_catalog.oid[]))
/* A SET LOCAL behind a RESET in one transaction leaves the default, as if it had been set. */
UNION ALL SELECT CASE WHEN setting OPERATOR(pg_catalog.=) reset_val THEN 'default' ELSE 'setting' END, name, CASE WHEN pg_catalog.octet_length(setting) OPERATOR(pg_catalog.<=) 8192 THEN setting END
  FROM pg_catalog.pg_settings WHERE (SELECT whole FROM asked) AND source OPERATOR(pg_catalog.=) 'session'
UNION ALL SELECT 'placeholder', name, pg_catalog.current_setting(name, true)
  FROM pg_catalog.unnest($2::pg_catalog.text[]) AS known(name) WHERE (SELECT whole FROM asked)
UNION ALL SELECT 'role', NULL, pg_catalog.current_setting('role') WHERE (SELECT whole FROM asked)
UNION ALL SELECT 'statement', name, NULL FROM pg_catalog.pg_prepared_statements WHERE (SELECT whole FROM asked)
UNION ALL SELECT 'cursor', NULL, NULL WHERE (SELECT whole FROM asked)
  AND EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)
UNION ALL SELECT 'lock', NULL, NULL WHERE (SELECT whole FROM asked)
  AND EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory'
    AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())
/* All that is in the namespace of temporary objects depends on it; 2615 is pg_namespace. */
UNION ALL SELECT 'temporary', NULL, NULL WHERE (SELECT whole FROM asked)
  AND EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 2615
    AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
UNION ALL SELECT 'channel', channel, NULL FROM pg_catalog.pg_listening_channels() AS listening(channel)
  WHERE (SELECT whole FROM asked)
UNION ALL SELECT 'slot', NULL, NULL WHERE (SELECT whole FROM asked)
  AND EXISTS (SELECT FROM pg_catalog.pg_get_replication_slots() AS slots
    WHERE slots.temporary AND slots.active_pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())
