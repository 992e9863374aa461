// Attacks on HTTP/2. The numbers are those of SECURITY.md.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Http2Client } from './http2_client.mjs';
import { statusOf } from './http2_clauses.mjs';
import {
  endHeaders,
  endStream,
  frame,
  headers,
  literal,
  number,
  RawHttp2,
  request,
  types,
} from './raw_http2.mjs';
import { Server, until } from './server.mjs';
import { besides, count, memory, random } from './threats.mjs';

const calm = 11; // ENHANCE_YOUR_CALM

describe('threats: HTTP/2', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());
  const alive = async () => assert.equal((await fetch(`${server.url}/healthz`)).status, 200);

  // Sends `make(stream)` again and again, on a new connection whenever one is closed. Gives how many it
  // took.
  async function flood(times, make, connections = 4, settings) {
    let sent = 0;
    let used = 0;
    const worker = async () => {
      while (sent < times) {
        const raw = new RawHttp2(server, settings);
        ++used;
        for (let stream = 1; !raw.closed && sent < times;) {
          const burst = [];
          for (let i = 0; i < 200 && sent < times; ++i, ++sent, stream += 2) burst.push(make(stream));
          // The server's word is awaited: what is sent before it can say anything, it cannot stop.
          const pongs = raw.pongs();
          await raw.send(...burst, frame(types.ping, 0, 0, Buffer.alloc(8)));
          await until(() => raw.closed || raw.goaway() !== undefined || raw.pongs() > pongs, 'an answer');
          if (raw.goaway() !== undefined) break;
        }
        await raw.send(frame(types.ping, 0, 0, Buffer.alloc(8)));
        if (sent < times)
          await until(() => raw.closed || raw.goaway() !== undefined, 'the flood is stopped');
        raw.close();
      }
    };
    await Promise.all(Array.from({ length: connections }, worker));
    return used;
  }

  it('threat 1: rapid reset', async () => {
    const before = memory(server);
    const requests = await server.metric('belfry_requests_total');
    const reset = number(8);
    const total = count(20_000, 1_000_000);
    const { failed, p99 } = await besides(server, () =>
      flood(total, (stream) => Buffer.concat([headers(stream), frame(types.reset, 0, stream, reset)]), 10),
    );
    assert.equal(failed, 0);
    assert.ok(memory(server) - before < 16, `memory grew by ${memory(server) - before} MiB`);
    await new Promise((resolve) => setTimeout(resolve, 600));
    const handled = (await server.metric('belfry_requests_total')) - requests;
    assert.ok(handled < total / 20, `${handled} of ${total} requests reached a handler`);
    console.log(
      `rapid reset: ${total} resets, honest p99 ${p99.toFixed(1)} ms, ${handled} requests handled`,
    );
  });

  it('threat 2: MadeYouReset, six ways to make the server reset', async () => {
    const ways = {
      'WINDOW_UPDATE of 0': (s) => [headers(s), frame(types.windowUpdate, 0, s, number(0))],
      'WINDOW_UPDATE that overflows': (s) => [
        headers(s),
        frame(types.windowUpdate, 0, s, number(0x7fffffff)),
      ],
      'PRIORITY of a wrong length': (s) => [headers(s), frame(types.priority, 0, s, Buffer.alloc(4))],
      'a stream that depends on itself': (s) => [
        headers(s),
        frame(types.priority, 0, s, Buffer.concat([number(s), Buffer.from([1])])),
      ],
      'HEADERS after END_STREAM': (s) => [headers(s), headers(s)],
      'DATA after END_STREAM': (s) => [headers(s), frame(types.data, 0, s, Buffer.from('x'))],
    };
    for (const [name, make] of Object.entries(ways)) {
      const used = await flood(count(4000, 100_000), (s) => Buffer.concat(make(s)), 4);
      assert.ok(used > 4, `${name}: whoever goes on is closed`);
      await alive();
    }
  });

  it('threat 29: a connection that fails while requests wait for their turn', async () => {
    const padded = [['x-pad', 'p'.repeat(700)]];
    const ask = request('/healthz', padded);
    const asks = Array.from({ length: 100 }, (_, i) => headers(1 + 2 * i, ask));
    const ping = frame(types.ping, 0, 0, Buffer.alloc(8));
    for (let i = 0; i < 5; ++i) {
      const raw = new RawHttp2(server);
      await raw.send(...asks, ...Array.from({ length: 2000 }, () => ping));
      await until(() => raw.closed || raw.goaway() !== undefined, 'the end');
      raw.close();
      await alive();
    }
  });

  it('threat 3: CONTINUATION without end', async () => {
    const before = memory(server);
    const raw = new RawHttp2(server);
    await raw.send(headers(1, request(), 0));
    const piece = frame(types.continuation, 0, 1, literal('x', 'y'.repeat(100)));
    for (let i = 0; i < count(10_000, 1_000_000) && !raw.closed; ++i) await raw.send(piece);
    await until(() => raw.closed, 'the connection is closed');
    assert.ok(memory(server) - before < 4, `memory grew by ${memory(server) - before} MiB`);
    await alive();
  });

  it('threat 4: a small head that unpacks to ten thousand fields', async () => {
    const before = memory(server);
    const added = literal('x-bomb', 'b'.repeat(3900), 0x40); // into the dynamic table
    const bomb = Buffer.concat([added, Buffer.alloc(count(5_000, 10_000), 0x80 | 62)]);
    const shut = Buffer.concat([Buffer.from([0, 4]), number(0)]); // SETTINGS_INITIAL_WINDOW_SIZE 0
    const connections = Array.from({ length: count(10, 100) }, () => new RawHttp2(server, shut));
    for (const raw of connections)
      for (let stream = 1; stream < 2 * count(20, 100); stream += 2)
        await raw.send(
          headers(stream, Buffer.concat([request(), stream === 1 ? bomb : bomb.subarray(added.length)])),
        );
    await until(
      () => connections.every((raw) => raw.closed || raw.answers() > 0),
      'each is answered or closed',
    );
    assert.ok(memory(server) - before < 64, `memory grew by ${memory(server) - before} MiB`);
    for (const raw of connections) raw.close();
    await alive();
  });

  it('threat 5: floods of frames that bring nothing', async () => {
    const setting = Buffer.concat([Buffer.from([0, 1]), number(4096)]);
    const kinds = {
      PING: () => frame(types.ping, 0, 0, Buffer.alloc(8)),
      SETTINGS: () => frame(types.settings, 0, 0, setting),
      'empty DATA': () => frame(types.data, 0, 1),
      PRIORITY: (s) => frame(types.priority, 0, s, Buffer.concat([number(0), Buffer.from([1])])),
      'unknown frames': () => frame(0xee, 0, 0, Buffer.alloc(4)),
      WINDOW_UPDATE: () => frame(types.windowUpdate, 0, 0, number(1)),
    };
    for (const [name, make] of Object.entries(kinds)) {
      const raw = new RawHttp2(server);
      if (name === 'empty DATA') await raw.send(headers(1, request(), endHeaders));
      const one = make(3);
      for (let i = 0; i < count(10_000, 1_000_000) && !raw.closed; i += 100)
        await raw.send(...Array(100).fill(one));
      await until(() => raw.closed, `${name}: closed`);
      assert.ok([calm, 1, undefined].includes(raw.goaway()), `${name}: ${raw.goaway()}`);
    }
    await alive();
  });

  it('threat 6: frames that have broken servers, before and after the end', async () => {
    const broken = [
      frame(types.goaway, 0, 0, Buffer.alloc(3)),
      frame(types.windowUpdate, 0, 0, Buffer.alloc(3)),
      frame(types.settings, 1, 0, Buffer.alloc(6)),
      frame(types.push, endHeaders, 1, Buffer.concat([number(2), request()])),
      frame(types.headers, endHeaders | 8, 1, Buffer.from([255, 1])), // more padding than payload
      frame(types.headers, endHeaders, 0, request()),
      frame(types.data, endStream | 8, 1, Buffer.from([9])),
      frame(types.reset, 0, 99, number(0)),
      Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]), Buffer.alloc(64)]),
    ];
    for (const first of broken) {
      for (const second of broken) {
        const raw = new RawHttp2(server);
        await raw.send(headers(1), first, second, headers(3), first);
        await until(() => raw.closed || raw.frames.length > 2, 'an answer or an end');
        raw.close();
      }
    }
    await alive();
  });

  it('threat 12: fields that would be two on HTTP/1.1', async () => {
    const dice = random(12);
    const ends = ['\r\nx: y', '\n', '\r', '\0', ' \r\n\r\nGET / HTTP/1.1'];
    const bad = () => {
      const end = dice.pick(ends);
      return dice.pick([
        [['x-a', `v${end}`]],
        [[`x${end}`, 'v']],
        [['X-Upper', 'v']],
        [['connection', 'close']],
        [['transfer-encoding', 'chunked']],
        [['te', 'gzip']],
        [[':path', '/other']],
        [
          ['x-a', 'v'],
          [':method', 'POST'],
        ],
        [
          ['content-length', '1'],
          ['content-length', '2'],
        ],
        [['', 'v']],
      ]);
    };
    // A request that is as it should be shows that the others could have been answered.
    for (let done = 0; done < count(1000, 100_000);) {
      const raw = new RawHttp2(server);
      const frames = [headers(1, request('/healthz', [['x-a', 'v']]))];
      for (let stream = 3; stream < 200; stream += 2, ++done)
        frames.push(headers(stream, request('/healthz', bad())));
      await raw.send(...frames);
      const ended = (stream) =>
        raw.frames.find((one) => one.stream === stream && [types.headers, types.reset].includes(one.type));
      for (let stream = 1; stream < 200; stream += 2) {
        const end = await until(() => ended(stream), `an answer to ${stream}`);
        const status = end.type === types.reset ? 'reset' : statusOf(end.payload);
        assert.equal(status, stream === 1 ? 200 : 'reset');
      }
      raw.close();
    }
    await alive();
  });

  it('an honest client with many requests is never taken for an attacker', async () => {
    const client = new Http2Client(server);
    for (let round = 0; round < 20; ++round)
      await Promise.all(
        [...Array(50)].map(() => client.call('/healthz').then((a) => assert.equal(a.status, 200))),
      );
    client.close();
  });
});
