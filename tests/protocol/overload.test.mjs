// When it is crowded: who is let in, who is told to come back, in which form; and how the server is drained
// and reloaded.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { SseClient, WebSocketClient } from './clients.mjs';
import { Server, unique, until } from './server.mjs';
import { exchange } from './threats.mjs';

const sse = { Accept: 'text/event-stream' };

describe('caps', () => {
  let server;
  before(async () => {
    const limits = 'streams_per_user = 3\nstreams_per_address = 5\n';
    server = await Server.start({ config: { limits, http: 'trusted_proxies = ["127.0.0.1"]\n' } });
  });
  after(() => server.stop());

  it('of one user: each client is told in the form that it understands', async () => {
    const open = [];
    for (let i = 0; i < 3; ++i) open.push(await server.get('users/ana', {}, sse));
    const fourth = await server.get('users/ana', {}, sse);
    assert.equal(fourth.status, 200, 'anything else would stop an EventSource for good');
    const text = await fourth.text();
    assert.match(text, /^retry: \d+\nevent: close\ndata: \{.*"code":"too_many_streams".*"retry_ms":\d+/);
    const poll = await server.get('users/ana', { since: 'earliest' });
    assert.equal(poll.status, 429);
    assert.ok(Number(poll.headers.get('x-retry-after-ms')) >= 500);
    assert.ok(Number(poll.headers.get('retry-after')) >= 1);
    const socket = new WebSocketClient(server, ['users/ana']);
    socket.open().catch(() => {});
    await until(() => socket.closed, 'opened');
    assert.equal((await socket.closed).code, 1013);
    assert.ok(socket.controls.at(-1).retry_ms >= 500);
    const bob = await server.get(
      'users/bob',
      {},
      { ...sse, ...server.bearer(server.token(['#'], { user: 'bob' })) },
    );
    assert.match(Buffer.from((await bob.body.getReader().read()).value).toString(), /\nretry: \d+\nid:/);
    for (const one of [...open, bob]) await one.body.cancel().catch(() => {});
    await until(async () => {
      const again = await server.get('users/ana', {}, sse);
      const begin = Buffer.from((await again.body.getReader().read()).value).toString();
      return begin.includes('\nid:');
    }, 'places are given back');
  });

  it('of one address, as the trusted proxy tells it; who is trusted is not counted', async () => {
    const from = (address, user) => ({
      ...sse,
      ...server.bearer(server.token(['#'], { user })),
      ...(address ? { 'X-Forwarded-For': address } : {}),
    });
    const begin = async (headers) => {
      const answer = await server.get('x', {}, headers);
      const reader = answer.body.getReader();
      return Buffer.from((await reader.read()).value).toString();
    };
    for (let i = 0; i < 5; ++i) assert.match(await begin(from('203.0.113.9', `u${i}`)), /\nid:/);
    assert.match(await begin(from('203.0.113.9', 'u9')), /too_many_streams/);
    assert.match(
      await begin(from('6.6.6.6, 203.0.113.9', 'u9')),
      /too_many_streams/,
      'the last one counts',
    );
    assert.match(await begin(from('203.0.113.10', 'u10')), /\nid:/);
    for (let i = 20; i < 30; ++i) assert.match(await begin(from(undefined, `u${i}`)), /\nid:/);
  });

  it('of new streams a second', async () => {
    const own = await Server.start({ environment: { BELFRY_LIMITS__STREAMS_PER_SECOND: '20' } });
    const answers = await Promise.all(Array.from({ length: 60 }, () => own.get('a', {}, sse)));
    const begins = await Promise.all(
      answers.map(async (answer) => Buffer.from((await answer.body.getReader().read()).value).toString()),
    );
    const refused = begins.filter((text) => text.includes('"overloaded"'));
    assert.ok(
      refused.length >= 15 && refused.length <= 40,
      `${refused.length} of 60 were told to come back`,
    );
    assert.ok(new Set(refused.map((text) => text.match(/retry: (\d+)/)[1])).size > refused.length / 2);
    const upgrade = () =>
      new Promise((resolve) => {
        const headers = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' };
        const key = { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };
        const asked = request(`${own.url}/v1/events`, { headers: { ...headers, ...key } }, resolve);
        asked.on('upgrade', () => resolve({ statusCode: 101 }));
        asked.end();
      });
    // The bucket fills while we look: of many at once, some are refused, before their upgrade.
    const upgraded = await Promise.all(Array.from({ length: 60 }, upgrade));
    assert.deepEqual([...new Set(upgraded.map(({ statusCode }) => statusCode))].sort().pop(), 503);
    assert.equal((await own.post({ topic: 'a' })).status, 201, 'publishers are not concerned');
    await until(
      async () => (await own.metric('belfry_streams_refused_total{reason="rate"}')) > 0,
      'counted',
    );
    await own.stop();
  });
});

describe('pressure', () => {
  it('memory beyond the bound: streams are shed, publishing goes on, and it recovers', async () => {
    const server = await Server.start({ config: {} });
    const folder = server.folder;
    const file = join(folder, 'belfry.toml');
    const plain = readFileSync(file, 'utf8');
    const live = await new SseClient(server, ['a']).open();
    const may = { token: server.token(['#'], { publish: ['#'] }) };
    const open = await new WebSocketClient(server, ['a'], may).open();
    const resident = Number(readFileSync(`/proc/${server.child.pid}/statm`, 'utf8').split(' ')[1]) * 4096;
    const squeeze = async (part, level) => {
      writeFileSync(file, `${plain}\n[limits]\nmemory_bytes = ${Math.floor(resident / part)}\n`);
      server.child.kill('SIGHUP');
      await until(
        () => server.log.includes(`"level":"${level}"`) || server.log.includes(`level=${level}`),
        level,
      );
    };
    await squeeze(0.85, 'shedding');
    assert.match(await (await server.get('a', {}, sse)).text(), /"overloaded"/);
    const resumed = await server.get('a', { since: 'earliest' }, sse);
    assert.match(
      Buffer.from((await resumed.body.getReader().read()).value).toString(),
      /\nid:/,
      'resumes go on',
    );
    await squeeze(1.5, 'critical');
    const [{ id }] = await server.publish({ topic: 'a', data: 1 });
    await until(() => live.events.length === 1, 'a live stream goes on');
    assert.equal((await server.post({ topic: 'ephemeral/x' })).status, 503);
    const user = server.token(['#'], { publish: ['#'] });
    assert.equal((await server.post({ topic: 'a' }, server.bearer(user))).status, 503);
    open.send({ action: 'publish', id: 'p', events: [{ topic: 'a' }] });
    const refused = await until(() => open.controls.find((one) => one.id === 'p'), 'the same on WebSocket');
    assert.equal(refused.code, 'overloaded');
    assert.ok(refused.retry_ms >= 500);
    open.close();
    writeFileSync(file, plain);
    server.child.kill('SIGHUP');
    await until(async () => {
      const again = await server.get('a', {}, sse).catch(() => undefined);
      if (!again) return false;
      return Buffer.from((await again.body.getReader().read()).value)
        .toString()
        .includes('\nid:');
    }, 'new streams again');
    assert.ok(id);
    live.close();
    await server.stop();
  });
});

describe('file descriptors', () => {
  it('that are used up refuse who comes next; who goes makes room again', async () => {
    const own = await Server.start();
    spawnSync('prlimit', ['--pid', own.pid, '--nofile=128:128']);
    const sockets = [];
    const held = () => sockets.filter((socket) => !socket.gone).length;
    for (let i = 0; i < 200; ++i) {
      const socket = connect(own.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.on('close', () => (socket.gone = true));
      sockets.push(socket);
    }
    await until(() => held() < 128, 'those to be refused for whom there is no descriptor');
    assert.ok(held() > 32, `${held()} of 200 are held`);
    await until(() => own.log.includes('no file descriptor left'), 'a line that says so');
    for (const socket of sockets) socket.destroy();
    const refused = await until(
      () => own.metric('belfry_connections_refused_total').catch(() => 0),
      'to be served again',
    );
    assert.ok(refused >= 1);
    await own.stop();
  });
});

describe('the PROXY protocol', () => {
  it('tells the address; whoever leaves it out is closed', async () => {
    const http = 'trusted_proxies = ["127.0.0.1"]\nproxy_protocol = true\n';
    const server = await Server.start({ config: { http, limits: 'streams_per_address = 1\n' } });
    const head = (source) => `PROXY TCP4 ${source} 10.0.0.1 5 80\r\n`;
    const accept = 'Host: h\r\nAccept: text/event-stream';
    const bearer = `Authorization: Bearer ${server.token()}`;
    const stream = `GET /v1/events?topic=a HTTP/1.1\r\n${accept}\r\n${bearer}\r\n\r\n`;
    const first = connect(server.port, '127.0.0.1');
    let text = '';
    first.on('data', (bytes) => (text += bytes));
    first.write(head('203.0.113.1') + stream);
    await until(() => text.includes('\nid:'), 'the first has a stream');
    assert.match(await exchange(server.port, head('203.0.113.1') + stream), /too_many_streams/);
    assert.match(await exchange(server.port, head('203.0.113.2') + stream), /\nid:/);
    const binary = Buffer.concat([
      Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', 'latin1'),
      Buffer.from([203, 0, 113, 1, 10, 0, 0, 1, 0, 5, 0, 80]),
    ]);
    assert.match(
      await exchange(server.port, Buffer.concat([binary, Buffer.from(stream)])),
      /too_many_streams/,
    );
    assert.equal(await exchange(server.port, stream), '');
    first.destroy();
    await server.stop();
  });
});

describe('SIGHUP', () => {
  it('takes up keys, origins, limits and retention; what needs a restart is said', async () => {
    const log = 'tail_bytes = 1100000\n';
    const http = 'allowed_origins = ["https://one.example"]\n';
    const server = await Server.start({ config: { http, log } });
    const file = join(server.folder, 'belfry.toml');
    const stream = await new SseClient(server, ['a'], { token: server.key }).open();
    const origin = async (value) =>
      (await server.get('a', {}, { Origin: value })).headers.get('access-control-allow-origin');
    assert.equal(await origin('https://one.example'), 'https://one.example');
    const old = server.token();
    writeFileSync(join(server.folder, 'jwt_secret'), 'n'.repeat(40));
    const text = readFileSync(file, 'utf8').replace('one.example', 'two.example');
    writeFileSync(file, `${text}retention = ["a 1s"]\n[server]\nshards = 1\n`);
    server.child.kill('SIGHUP');
    await until(
      async () => (await server.get('a', {}, server.bearer(old))).status === 401,
      'the old key is gone',
    );
    server.secret = 'n'.repeat(40);
    assert.equal((await server.get('a')).status, 200);
    assert.equal(await origin('https://one.example'), null);
    assert.equal(await origin('https://two.example'), 'https://two.example');
    await until(() => /needs a restart.*server\.shards/.test(server.log), 'what needs a restart is said');
    server.log = '';
    server.child.kill('SIGHUP');
    await until(
      () => /needs a restart.*server\.shards/.test(server.log),
      'said again: what runs is what counts',
    );
    await server.publish({ topic: 'a', data: 1 });
    await until(() => stream.events.length === 1, 'the stream goes on whose key is still here');
    // What is not in the index yet is not trimmed yet.
    for (let i = 0; i < 20; ++i) await server.publish(Array(1000).fill({ topic: 'a', data: 2 }));
    await until(async () => {
      const page = await server.get('a', { since: stream.events[0].id });
      await page.body.cancel();
      return page.status === 410;
    }, 'the new retention trims');
    writeFileSync(file, `${text}\n[http2]\nx = 1\n`);
    server.child.kill('SIGHUP');
    await until(() => /was not reloaded/.test(server.log), 'a broken file is refused');
    assert.equal((await server.get('a')).status, 200);
    stream.close();
    await server.stop();
  });
});

describe('SIGTERM', () => {
  it('spreads the closes over a window, each with a retry of its own, and exits with 0', async () => {
    const server = await Server.start();
    const count = 800;
    const ends = [];
    const open = (i) =>
      new Promise((resolve) => {
        const headers = { ...sse, ...server.bearer(server.token(['#'], { user: `u${i}` })) };
        const asked = request(server.address('a'), { headers, agent: false }, (answer) => {
          let text = '';
          answer.on('data', (bytes) => {
            text += bytes;
            if (!text.includes('event: close')) return resolve();
            ends.push({ at: Date.now(), retry: text.match(/retry: (\d+)\nevent: close/)[1] });
          });
          answer.on('error', () => {});
        });
        asked.on('error', resolve);
        asked.end();
      });
    for (let i = 0; i < count; i += 50) await Promise.all([...Array(50).keys()].map((k) => open(i + k)));
    server.child.kill('SIGTERM');
    const [code] = await server.exited;
    assert.equal(code, 0);
    assert.equal(ends.length, count);
    const first = ends[0].at;
    const spread = ends.at(-1).at - first;
    assert.ok(spread >= 400, `closed within ${spread} ms`);
    const slices = Array(Math.ceil((spread + 1) / 100)).fill(0);
    for (const { at } of ends) ++slices[Math.floor((at - first) / 100)];
    assert.ok(Math.max(...slices) < count / 2, `at an even rate: ${slices}`);
    assert.ok(new Set(ends.map(({ retry }) => retry)).size > count / 2);
    await server.stop();
  });

  it('a second one ends it at once', async () => {
    const server = await Server.start();
    const stream = await server.get('a', {}, sse);
    server.child.kill('SIGTERM');
    await until(() => server.log.includes('stopping'), 'it stops');
    server.child.kill('SIGTERM');
    assert.deepEqual(await server.exited, [null, 'SIGTERM']);
    await stream.body.cancel().catch(() => {});
    await server.stop();
  });

  it('what was being published is committed and answered', async () => {
    const server = await Server.start();
    const topic = unique();
    const asked = [];
    for (let i = 0; i < 200; ++i)
      asked.push(
        server.post({ topic, data: i }).then(
          (one) => one.status,
          () => 0,
        ),
      );
    await asked[0];
    server.child.kill('SIGTERM');
    const statuses = await Promise.all(asked);
    await server.exited;
    const stored = statuses.filter((status) => status === 201).length;
    await server.launch();
    const page = await (await server.get(topic, { since: 'earliest' })).json();
    assert.ok(
      page.events.length >= stored && stored > 0,
      `${stored} acknowledged, ${page.events.length} there`,
    );
    await server.stop();
  });
});

describe('the service manager', () => {
  it('is told when it is ready, reloads and stops', async () => {
    const listen =
      'import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n' +
      's.bind(sys.argv[1]);print("bound",flush=True)\n' +
      'while True: print(s.recv(4096).decode().replace("\\n"," "),flush=True)';
    const folder = mkdtempSync(join(tmpdir(), 'belfry-'));
    const path = join(folder, 'notify');
    const manager = spawn('python3', ['-c', listen, path]);
    let heard = '';
    manager.stdout.on('data', (bytes) => (heard += bytes));
    await until(() => heard.includes('bound'), 'a manager');
    const server = await Server.start({ config: {}, environment: { NOTIFY_SOCKET: path } });
    await until(() => heard.includes('READY=1'), 'ready');
    server.child.kill('SIGHUP');
    await until(() => /RELOADING=1 MONOTONIC_USEC=\d+\nREADY=1/.test(heard), 'reloaded');
    server.child.kill('SIGTERM');
    await until(() => heard.includes('STOPPING=1'), 'stopping');
    await server.exited;
    manager.kill();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
});
