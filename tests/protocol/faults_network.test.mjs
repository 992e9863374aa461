// Faults between the server and its clients: readers who take nothing (T9), a link that goes down without a
// word (T10), everybody back at once (T12), clocks that jump (T14).
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { WebSocketClient } from './clients.mjs';
import { Server, unique, until } from './server.mjs';
import { chaos, count, memory } from './threats.mjs';

const head = (server, path, user) =>
  `GET ${path} HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n` +
  `Authorization: Bearer ${server.token(['#'], { user })}\r\n\r\n`;

// A raw stream of events: counts them, and may stop reading.
function stream(server, topic, user, since) {
  const socket = connect(server.port, '127.0.0.1');
  const mine = { socket, ids: [], rest: '', begun: false };
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    const lines = (mine.rest + bytes).split('\n');
    mine.rest = lines.pop();
    for (const line of lines) {
      const found = line.match(/^id: [0-9a-f]+\.(\d+)/);
      if (found && !mine.begun) mine.begun = true;
      else if (found) mine.ids.push(Number(found[1]));
    }
  });
  socket.write(head(server, `/v1/events?topic=${topic}${since ? `&since=${since}` : ''}`, user));
  return mine;
}

describe('T9: readers who take nothing', () => {
  it(
    'cost a cursor each, hold up nobody, and catch up without a gap',
    { timeout: count(120_000, 3_600_000) },
    async () => {
      const server = await Server.start();
      const topic = unique();
      const all = count(300, 2000);
      const clients = Array.from({ length: all }, (_, i) => stream(server, topic, `u${i}`));
      await until(() => clients.every((client) => client.begun), 'all have begun');
      const slow = clients.filter((_, i) => i % 10 === 0);
      const quick = clients.filter((_, i) => i % 10 !== 0);
      for (const { socket } of slow) socket.pause();
      const before = memory(server);
      const data = 'x'.repeat(2000);
      const rounds = count(300, 3000);
      let last;
      for (let i = 0; i < rounds; i += 50) {
        const placed = await server.publish(Array.from({ length: 50 }, () => ({ topic, data })));
        last = Number(placed.at(-1).id.split('.')[1]);
        await until(() => quick.every(({ ids }) => ids.at(-1) === last), 'the others have it all', 20_000);
      }
      const grown = memory(server) - before;
      const backlog = (slow.length * rounds * 2200) / (1024 * 1024);
      console.log(
        `slow readers: ${slow.length} of ${all}; ` +
          `memory grew by ${grown.toFixed(1)} MiB, the backlog is ${backlog.toFixed(0)} MiB`,
      );
      assert.ok(grown < slow.length * 0.0625 + 24, `${grown} MiB`);
      for (const { socket } of slow) socket.resume();
      await until(() => slow.every(({ ids }) => ids.at(-1) === last), 'they catch up', 30_000);
      for (const { ids } of slow) {
        const events = ids.filter((id, i) => id !== ids[i - 1]);
        assert.deepEqual(
          events,
          Array.from({ length: rounds }, (_, i) => last - rounds + 1 + i),
        );
      }
      for (const { socket } of clients) socket.destroy();
      await server.stop();
    },
  );
});

