/* What statements of this database may call and read, one object a row: kind, number, schema, name, traits, detail. $1, $2: how
   many functions and relations there may be; $3: how many bytes what they call may take, as it is stored; $4: how many values
   of settings. */
system AS MATERIALIZED (
  SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 OPERATOR(pg_catalog.>=) 190000 AS newer
), settings(name) AS (
  VALUES ('search_path'::pg_catalog.text), ('default_transaction_isolation'), ('default_transaction_read_only')
), defaults AS MATERIALIZED (
  /* What sessions begin with, by role and database. */
  SELECT CASE WHEN d.setrole OPERATOR(pg_catalog.<>) 0 THEN pg_catalog.pg_get_userbyid(d.setrole)::pg_catalog.text END AS role,
    s.name, CASE WHEN d.setdatabase OPERATOR(pg_catalog.=) 0 THEN 'everywhere' ELSE 'here' END AS scope,
    pg_catalog.substr(c.setting, pg_catalog.length(s.name) OPERATOR(pg_catalog.+) 2) AS value
  FROM pg_catalog.pg_db_role_setting AS d CROSS JOIN LATERAL pg_catalog.unnest(d.setconfig) AS c(setting)
    JOIN settings AS s ON s.name OPERATOR(pg_catalog.=) pg_catalog.split_part(c.setting, '=', 1)
  WHERE d.setdatabase OPERATOR(pg_catalog.=) 0 OR d.setdatabase OPERATOR(pg_catalog.=)
    (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
), amount AS MATERIALIZED (
  SELECT
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc WHERE oid OPERATOR(pg_catalog.>=) 16384) AS functions,
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE relkind OPERATOR(pg_catalog.=) ANY
      ('{r,v,m,f,p,S}'::pg_catalog."char"[])) AS relations,
    (SELECT COALESCE(pg_catalog.sum(pg_catalog.pg_column_size(prosrc) OPERATOR(pg_catalog.+)
        COALESCE(pg_catalog.pg_column_size(prosqlbody), 0)), 0) FROM pg_catalog.pg_proc
      WHERE oid OPERATOR(pg_catalog.>=) 16384 AND provolatile OPERATOR(pg_catalog.<>) 'v')
    OPERATOR(pg_catalog.+) (SELECT COALESCE(pg_catalog.sum(pg_catalog.pg_column_size(ev_action)), 0)
      FROM pg_catalog.pg_rewrite WHERE oid OPERATOR(pg_catalog.>=) 16384)
    OPERATOR(pg_catalog.+) (SELECT COALESCE(pg_catalog.sum(pg_catalog.pg_column_size(polqual)), 0)
      FROM pg_catalog.pg_policy) AS bytes,
    (SELECT pg_catalog.count(*) FROM defaults) AS defaults
), excess(what) AS MATERIALIZED (
  SELECT CASE WHEN functions OPERATOR(pg_catalog.>) $1::pg_catalog.int8 THEN 'functions'
    WHEN relations OPERATOR(pg_catalog.>) $2::pg_catalog.int8 THEN 'relations'
    WHEN bytes OPERATOR(pg_catalog.>) $3::pg_catalog.int8 THEN 'bytes'
    WHEN defaults OPERATOR(pg_catalog.>) $4::pg_catalog.int8 THEN 'defaults' END FROM amount
), functions AS MATERIALIZED (
  /* Of the built-in ones only those that a newer version has brought, or that have been replaced. Procedures and trigger
     functions are called by no query. */
  SELECT p.oid, n.nspname, p.proname, p.provolatile, p.prokind, p.pronargs, p.pronargdefaults, l.lanname,
    p.provariadic OPERATOR(pg_catalog.<>) 0 AS endless, p.prosqlbody, p.proargdefaults,
    /* Whether it may be called as row.name. */
    p.pronargs OPERATOR(pg_catalog.>) 0
      AND p.pronargs OPERATOR(pg_catalog.-) p.pronargdefaults OPERATOR(pg_catalog.<=) 1 AND EXISTS (
      SELECT FROM pg_catalog.pg_type AS t WHERE t.oid OPERATOR(pg_catalog.=) p.proargtypes[0]
        AND (t.typtype OPERATOR(pg_catalog.=) 'c'
          OR t.oid OPERATOR(pg_catalog.=) ANY ('{2249,2276,2283,2776,5077,5079}'::pg_catalog.oid[]))) AS of_row,
    CASE WHEN p.provolatile OPERATOR(pg_catalog.=) 'v' OR p.prosqlbody IS NOT NULL
      OR p.prokind OPERATOR(pg_catalog.=) 'a' OR l.oid OPERATOR(pg_catalog.=) ANY ('{12,13}'::pg_catalog.oid[]) THEN ''
      WHEN pg_catalog.octet_length(p.prosrc) OPERATOR(pg_catalog.<=) 65536 THEN p.prosrc END AS body
  FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
    JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
  WHERE (SELECT what FROM excess) IS NULL
    AND (p.oid OPERATOR(pg_catalog.>=) 16384 OR n.nspname OPERATOR(pg_catalog.=) 'information_schema'
      OR p.prolang OPERATOR(pg_catalog.<>) ALL ('{12,13,14}'::pg_catalog.oid[]) OR (SELECT newer FROM system))
    AND p.prokind OPERATOR(pg_catalog.<>) 'p'
    AND p.prorettype OPERATOR(pg_catalog.<>) ALL ('{2279,3838}'::pg_catalog.oid[])
    AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_temp_')
), relations AS MATERIALIZED (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relrowsecurity
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  WHERE (SELECT what FROM excess) IS NULL
    AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,f,p,S}'::pg_catalog."char"[])
    AND c.relpersistence OPERATOR(pg_catalog.<>) 't'
), apart(oid) AS (
  /* Relations without rows on a standby, and those that such ones are a part of. */
  SELECT oid FROM relations WHERE relkind OPERATOR(pg_catalog.=) 'f' OR relpersistence OPERATOR(pg_catalog.=) 'u'
  UNION SELECT i.inhparent FROM pg_catalog.pg_inherits AS i JOIN apart ON apart.oid OPERATOR(pg_catalog.=) i.inhrelid
), trees(kind, oid, tree) AS (
  SELECT 'relation uses', r.ev_class, r.ev_action::pg_catalog.text
  FROM pg_catalog.pg_rewrite AS r JOIN relations AS c ON c.oid OPERATOR(pg_catalog.=) r.ev_class
  WHERE r.oid OPERATOR(pg_catalog.>=) 16384 AND r.ev_type OPERATOR(pg_catalog.=) '1'
    AND c.relkind OPERATOR(pg_catalog.=) 'v'
  UNION ALL SELECT 'policy uses', p.polrelid, p.polqual::pg_catalog.text
  FROM pg_catalog.pg_policy AS p WHERE (SELECT what FROM excess) IS NULL AND p.polqual IS NOT NULL
    AND p.polcmd OPERATOR(pg_catalog.=) ANY ('{r,*}'::pg_catalog."char"[])
  UNION ALL SELECT 'function uses', oid, prosqlbody::pg_catalog.text FROM functions
  WHERE prosqlbody IS NOT NULL AND provolatile OPERATOR(pg_catalog.<>) 'v'
  UNION ALL SELECT 'function uses', oid, proargdefaults::pg_catalog.text FROM functions WHERE proargdefaults IS NOT NULL
  UNION ALL SELECT 'domain uses', contypid, conbin::pg_catalog.text FROM pg_catalog.pg_constraint
  WHERE (SELECT what FROM excess) IS NULL AND contypid OPERATOR(pg_catalog.<>) 0 AND conbin IS NOT NULL
)
SELECT 'mark' AS kind, NULL::pg_catalog.text AS number, NULL::pg_catalog.text AS schema, NULL::pg_catalog.text AS name,
  NULL::pg_catalog.text AS traits, mark AS detail FROM mark
