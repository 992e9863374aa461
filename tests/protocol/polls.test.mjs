// What a poll is answered leads on without a gap, a repeat or a loop, whatever one turn brings and whatever
// was lost.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Server, unique, until } from './server.mjs';

describe('the cursor of a poll', () => {
  let server;
  before(async () => {
    const log = 'retention = ["kept/# 5"]\nretention_days = 0\nephemeral = ["ephemeral/#"]\n';
    server = await Server.start({ config: { log } });
  });
  after(() => server.stop());

  const poll = async (topics, since, more = {}) => {
    const answer = await server.get(topics, { since, ...more });
    return { status: answer.status, ...(await answer.json()) };
  };
  // Everything that follows, poll by poll.
  async function drain(topics, since) {
    const got = [];
    for (let cursor = since; ;) {
      const page = await poll(topics, cursor);
      assert.equal(page.status, 200);
      if (page.events.length === 0) return got;
      got.push(...page.events);
      cursor = page.cursor;
    }
  }
  const placed = async (events) => (await server.publish(events)).map((event) => event.id);

  it('does not pass what a turn brings beyond one answer', async () => {
    const topic = unique();
    const [begin] = await placed([{ topic, data: 'begin' }]);
    const waiting = poll(topic, begin, { wait: 20 });
    await until(async () => (await server.metric('belfry_sessions')) > 0, 'the poll waits');
    const ids = await placed(Array.from({ length: 1000 }, (_, data) => ({ topic, data })));
    const first = await waiting;
    assert.ok(first.events.length < ids.length);
    const all = [...first.events, ...(await drain(topic, first.cursor))];
    assert.deepEqual(
      all.map((event) => event.id),
      ids,
    );
  });

  it('stays where it is behind events that have no place', async () => {
    const topic = unique();
    const passing = `ephemeral/${unique()}`;
    const large = 'x'.repeat(50_000);
    const [, last] = await placed([
      { topic, data: 1 },
      { topic, data: 2 },
    ]);
    const waiting = poll([topic, passing], last, { wait: 20 });
    await until(async () => (await server.metric('belfry_sessions')) > 0, 'the poll waits');
    await server.publish(Array.from({ length: 4 }, () => ({ topic: passing, data: large })));
    const first = await waiting;
    assert.ok(first.events.length > 0);
    assert.equal(first.cursor, last);
  });

  for (const wait of [undefined, 20])
    for (const [what, wish, own] of [
      ['a topic', (name) => [`kept/${name}`, {}], (name) => `kept/${name}`],
      ['a pattern', () => ['kept/#', {}], (name) => `kept/${name}`],
    ])
      it(`leads on after a reset: ${what}${wait ? ', a long poll' : ''}`, async () => {
        const name = unique();
        const [old] = await placed([{ topic: own(name), data: 'old' }]);
        for (let i = 0; i < 8; ++i)
          await placed(Array.from({ length: 200 }, (_, data) => ({ topic: own(name), data })));
        const [topics] = wish(name);
        let reset;
        await until(async () => {
          const page = await poll(topics, old, wait && { wait });
          if (page.status === 410) reset = page;
          return reset !== undefined;
        }, 'retention');
        assert.equal(reset.reason, 'horizon');
        let next;
        // Retention may still be at work, and take more: a few resets at most, each leading further.
        for (let i = 0; i < 50 && next?.status !== 200; ++i)
          next = await poll(topics, (next ?? reset).cursor);
        assert.equal(next.status, 200);
        const [fresh] = await placed([{ topic: own(name), data: 'fresh' }]);
        const rest = await drain(topics, next.cursor);
        assert.equal(rest.at(-1).id, fresh);
      });
});
