// The MQTT source on a real Mosquitto.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { certificate } from './certificates.mjs';
import { sqlite } from './data_folder.mjs';
import { Mosquitto } from './mosquitto.mjs';
import { SmallBroker } from './mqtt_broker.mjs';
import { freePort } from './proxies.mjs';
import { until } from './server.mjs';
import { held, holds, onceEach, running, sourceStatus, withSources } from './sources.mjs';

let broker;
before(async () => {
  broker = await Mosquitto.start();
});
after(() => broker.stop());

const source = (name, filter, more = '') =>
  `kind = "mqtt"\nurl = "${broker.url}"\nsubscriptions = ["${filter}"]\nclient_id = "${name}"\n${more}`;

for (const version of ['5', '3.1.1'])
  describe(`MQTT ${version}`, () => {
    const id = `v${version[0]}`;
    it('brings messages, retained ones once, and what came while Belfry was away', async () => {
      await broker.publish(`${id}/kept`, '"retained"', '-r');
      const server = await withSources({ mqtt: source(id, `${id}/#`, `version = "${version}"\n`) });
      try {
        await running(server, 'mqtt');
        await broker.publish(`${id}/rooms/7`, '{"degrees": 21.5}');
        await broker.publish(`${id}/plain`, 'not json');
        await broker.publish(`${id}/a/b/c/d/e/f/g/h/i`, '1');
        const events = await holds(server, 3);
        assert.deepEqual(
          events.map((event) => [event.topic, event.data]),
          [
            [`${id}/kept`, 'retained'],
            [`${id}/rooms/7`, { degrees: 21.5 }],
            [`${id}/plain`, 'not json'],
          ],
        );
        await until(
          async () => (await sourceStatus(server, 'mqtt')).dead_letters === 1,
          'a topic that is too deep',
        );
        await server.kill();
        await broker.publish(`${id}/away`, '1');
        await server.launch();
        assert.equal((await holds(server, 4)).at(-1).topic, `${id}/away`);
        await running(server, 'mqtt');
        await broker.publish(`${id}/again`, '2');
        assert.equal((await holds(server, 5)).length, 5, 'the retained one did not come again');
      } finally {
        await server.stop();
      }
    });

    it('loses and doubles nothing when Belfry and the broker die', async () => {
      const server = await withSources({
        mqtt: source(`${id}-many`, `${id}-many/#`, `version = "${version}"\n`),
      });
      try {
        await running(server, 'mqtt');
        const count = 3000;
        let wrote = 0;
        for (let round = 0; round < 6; round += 1) {
          const lines = Array.from({ length: count / 6 }, (_, n) => String(wrote + n + 1));
          wrote += lines.length;
          const published = broker.publishLines(`${id}-many/t`, lines);
          await new Promise((resolve) => setTimeout(resolve, 15 * round));
          await server.kill();
          await server.launch();
          await published;
        }
        const events = await holds(server, count);
        onceEach(events, count);
        await broker.kill('SIGTERM');
        await until(async () => (await sourceStatus(server, 'mqtt')).state === 'waiting', 'it waits');
        await broker.launch();
        await running(server, 'mqtt');
        await broker.publish(`${id}-many/t`, '3001');
        assert.equal((await holds(server, count + 1)).length, count + 1);
        assert.equal((await sourceStatus(server, 'mqtt')).alarm, null);
      } finally {
        await server.stop();
      }
    });
  });

