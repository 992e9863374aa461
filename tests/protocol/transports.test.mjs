import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { kinds, LineClient, offsets, PollClient, SseClient, WebSocketClient } from './clients.mjs';
import { Server, unique, until } from './server.mjs';

const run = promisify(execFile);

describe('one resource, every transport', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  for (const [name, Kind, options] of kinds) {
    it(`${name}: live events arrive in order, filtered by topic and type`, async () => {
      const topic = unique();
      const [{ id }] = await server.publish({ topic: 'other' });
      const client = await new Kind(server, [`${topic}/+`], {
        types: 'pay.#',
        since: id,
        ...options,
      }).open();
      for (let i = 0; i < 20; ++i) {
        await server.publish([
          { topic: `${topic}/a`, type: 'pay.done', data: { i } },
          { topic: `${topic}/a`, type: 'other' },
          { topic, type: 'pay.done' },
        ]);
      }
      await until(() => client.events.length === 20, `20 events, got ${client.events.length}`);
      assert.deepEqual(
        client.events.map((event) => event.data.i),
        [...Array(20).keys()],
      );
      client.close();
    });

    it(`${name}: an older cursor is caught up, without gap or repeat`, async () => {
      const topic = unique();
      const first = await server.publish(Array.from({ length: 600 }, (_, i) => ({ topic, data: i })));
      const client = await new Kind(server, topic, { since: first[9].id, ...options }).open();
      await server.publish({ topic, data: 600 });
      await until(() => client.events.length === 591, `591 events, got ${client.events.length}`);
      assert.deepEqual(
        client.events.map((event) => event.data),
        Array.from({ length: 591 }, (_, i) => i + 10),
      );
      client.close();
    });
  }

  it('curl hears server-sent events as they are written', async () => {
    const topic = unique();
    const [{ id }] = await server.publish({ topic, type: 'first.one', data: { text: 'a\nb' } });
    const since = `${id.split('.')[0]}.${Number(id.split('.')[1]) - 1}`;
    const { stdout } = await run('curl', [
      '-sN',
      '--max-time',
      '1',
      '-H',
      'Accept: text/event-stream',
      '-H',
      `Authorization: Bearer ${server.token()}`,
      server.address(topic, { since }),
    ]).catch((error) => error);
    const frames = stdout.split('\n\n');
    assert.match(frames[0], /^: \{"control":"connected".*\}\nretry: \d+\nid: [0-9a-f]{16}\.\d+$/);
    assert.match(
      frames[1],
      new RegExp(
        `^event: first\\.one\nid: ${id}\ndata: \\{"id":"${id}",.*"data":\\{"text":"a\\\\nb"\\}\\}$`,
      ),
    );
  });

  it('native names: without event=message each type is dispatched under its own name', async () => {
    const topic = unique();
    const answer = await server.get(topic, {}, { Accept: 'text/event-stream' });
    assert.equal(answer.headers.get('content-type'), 'text/event-stream');
    assert.equal(answer.headers.get('x-accel-buffering'), 'no');
    await server.publish({ topic, type: 'booking.confirmed' });
    let text = '';
    for await (const piece of answer.body) {
      text += Buffer.from(piece);
      if (text.includes('event: booking.confirmed\n')) break;
    }
  });

  it('each stream has its own retry', async () => {
    const seen = new Set();
    for (let i = 0; i < 5; ++i) {
      const answer = await server.get('a', {}, { Accept: 'text/event-stream' });
      const { value } = await answer.body.getReader().read();
      seen.add(
        Buffer.from(value)
          .toString()
          .match(/retry: (\d+)/)[1],
      );
    }
    assert.ok(seen.size > 1);
  });

  it('refresh events that are behind collapse to the newest of their topic and keys', async () => {
    const topic = unique();
    const keys = (name) => ({ topic, type: 'refresh', keys: [[name]], spread_ms: 100 });
    const placed = await server.publish([{ topic }, keys('a'), keys('b'), keys('a'), { topic, data: 1 }]);
    const client = new PollClient(server, topic, { since: placed[0].id });
    await client.once();
    assert.deepEqual(
      client.events.map((event) => event.keys?.[0][0] ?? 'data'),
      ['b', 'a', 'data'],
    );
  });

  it('ephemeral events have no id and are not kept', async () => {
    const topic = `ephemeral/${unique()}`;
    const client = await new WebSocketClient(server, topic).open();
    const [placed] = await server.publish({ topic, data: 'typing' });
    assert.equal(placed.id, undefined);
    await until(() => client.events.length === 1, 'the event');
    assert.equal(client.events[0].id, undefined);
    client.close();
    const answer = await (await server.get(topic, { since: 'earliest' })).json();
    assert.deepEqual(answer.events, []);
  });
});