UNION ALL SELECT 'excess', NULL, NULL, NULL, NULL, what FROM excess WHERE what IS NOT NULL
UNION ALL SELECT 'schema', NULL, nspname::pg_catalog.text, NULL, NULL, NULL FROM pg_catalog.pg_namespace
  WHERE (SELECT what FROM excess) IS NULL AND NOT pg_catalog.starts_with(nspname::pg_catalog.text, 'pg_t')
UNION ALL SELECT 'function', oid::pg_catalog.text, nspname::pg_catalog.text, proname::pg_catalog.text,
  pg_catalog.concat_ws(' ', provolatile, prokind, pronargs, pronargdefaults, endless, of_row, lanname), body FROM functions
UNION ALL SELECT 'relation', oid::pg_catalog.text, nspname::pg_catalog.text, relname::pg_catalog.text,
  pg_catalog.concat_ws(' ', relkind, relpersistence, relrowsecurity), NULL FROM relations
/* Of a tree the numbers of functions and relations, and the settings that current_setting (2077, 3294) asks for by a constant:
   its bytes, behind four that hold the length. A tree of more than 1 MiB is not gone through. */
UNION ALL SELECT t.kind, t.oid::pg_catalog.text, NULL, NULL, NULL,
  CASE WHEN pg_catalog.octet_length(t.tree) OPERATOR(pg_catalog.>) 1048576 THEN '?' ELSE (
    SELECT pg_catalog.string_agg(DISTINCT pg_catalog.concat(
      CASE WHEN m[1] IS NOT NULL THEN 's' WHEN m[2] OPERATOR(pg_catalog.=) 'relid' THEN 'r' ELSE 'f' END,
      COALESCE(pg_catalog.translate(pg_catalog.btrim(m[1]), ' ', ','), m[3])), ' ')
    FROM pg_catalog.regexp_matches(t.tree, E':funcid (?:2077|3294) [^{}]*:args \\(\\{CONST [^{}]*:constvalue \\d+ \\[ ([-0-9 ]+)\\]|:(funcid|opfuncid|aggfnoid|winfnoid|startInRangeFunc|endInRangeFunc|relid) ([1-9]\\d*)', 'g') AS m) END
  FROM trees AS t
