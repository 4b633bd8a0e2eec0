// postgres.js with its default settings, behind a pooler in transaction mode with a few servers: it prepares every
// statement, and sends the next ones before the last is answered.
//
// Where to connect comes from the environment, as it reads it.
'use strict';

const assert = require('node:assert/strict');

const postgres = require('postgres');

const { run } = require('./run.js');

/** Connections of a crowd: more than there are servers. */
const CROWD = 8;

/** Runs `work` with a pool of its own. */
async function connected(work, options = {}) {
  const sql = postgres({ onnotice: () => {}, ...options });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

const checks = {
  'logs in, and looks up the types of arrays': () =>
    connected(async (sql) => {
      const [row] = await sql`SELECT current_user AS who, ARRAY[1, 2, 3] AS numbers`;
      assert.deepEqual({ ...row }, { who: process.env.PGUSER, numbers: [1, 2, 3] });
    }),

  'carries values of many types': () =>
    connected(async (sql) => {
      const moment = new Date('2024-02-29T12:34:56.789Z');
      const [row] = await sql`SELECT ${moment}::timestamptz AS moment, ${sql.json({ a: [1, null] })}::jsonb AS document,
        ${Buffer.from([0, 1, 255])}::bytea AS bytes, ${[1, 2]}::int[] AS numbers, ${true}::bool AS yes`;
      assert.deepEqual(
        { ...row },
        { moment, document: { a: [1, null] }, bytes: Buffer.from([0, 1, 255]), numbers: [1, 2], yes: true },
      );
    }),

  'one connection sends many statements at once': () =>
    connected(async (sql) => {
      const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => sql`SELECT ${n}::int AS n`));
      assert.deepEqual(answers.map(([row]) => row.n), Array.from({ length: 200 }, (_, n) => n));
    }, { max: 1 }),

  'a failed statement among them fails alone': () =>
    connected(async (sql) => {
      const divide = (by) => sql`SELECT 10 / ${by}::int AS n`;
      const answers = await Promise.allSettled([divide(1), divide(0), divide(2), sql`SELECT nonsense`, divide(5)]);
      assert.deepEqual(
        answers.map(({ status, value, reason }) => (status === 'fulfilled' ? value[0].n : reason.code)),
        [10, '22012', 5, '42703', 2],
      );
    }, { max: 1 }),

  'transactions, savepoints and rollback': () =>
    connected(async (sql) => {
      await sql`CREATE TABLE kept (i int PRIMARY KEY)`;
      await sql.begin(async (tx) => {
        await tx`INSERT INTO kept VALUES (1)`;
        await assert.rejects(tx.savepoint((inner) => inner`INSERT INTO kept VALUES (1)`), { code: '23505' });
        await tx`INSERT INTO kept VALUES (2)`;
      });
      await assert.rejects(sql.begin(async (tx) => {
        await tx`INSERT INTO kept VALUES (3)`;
        throw new Error('no');
      }), /no/);
      await sql.begin('isolation level serializable', async (tx) => {
        const [{ transaction_isolation: level }] = await tx`SHOW transaction_isolation`;
        assert.equal(level, 'serializable');
      });
      assert.deepEqual([...await sql`SELECT i FROM kept ORDER BY i`].map((row) => row.i), [1, 2]);
    }),

  'rows by portions': () =>
    connected(async (sql) => {
      let sum = 0;
      await sql`SELECT generate_series(1, 1000) AS n`.cursor(100, (rows) => {
        rows.forEach(({ n }) => { sum += n; });
      });
      for await (const rows of sql`SELECT generate_series(1, 1000) AS n`.cursor(300)) {
        rows.forEach(({ n }) => { sum += n; });
      }
      assert.equal(sum, 2 * 500_500);
    }),

  'many rows at once, and COPY out': () =>
    connected(async (sql) => {
      await sql`CREATE TABLE many (a int, b text)`;
      const rows = Array.from({ length: 500 }, (_, n) => ({ a: n, b: `row ${n}` }));
      await sql`INSERT INTO many ${sql(rows)}`;
      let copied = '';
      for await (const chunk of await sql`COPY many TO STDOUT`.readable()) {
        copied += chunk;
      }
      assert.equal(copied.trim().split('\n').length, 500);
    }),

  'a statement is prepared again after its table has changed': () =>
    connected(async (sql) => {
      await sql`CREATE TABLE changing (a int)`;
      await sql`INSERT INTO changing VALUES (1)`;
      const read = () => sql`SELECT * FROM changing`;
      assert.deepEqual({ ...(await read())[0] }, { a: 1 });
      await sql`ALTER TABLE changing ADD b text DEFAULT 'new'`;
      assert.deepEqual({ ...(await read())[0] }, { a: 1, b: 'new' });
    }, { max: 1 }),

  'LISTEN and NOTIFY': () =>
    connected(async (sql) => {
      let heard;
      const told = new Promise((resolve) => { heard = resolve; });
      const listening = await sql.listen('news', heard);
      await sql.notify('news', 'hello');
      assert.equal(await told, 'hello');
      await listening.unlisten();
    }),

  'a statement is cancelled, and the connection goes on': () =>
    connected(async (sql) => {
      const slow = sql`SELECT pg_sleep(3600)`.execute();
      for (let running = '0'; running === '0';) {
        [{ running }] = await sql`SELECT count(*) AS running FROM pg_stat_activity
          WHERE usename = current_user AND wait_event = 'PgSleep'`;
      }
      slow.cancel();
      await assert.rejects(slow, { code: '57014' });
      assert.equal((await sql`SELECT 1 AS n`)[0].n, 1);
    }),

  'more connections than servers, each in transactions of its own': () =>
    connected(async (sql) => {
      const servers = new Set();
      await Promise.all(Array.from({ length: CROWD * 10 }, (_, seed) => sql.begin(async (tx) => {
        const [{ pid }] = await tx`SELECT pg_backend_pid() AS pid, ${seed}::int`;
        const [{ pid: again }] = await tx`SELECT pg_backend_pid() AS pid`;
        assert.equal(again, pid);
        servers.add(pid);
      })));
      assert(servers.size > 1, 'a single server has served the pool');
    }, { max: CROWD }),
};

run(`postgres.js ${require('./package.json').dependencies.postgres}`, checks);