describe('polling', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  it('without since: an empty list at once, and where to go on', async () => {
    const answer = await server.get('a');
    const body = await answer.json();
    assert.deepEqual(body.events, []);
    assert.equal(body.poll_after_ms, 5000);
    assert.ok(body.next.endsWith(`since=${body.cursor}`));
    assert.equal(answer.headers.get('etag'), `"${body.cursor}"`);
    assert.equal(answer.headers.get('cache-control'), 'private, no-cache');
    assert.equal((await fetch(server.url + body.next, { headers: server.bearer() })).status, 200);
  });

  it('goes on behind the last event that it was given, however much more there is', async () => {
    const topic = unique();
    const events = Array.from({ length: 900 }, (_, i) => ({ topic, data: `${i}`.padStart(150, ' ') }));
    const { cursor } = await (await server.get(topic)).json();
    for (let at = 0; at < events.length; at += 300) await server.publish(events.slice(at, at + 300));
    const given = [];
    let polls = 0;
    for (let since = cursor; given.length < events.length && polls < 20; ++polls) {
      const body = await (await server.get(topic, { since })).json();
      given.push(...body.events.map((event) => Number(event.data)));
      since = body.cursor;
    }
    assert.deepEqual(
      given,
      events.map((_, i) => i),
    );
    assert.ok(polls > 3, `an answer is bounded: ${polls} were enough`);
  });

  it('304 exactly when nothing of the topics asked for follows, with the advanced cursor', async () => {
    const topic = unique();
    const { cursor } = await (await server.get(topic)).json();
    const ask = (tag) => server.get(topic, { since: cursor }, { 'If-None-Match': `"${tag}"` });
    assert.equal((await ask(cursor)).status, 304);
    await server.publish({ topic: 'another' });
    const other = await ask(cursor);
    assert.equal(other.status, 304);
    const advanced = other.headers.get('belfry-cursor');
    assert.notEqual(advanced, cursor);
    const [first] = await server.publish({ topic, data: 1 });
    const changed = await ask(advanced);
    assert.equal(changed.status, 200);
    assert.deepEqual(
      (await changed.json()).events.map((event) => event.id),
      [first.id],
    );
    assert.equal((await ask(first.id)).status, 304);
    await server.publish({ topic, data: 2 });
    const whole = await (await ask(first.id)).json();
    assert.deepEqual(
      whole.events.map((event) => event.data),
      [1, 2],
      'the answer of this address is whole',
    );
    assert.equal((await ask('nonsense')).status, 200, 'a tag that is no cursor is no tag');
  });

  it('a long poll waits for an event, ends with its time, and ends when the client goes', async () => {
    const topic = unique();
    const { cursor } = await (await server.get(topic)).json();
    const waiting = server.get(topic, { since: cursor, wait: 20 });
    await until(async () => (await server.metric('belfry_sessions')) === 1, 'the poll to wait');
    await server.publish({ topic, data: 'x' });
    assert.deepEqual(
      (await (await waiting).json()).events.map((event) => event.data),
      ['x'],
    );

    const began = Date.now();
    const empty = await server.get(topic, { since: 'now', wait: 1 });
    assert.deepEqual((await empty.json()).events, []);
    assert.ok(Date.now() - began >= 900);

    const abort = new AbortController();
    const left = fetch(server.address(topic, { since: 'now', wait: 60 }), {
      headers: { ...server.bearer(), Accept: 'application/json' },
      signal: abort.signal,
    }).catch(() => 'gone');
    await until(async () => (await server.metric('belfry_sessions')) === 1, 'the poll to wait');
    abort.abort();
    assert.equal(await left, 'gone');
    await until(async () => (await server.metric('belfry_sessions')) === 0, 'the session to go');
  });

  it('a cursor that marks no place is 410 with where to go on; streams are told in band', async () => {
    const topic = unique();
    const [{ id }] = await server.publish({ topic });
    const [epoch, offset] = id.split('.');
    const table = [
      ['nonsense', 'lost'],
      ['0000000000000000.5', 'lost'],
      [`${epoch}.${Number(offset) + 1000}`, 'rewound'],
    ];
    for (const [since, reason] of table) {
      const answer = await server.get(topic, { since });
      assert.equal(answer.status, 410, since);
      const body = await answer.json();
      assert.equal(body.code, 'cursor_lost');
      assert.equal(body.reason, reason);
      assert.equal((await server.get(topic, { since: body.cursor })).status, 200);
      for (const Kind of [SseClient, WebSocketClient, LineClient]) {
        const client = await new Kind(server, topic, { since }).open();
        await until(() => client.resets.length === 1, `${Kind.name} to be told`);
        assert.equal(client.resets[0].reason, reason);
        // Who does not hear the reset comes again with what it heard, and is told then.
        const told = client.controls.find((control) => control.control === 'connected');
        assert.equal(told === undefined, Kind === SseClient);
        if (told) assert.equal((await server.get(topic, { since: told.cursor })).status, 410, Kind.name);
        const [next] = await server.publish({ topic, data: since });
        await until(() => client.events.some((event) => event.id === next.id), 'the stream to go on');
        client.close();
      }
    }
  });
});

describe('a token runs out', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  it('streams end within a second of it, and say why', async () => {
    const token = server.token(['#'], { ttl: 2, now: Math.ceil(Date.now() / 1000) * 1000 });
    const expires = JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).exp * 1000;
    const socket = await new WebSocketClient(server, 'a', { token }).open();
    const lines = await new LineClient(server, 'a', { token }).open();
    const closed = await socket.closed;
    await lines.done;
    assert.equal(closed.code, 4401);
    assert.equal(closed.reason, 'token_expired');
    assert.ok(
      Date.now() >= expires && Date.now() < expires + 1000,
      `${Date.now() - expires} ms after the expiry`,
    );
    const late = await server.get('a', {}, { Authorization: `Bearer ${token}` });
    assert.equal(late.status, 401);
    assert.equal((await late.json()).code, 'token_expired');
    assert.deepEqual(offsets(lines), []);
  });
});
