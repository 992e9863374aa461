// T8: transactions that commit late, out of the order of their numbers, or not at all, from 64 writers at
// once; Belfry and the database are killed meanwhile. Each row comes once, through each of the three ways.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Postgres } from './postgres.mjs';
import { until } from './server.mjs';
import { belfry, held, running, sourceStatus, withSources } from './sources.mjs';
import { count } from './threats.mjs';

const rows = count(100_000, 1_000_000);
const writers = 64;
const patience = 60_000 * (rows / 100_000); // ms

// 2 % of the transactions last 2 s, 5 % are taken back.
const script = `
\\set fate random(1, 100)
BEGIN;
INSERT INTO facts(writer, number) VALUES (:client_id, nextval('made')) RETURNING number AS number \\gset
SELECT belfry.publish('outbox/' || :client_id, 'made', to_jsonb(:number));
\\if :fate <= 2
SELECT pg_sleep(2);
\\endif
\\if :fate > 95
ROLLBACK;
\\else
COMMIT;
\\endif
`;

let database;
before(async () => {
  database = await Postgres.start({ settings: { synchronous_commit: 'on', checkpoint_timeout: "'30s'" } });
  await database.sql(
    `CREATE SEQUENCE made; CREATE TABLE facts(id bigserial PRIMARY KEY, writer int, number bigint)`,
  );
});
after(() => database.stop());

describe(`${rows} rows of ${writers} writers`, () => {
  it('come once each, through the outbox, the table and the replication', async (t) => {
    const installed = await belfry(['source', 'install', 'postgres', '--url', database.url]);
    assert.equal(installed.code, 0, installed.stderr);
    const url = `url = "${database.url}"`;
    const rule = (name, topic) =>
      `[[source.${name}.map]]\ntopic = "${topic}"\ntype = "made"\ndata = "{row.number}"\n`;
    const server = await withSources({
      outbox: `kind = "postgres-outbox"\n${url}\n`,
      rows: `kind = "postgres-table"
        ${url}
        table = "public.facts"
        begin = "earliest"
        ${rule('rows', 'rows/{row.writer}')}`,
      changes: `kind = "postgres-changes"
        ${url}
        tables = ["public.facts"]
        ${rule('changes', 'changes/{row.writer}')}`,
    });
    try {
      for (const name of ['outbox', 'rows', 'changes']) await running(server, name);
      const parts = 5;
      const written = async () => Number((await database.sql('SELECT count(*) FROM facts'))[0][0]);
      for (let part = 0; part < parts; part += 1) {
        // A database that is stopped takes its writers along; what they had committed counts.
        const share = Math.ceil((1.4 * rows) / parts / writers); // with what is taken back, and killed
        const wrote = database
          .bench(script, '-c', String(writers), '-j', '4', '-t', String(share))
          .catch(() => {});
        const begun = await written();
        const some = ((part + 1) / (parts + 1)) * (rows / parts); // sooner in one part, later in another
        const reached = async () => (await written()) - begun >= some;
        if (part < parts - 1) await until(reached, 'some rows', patience);
        if (part === 1) {
          await database.crash();
          await database.launch();
        } else if (part < parts - 1) {
          await server.kill();
          await server.launch();
        }
        await wrote;
      }
      const committed = (await database.sql('SELECT number FROM facts ORDER BY number')).map(([n]) =>
        Number(n),
      );
      t.diagnostic(`${committed.length} rows were committed`);
      assert.ok(committed.length >= rows, 'enough of them');
      await until(
        async () => {
          const all = await Promise.all(
            ['outbox', 'rows', 'changes'].map((name) => sourceStatus(server, name)),
          );
          await new Promise((resolve) => setTimeout(resolve, 500));
          const [[left]] = await database.sql('SELECT count(*) FROM belfry.outbox WHERE batch IS NULL');
          return left === '0' && all.every((one) => one.state === 'running');
        },
        'everything is relayed',
        patience,
      );
      for (const way of ['outbox', 'rows', 'changes']) {
        let events = [];
        await until(
          async () => {
            events = await held(server, `${way}/#`);
            return events.length >= committed.length;
          },
          `all by ${way}: ${events.length}`,
          patience,
        ).catch(() => {});
        const numbers = events.map((event) => event.data).sort((a, b) => a - b);
        const doubled = numbers.length - new Set(numbers).size;
        const missed = committed.filter((n, at) => numbers[at] !== n).length;
        t.diagnostic(`${way}: ${numbers.length} events, ${doubled} doubled`);
        assert.equal(doubled, 0, `${way}: none twice`);
        assert.equal(numbers.length, committed.length, `${way}: as many`);
        assert.equal(missed, 0, `${way}: the same`);
      }
      // Within one writer the outbox keeps the order of its transactions.
      const seen = new Map();
      for (const event of await held(server, 'outbox/#')) {
        assert.ok((seen.get(event.topic) ?? 0) < event.data, `${event.topic}: ${event.data} is late`);
        seen.set(event.topic, event.data);
      }
    } finally {
      await server.stop();
    }
  });
});