describe('T12: everybody back at once', () => {
  it(
    'all are back within 30 s, and publishing goes on',
    { timeout: count(120_000, 3_600_000) },
    async () => {
      const limits = { BELFRY_LIMITS__STREAMS_PER_SECOND: String(count(500, 5000)) };
      const server = await Server.start({ environment: limits });
      const topic = unique();
      const all = count(1000, 18_000);
      // As EventSource does: waits for the `retry` that it was told, and comes back with its last id.
      const waiting = [];
      const back = new Set();
      const come = (i, since) => {
        const client = stream(server, topic, `u${i}`, since);
        let text = '';
        client.socket.on('data', (bytes) => {
          text += bytes;
          if (text.includes('event: close')) {
            client.socket.destroy();
            waiting.push(setTimeout(() => come(i, since), Number(text.match(/retry: (\d+)/)[1])));
          } else if (client.begun) back.add(i);
        });
        return client;
      };
      const [{ id }] = await server.publish({ topic });
      // From a process of its own: this one has all the sockets to look after.
      const script =
        'const [,, url, key] = process.argv; const times = []; let on = true;' +
        'process.on("SIGTERM", () => { on = false; });' +
        'const headers = { Authorization: "Bearer " + key, "Content-Type": "application/json" };' +
        'const body = JSON.stringify({ topic: "other" });' +
        '(async () => { while (on) { const began = performance.now();' +
        'const answer = await fetch(url + "/v1/events", { method: "POST", body, headers });' +
        'if (answer.status !== 201) throw new Error(answer.status); await answer.text();' +
        'times.push(performance.now() - began); await new Promise((done) => setTimeout(done, 20)); }' +
        'times.sort((a, b) => a - b); console.log(times[Math.floor(times.length * 0.99)]); })();';
      const publisher = spawn(process.execPath, ['-e', script, 'x', server.url, server.key]);
      let p99 = '';
      publisher.stdout.on('data', (bytes) => (p99 += bytes));
      const began = Date.now();
      const clients = Array.from({ length: all }, (_, i) => come(i, id));
      await until(() => back.size === all, `all are back: ${back.size}`, 40_000);
      const took = Date.now() - began;
      publisher.kill('SIGTERM');
      await until(() => p99.includes('\n'), 'the publisher has told');
      console.log(
        `storm: ${all} back after ${took} ms, publish acknowledgement p99 ${Number(p99).toFixed(0)} ms`,
      );
      assert.ok(took < 30_000 && Number(p99) > 0);
      for (const timer of waiting) clearTimeout(timer);
      for (const { socket } of clients) socket.destroy();
      await server.stop();
    },
  );
});

