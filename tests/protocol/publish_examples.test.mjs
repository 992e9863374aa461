// The publishing examples of docs/how-to, run as they stand, in each language that is here.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { accessSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { SseClient } from './clients.mjs';
import { Server, until } from './server.mjs';

const run = promisify(execFile);
const folder = new URL('../../examples/publish/', import.meta.url).pathname;

const languages = [
  ['python3', 'publish.py', []],
  ['node', 'publish.mjs', []],
  ['php', 'publish.php', []],
  ['go', 'publish.go', ['run']],
  ['java', 'Publish.java', []],
];
const isHere = (program) =>
  process.env.PATH.split(delimiter).some((path) => {
    try {
      accessSync(join(path, program));
      return true;
    } catch {
      return false;
    }
  });
const here = languages.filter(([program]) => isHere(program));
const absent = languages.filter((one) => !here.includes(one)).map(([program]) => program);
if (absent.length) console.log(`not here, so not run: ${absent.join(', ')}`);

describe('an event is published from', () => {
  let server, cache;
  before(async () => {
    server = await Server.start();
    cache = mkdtempSync(join(tmpdir(), 'belfry-go-'));
  });
  after(async () => {
    await server.stop();
    await run('chmod', ['-R', 'u+w', cache]);
    rmSync(cache, { recursive: true, force: true });
  });

  for (const [program, file, before] of here) {
    it(program, async () => {
      const client = await new SseClient(server, 'users/ana').open();
      const environment = { BELFRY_URL: server.url, BELFRY_KEY: server.key, GOCACHE: cache };
      const { stdout } = await run(program, [...before, join(folder, file)], {
        env: { ...process.env, ...environment },
        timeout: 120_000,
      });
      await until(() => client.events.length === 1, 'it came');
      assert.deepEqual(client.events[0].data, { booking: 7 });
      assert.equal(JSON.parse(stdout).events[0].id, client.events[0].id);
      client.close();
    });
  }
});
