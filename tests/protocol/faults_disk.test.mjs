// What the real binary does on a full disk: it refuses publishers, with 507, and nothing and nobody else.
// The disk is a small one of our own, for which one has to be root; in a user namespace root is us.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { WebSocketClient } from './clients.mjs';
import { binary, Server, until } from './server.mjs';

class Disk {
  constructor(mebibytes) {
    this.folder = mkdtempSync(join(tmpdir(), 'belfry-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'belfry-test', this.folder]);
    this.filler = join(this.folder, 'filler');
    this.servers = [];
    writeFileSync(this.filler, Buffer.alloc((mebibytes / 2) * 1024 * 1024));
  }

  async start(options = {}) {
    const server = await Server.start({ folder: this.folder, ...options });
    this.servers.push(server);
    return server;
  }

  // To the last page.
  fill() {
    const file = openSync(this.filler, 'a');
    try {
      for (;;) writeSync(file, Buffer.alloc(4096));
    } catch (error) {
      assert.equal(error.code, 'ENOSPC');
    } finally {
      closeSync(file);
    }
  }

  makeRoom() {
    rmSync(this.filler);
  }

  names() {
    const all = readdirSync(this.folder, { recursive: true });
    return all.filter((name) => name !== 'filler' && name !== 'data').sort();
  }

  async end() {
    for (const server of this.servers) await server.kill();
    execFileSync('umount', [this.folder]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const event = (data) => ({ topic: 'a', data: { data, fill: 'x'.repeat(30_000) } });

// Publishes until it is refused; anything but 201 and 507 is wrong. Gives what was stored.
async function publishUntilFull(server, name) {
  const stored = [];
  for (let i = 0; i < 2000; ++i) {
    const answer = await server.post([event(`${name} ${i} first`), event(`${name} ${i} second`)]);
    const body = await answer.json();
    if (answer.status === 507) {
      assert.equal(body.code, 'store_full');
      return stored;
    }
    assert.equal(answer.status, 201, JSON.stringify(body));
    stored.push(`${name} ${i} first`, `${name} ${i} second`);
  }
  throw new Error('the disk did not fill up');
}

// Reads go on: pages, feeds, readiness. Gives the data of all events of the topic.
async function readAll(server) {
  const token = server.token();
  assert.equal((await server.call('GET', '/v1/feed', undefined, token)).status, 200);
  assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
  const out = [];
  for (let since = 'earliest'; ;) {
    const answer = await server.get('a', { since });
    assert.equal(answer.status, 200);
    const page = await answer.json();
    out.push(...page.events.map((each) => each.data.data));
    if (page.events.length === 0) return out;
    since = page.cursor ?? page.events.at(-1).id;
  }
}

// Larger than those that filled the disk: a smaller one may fit where a refused one was half written.
async function refuses(server, count = 5) {
  const batch = Array.from({ length: 5 }, () => event('refused'));
  for (let i = 0; i < count; ++i) assert.equal((await server.post(batch)).status, 507);
}

const resumes = (server) =>
  until(async () => {
    const answer = await server.post(event('after'));
    assert.ok([201, 507].includes(answer.status), `${answer.status}`);
    return answer.status === 201 ? answer.json() : null;
  }, 'publishing to resume');

const lives = (server) => assert.equal(server.child.exitCode ?? server.child.signalCode, null, server.log);

describe('a full disk', () => {
  if (process.getuid() !== 0) {
    it('in a user namespace', { timeout: 300_000 }, async () => {
      const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
      const words = ['-rm', process.execPath, '--test', fileURLToPath(import.meta.url)];
      await promisify(execFile)('unshare', words, { env: environment });
    });
    return;
  }
  const disks = [];
  const disk = (mebibytes) => {
    disks.push(new Disk(mebibytes));
    return disks.at(-1);
  };
  after(async () => {
    for (const each of disks) await each.end();
  });

  it('507 to publishers, streams and reads go on, and it recovers by itself', async () => {
    const own = disk(20);
    const server = await own.start();
    const client = await new WebSocketClient(server, ['a', 'ephemeral/x']).open();
    const stored = await publishUntilFull(server, 'before');
    own.fill();
    await refuses(server, 50);
    assert.deepEqual(await readAll(server), stored);
    await until(() => client.events.length === stored.length, 'what was stored to arrive');
    const [typing] = await server.publish({ topic: 'ephemeral/x', data: 'still there' });
    assert.equal(typing.id, undefined);
    await until(() => client.events.at(-1).data === 'still there', 'the stream to live on');
    own.makeRoom();
    const { events } = await resumes(server);
    assert.equal(events[0].seq, stored.length + 1, 'nothing of the refused ones was stored');
    await until(() => client.events.at(-1).data.data === 'after', 'the event after, on the same stream');
    assert.equal(client.events.length, stored.length + 2);
    client.close();
    lives(server);
  });

  for (const [how, signal] of [
    ['killed right after a refusal', 'SIGKILL'],
    ['stopped right after a refusal', 'SIGTERM'],
    ['it fills up while the server is down', 'SIGTERM'],
  ]) {
    it(`${how}: it starts again, shows nothing that was refused, and serves`, async () => {
      const down = how.endsWith('down');
      const own = disk(20);
      const first = await own.start();
      let stored = ['only'];
      if (down) await first.publish(event('only'));
      else stored = await publishUntilFull(first, 'before');
      if (!down) own.fill();
      if (!down) await refuses(first);
      await first.kill(signal);
      // As often as it likes, and without room in between: what the start was given comes back.
      for (let round = 0; round < 3; ++round) {
        own.fill();
        const server = await own.start();
        if (down && round === 0) assert.match(server.log, /the reserve was given up for this start/);
        own.fill();
        const more = await publishUntilFull(server, `round ${round}`);
        stored.push(...more);
        assert.ok(more.length < 40, 'the reserve is not for publishers');
        assert.deepEqual(await readAll(server), stored);
        const client = await new WebSocketClient(server, ['a']).open();
        await refuses(server);
        client.close();
        lives(server);
        await server.kill(signal);
      }
      // After a kill it needs nothing that is not there: then it starts without a reserve, too.
      if (signal === 'SIGKILL') rmSync(join(own.folder, 'data', 'belfry.db.reserve'));
      own.fill();
      const server = await own.start();
      const client = await new WebSocketClient(server, ['a']).open();
      own.fill();
      await refuses(server);
      own.makeRoom();
      const { events } = await resumes(server);
      assert.equal(events[0].seq, stored.length + 1);
      await until(() => client.events.at(-1)?.data.data === 'after', 'the event after');
      // A cursor of that life is good in the next one.
      await server.kill(signal);
      const last = await own.start();
      const answer = await last.get('a', { since: events[0].id });
      assert.deepEqual((await answer.json()).events, []);
      assert.equal(answer.status, 200);
      assert.deepEqual(await readAll(last), [...stored, 'after']);
      client.close();
    });
  }

  it('at the first start: says so, leaves nothing half-made, and the next start works', async () => {
    for (const options of [{}, { config: { log: '' } }]) {
      const own = disk(2);
      const first = new Server({ folder: own.folder, ...options });
      if (options.config) first.writeConfig();
      const before = own.names();
      own.fill();
      await assert.rejects(first.launch(), /ended with 1 /);
      const said = /store_full: .*needs 2 MiB of room in .*\/data\./;
      await until(() => said.test(first.log), 'the reason to be said');
      const left = own.names().filter((name) => !before.includes(name) && name !== 'data/belfry.db.lock');
      assert.deepEqual(left, []);
      own.makeRoom();
      const server = await own.start(options);
      await server.publish({ topic: 'a', data: 1 });
    }
  });

  it('while a backup is written: nothing of it is left, and the server goes on', async () => {
    const own = disk(20);
    const server = await own.start();
    const client = await new WebSocketClient(server, ['b']).open();
    for (let i = 0; i < 100; ++i) await server.publish(event(i));
    const before = own.names();
    const to = join(own.folder, 'backup.db');
    const words = ['backup', to, '--data', server.data];
    // Publishers meanwhile: 201 or 507, nothing else.
    let busy = true;
    const publisher = (async () => {
      const seen = [];
      while (busy) seen.push((await server.post({ topic: 'b', data: 'meanwhile' })).status);
      return seen;
    })();
    for (let i = 0; i < 3; ++i) {
      own.fill();
      const failed = await promisify(execFile)(binary, words).catch((error) => error);
      assert.equal(failed.code, 1, failed.stdout);
      assert.match(failed.stderr, /There is no room for .*backup\.db; nothing of it is left\./);
      assert.deepEqual(own.names(), before);
    }
    busy = false;
    const seen = await publisher;
    assert.deepEqual(
      [...new Set(seen)].filter((status) => status !== 201),
      [507],
    );
    await refuses(server);
    own.makeRoom();
    await resumes(server);
    const [last] = await server.publish({ topic: 'b', data: 'last' });
    await until(() => client.events.at(-1)?.id === last.id, 'the stream to live on');
    client.close();
    const roomy = mkdtempSync(join(tmpdir(), 'belfry-backup-'));
    const done = await promisify(execFile)(binary, ['backup', join(roomy, 'b.db'), '--data', server.data]);
    assert.match(done.stdout, /events, head/);
    assert.equal(statSync(join(roomy, 'b.db')).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(roomy), ['b.db']);
    rmSync(roomy, { recursive: true });
    lives(server);
  });

  it('for a secret and a key: whole or not at all', async () => {
    const own = disk(2);
    const data = join(own.folder, 'data');
    mkdirSync(data);
    own.fill();
    const create = () => promisify(execFile)(binary, ['key', 'create', '--data', data]);
    const failed = await create().catch((error) => error);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /No space left on device/);
    assert.deepEqual(own.names(), []);
    own.makeRoom();
    await create();
    const file = join(data, 'backend_keys');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    own.fill();
    const size = statSync(file).size;
    await assert.rejects(create());
    assert.equal(statSync(file).size, size);
    assert.deepEqual(own.names(), ['data/backend_keys']);
  });
});

const traced = (pid) =>
  readdirSync(`/proc/${pid}/task`).every(
    (task) => !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8')),
  );

// strace answers for the disk, until it is told to end.
async function refuse(server, file, names, error, when = '') {
  const inject = `inject=${names}:error=${error}${when && ':'}${when}`;
  const words = ['-f', '-qq', '-o', '/dev/null', '-P', join(server.data, file)];
  const more = ['-e', `trace=${names}`, '-e', inject, '-p', `${server.pid}`];
  const tracer = execFile('strace', [...words, ...more]);
  const ended = new Promise((resolve) => {
    tracer.once('exit', resolve);
  });
  await until(() => traced(server.pid), 'strace to look');
  return () => {
    tracer.kill();
    return ended;
  };
}

// Where only the wal-index cannot grow, and where a quota is used up.
for (const [what, file, calls, error] of [
  ['no room for the wal-index to grow', 'belfry.db-shm', 'pwrite64,write,fallocate,ftruncate', 'ENOSPC'],
  ['a quota that is used up', 'belfry.db-wal', 'pwrite64:when=2000+', 'EDQUOT'],
]) {
  it(`${what}: 507, and the process lives`, async () => {
    const server = await Server.start({ config: { log: 'retention_days = 0\n' } });
    try {
      const [names, when] = calls.split(':');
      const release = await refuse(server, file, names, error, when);
      const batch = Array.from({ length: 15 }, (_, i) => ({ topic: `a/${i}`, data: 'x'.repeat(60_000) }));
      const seen = new Set();
      for (let i = 0; i < 60; ++i) seen.add((await server.post(batch)).status);
      assert.deepEqual([...seen].sort(), [201, 507]);
      lives(server);
      await release();
      await resumes(server);
    } finally {
      await server.stop();
    }
  });
}

// That a ticket was used is a row, for which there was no room; the next use writes it.
it('a full disk opens streams with tickets, known to be used as soon as there is room', async () => {
  const server = await Server.start();
  const make = async () =>
    (await server.call('POST', '/v1/tickets', { topics: ['a'] }, server.token())).body.ticket;
  // The same ticket as if it had been made a minute earlier: only one that was used opens a stream then.
  const aged = (text) => {
    const body = JSON.parse(Buffer.from(text.split('.')[0], 'base64url'));
    body.made -= 60_000;
    const made = Buffer.from(JSON.stringify(body)).toString('base64url');
    const secret = readFileSync(join(server.data, 'ticket_secret'), 'utf8').trim();
    return `${made}.${createHmac('sha256', secret).update(made).digest('base64url')}`;
  };
  const open = async (text) => {
    const headers = { Accept: 'application/json' };
    return (await fetch(`${server.url}/v1/events?ticket=${text}`, { headers })).status;
  };
  try {
    const [kept, lost] = [await make(), await make()];
    const release = await refuse(server, 'belfry.db-wal', 'pwrite64', 'ENOSPC');
    assert.equal((await server.post(event('refused'))).status, 507);
    for (const text of [kept, lost]) {
      assert.equal(await open(text), 200);
      assert.equal(await open(aged(text)), 200, 'known to be used, without a row');
    }
    assert.equal((await server.post(event('refused'))).status, 507);
    lives(server);
    await release();
    await resumes(server);
    assert.equal(await open(aged(kept)), 200);
    await server.publish(event('behind the row')); // which is written behind the answer
    await server.kill();
    await server.launch();
    assert.equal(await open(aged(kept)), 200);
    assert.equal(await open(aged(lost)), 401, 'nobody used it since there was room');
  } finally {
    await server.stop();
  }
});

it('a key and a backup are flushed before they have their name, and the folder after', async () => {
  const calls = 'fsync,rename,renameat,renameat2,link,linkat';
  const server = await Server.start();
  const to = join(server.folder, 'calls');
  const trace = async (...words) => {
    const strace = ['-f', '-qq', '-o', to, '-e', `trace=${calls}`, binary, ...words];
    await promisify(execFile)('strace', [...strace, '--data', server.data]);
    const made = readFileSync(to, 'utf8').split('\n').filter(Boolean);
    return made.map((line) => line.match(/^\d+ +([a-z]+)/)[1]);
  };
  try {
    assert.deepEqual(await trace('key', 'create'), ['fsync', 'rename', 'fsync']);
    assert.deepEqual(await trace('backup', join(server.folder, 'b.db')), ['fsync', 'renameat', 'fsync']);
  } finally {
    await server.stop();
  }
});