it('user properties and rules', async () => {
  const rules = `[[source.mqtt.map]]
    when = "properties.tenant == 'a' and not retain"
    topic = "tenants/{properties.tenant}/{topic}"
    type = "{properties.kind ?? 'reading'}"
    data = "{payload.value}"`;
  const server = await withSources({ mqtt: source('props', 'props/+', rules) });
  try {
    await running(server, 'mqtt');
    const tenant = (name, ...more) => [
      '-V',
      'mqttv5',
      '-D',
      'publish',
      'user-property',
      'tenant',
      name,
      ...more,
    ];
    await broker.publish('props/x', '{"value": 1}', ...tenant('b'));
    await broker.publish('props/x', '{"value": 2}', ...tenant('a'));
    await broker.publish(
      'props/y',
      '{"value": 3}',
      ...tenant('a', '-D', 'publish', 'user-property', 'kind', 'alarm'),
    );
    const events = await holds(server, 2);
    assert.deepEqual(
      events.map((event) => [event.topic, event.type, event.data]),
      [
        ['tenants/a/props%2Fx', 'reading', 2],
        ['tenants/a/props%2Fy', 'alarm', 3],
      ],
    );
  } finally {
    await server.stop();
  }
});

it('a session that the broker has forgotten is an alarm', async () => {
  const server = await withSources({ mqtt: source('forgotten', 'forgotten/#') });
  try {
    await running(server, 'mqtt');
    await broker.publish('forgotten/1', '1');
    await holds(server, 1);
    await server.kill();
    await broker.forget();
    await broker.publish('forgotten/2', '2');
    await server.launch();
    await until(async () => (await sourceStatus(server, 'mqtt')).alarm?.code === 'source_gap', 'an alarm');
    await running(server, 'mqtt');
    await broker.publish('forgotten/3', '3');
    assert.deepEqual(
      (await holds(server, 2)).map((event) => event.topic),
      ['forgotten/1', 'forgotten/3'],
    );
    assert.equal((await held(server)).length, 2);
  } finally {
    await server.stop();
  }
});

describe('mqtts', () => {
  let folder, secure, port;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'belfry-mqtts-'));
    chmodSync(folder, 0o755);
    certificate(folder, 'broker');
    chmodSync(join(folder, 'broker.key'), 0o644); // Mosquitto reads it as a user of its own
    port = await freePort();
    const files = ['cafile', 'certfile'].map((one) => `${one} ${folder}/broker.pem`);
    const lines = [`listener ${port} 127.0.0.1`, ...files, `keyfile ${folder}/broker.key`];
    secure = await Mosquitto.start({ settings: lines.join('\n') });
  });
  after(async () => {
    await secure.stop();
    rmSync(folder, { recursive: true });
  });
  const over = (id, more) => {
    const url = `mqtts://127.0.0.1:${port}`;
    return `kind = "mqtt"\nurl = "${url}"\nsubscriptions = ["s/#"]\nclient_id = "${id}"\n${more}`;
  };

  it('trusts the certificates of ca_file', async () => {
    const server = await withSources({ mqtt: over('trusting', `ca_file = "${folder}/broker.pem"\n`) });
    try {
      await running(server, 'mqtt');
      await secure.publish('s/1', '7');
      assert.equal((await holds(server, 1))[0].data, 7);
    } finally {
      await server.stop();
    }
  });

  it("and without it the system's alone", async () => {
    const server = await withSources({ mqtt: over('wary', '') });
    try {
      const { state, error } = await until(async () => {
        const status = await sourceStatus(server, 'mqtt');
        return status.error && status;
      }, 'it says why');
      assert.notEqual(state, 'running');
      assert.match(error.message + error.detail, /TLS|certificate/i);
    } finally {
      await server.stop();
    }
  });
});

/** A port where the kernel swallows what knocks: nobody accepts, and the queue is full. */
async function swallowing() {
  const wait = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)';
  const told = `() => { console.log(listener.address().port); ${wait}; }`;
  const code = `const listener = require('net').createServer().listen({ port: 0, backlog: 1 }, ${told})`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  const port = Number(line);
  const waiting = () =>
    readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .filter((row) => row.includes(`:${port.toString(16).toUpperCase().padStart(4, '0')} 02 `)).length;
  const sockets = [1, 2, 3].map(() => connect(port, '127.0.0.1').on('error', () => {}));
  await until(() => waiting() > 0, 'the queue is full');
  const stop = () => {
    for (const socket of sockets) socket.destroy();
    child.kill('SIGKILL');
  };
  return { port, waiting, stop };
}

