// What retention took is said aloud, on every transport: to whoever comes back, before and after a restart,
// for topics, patterns and feeds.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { kinds, offsets } from './clients.mjs';
import { Server, until } from './server.mjs';

const kept = 5;
const rounds = 30; // of 50 events each: more than are indexed together, because retention goes by the index

describe('what retention took', () => {
  let server;
  let old; // a cursor from before it
  let head;
  before(async () => {
    const rules = ['a/#', 'users/#', 'teams/#'].map((pattern) => `"${pattern} ${kept}"`);
    server = await Server.start({ config: { log: `retention = [${rules}]\nretention_days = 0\n` } });
    assert.equal((await server.call('PUT', '/v1/users/ana/follows/teams/ops')).status, 200);
    const notification = { title: 'n' };
    for (let i = 0; i < rounds; ++i) {
      const batch = [];
      for (let j = 0; j < 50; ++j)
        batch.push(
          { topic: 'a/x', data: i },
          { topic: 'teams/ops', notification },
          { topic: 'users/ana', notification },
        );
      const events = await server.publish(batch);
      old ??= events[60].id;
      head = Number(events.at(-1).id.split('.')[1]);
    }
    const first = async (topic) => {
      const page = await (await server.get(topic, { since: 'earliest' })).json();
      // While retention is at work, what follows a page may be gone before it is read: a reset.
      if (page.events) return Number(page.events[0].id.split('.')[1]);
      assert.equal(page.reason, 'horizon');
      return 0;
    };
    for (const topic of ['a/x', 'teams/ops', 'users/ana'])
      await until(async () => (await first(topic)) > head / 2, `retention of ${topic}`, 60_000);
  });
  after(() => server.stop());

  const wishes = {
    'a topic': ['a/x', {}],
    'a pattern': ['a/#', {}],
    'a feed': [[], { feed: true }],
  };
  for (const when of ['of a server that runs', 'of one that was started again'])
    for (const [what, [topics, options]] of Object.entries(wishes))
      for (const [name, Kind, more] of kinds)
        it(`${when}: ${name} of ${what} begins with a reset`, async () => {
          if (when.includes('again') && !server.restarted) {
            await server.kill('SIGTERM');
            await server.launch();
            server.restarted = true;
          }
          const client = new Kind(server, topics, { since: old, ...options, ...more });
          if (name.endsWith('poll')) {
            const refused = await client.once().then(
              () => assert.fail(`it got ${offsets(client)}`),
              (error) => error,
            );
            assert.equal(refused.body.reason, 'horizon', refused.message);
            return;
          }
          await client.open();
          await until(() => offsets(client).at(-1) >= head - 2, `the end: ${offsets(client)}`);
          client.close();
          assert.deepEqual(
            client.resets.map((reset) => reset.reason),
            ['horizon'],
          );
          const first = client.controls.findIndex((control) => control.control === 'reset');
          assert.ok(first <= 1, 'it comes before anything else');
          assert.ok(offsets(client)[0] > head / 2, `the first is ${offsets(client)[0]}`);
        });
});
