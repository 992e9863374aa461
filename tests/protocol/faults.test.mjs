// What the real binary does when its disk fails. (When it fills up: faults_disk.test.mjs.)
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { it } from 'node:test';

import { Server } from './server.mjs';

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
