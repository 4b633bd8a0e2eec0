// node-postgres with its default settings, behind a pooler in transaction mode with a few servers.
//
// Where to connect comes from the environment, as libpq reads it.
'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');

const pg = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');
const copy = require('pg-copy-streams');

const { run } = require('./run.js');

/** Runs `work` with a connection of its own. */
async function connected(work, options = {}) {
  const client = new pg.Client(options);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function serverOf(client) {
  return (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
}

/**
 * Runs `work` while the server that the client used last is held, so that it gets another one.
 * Servers are shared by clients that start with the same `options`.
 */
async function elsewhere(client, work, options = {}) {
  const before = await serverOf(client);
  const holders = [];
  try {
    // Whoever gets another one keeps that until the server is found.
    let held;
    while (held !== before) {
      assert(holders.length < 3, 'the server is found');
      const holder = new pg.Client(options);
      await holder.connect();
      holders.push(holder);
      await holder.query('BEGIN');
      held = await serverOf(holder);
    }
    for (const holder of holders.slice(0, -1)) {
      await holder.query('ROLLBACK');
    }
    assert((await serverOf(client)) !== before, 'the connection keeps its server');
    return await work();
  } finally {
    for (const holder of holders) {
      await holder.query('ROLLBACK');
      await holder.end();
    }
  }
}

/** The single value of the single row. */
async function value(client, text, values) {
  const { rows } = await client.query({ text, values, rowMode: 'array' });
  return rows[0][0];
}

const checks = {
  'logs in with a password': () =>
    connected(async (client) => {
      assert.equal(await value(client, 'SELECT current_user'), client.user);
    }),

  'carries values of many types': () =>
    connected(async (client) => {
      const values = [
        ['bool', true, true],
        ['int4', 2 ** 31 - 1, 2 ** 31 - 1],
        ['int8', '-9223372036854775808', '-9223372036854775808'],
        ['numeric', '-12345678901234567890.000000012', '-12345678901234567890.000000012'],
        ['float8', 1.5e300, 1.5e300],
        ['text', 'naïve \'quotes\' \\ and 漢字', 'naïve \'quotes\' \\ and 漢字'],
        ['bytea', Buffer.from([0, 1, 255]), Buffer.from([0, 1, 255])],
        ['timestamptz', new Date(1582979400000), new Date(1582979400000)],
        ['jsonb', { a: [1, null, 'x'] }, { a: [1, null, 'x'] }],
        ['int4[]', [1, null, 3], [1, null, 3]],
        ['text[]', ['a', 'b,c', '"'], ['a', 'b,c', '"']],
        ['text', null, null],
        ['text', '0123456789abcdef'.repeat(65536), '0123456789abcdef'.repeat(65536)],
      ];
      for (const [type, given, wanted] of values) {
        assert.deepEqual(await value(client, `SELECT $1::${type}`, [given]), wanted);
      }
      const binary = { text: 'SELECT $1::int4 AS i, $2::bool AS b', values: [7, true], binary: true };
      assert.deepEqual((await client.query(binary)).rows, [{ i: 7, b: true }]);
    }),

  'several statements in one text, with a result each': () =>
    connected(async (client) => {
      const results = await client.query('SELECT 1 AS a; SELECT 2 AS b');
      assert.deepEqual(results.map((result) => result.rows), [[{ a: 1 }], [{ b: 2 }]]);
    }),

  'named statements work on every server': () =>
    connected(async (client) => {
      const named = (number) => ({ name: 'plus', text: 'SELECT $1::int + 1 AS sum', values: [number] });
      for (let turn = 0; turn < 3; turn += 1) {
        await elsewhere(client, async () => {
          for (let number = 0; number < 5; number += 1) {
            assert.equal((await client.query(named(number))).rows[0].sum, number + 1);
          }
        });
      }
    }),

  'the same name means another text for another client': () =>
    connected((one) =>
      connected(async (two) => {
        for (let turn = 0; turn < 6; turn += 1) {
          const first = await one.query({ name: 'same', text: 'SELECT 1 AS i' });
          const second = await two.query({ name: 'same', text: 'SELECT 2 AS i' });
          assert.deepEqual([first.rows[0].i, second.rows[0].i], [1, 2]);
        }
      })),

  'many named statements, more than a server keeps': () =>
    connected(async (client) => {
      for (let turn = 0; turn < 2; turn += 1) {
        await elsewhere(client, async () => {
          for (let number = 0; number < 60; number += 1) {
            const query = { name: `n${number}`, text: `SELECT $1::int + ${number} AS sum`, values: [turn] };
            assert.equal((await client.query(query)).rows[0].sum, turn + number);
          }
        });
      }
    }),

  'an error in a named statement leaves the connection usable': () =>
    connected(async (client) => {
      const divide = (by) => client.query({ name: 'divide', text: 'SELECT 6 / $1::int AS q', values: [by] });
      await assert.rejects(divide(0), { code: '22012' });
      assert.equal((await divide(3)).rows[0].q, 2);
      await assert.rejects(client.query({ name: 'wrong', text: 'SELECT * FROM nowhere' }), { code: '42P01', position: '15' });
      await assert.rejects(client.query('SELEC 1'), { code: '42601' });
      await assert.rejects(client.query('SELECT $1::int', ['x']), { code: '22P02' });
      await elsewhere(client, async () => assert.equal((await divide(2)).rows[0].q, 3));
    }),

  'queries that are queued without waiting': () =>
    connected(async (client) => {
      const queries = Array.from({ length: 200 }, (_, number) => value(client, 'SELECT $1::int', [number]));
      assert.deepEqual(await Promise.all(queries), Array.from({ length: 200 }, (_, number) => number));
    }),

  'transactions, rollback and savepoints': () =>
    connected(async (client) => {
      await client.query('DROP TABLE IF EXISTS tx_node; CREATE TABLE tx_node (i int PRIMARY KEY)');
      await client.query('BEGIN');
      await client.query('INSERT INTO tx_node VALUES ($1)', [1]);
      await client.query('SAVEPOINT s');
      await assert.rejects(client.query('INSERT INTO tx_node VALUES ($1)', [1]), { code: '23505' });
      await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
      await client.query('ROLLBACK TO s');
      await client.query('INSERT INTO tx_node VALUES ($1)', [2]);
      await client.query('COMMIT');
      await client.query('BEGIN');
      await client.query('INSERT INTO tx_node VALUES ($1)', [3]);
      await client.query('ROLLBACK');
      assert.deepEqual(await value(client, 'SELECT array_agg(i ORDER BY i) FROM tx_node'), [1, 2]);
    }),

  'cursors': () =>
    connected(async (client) => {
      for (let turn = 0; turn < 2; turn += 1) {
        await elsewhere(client, async () => {
          const cursor = client.query(new Cursor('SELECT generate_series(1, $1::int) AS i', [1000]));
          assert.equal((await cursor.read(300)).at(-1).i, 300);
          assert.equal((await cursor.read(300)).at(-1).i, 600);
          await cursor.close();
          assert.equal(await value(client, 'SELECT 1'), 1);
        });
      }
    }),

  'streams of rows': () =>
    connected(async (client) => {
      const stream = client.query(new QueryStream('SELECT generate_series(1, $1::int) AS i', [20000], { batchSize: 500 }));
      let total = 0;
      for await (const row of stream) total += row.i;
      assert.equal(total, (20000 * 20001) / 2);
    }),

  'COPY in and out': () =>
    connected(async (client) => {
      await client.query('DROP TABLE IF EXISTS copy_node; CREATE TABLE copy_node (i int, t text)');
      const lines = Array.from({ length: 20000 }, (_, number) => `${number}\trow ${number}\n`);
      await pipeline(Readable.from(lines), client.query(copy.from('COPY copy_node FROM STDIN')));
      let bytes = 0;
      for await (const piece of client.query(copy.to('COPY copy_node TO STDOUT'))) bytes += piece.length;
      assert.equal(bytes, lines.join('').length);
      const nonsense = Readable.from(['not a number\tx\n']);
      await assert.rejects(pipeline(nonsense, client.query(copy.from('COPY copy_node FROM STDIN'))), { code: '22P02' });
      assert.equal(await value(client, 'SELECT count(*)::int FROM copy_node'), 20000);
    }),

  'LISTEN and NOTIFY, from others and from itself': () =>
    connected((listener) =>
      connected(async (speaker) => {
        const heard = [];
        listener.on('notification', (message) => heard.push(message.payload));
        await listener.query('LISTEN node_channel');
        for (let turn = 0; turn < 2; turn += 1) {
          await elsewhere(speaker, () => speaker.query('SELECT pg_notify($1, $2)', ['node_channel', 'from afar']));
        }
        await listener.query("NOTIFY node_channel, 'my own'");
        while (heard.length < 3) await once(listener, 'notification');
        assert.deepEqual(heard, ['from afar', 'from afar', 'my own']);
        await listener.query('UNLISTEN *');
      })),

  'a statement is cancelled, and the connection goes on': () =>
    connected(async (client) => {
      const sleep = client.query('SELECT pg_sleep(60)');
      setTimeout(() => new pg.Client().cancel(client, client.activeQuery), 300);
      await assert.rejects(sleep, { code: '57014' });
      assert.equal(await value(client, 'SELECT 1'), 1);
    }),

  'a time limit of the start packet holds on every server': () => {
    const options = { statement_timeout: 300 };
    return connected(async (client) => {
      for (let turn = 0; turn < 2; turn += 1) {
        const late = () => assert.rejects(client.query('SELECT pg_sleep(60)'), { code: '57014' });
        await elsewhere(client, late, options);
      }
    }, options);
  },

  'notices of the server': () =>
    connected(async (client) => {
      const notices = [];
      client.on('notice', (notice) => notices.push(notice.message));
      await client.query('DROP TABLE IF EXISTS never_there');
      assert.deepEqual(notices, ['table "never_there" does not exist, skipping']);
    }),

  'settings follow the connection to other servers': () =>
    connected(async (client) => {
      await client.query("SET TimeZone = 'Asia/Tokyo'");
      for (let turn = 0; turn < 2; turn += 1) {
        await elsewhere(client, async () => {
          assert.equal(await value(client, 'SHOW TimeZone'), 'Asia/Tokyo');
          assert.equal(await value(client, 'SHOW application_name'), 'node checks');
        });
      }
    }, { application_name: 'node checks' }),

  'its pool, for a hundred tasks on ten connections': async () => {
    const pool = new pg.Pool({ max: 10 });
    const servers = new Set();
    try {
      await Promise.all(Array.from({ length: 100 }, async (_, seed) => {
        const query = { name: `task${seed % 5}`, text: `SELECT $1::int + ${seed % 5} AS sum, pg_backend_pid() AS pid`, values: [seed] };
        const { rows } = await pool.query(query);
        assert.equal(rows[0].sum, seed + (seed % 5));
        servers.add(rows[0].pid);
        const client = await pool.connect();
        try {
          await client.query('BEGIN');
          const first = await serverOf(client);
          assert.equal((await client.query(query)).rows[0].pid, first);
          await client.query('COMMIT');
        } finally {
          client.release();
        }
      }));
    } finally {
      await pool.end();
    }
    assert(servers.size > 1, 'a single server has served the pool');
  },
};

run(`node-postgres ${require('pg/package.json').version}`, checks);
