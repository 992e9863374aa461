// One client goes through all five transports in mid-stream, filtered by type, once stalled, while other
// topics take about 1,000 events a second: no gap, no repeat.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { LineClient, PollClient, SseClient, WebSocketClient } from './clients.mjs';
import { Server, unique, until } from './server.mjs';

it('hops through all five transports with one cursor', async () => {
  const server = await Server.start();
  const topic = unique();
  let running = true;
  let published = 0;
  let foreign = 0;
  const noise = (async () => {
    while (running) {
      await server.publish(
        Array.from({ length: 50 }, (_, i) => ({ topic: `noise/${i}`, data: 'x'.repeat(200) })),
      );
      foreign += 50;
      await new Promise((resolve) => {
        setTimeout(resolve, 40);
      });
    }
  })();
  const own = (async () => {
    while (running) {
      await server.publish([
        { topic, type: 'keep.this', data: { n: published, fill: 'y'.repeat(20_000) } },
        { topic, type: 'drop' },
      ]);
      published += 1;
      await new Promise((resolve) => {
        setTimeout(resolve, 2);
      });
    }
  })();
  const { cursor: begin } = await (await server.get(topic, { since: 'earliest' })).json();
  const start = `${begin.split('.')[0]}.0`;
  const seen = [];
  let cursor = start;
  const hops = [
    [SseClient],
    [WebSocketClient, 'stalled'],
    [LineClient],
    [PollClient, '', { wait: 5 }],
    [PollClient],
    [WebSocketClient],
    [SseClient],
  ];
  for (const [Kind, stalled, options] of hops) {
    const client = await new Kind(server, topic, { types: 'keep.#', since: cursor, ...options }).open();
    const target = seen.length + 40;
    await until(
      () => seen.length + client.events.length >= target,
      `${Kind.name}: ${client.events.length} events`,
    );
    if (stalled) {
      client.pause();
      const before = published;
      await until(() => published > before + 400, 'the server to go on without this client');
      client.resume();
      await until(
        () => seen.length + client.events.length >= before + 400,
        'the stalled client to catch up',
      );
    }
    client.close();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    seen.push(...client.events.map((event) => event.data.n));
    cursor = client.events.length ? client.events.at(-1).id : cursor;
    assert.deepEqual(client.resets, []);
  }
  running = false;
  await Promise.all([noise, own]);
  const last = new PollClient(server, topic, { types: 'keep.#', since: cursor });
  while (seen.length < published) {
    const before = last.events.length;
    await last.once();
    seen.push(...last.events.slice(before).map((event) => event.data.n));
  }
  assert.deepEqual(
    seen,
    Array.from({ length: published }, (_, i) => i),
  );
  assert.ok(foreign > 500, `${foreign} foreign events`);
  await server.stop();
});
