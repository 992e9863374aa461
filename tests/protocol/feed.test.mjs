import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { LineClient, PollClient, SseClient, WebSocketClient, ids } from './clients.mjs';
import { Server, unique, until } from './server.mjs';

const note = (topic, rest = {}) => ({ topic, type: 'news', notification: { title: 'Hello' }, ...rest });

describe('the feed', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  // A user of its own for each test.
  function newcomer() {
    const user = `u-${unique()}`;
    const token = server.token(null, { user });
    const feed = async (query = '') =>
      (await server.call('GET', `/v1/feed?${query}`, undefined, token)).body;
    const mark = (body) => server.call('POST', '/v1/feed/marks', body, token);
    const follow = (topic) => server.call('PUT', `/v1/users/${user}/follows/${topic}`);
    const unfollow = (topic) => server.call('DELETE', `/v1/users/${user}/follows/${topic}`);
    return { user, own: `users/${user}`, token, feed, mark, follow, unfollow };
  }

  it('is the own topic and what is followed, newest first, with counts and a cursor', async () => {
    const { own, feed, follow } = newcomer();
    const team = `teams/${unique()}`;
    await server.publish(note(team));
    assert.deepEqual((await follow(team)).body.changed, true);
    assert.deepEqual((await follow(team)).body.changed, false);
    const [first, second, third] = await server.publish([note(own), note(team), { topic: own, data: 1 }]);
    const page = await feed();
    assert.deepEqual(
      page.notifications.map((each) => each.id),
      [second.id, first.id],
    );
    assert.deepEqual(page.counts, { unread: 2, unseen: 2 });
    assert.equal(page.cursor, third.id);
    assert.equal(page.next, null);
  });

  it('begins a stream at the cursor of its page without gap or overlap', async () => {
    const { own, token, feed, mark } = newcomer();
    const stop = { now: false };
    const publishing = (async () => {
      while (!stop.now) await server.publish(note(own));
    })();
    try {
      for (let round = 0; round < 5; ++round) {
        const page = await feed('limit=1');
        const client = await new LineClient(server, [], { token, feed: true, since: page.cursor }).open();
        await until(() => client.events.length >= 3, 'three events');
        client.close();
        const numbers = client.events.map((event) => event.seq);
        const begin = page.notifications[0]?.seq ?? 0;
        assert.deepEqual(
          numbers.slice(0, 3),
          [1, 2, 3].map((n) => begin + n),
        );
      }
    } finally {
      stop.now = true;
      await publishing;
    }
    const page = await feed();
    await mark({ mark: 'read', upto: page.cursor });
    assert.equal((await feed()).counts.unread, 0);
  });

  for (const Client of [SseClient, WebSocketClient, LineClient, PollClient])
    it(`takes up changes of follows live (${Client.name})`, async () => {
      const { own, token, follow, unfollow } = newcomer();
      const team = `teams/${unique()}`;
      const { cursor } = (await follow('none')).body;
      const client = new Client(server, [], { token, feed: true, since: cursor, wait: 5 });
      await client.open();
      const before = (await server.publish(note(team)))[0];
      await follow(team);
      const within = (await server.publish(note(team)))[0];
      await server.publish({ topic: team, data: 'not for people' });
      await unfollow(team);
      const afterwards = (await server.publish(note(team)))[0];
      const last = (await server.publish(note(own)))[0];
      await until(() => ids(client).includes(last.id), 'the last event');
      client.close();
      assert.deepEqual(
        client.events.map((event) => event.type),
        ['belfry.follow', 'news', 'belfry.unfollow', 'news'],
      );
      assert.ok(ids(client).includes(within.id));
      assert.ok(!ids(client).includes(before.id) && !ids(client).includes(afterwards.id));
      // Who was away gets the same.
      const again = new Client(server, [], { token, feed: true, since: cursor });
      await again.open();
      await until(() => ids(again).includes(last.id), 'the last event again');
      again.close();
      assert.deepEqual(ids(again), ids(client));
    });

  it('tells every device of a mark, with the counts that are true there', async () => {
    const { own, token, feed } = newcomer();
    const [one, two] = await server.publish([note(own), note(own)]);
    const phone = await new WebSocketClient(server, [], { token, feed: true }).open();
    const desk = await new SseClient(server, [], { token, feed: true }).open();
    const answer = await phone.ask({ action: 'mark', mark: 'read', ids: [one.id] });
    assert.equal(answer.control, 'marked');
    assert.deepEqual(answer.counts, { unread: 1, unseen: 1 });
    const told = await until(() => desk.events.find((event) => event.type === 'belfry.mark'), 'the mark');
    assert.deepEqual(told.data, { mark: 'read', ids: [one.id], counts: { unread: 1, unseen: 1 } });
    assert.equal(told.id, answer.cursor);
    const unread = await feed('status=unread');
    assert.deepEqual(
      unread.notifications.map((each) => each.id),
      [two.id],
    );
    phone.close();
    desk.close();
  });

  it('tells of marks whatever types are asked for', async () => {
    const { own, token, mark } = newcomer();
    const narrow = { token, feed: true, types: ['other'] };
    const client = await new SseClient(server, [], narrow).open();
    const [one] = await server.publish(note(own));
    await mark({ mark: 'read', ids: [one.id] });
    await until(() => client.events.length > 0, 'the mark');
    assert.deepEqual(
      client.events.map((event) => event.type),
      ['belfry.mark'],
    );
    client.close();
  });

  it('never lets "up to here" cover newer items', async () => {
    const { own, feed, mark } = newcomer();
    await server.publish([note(own), note(own)]);
    const { cursor } = await feed();
    await server.publish(note(own));
    const { body } = await mark({ mark: 'read', upto: cursor });
    assert.deepEqual(body.counts, { unread: 1, unseen: 1 });
  });

  it('keeps muted notifications out of feed, counts and stream, and shows them again', async () => {
    const { own, token, feed } = newcomer();
    const client = await new WebSocketClient(server, [], { token, feed: true }).open();
    await server.call('PUT', '/v1/feed/mutes', { topics: [], types: ['sale.#'] }, token);
    await server.publish([note(own, { type: 'sale.summer' }), note(own)]);
    await until(() => client.events.some((event) => event.type === 'news'), 'the other one');
    assert.deepEqual(
      client.events.map((event) => event.type),
      ['belfry.mutes', 'news'],
    );
    assert.deepEqual((await feed()).counts, { unread: 1, unseen: 1 });
    await server.call('PUT', '/v1/feed/mutes', { topics: [], types: [] }, token);
    assert.deepEqual((await feed()).counts, { unread: 2, unseen: 2 });
    client.close();
  });

  it('replaces by key, retracts, expires and schedules', async () => {
    const { own, feed } = newcomer();
    const [old] = await server.publish(note(own, { key: 'progress' }));
    const [fresh] = await server.publish(note(own, { key: 'progress' }));
    assert.deepEqual(
      (await feed()).notifications.map((each) => each.id),
      [fresh.id],
    );
    const replay = await server.get(own, { since: 'earliest' });
    assert.ok(!(await replay.json()).events.some((event) => event.id === old.id));
    assert.equal((await server.call('DELETE', `/v1/events/${fresh.id}`)).status, 200);
    assert.equal((await server.call('DELETE', `/v1/events/${fresh.id}`)).body.code, 'unknown_event');
    assert.equal((await feed()).counts.unread, 0);

    await server.publish(note(own, { expires: new Date(Date.now() + 1500).toISOString() }));
    assert.equal((await feed()).counts.unread, 1);
    await until(async () => (await feed()).counts.unread === 0, 'the expiry');

    const soon = new Date(Date.now() + 1500).toISOString();
    const [kept, dropped] = await server.publish([
      note(own, { deliver_at: soon }),
      note(own, { deliver_at: soon }),
    ]);
    assert.match(kept.scheduled, /^\d+$/);
    for (const other of [`${kept.scheduled}x`, `+${kept.scheduled}`, `${kept.scheduled}.0`])
      assert.equal(
        (await server.call('DELETE', `/v1/scheduled/${other}`)).body.code,
        'unknown_event',
        other,
      );
    assert.equal((await server.call('DELETE', `/v1/scheduled/${dropped.scheduled}`)).status, 200);
    assert.equal((await feed()).notifications.length, 0);
    await until(async () => (await feed()).notifications.length === 1, 'the scheduled one');
  });

  it('answers a repeated schedule with the same ids', async () => {
    const { own } = newcomer();
    const body = note(own, { deliver_at: new Date(Date.now() + 3_600_000).toISOString() });
    const key = { 'Idempotency-Key': unique() };
    const first = await server.publish(body, key);
    assert.deepEqual(await server.publish(body, key), first);
  });

  it('answers a repeated schedule also once it is due', async () => {
    const { own, feed } = newcomer();
    const body = JSON.stringify(note(own, { deliver_at: new Date(Date.now() + 2000).toISOString() }));
    const key = { 'Idempotency-Key': unique() };
    const first = await (await server.post(body, key)).json();
    await until(async () => (await feed()).notifications.length === 1, 'the scheduled one');
    const again = await server.post(body, key);
    assert.equal(again.status, 200);
    assert.deepEqual(await again.json(), { ...first, replayed: true });
    for (const other of [{}, { 'Idempotency-Key': unique() }]) {
      const late = await server.post(body, other);
      const { code, field } = await late.json();
      assert.deepEqual([late.status, code, field], [400, 'bad_parameter', 'deliver_at']);
    }
  });

  it('erases a user whole', async () => {
    const { user, own, feed, follow, mark } = newcomer();
    const team = `teams/${unique()}`;
    await follow(team);
    await server.publish([note(own), note(team)]);
    await mark({ mark: 'read', upto: (await feed()).cursor });
    assert.equal((await server.call('DELETE', `/v1/users/${user}`)).status, 200);
    const page = await feed();
    assert.deepEqual([page.notifications.length, page.counts.unread], [0, 0]);
    assert.deepEqual((await server.call('GET', `/v1/users/${user}/follows`)).body, { follows: [] });
    const left = await (await server.get(own, { since: 'earliest' })).json();
    assert.deepEqual(
      left.events.map((event) => event.type),
      ['belfry.erase'],
    );
  });

  it('erases very much in slices, between which others are served', async () => {
    const { user, own } = newcomer();
    const many = Array.from({ length: 200 }, () => ({ topic: own, type: 'x' }));
    for (let i = 0; i < 200; ++i) await server.publish(many);
    let erased = false;
    let served = 0;
    const others = Array.from({ length: 4 }, async () => {
      while (!erased) {
        await server.publish({ topic: unique() });
        served += !erased;
      }
    });
    assert.equal((await server.call('DELETE', `/v1/users/${user}`)).status, 200);
    erased = true;
    await Promise.all(others);
    // One transaction lets everybody wait: each of them is answered once or twice.
    assert.ok(served > 16, `${served} publishes were answered meanwhile`);
    const left = await (await server.get(own, { since: 'earliest' })).json();
    assert.deepEqual(
      left.events.map((event) => event.type),
      ['belfry.erase'],
    );
  });

  it('survives a kill with its marks and follows', async () => {
    const { own, feed, follow, mark } = newcomer();
    const team = `teams/${unique()}`;
    await follow(team);
    const [one] = await server.publish([note(own), note(team)]);
    await mark({ mark: 'read', ids: [one.id] });
    const before = await feed();
    await server.kill();
    await server.launch();
    const page = await feed();
    assert.deepEqual(page.notifications, before.notifications);
    assert.deepEqual(page.counts, { unread: 1, unseen: 1 });
  });

  it('reads user ids and topics with foreign characters from the path', async () => {
    const user = 'auth0|x/y';
    const token = server.token(null, { user });
    const path = `/v1/users/${encodeURIComponent(user)}/follows/teams/a%2540b`;
    assert.equal((await server.call('PUT', path)).body.changed, true);
    await server.publish(note('teams/a%40b'));
    const page = (await server.call('GET', '/v1/feed', undefined, token)).body;
    assert.equal(page.notifications[0].topic, 'teams/a%40b');
  });

  describe('refuses', () => {
    it('what can be no user id', async () => {
      const most = 'u'.repeat(200);
      assert.equal((await server.call('GET', `/v1/feed?user=${most}`)).status, 200);
      for (const user of [`${most}u`, '%7C'.repeat(200)])
        for (const [method, path] of [
          ['GET', `/v1/feed?user=${user}`],
          ['PUT', `/v1/users/${user}/follows/t`],
        ]) {
          const { status, body } = await server.call(method, path);
          assert.deepEqual([status, body.code], [400, 'bad_parameter'], `${method} ${path}`);
        }
      // Earlier versions took such ids from tokens; what there is of them can be erased.
      const erase = async (user) => (await server.call('DELETE', `/v1/users/${user}`)).status;
      assert.deepEqual([await erase('u'.repeat(249)), await erase('u'.repeat(250))], [200, 400]);
      const ask = (claims) => server.call('GET', '/v1/feed', undefined, server.token(null, claims));
      assert.equal((await ask({ user: most })).status, 200);
      for (const user of [`${most}u`, '\0x']) {
        const { status, body } = await ask({ user });
        assert.deepEqual([status, body.code], [401, 'token_invalid']);
        assert.match(body.message, /sub/);
      }
    });

    it('what is not the callers as if it were not there', async () => {
      const { own, mark, feed } = newcomer();
      const other = newcomer();
      const [theirs] = await server.publish(note(other.own));
      const [mine] = await server.publish(note(own));
      assert.equal((await mark({ mark: 'read', ids: [theirs.id] })).body.code, 'unknown_notification');
      const some = (await mark({ mark: 'read', ids: [theirs.id, mine.id] })).body;
      assert.deepEqual(some.absent, [theirs.id]);
      assert.equal((await other.feed()).counts.unread, 1);
      assert.equal(
        (await server.call('GET', `/v1/feed?user=${other.user}`, undefined, server.token())).status,
        403,
      );
      assert.equal(
        (await server.call('DELETE', `/v1/events/${mine.id}`, undefined, other.token)).status,
        404,
      );
      assert.equal((await feed()).notifications.length, 1);
    });

    it('the page cursor of another feed', async () => {
      const { own, feed } = newcomer();
      const other = newcomer();
      await server.publish([note(own), note(own), note(own)]);
      const { next } = await feed('limit=2');
      assert.equal((await feed(`before=${next}`)).notifications.length, 1);
      const wrong = await other.feed(`before=${next}`);
      assert.equal(wrong.code, 'bad_cursor');
      assert.equal(wrong.field, 'before');
    });

    it('bad bodies, parameters and places', async () => {
      const { user, token, mark } = newcomer();
      const bad = [
        ['GET', '/v1/feed?status=new', undefined, token, 'bad_parameter'],
        ['GET', '/v1/feed?limit=101', undefined, token, 'bad_parameter'],
        ['GET', '/v1/feed?x=1', undefined, token, 'bad_parameter'],
        ['GET', '/v1/feed?before=x', undefined, token, 'bad_cursor'],
        ['GET', '/v1/feed', undefined, server.key, 'bad_parameter'],
        ['POST', '/v1/feed/marks', { mark: 'read' }, token, 'missing_field'],
        ['POST', '/v1/feed/marks', { mark: 'read', upto: '00000000000000ff.1' }, token, 'bad_cursor'],
        ['PUT', '/v1/feed/mutes', { topics: ['a//b'] }, token, 'bad_pattern'],
        ['PUT', `/v1/users/${user}/follows/t`, undefined, token, 'forbidden'],
        ['PUT', `/v1/users/${user}/follows/a//b`, undefined, server.key, 'bad_topic'],
        ['PUT', `/v1/users/${user}/follows/a/+`, undefined, server.key, 'bad_topic'],
        ['PUT', `/v1/users/${user}/follows/users/${user}`, undefined, server.key, 'bad_topic'],
        ['DELETE', `/v1/users/${user}`, undefined, token, 'forbidden'],
        ['DELETE', '/v1/scheduled/x', undefined, server.key, 'unknown_event'],
        ['DELETE', '/v1/events/x', undefined, server.key, 'unknown_event'],
        [
          'POST',
          '/v1/events',
          { topic: 't', deliver_at: '2020-01-01T00:00:00Z' },
          server.key,
          'bad_parameter',
        ],
        ['POST', '/v1/events', { topic: 't', type: 'belfry.mark' }, server.key, 'bad_type'],
        [
          'POST',
          '/v1/events',
          [{ topic: 't' }, { topic: 't', deliver_at: '2030-01-01T00:00:00Z' }],
          server.key,
          'bad_parameter',
        ],
      ];
      for (const [method, path, body, who, code] of bad) {
        const answer = await server.call(method, path, body, who);
        assert.equal(answer.body.code, code, `${method} ${path} ${JSON.stringify(answer.body)}`);
      }
      assert.equal((await mark({ mark: 'read', ids: [] })).body.code, 'bad_parameter');
    });
  });

  describe('WebSocket in both directions', () => {
    it('publishes with the right, once for a key, and refuses without', async () => {
      const token = server.token(['chat/#'], { user: 'ana', publish: ['chat/+'] });
      const client = await new WebSocketClient(server, 'chat/7', { token }).open();
      const message = {
        action: 'publish',
        events: [{ topic: 'chat/7', data: 'hi' }],
        idempotency_key: unique(),
      };
      const first = await client.ask(message);
      assert.equal(first.control, 'published');
      assert.deepEqual((await client.ask(message)).events, first.events);
      await until(() => client.events.length > 0, 'the event');
      assert.equal(client.events[0].id, first.events[0].id);
      const refused = await client.ask({ action: 'publish', events: [{ topic: 'other', data: 1 }] });
      assert.deepEqual([refused.control, refused.code], ['error', 'forbidden']);
      const bad = await client.ask({ action: 'mark', mark: 'read', ids: ['00000000000000ff.1'] });
      assert.equal(bad.code, 'unknown_notification');
      assert.equal((await client.ask({ action: 'ping' })).control, 'pong');
      client.close();
    });

    it('goes on under a renewed token and loses at once what that one does not grant', async () => {
      const wide = server.token(['a/#', 'b/#'], { ttl: 3 });
      const client = await new WebSocketClient(server, ['a/1', 'b/1'], { token: wide }).open();
      const renewed = await client.ask({ action: 'renew', token: server.token(['a/#'], { ttl: 600 }) });
      assert.deepEqual(renewed.lost, ['b/1']);
      await server.publish([{ topic: 'b/1' }, { topic: 'a/1' }]);
      await until(() => client.events.length > 0, 'the event that is left');
      assert.deepEqual(
        client.events.map((event) => event.topic),
        ['a/1'],
      );
      const stranger = await client.ask({ action: 'renew', token: server.token(['a/#'], { user: 'bob' }) });
      assert.equal(stranger.code, 'forbidden');
      const again = await client.ask({ action: 'subscribe', topics: ['b/1'] });
      assert.equal(again.code, 'forbidden');
      client.close();
    });
  });
});