/* What an aggregate calls. */
UNION ALL SELECT 'function uses', f.oid::pg_catalog.text, NULL, NULL, NULL, (
    SELECT pg_catalog.string_agg(pg_catalog.concat('f', called), ' ') FROM pg_catalog.unnest(ARRAY[
      a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn,
      a.aggmfinalfn]::pg_catalog.oid[]) AS calls(called) WHERE called OPERATOR(pg_catalog.<>) 0)
  FROM functions AS f JOIN pg_catalog.pg_aggregate AS a ON a.aggfnoid::pg_catalog.oid OPERATOR(pg_catalog.=) f.oid
UNION ALL SELECT 'child', i.inhparent::pg_catalog.text, NULL, NULL, NULL, i.inhrelid::pg_catalog.text
  FROM pg_catalog.pg_inherits AS i JOIN apart ON apart.oid OPERATOR(pg_catalog.=) i.inhrelid
/* What a statement may do without a call in its text. */
UNION ALL SELECT 'operator', NULL, n.nspname::pg_catalog.text, o.oprname::pg_catalog.text, NULL,
  pg_catalog.concat('f', o.oprcode::pg_catalog.oid)
  FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace
  WHERE (SELECT what FROM excess) IS NULL AND o.oid OPERATOR(pg_catalog.>=) 16384
    AND o.oprcode::pg_catalog.oid OPERATOR(pg_catalog.<>) 0
UNION ALL SELECT 'cast', NULL, NULL, pg_catalog.concat(sn.nspname, '.', s.typname, ' AS ', tn.nspname, '.', t.typname), NULL,
    pg_catalog.concat('f', c.castfunc)
  FROM pg_catalog.pg_cast AS c
    JOIN pg_catalog.pg_type AS s ON s.oid OPERATOR(pg_catalog.=) c.castsource
    JOIN pg_catalog.pg_namespace AS sn ON sn.oid OPERATOR(pg_catalog.=) s.typnamespace
    JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) c.casttarget
    JOIN pg_catalog.pg_namespace AS tn ON tn.oid OPERATOR(pg_catalog.=) t.typnamespace
  WHERE (SELECT what FROM excess) IS NULL AND c.oid OPERATOR(pg_catalog.>=) 16384
    AND c.castfunc OPERATOR(pg_catalog.<>) 0
UNION ALL SELECT 'domain', t.oid::pg_catalog.text, n.nspname::pg_catalog.text, t.typname::pg_catalog.text, NULL, NULL
  FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
  WHERE (SELECT what FROM excess) IS NULL AND t.oid OPERATOR(pg_catalog.>=) 16384
    AND t.typtype OPERATOR(pg_catalog.=) 'd'
/* What settings are in a new session. The server's own value shows only if whoever asks has been given no other one; and what a
   trigger does at logins, nobody knows. */
UNION ALL SELECT 'default', NULL, d.role, d.name, d.scope, d.value FROM (
    SELECT role, name, scope, value FROM defaults
    UNION ALL SELECT NULL, g.name, 'server', g.reset_val
    FROM pg_catalog.pg_settings AS g JOIN settings AS s ON s.name OPERATOR(pg_catalog.=) g.name
    WHERE g.source OPERATOR(pg_catalog.=) ANY
      ('{default,environment variable,configuration file,command line}'::pg_catalog.text[])) AS d
  WHERE (SELECT what FROM excess) IS NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger
    WHERE evtevent OPERATOR(pg_catalog.=) 'login' AND evtenabled OPERATOR(pg_catalog.<>) 'D')
