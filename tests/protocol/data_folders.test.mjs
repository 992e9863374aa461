// What an earlier Belfry left is opened by the one of today: a folder for each schema that has landed.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { OpenedFolder, run, schemaNow, schemasKept, shelf, sqlite } from './data_folder.mjs';
import { holds, id, whole } from './data_folder_answers.mjs';

it('there is a folder of the schema of today', () => {
  assert.ok(
    schemasKept().includes(schemaNow()),
    `tests/data/schema-${schemaNow()} is missing: node tests/protocol/write_data_folder.mjs writes it`,
  );
});

it('a field that has gone, is new or is another is noticed', () => {
  const expected = { status: 200, events: [{ id, data: null }] };
  const got = (event) => ({ status: 200, events: [event] });
  const one = { id: '0123456789abcdef.1', data: null };
  holds(got(one), expected, 'the same');
  const noticed = (answer, what) => assert.throws(() => holds(answer, expected, 'it'), what);
  noticed(got({ id: one.id }), /it\/events\/0\/data is gone/);
  noticed(got({ data: null }), /it\/events\/0\/id is gone/);
  noticed(got({ ...one, more: 1 }), /it\/events\/0\/more is new: 1/);
  noticed(got({ ...one, id: 'x' }), /it\/events\/0\/id/);
  noticed(got({ ...one, data: {} }), /it\/events\/0\/data/);
  noticed({ ...got(one), events: [one, one] }, /it\/events\/1 is new/);
  noticed({ ...got(one), events: [] }, /it\/events\/0 is gone/);
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
        await test.test(step.what, async () =>
          holds(await opened.play(step), whole(step, schema), step.what),
        );
    });

    it('is whole when it is closed', async () => {
      await opened.server.kill('SIGTERM');
      assert.match(run('check', '--data', opened.server.data), /: whole$/m);
    });
  });
