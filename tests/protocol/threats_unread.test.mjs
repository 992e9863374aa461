// Clients that ask and do not read. The number is that of SECURITY.md: what a client has not taken is
// counted, for each connection and for all, and over its bound nothing more is served.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';

import { block, endHeaders, frame, headers, number, RawHttp2, request, types } from './raw_http2.mjs';
import { Server, until } from './server.mjs';
import { count, memory } from './threats.mjs';

const shut = Buffer.concat([Buffer.from([0, 4]), number(0)]); // SETTINGS_INITIAL_WINDOW_SIZE 0
const large = 'x'.repeat(60_000);

describe('threats: answers that nobody takes', () => {
  let server;
  let token;
  let sockets;
  before(async () => {
    server = await Server.start({ config: { limits: 'memory_bytes = 268_435_456\n' } });
    token = server.token(['large/#'], { publish: ['echo/#'] });
    const notification = { title: 'a large one' };
    for (let i = 0; i < 20; ++i)
      await server.publish(Array.from({ length: 10 }, () => ({ topic: 'large/x', data: large })));
    for (let i = 0; i < 12; ++i)
      await server.publish(
        Array.from({ length: 10 }, () => ({ topic: 'users/ana', data: large, notification })),
      );
  });
  after(() => server.stop());

  // Memory while the sockets are opened by `open` and nobody reads, and that the server answers others.
  async function bounded(most, open) {
    const before = memory(server);
    sockets = [];
    await open();
    let grown = 0;
    // Long enough for gigabytes, if they were made.
    for (let i = 0; i < 20; ++i) {
      grown = Math.max(grown, memory(server) - before);
      assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
    for (const socket of sockets) socket.destroy();
    assert.ok(grown < most, `memory grew by ${grown} MiB`);
    await until(async () => (await server.metric('belfry_unread_bytes')) === 0, 'nothing is left', 30_000);
  }

  // A socket that sends all of it, as far as it is taken, and reads nothing.
  function deaf(bytes) {
    const socket = connect({ port: server.port, host: '127.0.0.1', highWaterMark: 1024 });
    socket.on('error', () => {});
    socket.pause();
    socket.write(bytes);
    sockets.push(socket);
  }
  const pipelined = (path) =>
    `GET ${path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${token}\r\nAccept: application/json\r\n\r\n`;

  const first = async () => (await server.publish({ topic: 'large/first', data: 0 }))[0].id.split('.')[0];
  const paths = {
    'files of the SDK': async () => {
      const index = await (await fetch(`${server.url}/sdk/index.json`)).json();
      return `/sdk/${index.entries.inbox}`;
    },
    polls: async () => `/v1/events?topic=large/x&since=${await first()}.1`,
    'pages of a feed': async () => '/v1/feed?limit=100',
    metrics: async () => '/metrics',
  };
  for (const [what, path] of Object.entries(paths)) {
    it(`threat 4: ${what}, asked for without end over HTTP/1.1`, async () => {
      const ask = pipelined(await path()).repeat(500);
      await bounded(48, () => {
        for (let i = 0; i < count(8, 64); ++i) deaf(ask.repeat(8));
      });
    });
    it(`threat 4: ${what}, with shut windows over HTTP/2`, async () => {
      const ask = request(await path(), [
        ['authorization', `Bearer ${token}`],
        ['accept', 'application/json'],
      ]);
      await bounded(96, async () => {
        for (let i = 0; i < count(4, 32); ++i) {
          const raw = new RawHttp2(server, shut);
          sockets.push(raw.socket);
          for (let stream = 1; stream < 200; stream += 2) await raw.send(headers(stream, ask));
        }
      });
    });
  }

  it('threat 4: streams from the beginning, with shut windows over HTTP/2', async () => {
    const ask = request(`/v1/events?topic=large/x&since=earliest`, [
      ['authorization', `Bearer ${token}`],
      ['accept', 'application/x-ndjson'],
    ]);
    await bounded(96, async () => {
      for (let i = 0; i < count(4, 32); ++i) {
        const raw = new RawHttp2(server, shut);
        sockets.push(raw.socket);
        for (let stream = 1; stream < 40; stream += 2) await raw.send(headers(stream, ask));
      }
    });
  });

  // What is sent into a WebSocket over HTTP/2 that is over, or that is not served yet.
  const tunnel = (stream) =>
    frame(
      types.headers,
      endHeaders,
      stream,
      block([
        [':method', 'CONNECT'],
        [':protocol', 'websocket'],
        [':scheme', 'http'],
        [':path', '/v1/events'],
        [':authority', 'h'],
        ['sec-websocket-version', '13'],
      ]),
    );
  const junk = Buffer.alloc(16_000, 'j');
  const closing = frame(types.data, 0, 1, Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
  const tunnels = {
    'after its close': async () => [tunnel(1), closing],
    'before its turn': async () => {
      const ask = request(await paths['files of the SDK']());
      return [...Array.from({ length: 12 }, (_, i) => headers(101 + 2 * i, ask)), tunnel(201)];
    },
  };
  for (const [when, begin] of Object.entries(tunnels))
    it(`threat 4: bytes without end for a WebSocket over HTTP/2 ${when}`, async () => {
      const frames = await begin();
      const stream = when.includes('close') ? 1 : 201;
      await bounded(48, async () => {
        for (let i = 0; i < count(2, 16); ++i) {
          const raw = new RawHttp2(server, shut);
          sockets.push(raw.socket);
          await raw.send(...frames);
          const flood = Buffer.concat(Array(64).fill(frame(types.data, 0, stream, junk)));
          for (let n = 0; n < 200 && !raw.closed; ++n) await raw.send(flood);
        }
      });
    });

  // Each is within its bound; all of them together are not.
  const filler = ['x-filler', 'f'.repeat(12_000)];
  const crowds = {
    'WebSockets with bytes': [
      24,
      (stream) => [tunnel(stream), ...Array.from({ length: 4 }, () => frame(types.data, 0, stream, junk))],
    ],
    'whole requests': [80, (stream, path) => [headers(stream, request(path, [filler]))]],
  };
  for (const [what, [connections, make]] of Object.entries(crowds))
    it(`threat 4: over HTTP/2 ${what} wait for their turn behind answers that nobody takes`, async () => {
      const path = await paths['files of the SDK']();
      await bounded(90, async () => {
        for (let i = 0; i < count(connections, 2 * connections); ++i) {
          const raw = new RawHttp2(server, shut);
          sockets.push(raw.socket);
          for (let n = 0; n < 8; ++n) await raw.send(headers(1 + 2 * n, request(path)));
          for (let n = 8; n < 98 && !raw.closed; n += 6) {
            const pongs = raw.pongs();
            for (let m = n; m < n + 6; ++m) await raw.send(...make(1 + 2 * m, path));
            await raw.send(frame(types.ping, 0, 0, Buffer.alloc(8)));
            await until(() => raw.closed || raw.pongs() > pongs, 'its windows');
          }
        }
      });
    });

  it('threat 4: bodies that are too large while other answers wait', async () => {
    const ask = request(await paths['files of the SDK']());
    const post = block([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/v1/events'],
      [':authority', 'h'],
    ]);
    await bounded(48, async () => {
      const raw = new RawHttp2(server, shut);
      sockets.push(raw.socket);
      await raw.send(...Array.from({ length: 9 }, (_, i) => headers(1 + 2 * i, ask)));
      for (let stream = 101; stream < 261 && !raw.closed; stream += 2) {
        await raw.send(headers(stream, post, endHeaders));
        for (let n = 0; n < 67; ++n) await raw.send(frame(types.data, 0, stream, junk));
      }
    });
  });

  it('threat 4: messages of a WebSocket that asks without reading', async () => {
    const text = (message) => {
      const body = Buffer.from(JSON.stringify(message));
      const head = Buffer.from([0x81, 0xfe, body.length >> 8, body.length & 255, 0, 0, 0, 0]);
      return Buffer.concat([head, body]);
    };
    const pad = 'p'.repeat(200);
    const asks = [
      { action: 'subscribe', id: pad, topics: ['large/y'] },
      { action: 'publish', id: pad, events: [{ topic: 'echo/x', data: 0 }] },
      { action: 'mark', id: pad, mark: 'read', ids: [] },
      { action: 'ping', id: pad },
    ].map(text);
    const hello =
      'GET /v1/events HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
    const connected = text({ action: 'connect', token, topics: ['large/x'], pad });
    await bounded(48, () => {
      for (let i = 0; i < count(8, 64); ++i) {
        deaf(hello);
        const { length } = sockets;
        sockets[length - 1].write(Buffer.concat([connected, ...Array(20_000).fill(asks).flat()]));
      }
    });
  });
});
