// What an earlier Belfry left is opened by the one of today: a folder for each schema that has landed.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { OpenedFolder, holds, run, schemaNow, schemasKept, shelf, sqlite } from './data_folder.mjs';

it('there is a folder of the schema of today', () => {
  assert.ok(
    schemasKept().includes(schemaNow()),
    `tests/data/schema-${schemaNow()} is missing: node tests/protocol/write_data_folder.mjs writes it`,
  );
});

const day = 24 * 3600 * 1000;
const written = (schema) =>
  JSON.parse(readFileSync(join(shelf, `schema-${schema}`, 'expected.json'), 'utf8')).written;
// By our clock, whatever it says; and by one that is far from the day the folder was written.
const clocks = [
  ['today', () => 0],
  ['ten years after it was written', (schema) => written(schema) + 3650 * day - Date.now()],
  ['a month before it was written', (schema) => written(schema) - 30 * day - Date.now()],
];

for (const [schema, [when, ahead]] of schemasKept().flatMap((one) => clocks.map((clock) => [one, clock])))
  describe(`a data folder of schema ${schema}, ${when}`, () => {
    let opened;
    before(async () => {
      opened = await OpenedFolder.open(join(shelf, `schema-${schema}`), { ahead: ahead(schema) });
    });
    after(() => opened?.close());

    it('is of that schema, and of that of today once it is opened', () => {
      assert.equal(opened.schema, schema);
      const database = join(opened.server.data, 'belfry.db');
      assert.equal(sqlite(database, 'PRAGMA user_version')[0][0], schemaNow());
    });

    it('answers as it did', async (test) => {
      const { steps } = opened.expected;
      assert.ok(steps.length > 30);
      for (const step of steps)
        await test.test(step.what, async () => holds(await opened.play(step), step.answer, step.what));
    });

    it('is whole when it is closed', async () => {
      await opened.server.kill('SIGTERM');
      assert.match(run('check', '--data', opened.server.data), /: whole$/m);
    });
  });
