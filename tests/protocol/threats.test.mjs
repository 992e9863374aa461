// Attacks by clients that speak HTTP/1.1 and WebSocket. The numbers are those of SECURITY.md.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { createParser } from 'eventsource-parser';
import WebSocket from 'ws';

import { WebSocketClient } from './clients.mjs';
import { binary, Server, unique, until } from './server.mjs';
import { besides, chaos, count, exchange, memory, random } from './threats.mjs';

const handshake = (more = '') =>
  'GET /v1/events HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;
// Masked with zeros.
const wsFrame = (first, payload) =>
  Buffer.concat([Buffer.from([first, 0x80 | payload.length, 0, 0, 0, 0]), Buffer.from(payload)]);
const closeCode = (text) => {
  const at = text.indexOf('\x88');
  return at < 0 ? undefined : (text.charCodeAt(at + 2) << 8) | text.charCodeAt(at + 3);
};

describe('threats', () => {
  let server;
  before(async () => {
    server = await Server.start({ environment: { BELFRY_SERVER__LOG_LEVEL: 'debug' } });
  });
  after(() => server.stop());
  const alive = async () => assert.equal((await fetch(`${server.url}/healthz`)).status, 200);

  it('threat 7: compressed WebSocket frames are never agreed on, and never unpacked', async () => {
    const offer = 'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99999\r\n';
    for (let i = 0; i < count(20, 1000); ++i) {
      const bomb = Buffer.concat([
        Buffer.from(handshake(offer), 'latin1'),
        wsFrame(0xc1, Buffer.alloc(100, 0x4b)),
      ]);
      const answer = await exchange(server.port, bomb);
      assert.match(answer, /^HTTP\/1.1 101/);
      assert.doesNotMatch(answer, /permessage-deflate/i);
      assert.equal(closeCode(answer.slice(answer.indexOf('\r\n\r\n'))), 1002);
    }
  });

  it('threat 8: empty fragments without end', async () => {
    const before = memory(server);
    const first = wsFrame(0x01, '');
    const more = Buffer.concat(Array(count(10_000, 1_000_000)).fill(wsFrame(0x00, '')));
    const answer = await exchange(
      server.port,
      Buffer.concat([Buffer.from(handshake(), 'latin1'), first, more]),
    );
    assert.equal(closeCode(answer.slice(answer.indexOf('\r\n\r\n'))), 1008);
    assert.ok(memory(server) - before < 4);
  });

  it('threat 9: a frame that says it is larger than memory', async () => {
    const huge = Buffer.from([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    const answer = await exchange(server.port, Buffer.concat([Buffer.from(handshake(), 'latin1'), huge]));
    assert.equal(closeCode(answer.slice(answer.indexOf('\r\n\r\n'))), 1009);
  });

  it('threat 10: no text in an event becomes a second event', async () => {
    const topic = unique();
    const dice = random(10);
    const pieces = [
      '\r',
      '\n',
      '\r\n',
      '\0',
      ':',
      'data:',
      'id: 9\n',
      '\u2028',
      '\ufeff',
      'é',
      '😀',
      ' ',
      'event: x\n\n',
    ];
    const text = () => Array.from({ length: dice.below(12) }, () => dice.pick(pieces)).join('');
    const total = count(10_000, 1_000_000);
    const sent = [];
    const heard = [];
    const answer = await server.get(topic, {}, { Accept: 'text/event-stream' });
    const parser = createParser({ onEvent: (event) => event.event !== 'close' && heard.push(event) });
    const reading = (async () => {
      for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
        parser.feed(piece);
        if (heard.length >= total) return;
      }
    })();
    while (sent.length < total) {
      const batch = Array.from({ length: 1000 }, () => ({
        topic,
        data: text(),
        notification: { title: text() || 't' },
      }));
      sent.push(...batch.map((event) => event.data));
      await server.publish(batch);
    }
    await reading;
    assert.deepEqual(
      heard.map((event) => JSON.parse(event.data).data),
      sent,
    );
    for (const bad of ['a\r\nid: 1', 'a\n', 'a\0b', 'x\u0085y'])
      for (const field of ['topic', 'type'])
        assert.equal((await server.post({ topic, [field]: bad })).status, 400);
  });

  it('threat 11: 400 ways to hide a request in another', async () => {
    const inner = 'GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n';
    const lengths = [
      '+5',
      '5, 5',
      '5,6',
      '0x5',
      '-1',
      '5 5',
      '٥',
      '99999999999999999999',
      '5\r\nContent-Length: 6',
      '5_',
    ];
    const encodings = [
      'xchunked',
      'chunked, identity',
      'identity, chunked',
      '"chunked"',
      'chunked;q=1',
      'gzip, chunked',
      'chunked, chunked',
      'chun ked',
      '\x0bchunked',
      'chunked\x00',
    ];
    const chunks = [
      '5 \r\nhello',
      '0x5\r\nhello',
      '+5\r\nhello',
      '-5\r\nhello',
      '5;\nhello',
      'ffffffffffffffff1\r\n',
      '5\rhello',
      '\r\n5\r\n',
      'g\r\n',
      '5\nhello',
    ];
    const heads = [
      'Host: h\r\nX : y',
      'Host: h\r\n folded',
      'Host: h\nX: y',
      'Host: h\r\nX\0: y',
      'Host: h\r\n: y',
      'Host: h\r\nX: y\rz',
    ];
    const vectors = [];
    for (const method of ['POST', 'PUT', 'DELETE', 'GET', 'PATCH']) {
      for (const one of lengths)
        vectors.push(`${method} / HTTP/1.1\r\nHost: h\r\nContent-Length: ${one}\r\n\r\n${inner}`);
      for (const one of encodings) {
        vectors.push(
          `${method} / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ${one}\r\n\r\n0\r\n\r\n${inner}`,
        );
        vectors.push(
          `${method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: ${one}\r\n\r\n0\r\n\r\n${inner}`,
        );
      }
      for (const one of chunks)
        vectors.push(
          `${method} / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${one}\r\n0\r\n\r\n${inner}`,
        );
      for (const one of heads) {
        vectors.push(`${method} / HTTP/1.1\r\n${one}\r\nContent-Length: 0\r\n\r\n${inner}`);
        vectors.push(
          `${method} / HTTP/1.1\r\n${one}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
        );
      }
      for (const one of ['Content-Length', 'Content-length ', 'content_length', 'Content-Length\t'])
        for (const name of [
          'Transfer-Encoding',
          'Transfer-Encoding ',
          'transfer-encoding',
          'Transfer-Encoding\t',
          'Transfer\x0cEncoding',
        ])
          for (const value of ['chunked', 'CHUNKED '])
            vectors.push(
              `${method} / HTTP/1.1\r\nHost: h\r\n${one}: 4\r\n${name}: ${value}\r\n\r\n0\r\n\r\n${inner}`,
            );
    }
    assert.ok(vectors.length >= 400, `${vectors.length} vectors`);
    const judge = async (vector) => {
      const answer = await exchange(server.port, Buffer.from(vector, 'latin1'), { quiet: 150 });
      const statuses = [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((found) => found[1]);
      // Either refused, and nothing after it is heard; or both agree where the first one ends.
      const refused = statuses.length <= 1 && !['200', '201'].includes(statuses[0]);
      const plain =
        /Content-Length: 0\r\n|content_length: 4\r\nTransfer-Encoding: chunked ?\r\n\r\n/i.test(vector) &&
        !/[\n]X|X :|\0|\n: | folded|\rz/.test(vector);
      assert.ok(refused || (plain && statuses.length <= 2), `${JSON.stringify(vector)}\n${answer}`);
      return statuses[0];
    };
    const results = {};
    for (let at = 0; at < vectors.length; at += 20)
      for (const status of await Promise.all(vectors.slice(at, at + 20).map(judge)))
        results[status] = (results[status] ?? 0) + 1;
    console.log(`smuggling: ${vectors.length} vectors, first answers ${JSON.stringify(results)}`);
    await alive();
  });

  it('threat 25: no token is ever in a log line or a metric', async () => {
    const secrets = [];
    const bearer = server.token(['#'], { user: 'log-me' });
    const forged = `${bearer.slice(0, -3)}abc`;
    const made = await server.call('POST', '/v1/tickets', { topics: ['users/log-me'] }, bearer);
    secrets.push(bearer, forged, made.body.ticket, server.key, server.secret);
    for (let i = 0; i < count(200, 10_000); ++i) {
      const headers = { Authorization: `Bearer ${i % 2 ? bearer : forged}`, Cookie: `token=${bearer}` };
      const path = [
        `/v1/feed?token=${bearer}`,
        `/v1/events?ticket=${made.body.ticket}&since=x`,
        `/${bearer}`,
        '/v1/events?topic=a',
      ][i % 4];
      const answer = await fetch(server.url + path, {
        headers: { ...headers, Accept: 'application/json' },
      });
      await answer.body?.cancel();
    }
    const socket = new WebSocketClient(server, ['#'], { token: forged });
    socket.open().catch(() => {});
    await until(() => socket.closed, 'a socket');
    await socket.closed;
    await exchange(
      server.port,
      `GET /${bearer}\u0001 HTTP/1.1\r\nAuthorization: Bearer ${server.key}\r\nBroken\r\n\r\n`,
    );
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    for (const secret of secrets)
      for (const piece of [secret, secret.split('.').at(-1)])
        assert.ok(!server.log.includes(piece) && !metrics.includes(piece), piece);
  });

  it('threat 29: garbage ends a connection, never the process', async () => {
    const dice = random(29);
    for (let i = 0; i < count(200, 20_000); i += 20) {
      await Promise.all(
        Array.from({ length: 20 }, () => {
          const bytes = Buffer.from(Array.from({ length: 1 + dice.below(300) }, () => dice.below(256)));
          const lead = dice.pick([
            '',
            'GET / HTTP/1.1\r\n',
            handshake(),
            'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
            'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n',
          ]);
          return exchange(server.port, Buffer.concat([Buffer.from(lead, 'latin1'), bytes]), { quiet: 30 });
        }),
      );
    }
    await alive();
  });

  it('threat 30: a wrong key is refused in the same words, however near it is', async () => {
    const right = server.key;
    const flip = (at) => right.slice(0, at) + (right[at] === 'a' ? 'b' : 'a') + right.slice(at + 1);
    const wrong = [flip(right.length - 1), flip(20), flip(4), `bk_nobody_${'0'.repeat(48)}`];
    const answers = await Promise.all(
      wrong.map((key) => server.call('GET', '/v1/feed?user=a', undefined, key)),
    );
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    if (!chaos) return;
    // Welch's t between a key whose id is known and one whose id is not.
    const times = [[], []];
    for (let i = 0; i < 20_000; ++i) {
      const which = i % 2;
      const began = process.hrtime.bigint();
      await server.call('GET', '/v1/feed?user=a', undefined, wrong[which === 0 ? 0 : 3]);
      times[which].push(Number(process.hrtime.bigint() - began));
    }
    const stats = times.map((all) => {
      const kept = all.sort((a, b) => a - b).slice(0, Math.floor(all.length * 0.9));
      const mean = kept.reduce((a, b) => a + b, 0) / kept.length;
      return {
        mean,
        variance: kept.reduce((a, b) => a + (b - mean) ** 2, 0) / (kept.length - 1),
        n: kept.length,
      };
    });
    const t =
      Math.abs(stats[0].mean - stats[1].mean) /
      Math.sqrt(stats[0].variance / stats[0].n + stats[1].variance / stats[1].n);
    console.log(`key timing: t = ${t.toFixed(2)}`);
    assert.ok(t < 4.5, `t = ${t}`);
  });

  it('threat 31: slow connections do not slow others', async () => {
    const alone = await besides(server, () => new Promise((resolve) => setTimeout(resolve, 400)));
    const slow = [];
    for (let i = 0; i < count(500, 10_000); ++i) {
      const pending = exchange(
        server.port,
        ['GET / HT', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx', ''][i % 3],
        { quiet: count(900, 40_000) },
      );
      slow.push(pending);
      if (i % 100 === 99) await new Promise(setImmediate);
    }
    const among = await besides(server, () => new Promise((resolve) => setTimeout(resolve, 400)));
    console.log(
      `slow connections: p99 alone ${alone.p99.toFixed(1)} ms, among ${slow.length} ${among.p99.toFixed(1)} ms`,
    );
    assert.equal(among.failed, 0);
    await Promise.all(slow);
  });

  it('threat 34: random topics leave nothing behind', async () => {
    const listen = async () => {
      const socket = await new WebSocketClient(server, ['start']).open();
      const topics = Array.from({ length: 100 }, unique);
      await socket.ask({ action: 'subscribe', topics });
      await socket.ask({ action: 'unsubscribe', topics });
      socket.close();
    };
    await listen();
    const before = memory(server);
    for (let i = 0; i < count(50, 10_000); ++i) await listen();
    await until(async () => (await server.metric('belfry_sessions')) === 0, 'all are gone');
    assert.ok(
      memory(server) - before < Math.max(8, before * 0.05),
      `grew by ${memory(server) - before} MiB`,
    );
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.ok(metrics.split('\n').length < 200, 'metrics do not grow with topics');
  });

  it('threat 35: compressed bodies are refused unread', async () => {
    for (const encoding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, gzip', 'x']) {
      const answer = await server.post('x', { 'Content-Encoding': encoding });
      assert.equal(answer.status, 415);
    }
  });

  it('threat 36: deep, doubled and broken JSON', async () => {
    const right = JSON.stringify({
      topic: 't',
      type: 'a.b',
      data: { list: [1, -2.5e10, 'x\u00e9'], deep: [[[[]]]] },
      key: 'k',
    });
    const dice = random(36);
    const statuses = {};
    const deep = [
      '['.repeat(100_000),
      '{"a":'.repeat(50_000),
      `{"topic":"t","data":${'['.repeat(40)}${']'.repeat(40)}}`,
    ];
    for (const body of deep) assert.equal((await server.post(body)).status, 400);
    for (let i = 0; i < count(2000, 100_000);) {
      const bodies = Array.from({ length: 50 }, () => {
        const bytes = Buffer.from(right);
        for (let n = 1 + dice.below(3); n > 0; --n) bytes[dice.below(bytes.length)] = dice.below(256);
        return bytes;
      });
      i += 50;
      for (const status of await Promise.all(bodies.map(async (body) => (await server.post(body)).status)))
        statuses[status] = (statuses[status] ?? 0) + 1;
    }
    assert.deepEqual(
      Object.keys(statuses).filter((status) => !['201', '400'].includes(status)),
      [],
    );
    const twice = await server.post('{"topic":"t","topic":"u"}');
    assert.equal(twice.status, 400);
    await alive();
  });

  it('threat 37: nothing from outside forges a log line', async () => {
    const lines = () => server.log.split('\n').filter(Boolean);
    const hostile = [
      '\u001b[2J',
      '\u0007',
      '\u009b31m',
      '\u202e',
      '"}\\n{"level":"error"}',
      'é\u0000',
      'x'.repeat(5000),
    ];
    for (let i = 0; i < count(300, 100_000); ++i) {
      const text = encodeURIComponent(hostile[i % hostile.length]);
      const answer = await fetch(`${server.url}/v1/feed?user=${text}`, {
        headers: { ...server.bearer('x'), 'User-Agent': 'a' },
      });
      await answer.body?.cancel();
    }
    await exchange(server.port, Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u001b[2J\nfake: line\n'));
    for (const line of lines()) {
      JSON.parse(line);
      assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    }
  });

  it('threat 38: a replayed CloudEvent is one event', async () => {
    const topic = unique();
    const event = {
      specversion: '1.0',
      id: unique(),
      source: '/replay',
      type: 'paid',
      subject: topic,
      data: { n: 1 },
    };
    const headers = { 'Content-Type': 'application/cloudevents+json' };
    for (let i = 0; i < count(300, 10_000); i += 20)
      await Promise.all(
        Array.from({ length: 20 }, () => server.post(event, headers).then((one) => one.body.cancel())),
      );
    const page = await (await server.get(topic, { since: 'earliest' })).json();
    assert.equal(page.events.length, 1);
  });

  it('threat 39: no name is ever SQL', async () => {
    const dice = random(39);
    const pieces = [
      "'",
      '"',
      ';',
      '--',
      '/*',
      '*/',
      ' OR 1=1',
      'DROP TABLE events',
      '\\',
      '%',
      '_',
      '\0',
      'ana',
      '$1',
      '?1',
      'x',
    ];
    const text = () => Array.from({ length: 1 + dice.below(6) }, () => dice.pick(pieces)).join('');
    const kept = unique();
    await server.publish({ topic: kept, data: 1 });
    for (let i = 0; i < count(400, 100_000); ++i) {
      const name = text();
      const answers = await Promise.all([
        server.post({ topic: name, data: name }),
        server.post(
          { topic: 't', key: name },
          { 'Idempotency-Key': encodeURIComponent(name).slice(0, 200) },
        ),
        fetch(`${server.url}/v1/users/${encodeURIComponent(name)}/follows/${encodeURIComponent(name)}`, {
          method: 'PUT',
          headers: server.bearer(server.key),
        }),
        fetch(`${server.url}/v1/feed?user=${encodeURIComponent(name)}&before=${encodeURIComponent(name)}`, {
          headers: server.bearer(server.key),
        }),
      ]);
      for (const answer of answers) {
        assert.ok(answer.status < 500, `${name}: ${answer.status}`);
        await answer.body?.cancel();
      }
    }
    assert.equal((await (await server.get(kept, { since: 'earliest' })).json()).events.length, 1);
    const check = spawnSync(binary, ['check', '--data', server.data], { encoding: 'utf8' });
    assert.match(check.stdout, /: whole\n$/);
  });
});

describe('threats: unsafe defaults', () => {
  it('threat 41: a server that faces others refuses to start without a real secret', () => {
    const folder = mkdtempSync(join(tmpdir(), 'belfry-'));
    const file = (name, text) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const good = file('good', 's'.repeat(32));
    const secrets = {
      good,
      short: file('short', 's'.repeat(31)),
      empty: file('empty', ''),
      missing: join(folder, 'missing'),
      none: undefined,
      spaces: file('spaces', ' '.repeat(64)),
    };
    const hosts = ['0.0.0.0:0', '[::]:0', '127.0.0.1:0', '[::1]:0'];
    let played = 0;
    try {
      for (const [name, secret] of Object.entries(secrets)) {
        for (const host of hosts) {
          if (name === 'good') continue; // it would run; the other tests start such servers
          const config = file(
            'belfry.toml',
            `[http]\nlisten = "${host}"\n[auth]\n${secret ? `jwt_secret_file = "${secret}"\n` : ''}`,
          );
          const done = spawnSync(binary, ['serve', '-c', config, '--data', join(folder, 'data')], {
            encoding: 'utf8',
            timeout: 5000,
          });
          assert.equal(done.status, 3, `${name} ${host}: ${done.stderr}`);
          assert.match(done.stderr, /secret|empty|Cannot read/);
          ++played;
        }
      }
      for (const host of ['0.0.0.0:0', '[::]:0', '10.1.2.3:0', '192.168.1.1:0']) {
        const done = spawnSync(binary, ['dev', '--listen', host, '--data', join(folder, 'data')], {
          encoding: 'utf8',
          timeout: 5000,
        });
        assert.equal(done.status, 3, host);
        ++played;
      }
      assert.equal(played, 24);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
