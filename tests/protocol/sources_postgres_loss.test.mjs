// What PostgreSQL no longer has: it is told, and what comes after it is read.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Postgres } from './postgres.mjs';
import { until } from './server.mjs';
import { held, holds, installOutbox, running, sourceStatus, withSources } from './sources.mjs';

let database;
before(async () => {
  database = await Postgres.start({ settings: { max_slot_wal_keep_size: "'16MB'" } });
});
after(() => database.stop());

const publish = (from, to) =>
  database.sql(`SELECT belfry.publish('t/1', 'made', to_jsonb(n)) FROM generate_series(${from}, ${to}) n`);
const count = async (condition) =>
  Number((await database.sql(`SELECT count(*) FROM belfry.outbox WHERE ${condition}`))[0][0]);
const relayed = () => until(async () => (await count('batch IS NULL')) === 0, 'all are marked');
const data = async (server, n) => (await holds(server, n)).map((event) => event.data);

describe('rows that are taken over', () => {
  const outbox = (more = '') => `kind = "postgres-outbox"\nurl = "${database.url}"\n${more}`;

  it('are kept for 7 days, and removed then', async () => {
    await installOutbox(database);
    const server = await withSources({ app: outbox() });
    try {
      await publish(1, 12_000);
      await until(
        async () => (await server.metric('belfry_source_events_total{source="app"}')) === 12_000,
        'read',
      );
      await relayed();
      await server.kill();
      await database.sql(`UPDATE belfry.outbox SET relayed_at = relayed_at - interval '6 days 23 hours'`);
      await database.sql(
        `UPDATE belfry.outbox SET relayed_at = relayed_at - interval '2 hours' WHERE id <= 11000`,
      );
      await server.launch();
      await until(async () => (await count('true')) <= 1000, 'the old ones go');
      await publish(12_001, 12_001);
      await relayed();
      assert.equal(await count('true'), 1001);
      assert.equal((await sourceStatus(server, 'app')).alarm, null);
    } finally {
      await server.stop();
    }
  });

  it('are missed by a restored Belfry once they are removed', async () => {
    await installOutbox(database);
    const folder = mkdtempSync(join(tmpdir(), 'belfry-restored-'));
    const server = await withSources({ app: outbox() });
    try {
      await publish(1, 2);
      await data(server, 2);
      await relayed();
      await server.kill();
      cpSync(server.data, join(folder, 'data'), { recursive: true });
      await server.launch();
      await publish(3, 4);
      await data(server, 4);
      await relayed();
      await publish(5, 6);
      await data(server, 6);
      await relayed();
      await server.kill();
      rmSync(server.data, { recursive: true });
      cpSync(join(folder, 'data'), server.data, { recursive: true });
      await database.sql(`DELETE FROM belfry.outbox WHERE data IN ('3', '4')`);
      await server.launch();
      assert.deepEqual(await data(server, 4), [1, 2, 5, 6]);
      const { alarm } = await sourceStatus(server, 'app');
      assert.equal(alarm.code, 'source_gap');
      assert.match(alarm.message, /1 batches were relayed/);
      await publish(7, 7);
      assert.deepEqual(await data(server, 5), [1, 2, 5, 6, 7]);
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  for (const [begin, expected] of [
    ['now', [1, 2, 3]],
    ['earliest', [1, 2, 1, 2, 3]],
  ])
    it(`after a reset, with begin = "${begin}"`, async () => {
      await installOutbox(database);
      const server = await withSources({ app: outbox(`begin = "${begin}"\n`) });
      try {
        await publish(1, 2);
        await data(server, 2);
        await relayed();
        assert.equal((await server.call('POST', '/v1/sources/app/reset')).status, 202);
        await until(
          async () =>
            Object.keys((await sourceStatus(server, 'app')).positions).length === 0 ||
            (await held(server)).length > 2,
          'it begins again',
        );
        await publish(3, 3);
        assert.deepEqual(await data(server, expected.length), expected);
        await relayed();
        assert.equal((await held(server)).length, expected.length);
      } finally {
        await server.stop();
      }
    });
});

describe('a slot', () => {
  it('whose log the server has removed is an alarm, and a reset makes another', async () => {
    await database.sql('CREATE TABLE bookings(id int PRIMARY KEY)');
    const server = await withSources({
      away: `kind = "postgres-changes"\nurl = "${database.url}"\ntables = ["public.bookings"]\n`,
    });
    const slot = async () =>
      (
        await database.sql(`SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'belfry_away'`)
      )[0][0];
    try {
      await running(server, 'away');
      await database.sql('INSERT INTO bookings VALUES (1)');
      await holds(server, 1);
      await server.kill();
      for (let id = 2; (await slot()) !== 'lost'; id += 1) {
        assert.ok(id < 30, 'the server gives up the slot');
        await database.sql(`INSERT INTO bookings VALUES (${id})`);
        await database.sql('SELECT pg_switch_wal()');
        await database.sql('CHECKPOINT');
      }
      await server.launch();
      await until(async () => (await sourceStatus(server, 'away')).state === 'stopped', 'it stops');
      assert.equal((await sourceStatus(server, 'away')).alarm.code, 'source_gap');
      assert.equal((await server.call('POST', '/v1/sources/away/reset')).status, 202);
      await running(server, 'away');
      await database.sql('INSERT INTO bookings VALUES (1000)');
      assert.deepEqual(
        (await holds(server, 2)).map((event) => event.topic),
        ['bookings/1', 'bookings/1000'],
      );
    } finally {
      await server.stop();
    }
  });
});

describe('a table', () => {
  let own;
  const rows = 'CREATE TABLE rows(id bigserial PRIMARY KEY); INSERT INTO rows DEFAULT VALUES';
  const source = (where) =>
    `kind = "postgres-table"\nurl = "${where.url}"\ntable = "public.rows"\nbegin = "earliest"\n`;
  const topics = async (server, n) => (await holds(server, n)).map((event) => event.topic);
  before(async () => {
    own = await Postgres.start();
    await own.sql(rows);
  });
  after(() => own.stop());

  it('of a database that went over to another timeline is read on, with an alarm', async () => {
    const server = await withSources({ rows: source(own) });
    try {
      assert.deepEqual(await topics(server, 1), ['rows/1']);
      await server.kill();
      await server.launch();
      await running(server, 'rows');
      assert.equal((await sourceStatus(server, 'rows')).alarm, null, 'the same as before');
      await server.kill();
      await own.promote();
      await own.sql('INSERT INTO rows DEFAULT VALUES');
      await server.launch();
      assert.equal((await topics(server, 2)).length, 2);
      const { state, alarm } = await sourceStatus(server, 'rows');
      assert.deepEqual([state, alarm.code], ['running', 'source_gap']);
      await server.kill();
      await server.launch();
      await running(server, 'rows');
      assert.equal((await sourceStatus(server, 'rows')).alarm, null, 'told once');
    } finally {
      await server.stop();
    }
  });

  it('of another database is not read, however far its transactions have come', async () => {
    const server = await withSources({ rows: source(own) });
    const other = await Postgres.start();
    try {
      await holds(server, 1);
      await server.kill();
      await other.sql(rows);
      await other.sql(`DO $$ BEGIN FOR i IN 1..2000 LOOP
        PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`);
      const file = join(server.folder, 'belfry.toml');
      writeFileSync(file, readFileSync(file, 'utf8').replace(own.url, other.url));
      await server.launch();
      await until(async () => (await sourceStatus(server, 'rows')).state === 'stopped', 'it stops');
      assert.equal((await sourceStatus(server, 'rows')).alarm.code, 'source_ahead');
      assert.equal((await server.call('POST', '/v1/sources/rows/reset')).status, 202);
      await running(server, 'rows');
      assert.equal((await sourceStatus(server, 'rows')).alarm, null);
    } finally {
      await server.stop();
      await other.stop();
    }
  });
});