describe('T10: the link goes down without a word', () => {
  // A network of its own: the clients are on the other end of a pair of interfaces.
  it('every connection is given up within 45 s', { timeout: count(120_000, 3_600_000) }, async () => {
    const name = `belfry-${process.pid}`;
    const [program, ...prefix] = process.getuid() === 0 ? ['ip'] : ['sudo', 'ip'];
    const ip = (...words) =>
      execFileSync(program, [...prefix, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    ip('netns', 'add', name);
    const [outside, inside] = [`bf${process.pid}o`.slice(-14), `bf${process.pid}i`.slice(-14)];
    let server, clients;
    try {
      ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside);
      ip('link', 'set', inside, 'netns', name);
      const third = process.pid % 250;
      ip('addr', 'add', `10.213.${third}.1/24`, 'dev', outside);
      ip('link', 'set', outside, 'up');
      ip('netns', 'exec', name, 'ip', 'addr', 'add', `10.213.${third}.2/24`, 'dev', inside);
      ip('netns', 'exec', name, 'ip', 'link', 'set', inside, 'up');
      server = await Server.start({
        config: { limits: 'streams_per_address = 100000\n' },
        host: `10.213.${third}.1`,
      });
      const tokens = Array.from({ length: 20 }, (_, i) => head(server, '/v1/events?topic=a', `u${i}`));
      const script =
        'const net = require("net"); const [,, host, port, count, heads] = process.argv;' +
        'let up = 0; for (let i = 0; i < count; ++i) {' +
        'const s = net.connect(port, host, () => s.write(JSON.parse(heads)[i % 20]));' +
        's.once("data", () => { if (++up == count) console.log("up"); }); s.on("error", () => {}); }';
      const args = ['netns', 'exec', name, process.execPath, '-e', script];
      clients = spawn(program, [
        ...prefix,
        ...args,
        'x',
        `10.213.${third}.1`,
        String(server.port),
        String(count(1000, 10_000)),
        JSON.stringify(tokens),
      ]);
      await new Promise((resolve, reject) => {
        clients.stdout.once('data', resolve);
        clients.stderr.once('data', (bytes) => reject(new Error(String(bytes))));
      });
      const open = () =>
        execFileSync('sh', ['-c', `ls /proc/${server.pid}/fd | wc -l`])
          .toString()
          .trim();
      const before = Number(open());
      ip('netns', 'exec', name, 'ip', 'link', 'set', inside, 'down');
      const began = Date.now();
      await until(() => Number(open()) < 60, `given up, of ${before}`, 60_000);
      const took = (Date.now() - began) / 1000;
      console.log(`half-open: ${before} descriptors given up after ${took.toFixed(1)} s`);
      assert.ok(took <= 45, `${took} s`);
    } finally {
      clients?.kill('SIGKILL');
      await server?.stop();
      ip('netns', 'del', name);
    }
  });
});

// A server whose wall clock is put elsewhere by the file.
async function startWithClock(file, options = {}) {
  const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
  assert.ok(existsSync(library));
  return Server.start({
    ...options,
    environment: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
  });
}

describe('T14: the wall clock jumps', () => {
  it('a jump ahead that is put right takes nothing out', { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'belfry-'));
    const file = join(folder, 'time');
    writeFileSync(file, '+0s\n');
    const server = await startWithClock(file, { config: { log: 'retention_days = 1\n' } });
    try {
      const token = server.token(['#'], { ttl: 86_400 * 50 });
      const client = await new WebSocketClient(server, ['a'], { token }).open();
      const at = (ms) => new Date(Date.now() + ms).toISOString();
      const later = at(3_600_000);
      await server.publish([
        { topic: 'a', data: 'kept' },
        { topic: 'a', data: 'kept, too', expires: later },
      ]);
      await server.publish({ topic: 'a', data: 'due', deliver_at: later });
      writeFileSync(file, '+40d\n');
      const told = (data) => client.events.some((event) => event.data === data);
      await until(() => told('due'), 'what is due by the wall clock');
      // Each kind of housekeeping has its turn before there is nothing to do, and another one is due.
      await server.publish({
        topic: 'a',
        data: 'by the wrong clock',
        deliver_at: at(40 * 86_400_000 + 500),
      });
      await until(() => told('by the wrong clock'), 'another round of housekeeping');
      assert.match(server.log, /the clock jumped ahead/);
      writeFileSync(file, '+0s\n');
      await server.publish({ topic: 'a', data: 'after it' });
      const page = await (await server.get('a', { since: 'earliest' })).json();
      assert.deepEqual(
        page.events.map((event) => event.data),
        ['kept', 'kept, too', 'due', 'by the wrong clock', 'after it'],
      );
      client.close();
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('order and streams stay, expiry follows the wall', { timeout: count(60_000, 3_600_000) }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'belfry-'));
    const file = join(folder, 'time');
    const set = (offset) => writeFileSync(file, `${offset}\n`);
    set('+0s');
    const server = await startWithClock(file);
    const client = await new WebSocketClient(server, ['a'], {
      token: server.token(['#'], { ttl: 86_400 }),
    }).open();
    const short = await new WebSocketClient(server, ['a'], {
      token: server.token(['#'], { ttl: 1800 }),
    }).open();
    const stat = () => readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    const cpu = () => Number(stat()[11]) + Number(stat()[12]);
    const jumps = chaos
      ? ['-600s', '+3600s', '-3600s', '+1s', '-1s', '+7200s', '-86400s']
      : ['-600s', '+3600s', '-600s'];
    let sent = 0;
    const began = cpu();
    for (const jump of jumps) {
      set(jump);
      for (let i = 0; i < 20; ++i) await server.publish({ topic: 'a', data: sent++ });
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    await until(() => client.events.length === sent, 'all of them');
    assert.deepEqual(
      client.events.map((event) => event.data),
      [...Array(sent).keys()],
    );
    const times = client.events.map((event) => Date.parse(event.time));
    // They run backwards only where the clock was put back by more than 10 s, and then to the clock.
    const back = times.filter((time, i) => i > 0 && time < times[i - 1]);
    const steps = chaos ? [-3600, -86_400] : [-600];
    assert.deepEqual(
      back.map((time) => Math.round((time - Date.now()) / 60_000)),
      steps.map((seconds) => seconds / 60),
    );
    await until(
      async () => (await server.metric('belfry_clock_steps_total')) === steps.length,
      'the steps are counted',
    );
    assert.equal((await short.closed).code, 4401, 'half an hour has passed for the wall');
    assert.ok(cpu() - began < 200, 'no storm of timers');
    client.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
});
