// What the real binary does when its disk fails or fills up.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';

import { WebSocketClient } from './clients.mjs';
import { Server, until } from './server.mjs';

it('a failed flush: nothing is acknowledged any more, and the process ends with 74', async () => {
  const server = await Server.start({
    before: [
      'strace',
      '-f',
      '-qq',
      '-o',
      '/dev/null',
      '-e',
      'trace=fdatasync,fsync',
      '-e',
      'inject=fdatasync:error=EIO:when=40+',
    ],
  });
  let stored = 0;
  let refused = 0;
  for (let i = 0; i < 200 && refused === 0; ++i) {
    const answer = await server.post({ topic: 'a', data: i }).catch(() => null);
    if (answer?.status === 201) stored += 1;
    else refused += 1;
    if (answer && answer.status !== 201) assert.equal((await answer.json()).code, 'store_failed');
  }
  assert.ok(stored > 5, `${stored} were stored before`);
  assert.equal(refused, 1);
  const after = await server.post({ topic: 'a' }).catch(() => null);
  assert.notEqual(after?.status, 201, 'no acknowledgement after a failed flush');
  const [code] = await server.exited;
  assert.equal(code, 74);
  assert.match(server.log, /the store failed; the server stops and acknowledges nothing more/);
  const again = await Server.start({ folder: server.folder });
  const { events } = await (await again.get('a', { since: 'earliest' })).json();
  assert.ok(events.length >= stored, 'what was acknowledged is there');
  assert.deepEqual(
    events.map((event) => event.data),
    events.map((_, i) => i),
  );
  await again.stop();
  rmSync(server.folder, { recursive: true, force: true });
});

// As root in a mount of our own; otherwise in a user namespace, where root is us.
it('a full disk: 507 to publishers, streams live on, and it recovers by itself', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'belfry-full-'));
  const root = process.getuid() === 0;
  if (root) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'belfry-test', folder]);
  const server = await Server.start(
    root
      ? { folder }
      : {
          folder,
          before: [
            'unshare',
            '-rm',
            'sh',
            '-c',
            'mount -t tmpfs -o size=6m belfry-test "$0" && exec "$@"',
            folder,
          ],
        },
  );
  try {
    const client = await new WebSocketClient(server, ['a', 'ephemeral/x']).open();
    const filler = join(folder, 'filler');
    writeFileSync(filler, Buffer.alloc(3 * 1024 * 1024));
    let stored = 0;
    let full = null;
    for (let i = 0; i < 2000 && !full; ++i) {
      const answer = await server.post({ topic: 'a', data: { i, fill: 'x'.repeat(30_000) } });
      if (answer.status === 201) stored += 1;
      else full = { status: answer.status, body: await answer.json() };
    }
    assert.equal(full?.status, 507);
    assert.equal(full.body.code, 'store_full');
    await until(() => client.events.length === stored, 'what was stored to arrive');
    const [typing] = await server.publish({ topic: 'ephemeral/x', data: 'still there' });
    assert.equal(typing.id, undefined);
    await until(() => client.events.at(-1).data === 'still there', 'the stream to live on');
    rmSync(filler);
    const answer = await until(async () => {
      const tried = await server.post({ topic: 'a', data: 'after' });
      return tried.status === 201 ? tried : null;
    }, 'publishing to resume');
    assert.equal((await answer.json()).events[0].seq, stored + 1, 'nothing of the refused ones was stored');
    await until(() => client.events.at(-1).data === 'after', 'the event after');
    client.close();
  } finally {
    await server.kill();
    if (root) execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true, force: true });
  }
});

it('a second server on the same port is refused', async () => {
  const server = await Server.start();
  await assert.rejects(
    Server.start({ port: server.port }),
    /Cannot listen on 127\.0\.0\.1:\d+: Address already in use/,
  );
  await server.stop();
});

it('a second server on the same data is refused', async () => {
  const server = await Server.start();
  await assert.rejects(Server.start({ folder: server.folder }), /Another process has the database open/);
  await server.stop();
});
