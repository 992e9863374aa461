// The Kafka source on librdkafka's mock cluster; with KAFKA_BROKERS on a real one (./dev test kafka).

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Kafka } from './kafka.mjs';
import { unique, until } from './server.mjs';
import { belfry, held, holds, onceEach, running, sourceStatus, withSources } from './sources.mjs';

const real = process.env.KAFKA_BROKERS;
async function open(topic, partitions) {
  if (!real) return Kafka.mock(topic, partitions);
  const kafka = Kafka.beside(real);
  await kafka.produce({ create: topic, partitions });
  return kafka;
}
// The mock cluster knows no static members: there a dead one is missed sooner.
const member = real
  ? 'member = "test"'
  : 'member = "none"\nproperties = ["session.timeout.ms=5000", "heartbeat.interval.ms=500"]';
const source = (kafka, topic, more = '') =>
  `kind = "kafka"
    brokers = "${kafka.brokers}"
    topics = ["${topic}"]
    group = "${topic}"
    begin = "earliest"
    ${member}
    ${more}`;

describe('records', () => {
  let kafka;
  const topic = `records-${unique()}`;
  before(async () => {
    kafka = await open(topic, 1);
  });
  after(() => kafka.stop());

  it('are publish bodies, and bury what is none', async () => {
    await kafka.produce({ topic, value: { topic: 't/1', type: 'made', data: { n: 1 } } });
    await kafka.produce({ topic, value: 'not { json' });
    await kafka.produce({ topic, key: 'gone' });
    await kafka.produce({ topic, value: [{ topic: 't/2' }, { topic: 't/3' }] });
    const server = await withSources({ orders: source(kafka, topic) });
    try {
      const events = await holds(server, 3);
      assert.deepEqual(
        events.map((event) => event.topic),
        ['t/1', 't/2', 't/3'],
      );
      const status = await sourceStatus(server, 'orders');
      assert.equal(status.dead_letters, 1);
      assert.equal(status.positions[`${topic}/0`], '4');
      const dead = await belfry(['source', 'dead', 'orders', '--data', server.data]);
      assert.match(dead.stdout, /@1\n.*bad_json[^]*not \{ json/);
      // From where it was left, and only then.
      await server.kill();
      await kafka.produce({ topic, value: { topic: 't/4' } });
      await server.launch();
      assert.equal((await holds(server, 4)).length, 4);
      await until(async () => (await sourceStatus(server, 'orders')).lag?.value === 0, 'the lag is told');
    } finally {
      await server.stop();
    }
  });
});

describe('formats', () => {
  const cases = [
    [
      'cloudevents',
      '',
      [
        {
          headers: { 'content-type': 'application/cloudevents+json' },
          value: {
            specversion: '1.0',
            id: '1',
            source: 'shop',
            type: 'order.made',
            subject: 'orders/7',
            data: { a: 1 },
          },
        },
        {
          headers: {
            ce_specversion: '1.0',
            ce_id: '2',
            ce_source: 'shop',
            ce_type: 'order.paid',
            ce_subject: 'orders/8',
          },
          value: { a: 2 },
        },
      ],
      [
        ['orders/7', 'order.made', { a: 1 }],
        ['orders/8', 'order.paid', { a: 2 }],
      ],
    ],
    [
      'debezium',
      `[[source.all.map]]
        when = "op != 'delete'"
        topic = "{table}/{id}"
        type = "row.{op}"
        data = "{after}"`,
      [
        {
          key: { schema: {}, payload: { id: 7 } },
          value: {
            schema: {},
            payload: {
              op: 'c',
              before: null,
              after: { id: 7, state: 'new' },
              source: { schema: 'public', table: 'orders' },
              ts_ms: 1,
            },
          },
        },
        {
          key: { id: 7 },
          value: { op: 'd', before: { id: 7 }, after: null, source: { table: 'orders' }, ts_ms: 2 },
        },
        {
          key: { id: 8 },
          value: {
            op: 'u',
            before: { id: 8 },
            after: { id: 8, state: 'paid' },
            source: { table: 'orders' },
          },
        },
      ],
      [
        ['orders/7', 'row.insert', { id: 7, state: 'new' }],
        ['orders/8', 'row.update', { id: 8, state: 'paid' }],
      ],
    ],
    [
      'text',
      `[[source.all.map]]\ntopic = "lines/{key}"\ndata = { text = "{value}", at = "{offset}" }\n`,
      [{ key: 'a b', value: 'hello' }],
      [['lines/a%20b', 'message', { text: 'hello', at: 0 }]],
    ],
  ];
  for (const [format, rules, records, expected] of cases)
    it(format, async () => {
      const topic = `${format}-${unique()}`;
      const kafka = await open(topic, 1);
      const server = await withSources({ all: source(kafka, topic, `format = "${format}"\n${rules}`) });
      try {
        for (const record of records) await kafka.produce({ topic, ...record });
        const events = await holds(server, expected.length);
        assert.deepEqual(
          events.map((event) => [event.topic, event.type, event.data]),
          expected,
        );
      } finally {
        await server.stop();
        await kafka.stop();
      }
    });
});

describe('positions', () => {
  it('lose and double nothing when Belfry dies, over several partitions', async () => {
    const topic = `many-${unique()}`;
    const kafka = await open(topic, 4);
    const server = await withSources({ many: source(kafka, topic) });
    try {
      await running(server, 'many');
      const count = 20_000;
      for (let half = 0; half < 2; half += 1) {
        // Each time there is something new to read, however much was read before.
        const produced = kafka.produce({ topic, bulk: count / 2, from: 1 + (half * count) / 2 });
        await until(async () => (await sourceStatus(server, 'many'))?.records > 0, 'it reads', 30_000);
        await server.kill();
        await server.launch();
        await produced;
      }
      const events = await holds(server, count);
      onceEach(events, count);
    } finally {
      await server.stop();
      await kafka.stop();
    }
  });

  it('begin now when that is asked for', async () => {
    const topic = `now-${unique()}`;
    const kafka = await open(topic, 1);
    await kafka.produce({ topic, value: { topic: 't/old' } });
    const server = await withSources({ now: source(kafka, topic).replace('earliest', 'now') });
    try {
      await until(
        async () => (await sourceStatus(server, 'now')).positions[`${topic}/0`] === '1',
        'it begins',
        30_000,
      );
      await kafka.produce({ topic, value: { topic: 't/new' } });
      const events = await holds(server, 1);
      assert.deepEqual(
        events.map((event) => event.topic),
        ['t/new'],
      );
    } finally {
      await server.stop();
      await kafka.stop();
    }
  });

  // A mock partition keeps 5 MB; a real one would have to wait for its retention.
  if (real === undefined)
    it('tell of records that were removed before they were read, and go on', async () => {
      const topic = `kept-${unique()}`;
      const kafka = await open(topic, 1);
      await kafka.produce({ topic, bulk: 10 });
      const server = await withSources({ kept: source(kafka, topic) });
      try {
        await holds(server, 10);
        await server.kill();
        for (let part = 0; part < 4; part += 1) await kafka.produce({ topic, bulk: 50_000 });
        await kafka.produce({ topic, value: { topic: 'last/1' } });
        await server.launch();
        await holds(server, 1, 'last/1');
        const { alarm, state, records } = await sourceStatus(server, 'kept');
        assert.equal(alarm.code, 'source_gap');
        assert.match(alarm.message, /\d+ records of .* were removed/);
        assert.equal(state, 'running');
        assert.ok(records < 200_001, `${records} were left`);
        assert.equal((await sourceStatus(server, 'kept')).positions[`${topic}/0`], '200011');
      } finally {
        await server.stop();
        await kafka.stop();
      }
    });

  // A topic of a real cluster does not get shorter.
  if (real === undefined)
    it('stop it where the topic is shorter than what was read', async () => {
      const topic = `short-${unique()}`;
      const kafka = await open(topic, 1);
      await kafka.produce({ topic, bulk: 10 });
      const server = await withSources({ short: source(kafka, topic) });
      const other = await Kafka.mock(topic, 1);
      try {
        await holds(server, 10);
        await server.kill();
        const file = join(server.folder, 'belfry.toml');
        writeFileSync(file, readFileSync(file, 'utf8').replace(kafka.brokers, other.brokers));
        await server.launch();
        await until(
          async () => (await sourceStatus(server, 'short')).state === 'stopped',
          'it stops',
          30_000,
        );
        assert.equal((await sourceStatus(server, 'short')).alarm.code, 'source_ahead');
        assert.equal((await held(server)).length, 10);
      } finally {
        await server.stop();
        await kafka.stop();
        await other.stop();
      }
    });
});

it('a refused setting stops it with the reason, a broker that is away does not', async () => {
  const away = `kind = "kafka"
    brokers = "127.0.0.1:1"
    topics = ["x"]
    username = "u"
    properties = ["security.protocol=SASL_PLAINTEXT", "sasl.mechanisms=PLAIN", "sasl.password=s3cret-word"]`;
  const wrong = `kind = "kafka"\nbrokers = "127.0.0.1:1"\ntopics = ["x"]\nproperties = ["no.such=1"]\n`;
  const server = await withSources({ away, wrong });
  try {
    await until(async () => (await sourceStatus(server, 'wrong')).state === 'stopped', 'it stops');
    assert.match((await sourceStatus(server, 'wrong')).error.message, /no\.such/);
    await until(async () => (await sourceStatus(server, 'away')).state === 'waiting', 'it waits');
    assert.doesNotMatch(server.log + JSON.stringify(await sourceStatus(server, 'away')), /s3cret/);
  } finally {
    await server.stop();
  }
});
