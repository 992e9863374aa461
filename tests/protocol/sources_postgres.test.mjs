// Sources on a real PostgreSQL: the outbox, a table, and logical replication.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SseClient } from './clients.mjs';
import { Postgres } from './postgres.mjs';
import { until } from './server.mjs';
import {
  belfry,
  held,
  holds,
  installOutbox,
  onceEach,
  running,
  sourceStatus,
  withSources,
} from './sources.mjs';

let database;
before(async () => {
  database = await Postgres.start();
});
after(() => database.stop());

const outbox = (more = '') => `kind = "postgres-outbox"\nurl = "${database.url}"\n${more}`;
const fresh = () => installOutbox(database);

describe('publishing in a transaction', () => {
  it('is there after the commit, and only then', async () => {
    await fresh();
    const server = await withSources({ app: outbox() });
    try {
      await running(server, 'app');
      const client = await new SseClient(server, ['bookings/#', 'users/#']).open();
      await database.sql(
        `BEGIN; SELECT belfry.publish('bookings/1', 'booking.made', '{"n": 1}'); ROLLBACK`,
      );
      await database.sql(`BEGIN;
        SELECT belfry.publish('bookings/7', 'booking.confirmed', '{"total": 12.50, "gone": null}',
          notification => '{"title": "Confirmed"}', key => 'state', expires => now() + interval '1 hour');
        SELECT belfry.refresh('users/ana', '[["bookings"]]', spread_ms => 500, version => '9');
        COMMIT`);
      await until(() => client.events.length === 2, 'both arrive');
      const [first, second] = await held(server);
      assert.equal(first.topic, 'bookings/7');
      assert.equal(first.type, 'booking.confirmed');
      assert.deepEqual(first.data, { total: 12.5, gone: null });
      assert.deepEqual(first.notification, { title: 'Confirmed' });
      assert.equal(first.key, 'state');
      assert.ok(Date.parse(first.expires) > Date.now());
      assert.equal(second.type, 'refresh');
      assert.deepEqual(second.keys, [['bookings']]);
      assert.equal(second.spread_ms, 500);
      assert.equal(second.version, '9');
      client.close();
    } finally {
      await server.stop();
    }
  });

  it('as the README says', async () => {
    await fresh();
    await database.sql('DROP TABLE IF EXISTS bookings');
    const server = await withSources({ app: outbox() });
    try {
      await database.sql(readFileSync(new URL('sources_readme.sql', import.meta.url), 'utf8'));
      const [event] = await holds(server, 1);
      assert.equal(event.topic, 'users/ana');
      assert.deepEqual(event.notification, { title: 'Your booking is confirmed' });
    } finally {
      await server.stop();
    }
  });

  it('loses and doubles nothing when Belfry and the database die', async () => {
    await fresh();
    const server = await withSources({ app: outbox() });
    try {
      await running(server, 'app');
      let written = 0;
      for (let round = 0; round < 6; round += 1) {
        await database.sql(
          `SELECT count(belfry.publish('t/' || n % 10, 'made', to_jsonb(n)))
            FROM generate_series(${written + 1}, ${written + 2500}) n`,
        );
        written += 2500;
        await new Promise((resolve) => setTimeout(resolve, 20 * round));
        if (round % 3 === 2) {
          await database.crash();
          await database.launch();
        } else {
          await server.kill();
          await server.launch();
        }
      }
      const events = await holds(server, written);
      onceEach(events, written);
      // Rows go from the outbox once the log has them.
      const waiting = 'SELECT count(*) FROM belfry.outbox WHERE batch IS NULL';
      await until(async () => (await database.sql(waiting))[0][0] === '0', 'the end of the outbox');
    } finally {
      await server.stop();
    }
  });

  it('buries what cannot become an event, and goes on', async () => {
    await fresh();
    const server = await withSources({ app: outbox() });
    try {
      await running(server, 'app');
      await database.sql(
        `SELECT belfry.publish('not a topic', 'made', '1'); SELECT belfry.publish('t/1', 'made', '2')`,
      );
      const events = await holds(server, 1);
      assert.equal(events[0].data, 2);
      assert.equal((await sourceStatus(server, 'app')).dead_letters, 1);
      const dead = await belfry(['source', 'dead', 'app', '--data', server.data]);
      assert.match(dead.stdout, /bad_topic/);
      assert.match(dead.stdout, /not a topic/);
      assert.match(await (await fetch(`${server.url}/readyz`)).text(), /^source app running$/m);
      await until(
        async () => (await server.metric('belfry_source_dead_letters_total{source="app"}')) === 1,
        'counted',
      );
    } finally {
      await server.stop();
    }
  });

  it('reads again what a restored Belfry does not have, and tells of a restored database', async () => {
    await fresh();
    const folder = mkdtempSync(join(tmpdir(), 'belfry-restored-'));
    const server = await withSources({ app: outbox() });
    try {
      await running(server, 'app');
      await database.sql(`SELECT belfry.publish('t/1', 'made', to_jsonb(n)) FROM generate_series(1, 10) n`);
      await holds(server, 10);
      await until(
        async () => (await database.sql('SELECT batch FROM belfry.relay'))[0][0] !== '0',
        'marked',
      );
      await server.kill();
      cpSync(server.data, join(folder, 'data'), { recursive: true });
      await server.launch();
      await database.sql(
        `SELECT belfry.publish('t/1', 'made', to_jsonb(n)) FROM generate_series(11, 20) n`,
      );
      await holds(server, 20);
      const relayed = async () =>
        (await database.sql('SELECT count(*) FROM belfry.outbox WHERE batch IS NULL'))[0][0] === '0';
      await until(relayed, 'marked');
      await server.kill();
      rmSync(server.data, { recursive: true });
      cpSync(join(folder, 'data'), server.data, { recursive: true });
      await server.launch();
      const events = await holds(server, 20);
      assert.deepEqual(
        events.map((event) => event.data),
        Array.from({ length: 20 }, (_, n) => n + 1),
      );
      // Now the database is older than what was read.
      await server.kill();
      await database.sql('UPDATE belfry.relay SET batch = 0; UPDATE belfry.outbox SET batch = NULL');
      await server.launch();
      await until(async () => (await sourceStatus(server, 'app')).state === 'stopped', 'it stops');
      const { alarm } = await sourceStatus(server, 'app');
      assert.equal(alarm.code, 'source_ahead');
      assert.match(await (await fetch(`${server.url}/readyz`)).text(), /^source app stopped alarm$/m);
      await until(async () => (await server.metric('belfry_source_alarm{source="app"}')) === 1, 'an alarm');
      const reset = await belfry([
        'source',
        'reset',
        'app',
        '--url',
        server.url,
        '--key-file',
        join(server.folder, 'backend_key'),
      ]);
      assert.equal(reset.code, 0, reset.stderr);
      await running(server, 'app');
      assert.equal((await sourceStatus(server, 'app')).alarm, null);
      const shown = await belfry([
        'source',
        'status',
        '--url',
        server.url,
        '--key-file',
        join(server.folder, 'backend_key'),
      ]);
      assert.match(shown.stdout, /^app +postgres-outbox +running/m);
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('waits for a database that is away, without telling its password', async () => {
    const server = await withSources({
      app: `kind = "postgres-outbox"\nurl = "postgres://app:s3cret-word@127.0.0.1:1/none"`,
    });
    try {
      await until(async () => (await sourceStatus(server, 'app')).state === 'waiting', 'it waits');
      const { error } = await sourceStatus(server, 'app');
      assert.equal(error.code, 'source_failed');
      await until(async () => (await sourceStatus(server, 'app')).failures >= 2, 'tried again');
      const all = server.log + JSON.stringify(await sourceStatus(server, 'app'));
      assert.doesNotMatch(all, /s3cret/);
      assert.equal((await server.publish({ topic: 't/1' })).length, 1, 'the server works all the same');
    } finally {
      await server.stop();
    }
  });
});

describe('a table that only grows', () => {
  it('gives its rows, those of late transactions too', async () => {
    await database.sql(`DROP TABLE IF EXISTS facts;
      CREATE TABLE facts(id bigserial PRIMARY KEY, what text, total numeric, ok boolean, more jsonb);
      INSERT INTO facts(what) VALUES ('old')`);
    const server = await withSources({
      facts: `kind = "postgres-table"\nurl = "${database.url}"\ntable = "public.facts"\n
[[source.facts.map]]
  topic = "facts/{id}"
  type = "fact.{row.what}"
  data = { total = "{row.total}", ok = "{row.ok}", more = "{row.more}" }`,
    });
    try {
      await running(server, 'facts');
      const late = database.sql(
        `BEGIN;
          INSERT INTO facts(what, total, ok, more) VALUES ('late', 0.10, true, '{"a":[1]}');
          SELECT pg_sleep(1.5);
          COMMIT`,
      );
      await until(
        async () =>
          (
            await database.sql(`SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)
          )[0][0] === '1',
        'it sleeps',
      );
      await database.sql(`INSERT INTO facts(what) VALUES ('quick')`);
      await late;
      const events = await holds(server, 2);
      assert.deepEqual(events.map((event) => event.type).sort(), ['fact.late', 'fact.quick']);
      assert.deepEqual(events.find((event) => event.type === 'fact.late').data, {
        total: '0.10',
        ok: true,
        more: { a: [1] },
      });
      await server.kill();
      await database.sql(`INSERT INTO facts(what) VALUES ('away')`);
      await server.launch();
      await holds(server, 3);
      assert.equal((await held(server)).length, 3, 'the old one was not asked for, none came twice');
    } finally {
      await server.stop();
    }
  });

  it('is read from its beginning when that is asked for', async () => {
    await database.sql(`DROP TABLE IF EXISTS facts; CREATE TABLE facts(id bigserial PRIMARY KEY, what text);
      INSERT INTO facts(what) SELECT 'n' || n FROM generate_series(1, 2500) n`);
    const server = await withSources({
      facts: `kind = "postgres-table"\nurl = "${database.url}"\ntable = "facts"\nbegin = "earliest"\n`,
    });
    try {
      const events = await holds(server, 2500);
      assert.equal(new Set(events.map((event) => event.topic)).size, 2500);
      await database.sql(`INSERT INTO facts(what) VALUES ('after')`);
      const all = await holds(server, 2501);
      assert.deepEqual(all.at(-1).data, { id: 2501, what: 'after' });
    } finally {
      await server.stop();
    }
  });
});

describe('change data capture', () => {
  const changes = (more = '') =>
    `kind = "postgres-changes"\nurl = "${database.url}"\ntables = ["public.bookings"]\n${more}`;
  const start = async (name, more, table = 'id int PRIMARY KEY, guest text, total numeric(8,2)') => {
    await database.sql(
      `DROP TABLE IF EXISTS bookings;
        DROP PUBLICATION IF EXISTS belfry_${name};
        CREATE TABLE bookings(${table})`,
    );
    const server = await withSources({ [name]: changes(more) });
    await running(server, name);
    return server;
  };
  const drop = (slot) =>
    until(
      () =>
        database.sql(`SELECT pg_drop_replication_slot('${slot}')`).then(
          () => true,
          () => false,
        ),
      'the slot is free',
    );

  it('turns changes into refresh events', async () => {
    const server = await start('plain');
    try {
      const client = await new SseClient(server, ['#']).open();
      await database.sql(
        `INSERT INTO bookings VALUES (7, 'ana', 10);
          UPDATE bookings SET total = 12.5 WHERE id = 7;
          DELETE FROM bookings WHERE id = 7`,
      );
      await until(() => client.events.length === 3, 'three come');
      for (const event of client.events) {
        assert.equal(event.topic, 'bookings/7');
        assert.equal(event.type, 'refresh');
        assert.deepEqual(event.keys, [['bookings'], ['bookings', '7']]);
        assert.equal(event.data, undefined);
      }
      await database.sql('TRUNCATE bookings');
      await until(() => client.events.at(-1).topic === 'bookings/%2A', 'all of it');
      await database.sql(
        `SELECT pg_logical_emit_message(true, 'belfry', '{"topic": "t/1", "type": "told", "data": 1}')`,
      );
      await database.sql(`SELECT pg_logical_emit_message(true, 'else', 'whatever')`);
      await database.sql(
        `SELECT pg_logical_emit_message(false, 'belfry', '{"topic": "t/2", "type": "told", "data": 2}')`,
      );
      await until(() => client.events.length === 6, 'two messages');
      assert.deepEqual(
        client.events.slice(4).map((event) => event.topic),
        ['t/1', 't/2'],
      );
      client.close();
      await server.kill();
      await server.launch();
      await database.sql(
        `SELECT pg_logical_emit_message(true, 'belfry', '{"topic": "t/3", "type": "told"}')`,
      );
      assert.deepEqual(
        (await holds(server, 3, 't/#')).map((event) => event.topic),
        ['t/1', 't/2', 't/3'],
        'a message outside a transaction does not come again either',
      );
    } finally {
      await server.stop();
      await drop('belfry_plain');
    }
  });

  it('turns them into events with chosen columns, by rules', async () => {
    const server = await start(
      'rules',
      `[[source.rules.map]]
        when = "op == 'update' and after.total > 100 and before.total <= 100"
        topic = "guests/{after.guest}"
        type = "booking.grew"
        data = { total = "{after.total}", was = "{before.total}" }
        notification = { title = "{after.guest} books for {after.total}" }
        
[[source.rules.map]]
  when = "op in ('insert', 'update')"
  topic = "bookings/{row.id}"
  type = "refresh"
  keys = [["booking", "{row.id}"]]
  version = "{lsn}"
  spread_ms = 2000`,
    );
    try {
      const client = await new SseClient(server, ['#']).open();
      await database.sql(
        `ALTER TABLE bookings REPLICA IDENTITY FULL;
          INSERT INTO bookings VALUES (1, 'ana/b', 90);
          UPDATE bookings SET total = 110`,
      );
      await until(() => client.events.length === 3, 'three come');
      const { events } = client;
      client.close();
      assert.deepEqual(
        events.map((event) => event.topic),
        ['bookings/1', 'guests/ana%2Fb', 'bookings/1'],
      );
      assert.deepEqual(events[1].data, { total: '110.00', was: '90.00' });
      assert.deepEqual(events[1].notification, { title: 'ana/b books for 110.00' });
      assert.match(events[2].version, /^[0-9A-F]+\/[0-9A-F]+$/);
    } finally {
      await server.stop();
      await drop('belfry_rules');
    }
  });

  it('splits a large transaction, and loses and doubles nothing of it when Belfry dies', async () => {
    const server = await start(
      'large',
      `[[source.large.map]]\ntopic = "bookings"\ntype = "made"\ndata = "{row.id}"\n`,
    );
    try {
      const count = 30_000;
      const rows = count / 4;
      for (let round = 0; round < 4; round += 1) {
        const numbers = `generate_series(${round * rows + 1}, ${(round + 1) * rows})`;
        await database.sql(`INSERT INTO bookings SELECT n, 'g', 1 FROM ${numbers} n`);
        await until(async () => (await sourceStatus(server, 'large')).records > 1000, 'it reads');
        await server.kill();
        await server.launch();
      }
      const events = await holds(server, count);
      onceEach(events, count, { ordered: true });
    } finally {
      await server.stop();
      await drop('belfry_large');
    }
  });

  it('tells within 5 s that its slot is gone, and does not begin at the head', async () => {
    const server = await start('gone');
    try {
      await database.sql(`INSERT INTO bookings VALUES (1, 'ana', 1)`);
      await holds(server, 1);
      const began = Date.now();
      await database.sql(
        `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'belfry_gone'`,
      );
      for (let dropped = false; !dropped;) {
        await database.sql(
          `SELECT pg_terminate_backend(active_pid)
            FROM pg_replication_slots
            WHERE slot_name = 'belfry_gone' AND active`,
        );
        dropped = await database.sql(`SELECT pg_drop_replication_slot('belfry_gone')`).then(
          () => true,
          () => false,
        );
      }
      await database.sql(`INSERT INTO bookings VALUES (2, 'bob', 1)`);
      await until(async () => (await sourceStatus(server, 'gone')).state === 'stopped', 'it stops');
      const took = Date.now() - began;
      assert.ok(took < 5000, `${took} ms`);
      assert.equal((await sourceStatus(server, 'gone')).alarm.code, 'source_gap');
      assert.equal((await held(server)).length, 1);
      assert.deepEqual(
        await database.sql(`SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'belfry_gone'`),
        [['0']],
      );
      assert.equal((await server.call('POST', '/v1/sources/gone/reset')).status, 202);
      await running(server, 'gone');
      await database.sql(`INSERT INTO bookings VALUES (3, 'eve', 1)`);
      assert.equal((await holds(server, 2)).at(-1).topic, 'bookings/3');
    } finally {
      await server.stop();
      await drop('belfry_gone');
    }
  });
});
