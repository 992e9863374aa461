// What a browser needs of the server beside the stream: why it cannot connect, and the files under /sdk.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import { LineClient, WebSocketClient } from './clients.mjs';
import { Server } from './server.mjs';

describe('a stream tells its client first', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  for (const [name, Kind] of [
    ['WebSocket', WebSocketClient],
    ['NDJSON', LineClient],
  ]) {
    it(`when its token ends and when to come back: ${name}`, async () => {
      const client = await new Kind(server, ['a'], { token: server.token(['#'], { ttl: 100 }) }).open();
      while (!client.controls.length) await new Promise(setImmediate);
      const [connected] = client.controls;
      assert.equal(connected.user, 'ana');
      assert.ok(connected.ttl_ms > 90_000 && connected.ttl_ms <= 100_000, String(connected.ttl_ms));
      assert.ok(connected.retry_ms >= 500 && connected.retry_ms <= 5000, String(connected.retry_ms));
      client.close();
    });
  }

  it('the same in a comment of SSE, which EventSource does not see', async () => {
    const answer = await server.get('a', {}, { Accept: 'text/event-stream' });
    const text = Buffer.from((await answer.body.getReader().read()).value).toString();
    const [first] = text.split('\n');
    assert.match(first, /^: \{"control":"connected","cursor":"[0-9a-f]+\.0","user":"ana",/);
    assert.equal(JSON.parse(first.slice(2)).retry_ms, Number(text.match(/^retry: (\d+)$/m)[1]));
  });

  it('a backend key has no end to tell', async () => {
    const client = await new WebSocketClient(server, ['a'], { token: server.key }).open();
    assert.equal(client.controls[0].ttl_ms, undefined);
    client.close();
  });

  it('a question mark without a parameter is none', async () => {
    assert.equal((await server.call('GET', '/v1/feed?', null, server.token())).status, 200);
  });
});

describe('GET /v1/diagnose', () => {
  let server;
  before(async () => {
    server = await Server.start({ config: { http: 'allowed_origins = ["https://shop.example"]\n' } });
  });
  after(() => server.stop());
  const ask = async (headers, query = '') => {
    const answer = await fetch(`${server.url}/v1/diagnose${query}`, { headers });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    return Object.fromEntries((await answer.json()).checks.map((check) => [check.name, check]));
  };

  it('says what is well', async () => {
    const checks = await ask({ ...server.bearer(), Origin: 'https://shop.example' }, '?topic=a/%2B');
    assert.deepEqual(
      Object.values(checks).map(({ name, ok }) => [name, ok]),
      [
        ['server', true],
        ['origin', true],
        ['token', true],
        ['topic', true],
      ],
    );
    assert.equal(checks.token.value, 'ana');
  });

  it('says to pages of other origins that they are', async () => {
    const { origin, token } = await ask({ Origin: 'https://other.example' });
    assert.equal(origin.code, 'origin_not_allowed');
    assert.equal(origin.field, 'http.allowed_origins');
    assert.equal(token.code, 'unauthenticated');
    const preflight = await fetch(`${server.url}/v1/diagnose`, {
      method: 'OPTIONS',
      headers: { Origin: 'https://other.example', 'Access-Control-Request-Headers': 'authorization' },
    });
    assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
    assert.match(preflight.headers.get('access-control-allow-headers'), /Authorization/);
  });

  it('says what is wrong with a token or a topic, and nothing secret', async () => {
    const expired = await ask(server.bearer(server.token(['#'], { ttl: -10 })));
    assert.equal(expired.token.code, 'token_expired');
    const narrow = await ask(server.bearer(server.token(['a'])), '?topic=b');
    assert.equal(narrow.topic.code, 'forbidden');
    assert.ok(!JSON.stringify([expired, narrow]).includes(server.secret));
  });
});

describe('pages of this machine', () => {
  const allowed = async (server, origin) => {
    const answer = await server.get('a', {}, { Origin: origin });
    return answer.headers.get('access-control-allow-origin');
  };
  it('may come in dev mode, and only they', async () => {
    const server = await Server.start();
    for (const origin of [
      'http://localhost:5173',
      'http://127.0.0.1',
      'https://shop.localhost',
      'http://[::1]:80',
    ])
      assert.equal(await allowed(server, origin), origin);
    for (const origin of [
      'http://localhost.example',
      'http://10.0.0.1',
      'null',
      'http://127.0.0.1.example',
    ])
      assert.equal(await allowed(server, origin), null);
    await server.stop();
  });
  it('must be named in production', async () => {
    const server = await Server.start({ config: {} });
    assert.equal(await allowed(server, 'http://localhost:5173'), null);
    await server.stop();
  });
});

describe('a page of an allowed origin', () => {
  let server;
  const origin = 'https://shop.example';
  before(async () => {
    server = await Server.start({ config: { http: `allowed_origins = ["${origin}"]\n` } });
  });
  after(() => server.stop());
  for (const form of ['text/event-stream', 'application/x-ndjson', 'application/json'])
    for (const [topic, status] of [
      ['a', 200],
      ['b', 403],
    ])
      it(`may read ${status} for ${form}`, async () => {
        const left = new AbortController();
        const answer = await fetch(`${server.url}/v1/events?topic=${topic}`, {
          headers: { ...server.bearer(server.token(['a'])), Origin: origin, Accept: form },
          signal: left.signal,
        });
        assert.equal(answer.status, status);
        assert.equal(answer.headers.get('access-control-allow-origin'), origin);
        left.abort();
      });
});

describe('/sdk', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());
  const get = (name, headers = {}) => fetch(`${server.url}/sdk/${name}`, { headers });

  it('lists its files with their integrity, which is true', async () => {
    const { entries, integrity } = await (await get('index.json')).json();
    assert.deepEqual(Object.keys(entries).sort(), ['client', 'inbox']);
    for (const [file, wanted] of Object.entries(integrity)) {
      const answer = await get(file);
      assert.equal(answer.headers.get('content-type'), 'text/javascript; charset=utf-8');
      const digest = createHash('sha384')
        .update(Buffer.from(await answer.arrayBuffer()))
        .digest('base64');
      assert.equal(`sha384-${digest}`, wanted, file);
    }
  });

  it('keeps those with a hash for good, and asks again for those without', async () => {
    const { entries, integrity } = await (await get('index.json')).json();
    for (const file of Object.keys(integrity)) {
      const kept = (await get(file)).headers.get('cache-control');
      assert.equal(
        /immutable/.test(kept),
        !(file in { 'client.js': 1, 'inbox.js': 1 }),
        `${file}: ${kept}`,
      );
    }
    const hashed = await get(entries.client, { Origin: 'https://any.example' });
    assert.equal(hashed.headers.get('access-control-allow-origin'), '*');
    const plain = await get('client.js');
    assert.match(plain.headers.get('cache-control'), /no-cache/);
    const again = await get('client.js', { 'If-None-Match': plain.headers.get('etag') });
    assert.equal(again.status, 304);
    assert.equal(await again.text(), '');
  });

  it('compresses where it is understood', async () => {
    const { entries } = await (await get('index.json')).json();
    const packed = await get(entries.inbox, { 'Accept-Encoding': 'gzip' });
    assert.equal(packed.headers.get('content-encoding'), 'gzip');
    const plain = await get(entries.inbox, { 'Accept-Encoding': 'identity' });
    assert.equal(plain.headers.get('content-encoding'), null);
    assert.equal(await plain.text(), await packed.text());
  });

  it('is nothing else', async () => {
    assert.equal((await get('nothing.js')).status, 404);
    assert.equal((await get('..%2Fetc%2Fpasswd')).status, 404);
  });
});
