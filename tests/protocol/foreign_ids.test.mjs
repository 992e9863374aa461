// What belongs to others answers as what does not exist: 100,000 foreign ids over every resource that takes
// one, each answer compared with that of an id that never was.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Server } from './server.mjs';

const kUsers = 20;
const kEach = 1000;

describe('foreign ids', () => {
  let server, mine, ids;
  before(async () => {
    server = await Server.start();
    mine = server.token(['users/mallory'], { user: 'mallory', publish: ['users/mallory'] });
    ids = [];
    for (let user = 0; user < kUsers; ++user) {
      const events = Array.from({ length: kEach }, () => ({
        topic: `users/u${user}`,
        notification: { title: 'secret' },
      }));
      ids.push(...(await server.publish(events)).map((event) => event.id));
    }
  });
  after(() => server.stop());

  const call = (method, path, body) => server.call(method, path, body, mine);
  const never = () => ids[0].replace(/\d+$/, String(kUsers * kEach + 1000));
  // Answers are alike when nothing but the id differs.
  const alike = (answer, id, expected, other) =>
    assert.equal(
      JSON.stringify(answer).replaceAll(id, '?'),
      JSON.stringify(expected).replaceAll(other, '?'),
    );

  it('cannot be marked, whatever the mark', async () => {
    const expected = await call('POST', '/v1/feed/marks', { mark: 'read', ids: [never()] });
    assert.equal(expected.body.code, 'unknown_notification');
    const own = (await server.publish({ topic: 'users/mallory', notification: { title: 'x' } }))[0];
    let asked = 0;
    for (const mark of ['read', 'unread', 'seen', 'archived', 'unarchived'])
      for (let at = 0; at < ids.length; at += 999, asked += 999) {
        const some = ids.slice(at, at + 999);
        const alone = await call('POST', '/v1/feed/marks', { mark, ids: some });
        assert.deepEqual(alone, expected);
        if (at > 0) continue;
        const { body } = await call('POST', '/v1/feed/marks', { mark, ids: [...some, own.id] });
        assert.deepEqual(body.absent, some);
      }
    assert.ok(asked >= 100_000);
    const theirs = await server.call('GET', '/v1/feed?user=u3&limit=0');
    assert.deepEqual(theirs.body.counts, { unread: kEach, unseen: kEach });
  });

  it('cannot be taken back, and pages of others cannot be asked for', async () => {
    const expected = await call('DELETE', `/v1/events/${never()}`);
    assert.equal(expected.body.code, 'unknown_event');
    for (let i = 0; i < ids.length; i += 20)
      alike(await call('DELETE', `/v1/events/${ids[i]}`), ids[i], expected, never());
    const { next } = (await server.call('GET', '/v1/feed?user=u1&limit=10')).body;
    assert.equal((await call('GET', `/v1/feed?before=${next}`)).body.code, 'bad_cursor');
    for (let user = 0; user < kUsers; ++user) {
      const refused = await call('GET', `/v1/feed?user=u${user}`);
      alike(refused, `u${user}`, await call('GET', '/v1/feed?user=nobody'), 'nobody');
      const stream = await call('GET', `/v1/events?topic=users/u${user}&since=earliest`);
      alike(
        stream,
        `u${user}`,
        await call('GET', '/v1/events?topic=users/nobody&since=earliest'),
        'nobody',
      );
      for (const [method, path] of [
        ['GET', 'follows'],
        ['PUT', 'follows/t'],
        ['DELETE', 'follows/t'],
      ])
        assert.equal((await call(method, `/v1/users/u${user}/${path}`)).body.code, 'forbidden');
    }
    const scheduled = await server.publish({
      topic: 't',
      deliver_at: new Date(Date.now() + 1e7).toISOString(),
    });
    assert.deepEqual(
      await call('DELETE', `/v1/scheduled/${scheduled[0].scheduled}`),
      await call('DELETE', '/v1/scheduled/99999'),
    );
    const left = await server.call('GET', '/v1/feed?user=u3&limit=0');
    assert.equal(left.body.counts.unread, kEach);
  });
});
