// The configurations of docs/how-to: each is valid, and makes of its sample what the page says.

import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { changed } from '../../examples/sources/cosmos_function.mjs';
import { binary } from './server.mjs';
import { belfry, held, withSources } from './sources.mjs';

const folder = new URL('../../examples/sources/', import.meta.url).pathname;

for (const file of readdirSync(folder).filter((name) => name.endsWith('.toml')))
  describe(file, () => {
    const config = join(folder, file);
    it('is valid', async () => {
      const check = await belfry(['config', 'check', '-c', config]);
      assert.equal(check.code, 0, check.stderr);
    });
    const names = [...readFileSync(config, 'utf8').matchAll(/^\[source\.(\w+)\]$/gm)].map(
      ([, name]) => name,
    );
    for (const name of names.filter((one) => file !== 'webhooks.toml' || one !== 'shop'))
      it(`makes of its sample what the page says: ${name}`, async () => {
        const sample = join(folder, 'samples', `${name}.json`);
        const test = await belfry(['source', 'test', name, '-c', config, '--sample', sample]);
        assert.equal(test.code, 0, test.stderr);
        assert.equal(test.stdout, readFileSync(sample.replace('.json', '.events'), 'utf8'));
      });
  });

it('the function on a change feed', async () => {
  const place = mkdtempSync(join(tmpdir(), 'belfry-cosmos-'));
  writeFileSync(join(place, 'key'), 'a key of at least sixteen bytes');
  const server = await withSources({ items: `kind = "cloudevents"\nsecret_files = ["${place}/key"]\n` });
  try {
    const to = { url: server.url, key: 'a key of at least sixteen bytes' };
    const documents = [
      { id: '7', _ts: 1 },
      { id: 'a/b', _ts: 1 },
    ];
    await changed(documents, to);
    await changed(documents, to);
    await changed([{ id: '7', _ts: 2 }], to);
    assert.deepEqual(
      (await held(server, 'items/#')).map((event) => event.topic),
      ['items/7', 'items/a%2Fb', 'items/7'],
    );
    await assert.rejects(changed(documents, { ...to, key: 'wrong' }), /signature_invalid/);
  } finally {
    await server.stop();
    rmSync(place, { recursive: true });
  }
});

it('without its module a source says what is missing; the binary alone works', async () => {
  const place = mkdtempSync(join(tmpdir(), 'belfry-alone-'));
  try {
    copyFileSync(binary, join(place, 'belfry'));
    chmodSync(join(place, 'belfry'), 0o755);
    const run = (words) =>
      promisify(execFile)(join(place, 'belfry'), words, { cwd: place }).catch((error) => error);
    assert.match((await run(['version'])).stdout, /^belfry /);
    writeFileSync(join(place, 'secret'), 'x'.repeat(40));
    const auth = `[auth]\njwt_secret_file = "${place}/secret"\n`;
    const source = '[source.orders]\nkind = "kafka"\nbrokers = "b:1"\ntopics = ["x"]\n';
    writeFileSync(join(place, 'belfry.toml'), auth + source);
    const served = await run(['serve', '-c', join(place, 'belfry.toml'), '--listen', '127.0.0.1:0']);
    assert.equal(served.code, 3);
    assert.match(served.stderr, /source\.orders: .*belfry-kafka\.so.*librdkafka/s);
  } finally {
    rmSync(place, { recursive: true });
  }
});