it('a broker whose network swallows packets keeps nobody from stopping', { timeout: 60_000 }, async () => {
  const hole = await swallowing();
  try {
    const before = hole.waiting();
    const config = `kind = "mqtt"\nurl = "mqtt://127.0.0.1:${hole.port}"\nsubscriptions = ["a"]\n`;
    const server = await withSources({ mqtt: config });
    await until(() => hole.waiting() > before, 'it connects');
    const [code] = await server.kill('SIGTERM');
    assert.equal(code, 0);
    await server.stop();
  } finally {
    hole.stop();
  }
});

it('a subscription that is refused is asked for again, and one that was granted is not', async () => {
  const refusing = await SmallBroker.start();
  refusing.refuses.add('b');
  const config = `kind = "mqtt"\nurl = "${refusing.url}"\nsubscriptions = ["a", "b"]\n`;
  const server = await withSources({ mqtt: config });
  try {
    await until(() => refusing.connections >= 2, 'it connects again');
    const { state, error } = await until(async () => {
      const status = await sourceStatus(server, 'mqtt');
      return status.error && status;
    }, 'it says why');
    assert.notEqual(state, 'running');
    assert.match(error.message + error.detail, /refuses to subscribe to b/);
    refusing.refuses.clear();
    await running(server, 'mqtt');
    const last = refusing.connections;
    assert.deepEqual(
      refusing.asked.filter(([, filter]) => filter === 'a'),
      [[1, 'a']],
    );
    assert.deepEqual(
      refusing.asked.filter(([connection]) => connection === last),
      [[last, 'b']],
    );
  } finally {
    await server.stop();
    refusing.stop();
  }
});

describe('a broker that has more under way than it may', () => {
  const count = 2_000;
  let small, server;
  before(async () => {
    small = await SmallBroker.start();
    server = await withSources({
      mqtt: `kind = "mqtt"\nurl = "${small.url}"\nsubscriptions = ["t"]\n`,
    });
    await running(server, 'mqtt');
  });
  after(async () => {
    await server?.stop();
    small?.stop();
  });

  // As Mosquitto 2.0.11 does: of what is confirmed it has read nothing when the connection ends.
  it('sends again what was committed, and nothing comes twice', async () => {
    small.reads = false;
    small.publish(1, count);
    await holds(server, count);
    small.end();
    await until(() => small.connections === 2, 'it connects again');
    small.publish(1, count, { again: true });
    small.publish(count + 1, 1);
    await holds(server, count + 1);
    onceEach(await held(server), count + 1, { ordered: true });
  });

  it('sends it a third time, though it has answered before', async () => {
    small.end();
    small.reads = true;
    await until(() => small.connections === 3, 'it connects again');
    await running(server, 'mqtt');
    small.publish(0, 1, { qos: 0 });
    await holds(server, count + 2); // what was sent before that has been read
    small.reads = false;
    small.publish(1, count + 1, { again: true });
    small.publish(count + 2, 600);
    await holds(server, count + 602);
    small.end();
    small.reads = true;
    await until(() => small.connections === 4, 'it connects again');
    small.publish(1, count + 601, { again: true });
    small.publish(count + 602, 1);
    await until(() => small.confirmed.has(count + 602), 'the last one is confirmed');
    onceEach(
      (await held(server)).filter(({ data }) => data > 0),
      count + 602,
    );
  });

  it('is asked how far it has read, and what it has read is forgotten', async () => {
    assert.ok(small.asked.length === 1, 'it subscribes once');
    const file = `${server.data}/belfry.db`;
    const kept = () => JSON.parse(sqlite(file, 'SELECT value FROM positions')[0][0]).last.split(' ').length;
    await until(() => small.questions > 0, 'it asks');
    small.publish(count + 603, 1);
    await until(() => kept() === 500, 'the position is short again');
    small.publish(count + 604, 600);
    await until(() => small.confirmed.has(count + 1203), 'all are confirmed');
    small.publish(count + 1204, 1);
    await until(() => kept() === 500, 'and stays so');
  });
});
