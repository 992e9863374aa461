// ./dev bench sources: how soon a commit in PostgreSQL is at a client, and how much each source takes in.
// Prints a table; asserts nothing.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SseClient } from './clients.mjs';
import { Kafka } from './kafka.mjs';
import { Mosquitto } from './mosquitto.mjs';
import { Postgres } from './postgres.mjs';
import { until } from './server.mjs';
import { belfry, running, sourceStatus, withSources } from './sources.mjs';

const rows = Number(process.argv[2] ?? 200_000);

/** CPU seconds that a process has used. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const quantile = (values, q) => values.sort((a, b) => a - b)[Math.floor(q * (values.length - 1))];

function print(name, rate, each) {
  const events = String(Math.round(rate)).padStart(8);
  console.log(`${name.padEnd(10)} ${events} events/s  ${each.toFixed(1)} µs of CPU each`);
}

/** From a source's first record to its last; in records a second, and CPU of Belfry for each. */
async function drained(server, name, count) {
  await until(async () => (await sourceStatus(server, name))?.records > 0, `${name} begins`, 60_000);
  const first = await sourceStatus(server, name);
  const began = performance.now();
  const used = cpu(server.pid);
  await until(async () => (await sourceStatus(server, name)).records >= count, `${name} ends`, 600_000);
  const last = await sourceStatus(server, name);
  const seconds = (performance.now() - began) / 1000;
  const done = last.records - first.records;
  const each = ((cpu(server.pid) - used) / done) * 1e6;
  print(name, done / seconds, each);
}

/** Starts it, stops it, lets records gather, starts it again. */
async function measure(name, table, gather, count = rows) {
  const server = await withSources({ [name]: table });
  try {
    await running(server, name);
    await server.kill();
    await gather();
    await server.launch();
    await drained(server, name, count);
  } finally {
    await server.stop();
  }
}

async function latency(database) {
  const server = await withSources({ app: `kind = "postgres-outbox"\nurl = "${database.url}"\n` });
  const client = await new SseClient(server, ['lat/#']).open();
  const session = spawn(join(database.bin, 'psql'), ['-X', '-q', '-A', '-t', database.url], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: session.stdout })[Symbol.asyncIterator]();
  const sent = [];
  const committed = [];
  try {
    await running(server, 'app');
    for (let n = 0; n < 1000; n += 1) {
      const arrived = new Promise((resolve) => {
        client.source.addEventListener('message', () => resolve(performance.now()), { once: true });
      });
      const began = performance.now();
      session.stdin.write(`SELECT belfry.publish('lat/1', 'made', '${n}');\n`);
      await lines.next();
      const answered = performance.now();
      const at = await arrived;
      if (n < 20) continue; // the first ones warm up
      sent.push(at - began);
      committed.push(Math.max(at - answered, 0));
    }
    const show = (values) =>
      `p50 ${quantile(values, 0.5).toFixed(1)} ms, p99 ${quantile(values, 0.99).toFixed(1)} ms`;
    console.log(`commit answered -> SSE client: ${show(committed)}`);
    console.log(`statement sent  -> SSE client: ${show(sent)}`);
  } finally {
    session.kill();
    client.close();
    await server.stop();
  }
}

async function webhooks(count) {
  const folder = mkdtempSync(join(tmpdir(), 'belfry-figures-'));
  const secret = randomBytes(24).toString('hex');
  writeFileSync(join(folder, 'secret'), secret);
  const good = await withSources({ hooks: `kind = "cloudevents"\nsecret_files = ["${folder}/secret"]\n` });
  try {
    let next = 0;
    const began = performance.now();
    const used = cpu(good.pid);
    const one = async () => {
      while (next < count) {
        const id = String((next += 1));
        await fetch(`${good.url}/v1/sources/hooks?key=${secret}`, {
          method: 'POST',
          headers: { 'content-type': 'application/cloudevents+json' },
          body: JSON.stringify({
            specversion: '1.0',
            id,
            source: 's',
            type: 'made',
            subject: `t/${next % 100}`,
            data: next,
          }),
        }).then((answer) => answer.text());
      }
    };
    await Promise.all(Array.from({ length: 64 }, one));
    const seconds = (performance.now() - began) / 1000;
    const each = ((cpu(good.pid) - used) / count) * 1e6;
    print('webhooks', count / seconds, each); // 64 senders; this client is the bound
  } finally {
    await good.stop();
    rmSync(folder, { recursive: true });
  }
}

const database = await Postgres.start();
const broker = await Mosquitto.start({ settings: 'max_inflight_messages 500\nmax_queued_messages 0\n' });
const kafka = await Kafka.mock('orders', 4);
try {
  await belfry(['source', 'install', 'postgres', '--url', database.url]);
  await latency(database);
  const url = `url = "${database.url}"\n`;
  const rule = (name) =>
    `[[source.${name}.map]]
      topic = "facts/{row.part}"
      type = "made"
      data = { id = "{row.id}", text = "{row.body}" }`;
  await measure('outbox', `kind = "postgres-outbox"\n${url}`, () =>
    database.sql(
      `SELECT count(belfry.publish('t/' || n % 100, 'made',
        jsonb_build_object('id', n, 'text', repeat('x', 60))))
        FROM generate_series(1, ${rows}) n`,
    ),
  );
  const fill = () =>
    database.sql(
      `INSERT INTO facts(part, body) SELECT n % 100, repeat('x', 60) FROM generate_series(1, ${rows}) n`,
    );
  await database.sql('CREATE TABLE facts(id bigserial PRIMARY KEY, part int, body text)');
  await measure('table', `kind = "postgres-table"\n${url}table = "facts"\n${rule('table')}`, fill);
  await measure(
    'changes',
    `kind = "postgres-changes"\n${url}tables = ["public.facts"]\n${rule('changes')}`,
    fill,
  );
  await measure(
    'kafka',
    `kind = "kafka"
      brokers = "${kafka.brokers}"
      topics = ["orders"]
      member = "none"
      properties = ["session.timeout.ms=5000"]`,
    () => kafka.produce({ topic: 'orders', bulk: rows / 4 }), // the mock cluster keeps 5 MB of a partition
    rows / 4,
  );
  const messages = Math.min(10_000, Math.round(rows / 10)); // the broker saves all it keeps with each
  await measure(
    'mqtt',
    `kind = "mqtt"\nurl = "${broker.url}"\nsubscriptions = ["facts/#"]\n`,
    () =>
      broker.publishLines(
        'facts/1',
        Array.from({ length: messages }, (_, n) => `{"id": ${n}}`),
      ),
    messages,
  );
  await webhooks(Math.round(rows / 10));
} finally {
  await database.stop();
  await broker.stop();
  await kafka.stop();
}
process.exit(0);
