// kill -9 under load, again and again, with clients on every transport that go on from their cursors.
//
//   node crash.mjs --cycles 50 --batch 1
//
// With `--batch n` each publish carries n events.
// Counts what was acknowledged and lost, hidden gaps, repeats and wrong order. Ends with 1 unless all are
// 0.
import { setMaxListeners } from 'node:events';
import { parseArgs } from 'node:util';

import { LineClient, PollClient, SseClient, WebSocketClient } from './clients.mjs';
import { Server, unique, until } from './server.mjs';

const number = (value) => ({ type: 'string', default: value });
const { values } = parseArgs({ options: { cycles: number('50'), batch: number('1') } });
const cycles = Number(values.cycles);
const batch = Number(values.batch);
setMaxListeners(0);
const server = await Server.start();
const topic = unique();
const acknowledged = new Set();
let next = 0;
let running = true;

// Each publisher repeats what was not answered, with its key, until it is.
async function publisher() {
  while (running) {
    const events = Array.from({ length: batch }, () => ({ topic, data: next++ }));
    for (const key = unique(); ;) {
      try {
        const answer = await server.post(events, { 'Idempotency-Key': key });
        if (answer.status < 300) {
          await answer.json();
          for (const { data } of events) acknowledged.add(data);
          break;
        }
      } catch {
        /* the server is gone for a moment */
      }
      if (!running) return;
      await new Promise((resolve) => {
        setTimeout(resolve, 3);
      });
    }
  }
}

// A listener whose connection is made anew with its last cursor whenever it breaks.
class Listener {
  constructor(Kind, options = {}) {
    Object.assign(this, { Kind, options, cursor: 'earliest', seen: [], resets: 0 });
    this.done = this.run();
  }
  async run() {
    while (!this.finished) {
      const client = new this.Kind(server, topic, { since: this.cursor, ...this.options });
      try {
        await client.open();
        await Promise.race([
          client.closed ?? client.done ?? server.exited,
          server.exited,
          new Promise((resolve) => {
            this.finish = resolve;
          }),
        ]);
      } catch {
        /* not up yet */
      }
      this.collect(client);
      try {
        client.close();
      } catch {
        /* never opened */
      }
      await new Promise((resolve) => {
        setTimeout(resolve, 5);
      });
      this.collect(client);
    }
  }
  collect(client) {
    for (const event of client.events.splice(0))
      this.seen.push([Number(event.id.split('.')[1]), event.data]);
    if (client.cursor) this.cursor = client.cursor;
    this.resets += client.resets.splice(0).length;
  }
  count() {
    return this.seen.length;
  }
}

const publishers = Array.from({ length: 8 }, publisher);
const listeners = [
  new Listener(SseClient),
  new Listener(WebSocketClient),
  new Listener(LineClient),
  new Listener(PollClient, { wait: 5 }),
  new Listener(PollClient),
];

const show = process.stdout.isTTY;
for (let cycle = 1; cycle <= cycles; ++cycle) {
  const before = acknowledged.size;
  await until(
    () => acknowledged.size > before + batch * (20 + Math.random() * 200),
    'publishing to go on',
    30_000,
  );
  await new Promise((resolve) => {
    setTimeout(resolve, Math.random() * 30);
  });
  await server.kill();
  await server.launch();
  if (show) process.stdout.write(`\rkill ${cycle} of ${cycles}, ${acknowledged.size} acknowledged`);
  else if (cycle % Math.ceil(cycles / 10) === 0)
    console.log(`kill ${cycle} of ${cycles}, ${acknowledged.size} acknowledged`);
}
running = false;
await Promise.all(publishers);

const truth = new Map();
const reader = new PollClient(server, topic, { since: 'earliest' });
for (let more = true; more;) {
  const before = reader.events.length;
  await reader.once();
  more = reader.events.length > before;
}
for (const event of reader.events) truth.set(Number(event.id.split('.')[1]), event.data);
for (const listener of listeners) {
  await until(
    () => {
      listener.finish?.();
      return listener.count() >= truth.size;
    },
    `${listener.Kind.name} to catch up: ${listener.count()} of ${truth.size}`,
    30_000,
  ).catch((error) => console.log(error.message));
  listener.finished = true;
  listener.finish?.();
  await listener.done;
}
await server.stop();

const stored = [...truth.values()];
const kept = new Set(stored);
const lost = [...acknowledged].filter((n) => !kept.has(n)).length;
const doubled = stored.length - kept.size;
console.log(`\n${cycles} kills, ${acknowledged.size} acknowledged, ${truth.size} stored`);
console.log(`acknowledged and lost ${lost}, stored twice ${doubled}`);
let bad = lost + doubled;
const order = [...truth.keys()];
for (const listener of listeners) {
  const offsets = listener.seen.map(([offset]) => offset);
  const heard = new Set(offsets);
  const gaps = order.filter((offset) => !heard.has(offset)).length;
  const repeats = offsets.length - heard.size;
  const disorder = offsets.filter((offset, i) => i > 0 && offset < offsets[i - 1]).length;
  const wrong = listener.seen.filter(([offset, data]) => truth.get(offset) !== data).length;
  bad += gaps + repeats + disorder + wrong + listener.resets;
  console.log(
    `${listener.Kind.name.padEnd(16)} ${String(offsets.length).padStart(7)} events: hidden gaps ${gaps}, ` +
      `repeats ${repeats}, out of order ${disorder}, wrong ${wrong}, resets ${listener.resets}`,
  );
}
process.exit(bad === 0 && acknowledged.size > cycles * 10 ? 0 : 1);
