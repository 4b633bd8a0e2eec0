/* Another text as soon as anything that routing reads of a database is another. What a TRUNCATE, a REFRESH or statistics
   change of a relation does not count, nor do temporary objects. */
SELECT pg_catalog.concat_ws('/',
  pg_catalog.current_setting('server_version_num'),
  (SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashtext(n.xmin::pg_catalog.text)))
   FROM pg_catalog.pg_namespace AS n WHERE NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_t')),
  (SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashtext(xmin::pg_catalog.text)))
   FROM pg_catalog.pg_proc WHERE oid OPERATOR(pg_catalog.>=) 16384),
  (SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hash_record(
     ROW(oid, relname, relnamespace, relkind, relpersistence, relrowsecurity))))
   FROM pg_catalog.pg_class WHERE relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,f,p,S}'::pg_catalog."char"[])
     AND relpersistence OPERATOR(pg_catalog.<>) 't'),
  (SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashtext(r.xmin::pg_catalog.text)))
   FROM pg_catalog.pg_rewrite AS r JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.ev_class
   WHERE r.oid OPERATOR(pg_catalog.>=) 16384 AND c.relpersistence OPERATOR(pg_catalog.<>) 't'),
  (SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashtext(xmin::pg_catalog.text)))
   FROM pg_catalog.pg_policy),
  (SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashtext(i.xmin::pg_catalog.text)))
   FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.inhrelid
   WHERE c.relpersistence OPERATOR(pg_catalog.<>) 't'),
  (SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashtext(xmin::pg_catalog.text)))
   FROM pg_catalog.pg_operator WHERE oid OPERATOR(pg_catalog.>=) 16384),
  (SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashtext(xmin::pg_catalog.text)))
   FROM pg_catalog.pg_cast WHERE oid OPERATOR(pg_catalog.>=) 16384),
  (SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashtext(xmin::pg_catalog.text)))
   FROM pg_catalog.pg_constraint WHERE contypid OPERATOR(pg_catalog.<>) 0),
  (SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ',
     s.setdatabase, s.setrole, pg_catalog.pg_get_userbyid(s.setrole), c.setting))))
   FROM pg_catalog.pg_db_role_setting AS s CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(setting)
   WHERE pg_catalog.split_part(c.setting, '=', 1) OPERATOR(pg_catalog.=) ANY
     ('{search_path,default_transaction_isolation,default_transaction_read_only}'::pg_catalog.text[])),
  (SELECT pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', name, source, reset_val)))
   FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) ANY
     ('{search_path,default_transaction_isolation,default_transaction_read_only}'::pg_catalog.text[])),
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_event_trigger
   WHERE evtevent OPERATOR(pg_catalog.=) 'login' AND evtenabled OPERATOR(pg_catalog.<>) 'D')) AS mark
