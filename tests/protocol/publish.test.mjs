import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';

import { Server, unique, until } from './server.mjs';

describe('publishing', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  it('answers 201 with ids that are cursors, and counts per topic', async () => {
    const topic = unique();
    const placed = await server.publish([{ topic, data: 1 }, { topic: 'other' }, { topic, data: 2 }]);
    assert.deepEqual(
      placed.map((event) => event.topic),
      [topic, 'other', topic],
    );
    assert.equal(placed[0].seq, 1);
    assert.equal(placed[2].seq, 2);
    const { events } = await (await server.get(topic, { since: placed[0].id })).json();
    assert.deepEqual(
      events.map((event) => event.id),
      [placed[2].id],
    );
  });

  it('the same Idempotency-Key is the same event; with another body it is refused', async () => {
    const topic = unique();
    const key = { 'Idempotency-Key': unique() };
    const first = await server.post({ topic }, key);
    assert.equal(first.status, 201);
    const again = await server.post({ topic }, key);
    assert.equal(again.status, 200);
    const [a, b] = [await first.json(), await again.json()];
    assert.deepEqual(b, { ...a, replayed: true });
    const other = await server.post({ topic, data: 1 }, key);
    assert.equal(other.status, 422);
    assert.equal((await other.json()).code, 'idempotency_mismatch');
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        server.publish({ topic, data: 2 }, { 'Idempotency-Key': 'k' + topic }),
      ),
    );
    assert.equal(new Set(answers.map(([event]) => event.id)).size, 1, 'twenty at once are one');
  });

  it('a batch with one bad event stores nothing and names it', async () => {
    const topic = unique();
    const answer = await server.post([{ topic }, { topic, colour: 1 }]);
    assert.equal(answer.status, 400);
    const body = await answer.json();
    assert.equal(body.code, 'unknown_field');
    assert.equal(body.field, 'events[1].colour');
    assert.deepEqual((await (await server.get(topic, { since: 'earliest' })).json()).events, []);
  });

  it('NDJSON bodies', async () => {
    const topic = unique();
    const placed = await server.publish(`{"topic":"${topic}"}\n{"topic":"${topic}"}\n`, {
      'Content-Type': 'application/x-ndjson',
    });
    assert.equal(placed.length, 2);
  });

  it('every refusal has the same form, and the connection survives it', async () => {
    const forged = `${server.token().slice(0, -4)}AAAA`;
    const table = [
      ['{', {}, 400, 'bad_json'],
      [`{"topic":"a","data":${'['.repeat(40)}${']'.repeat(40)}}`, {}, 400, 'too_deep'],
      [Buffer.from('{"topic":"a","data":"\xff"}', 'latin1'), {}, 400, 'bad_utf8'],
      ['{"topic":"a","colour":1}', {}, 400, 'unknown_field', 'colour'],
      ['{"topic":1}', {}, 400, 'wrong_type', 'topic'],
      ['{"topic":"a//b"}', {}, 400, 'bad_topic', 'topic'],
      [`{"topic":"${'a'.repeat(256)}"}`, {}, 400, 'bad_topic', 'topic'],
      ['{"topic":"a","type":"error"}', {}, 400, 'bad_type', 'type'],
      [`{"topic":"a","data":"${'x'.repeat(70_000)}"}`, {}, 413, 'event_too_large'],
      [JSON.stringify(Array(1001).fill({ topic: 'a' })), {}, 413, 'batch_too_large'],
      ['[]', {}, 400, 'batch_empty'],
      ['{"topic":"a"}', { 'Content-Type': 'text/plain' }, 415, 'unsupported_media_type'],
      ['{"topic":"a"}', { 'Idempotency-Key': 'x'.repeat(256) }, 400, 'bad_parameter', 'Idempotency-Key'],
      ['{"topic":"a"}', { 'Idempotency-Key': 'a\tb' }, 400, 'bad_parameter', 'Idempotency-Key'],
      ['{"topic":"a"}', { Authorization: '' }, 401, 'unauthenticated'],
      ['{"topic":"a"}', { Authorization: 'Basic x' }, 401, 'unauthenticated'],
      ['{"topic":"a"}', { Authorization: 'Bearer bk_00000000_' + '0'.repeat(48) }, 401, 'token_invalid'],
      ['{"topic":"a"}', server.bearer(forged), 401, 'token_invalid'],
      ['{"topic":"a"}', server.bearer(server.token(['#'])), 403, 'forbidden', 'topic'],
      ['{"topic":"a"}', server.bearer(server.token(['#'], { ttl: -10 })), 401, 'token_expired'],
    ];
    for (const [body, headers, status, code, field] of table) {
      const answer = await server.post(body, headers);
      const told = await answer.json();
      assert.equal(answer.status, status, `${String(body).slice(0, 50)}: ${JSON.stringify(told)}`);
      assert.equal(told.code, code);
      assert.equal(told.field, field);
      assert.ok(told.message && told.hint);
    }
    assert.equal(
      (await server.post('{"topic":"a"}', server.bearer(server.token([], { publish: ['a'] })))).status,
      201,
    );
  });

  it('listening is refused with the reason', async () => {
    const table = [
      ['', {}, 400, 'missing_field', 'topic'],
      ['topic=a/', {}, 400, 'bad_pattern', 'topic'],
      ['topic=a&type=%23.x', {}, 400, 'bad_type', 'type'],
      ['topic=a&colour=1', {}, 400, 'bad_parameter', 'colour'],
      ['topic=a&wait=soon', {}, 400, 'bad_parameter', 'wait'],
      [`topic=a&since=${'1'.repeat(129)}`, {}, 400, 'bad_cursor', 'since'],
      [Array(128).fill('topic=a').join('&'), {}, 200],
      [Array(129).fill('topic=a').join('&'), {}, 400, 'too_many_topics', 'topic'],
      ['topic=a', { Accept: 'text/html' }, 406, 'not_acceptable'],
      ['topic=a', { Authorization: '' }, 401, 'unauthenticated'],
      ['topic=users/bob', server.bearer(server.token(null)), 403, 'forbidden', 'topic'],
      ['topic=%23', server.bearer(server.token(['users/+'])), 403, 'forbidden', 'topic'],
    ];
    for (const [query, headers, status, code, field] of table) {
      const answer = await fetch(`${server.url}/v1/events?${query}`, {
        headers: { ...server.bearer(), ...headers },
      });
      const told = await answer.json();
      assert.equal(answer.status, status, query.slice(0, 60));
      assert.equal(told.code, code);
      assert.equal(told.field, field);
    }
    assert.equal(
      (await server.get('users/ana', {}, server.bearer(server.token(null)))).status,
      200,
      'the own topic',
    );
  });

  it('routes: 404, 405 with Allow, HEAD, OPTIONS', async () => {
    assert.equal((await fetch(`${server.url}/nothing`)).status, 404);
    const wrong = await fetch(`${server.url}/v1/events`, { method: 'DELETE' });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'GET, POST');
    assert.equal((await fetch(`${server.url}/healthz`, { method: 'HEAD' })).status, 200);
    const preflight = await fetch(`${server.url}/v1/events`, {
      method: 'OPTIONS',
      headers: { Origin: 'https://evil.example' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-origin'), null);
    assert.match(
      await (await fetch(`${server.url}/metrics`)).text(),
      /^belfry_events_published_total \d+$/m,
    );
  });

  it('half-open and slow clients are let go', async () => {
    const before = await server.metric('belfry_connections');
    const sockets = Array.from({ length: 20 }, () => connect(server.port, '127.0.0.1'));
    for (const socket of sockets) socket.write('POST /v1/events HTTP/1.1\r\nHost: x\r\n');
    const ended = await Promise.all(
      sockets.map(
        (socket) =>
          new Promise((resolve) => {
            let text = '';
            socket.on('data', (bytes) => {
              text += bytes;
            });
            socket.on('close', () => resolve(text));
            socket.on('error', () => {});
          }),
      ),
    );
    for (const text of ended) assert.match(text, /^HTTP\/1\.1 408 /);
    await until(async () => (await server.metric('belfry_connections')) < before + 5, 'connections to go');
  });
});
