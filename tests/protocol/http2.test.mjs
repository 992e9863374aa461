// Every outlet on HTTP/2 (RFC 9113), over TLS by ALPN and in clear text by prior knowledge.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { Http2Client } from './http2_client.mjs';
import { Server, unique, until } from './server.mjs';

const run = promisify(execFile);

for (const tls of [false, true]) {
  describe(`HTTP/2 ${tls ? 'over TLS' : 'in clear text'}`, () => {
    let server, client;
    before(async () => {
      server = await Server.start({ tls });
      client = new Http2Client(server);
    });
    after(async () => {
      client.close();
      await server.stop();
    });

    it('requests and answers', async () => {
      assert.equal((await client.call('/healthz')).text, 'ok\n');
      assert.equal((await client.call('/nowhere')).status, 404);
      const head = await client.call('/healthz', { ':method': 'HEAD' });
      assert.deepEqual([head.status, head.text], [200, '']);
      assert.equal((await client.call('/v1/events', { ':method': 'OPTIONS' })).status, 204);
      const refused = await client.call('/v1/events?topic=a', { authorization: 'Bearer nonsense' });
      assert.deepEqual([refused.status, refused.json().code], [401, 'token_invalid']);
      assert.equal(refused.headers['x-content-type-options'], 'nosniff');
    });

    it('many requests at once on one connection', async () => {
      const topic = unique();
      await Promise.all([...Array(200).keys()].map((i) => client.publish({ topic, data: i })));
      const page = await client.call(`/v1/events?topic=${topic}&since=earliest`, {
        accept: 'application/json',
      });
      assert.equal(page.json().events.length, 200);
    });

    for (const [name, accept] of [
      ['server-sent events', 'text/event-stream'],
      ['HTTP streaming', 'application/x-ndjson'],
    ]) {
      it(`${name}: caught up from an old cursor, then live, in order`, async () => {
        const topic = unique();
        const first = await client.publish(Array.from({ length: 600 }, (_, i) => ({ topic, data: i })));
        const stream = await client.listen(`/v1/events?topic=${topic}&since=${first[9].id}`, accept);
        await client.publish({ topic, data: 600 });
        await until(() => stream.events.length === 591, `591 events, got ${stream.events.length}`);
        assert.deepEqual(
          stream.events.map((event) => event.data),
          Array.from({ length: 591 }, (_, i) => i + 10),
        );
        stream.close();
      });
    }

    it('short poll, with 304, and long poll', async () => {
      const topic = unique();
      const [{ id }] = await client.publish({ topic });
      const accept = 'application/json';
      const poll = await client.call(`/v1/events?topic=${topic}&since=${id}`, { accept });
      const tag = poll.headers.etag;
      const again = await client.call(`/v1/events?topic=${topic}&since=${id}`, {
        accept,
        'if-none-match': tag,
      });
      assert.deepEqual([poll.status, again.status, again.text], [200, 304, '']);
      const waiting = client.call(`/v1/events?topic=${topic}&since=${id}&wait=20`, { accept });
      await client.publish({ topic, data: 'late' });
      assert.equal((await waiting).json().events[0].data, 'late');
    });

    it('WebSocket by extended CONNECT: connect, events, mark by request id, close', async () => {
      const topic = unique();
      const socket = await client.websocket();
      assert.equal(socket.status, 200);
      socket.send({ action: 'connect', token: server.token(), topics: [topic] });
      await until(() => socket.messages[0]?.control === 'connected', 'connected');
      for (let i = 0; i < 50; ++i) await client.publish({ topic, data: i });
      await until(() => socket.messages.filter((m) => m.topic === topic).length === 50, 'fifty events');
      socket.send({ action: 'ping', id: 'p1' });
      await until(() => socket.messages.some((m) => m.control === 'pong' && m.id === 'p1'), 'a pong');
      socket.send('nonsense');
      socket.stream.end();
      await once(socket.stream, 'close');
    });

    it('a WebSocket that is refused is told so after it is open', async () => {
      const socket = await client.websocket();
      socket.send({ action: 'connect', token: 'nonsense', topics: ['a'] });
      await until(() => socket.closed, 'closed');
      assert.equal(socket.closed.code, 4401);
    });

    it('a stream whose client does not read stops nobody else, and goes on later', async () => {
      const topic = unique();
      const own = new Http2Client(server, { settings: { initialWindowSize: 65535 } });
      const stream = await own.open(`/v1/events?topic=${topic}`, { accept: 'text/event-stream' });
      const other = await own.listen(`/v1/events?topic=${topic}`);
      const data = 'x'.repeat(10_000);
      for (let i = 0; i < 40; ++i) await client.publish({ topic, data });
      await until(() => other.events.length === 40, 'the other has all forty');
      let text = '';
      stream.setEncoding('utf8');
      stream.on('data', (piece) => {
        text += piece;
      });
      await until(() => text.split(data).length === 41, 'forty after reading again');
      own.close();
    });

    it('bodies: whole, too large, compressed', async () => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${server.key}` };
      const many = Array.from({ length: 1000 }, (_, i) => ({ topic: 't', data: 'y'.repeat(900) + i }));
      assert.equal((await client.call('/v1/events', headers, JSON.stringify(many))).status, 201);
      const large = await client.call('/v1/events', headers, 'z'.repeat(1_100_000));
      assert.deepEqual([large.status, large.json().code], [413, 'body_too_large']);
      const packed = await client.call('/v1/events', { ...headers, 'content-encoding': 'gzip' }, 'x');
      assert.equal(packed.status, 415);
      const waited = await client.open(
        '/v1/events',
        { ...headers, expect: '100-continue' },
        '{"topic":"t"}',
      );
      assert.equal(waited.status, 201);
    });

    it('heads: too many fields, crumbs of a cookie count too', async () => {
      const fields = Object.fromEntries([...Array(120).keys()].map((i) => [`x-${i}`, '1']));
      assert.equal((await client.call('/healthz', fields)).status, 431);
      const crumbs = await client.call('/healthz', { cookie: Array(120).fill('a=b') });
      assert.equal(crumbs.status, 431);
      assert.equal((await client.call('/healthz', { 'x-long': 'x'.repeat(17_000) })).status, 431);
    });

    it('Host that differs from :authority is refused', async () => {
      const answer = await client.call('/healthz', { ':authority': 'a.example', host: 'b.example' });
      assert.equal(answer.status, 400);
    });

    it('curl speaks it too', async () => {
      const trust = tls
        ? ['--cacert', `${server.data}/dev_certificate.pem`, '--http2']
        : ['--http2-prior-knowledge'];
      const { stdout } = await run('curl', [
        '-s',
        ...trust,
        '-w',
        ' %{http_version}',
        `${server.url}/healthz`,
      ]);
      assert.equal(stdout, 'ok\n 2');
      const one = tls ? trust.slice(0, 2).concat('--http1.1') : ['--http1.1'];
      const plain = await run('curl', ['-s', ...one, '-w', ' %{http_version}', `${server.url}/healthz`]);
      assert.equal(plain.stdout, 'ok\n 1.1');
    });

    it('on SIGTERM: GOAWAY, every stream is told to come back, and the process ends with 0', async () => {
      const own = await Server.start({ tls });
      const last = new Http2Client(own);
      const streams = await Promise.all([...Array(20)].map(() => last.listen('/v1/events?topic=a')));
      const ends = streams.map((stream) => once(stream, 'end'));
      own.child.kill('SIGTERM');
      await Promise.all(ends);
      const retries = new Set(
        streams.map((stream) => stream.text.match(/retry: (\d+)\nevent: close/)?.[1]),
      );
      assert.ok(!retries.has(undefined) && retries.size > 10, `each its own retry: ${[...retries]}`);
      assert.equal(last.goaways[0]?.code, 0);
      assert.deepEqual(await own.exited, [0, null]);
      await own.stop();
    });
  });
}
