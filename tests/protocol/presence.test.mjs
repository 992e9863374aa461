import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { LineClient, SseClient, WebSocketClient } from './clients.mjs';
import { Server, unique, until } from './server.mjs';

describe('presence', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  const as = (user) => server.token(['presence/#'], { user });
  const who = async (topic) =>
    (await server.call('GET', `/v1/presence?topic=${topic}`, undefined, as('x'))).body.users.map(
      (each) => each.user,
    );

  it('tells joins and leaves as events that are not stored, and who is there', async () => {
    const topic = `presence/${unique()}`;
    const watch = await new LineClient(server, topic, { token: as('watcher') }).open();
    const ana = await new WebSocketClient(server, topic, { token: as('ana') }).open();
    const tab = await new SseClient(server, topic, { token: as('ana') }).open();
    await until(() => watch.events.some((event) => event.data.user === 'ana'), 'the join');
    assert.deepEqual((await who(topic)).sort(), ['ana', 'watcher']);
    ana.close();
    const bob = await new WebSocketClient(server, [], { token: as('bob') }).open();
    await bob.ask({ action: 'subscribe', topics: [topic] });
    await until(() => watch.events.some((event) => event.data.user === 'bob'), 'the second join');
    tab.close();
    await until(() => watch.events.some((event) => event.type === 'belfry.leave'), 'the leave', 10_000);
    assert.deepEqual(
      watch.events
        .filter((event) => event.data.user !== 'watcher')
        .map((event) => [event.type, event.data.user]),
      [
        ['belfry.join', 'ana'],
        ['belfry.join', 'bob'],
        ['belfry.leave', 'ana'],
      ],
    );
    assert.ok(watch.events.every((event) => event.id === undefined));
    await bob.ask({ action: 'unsubscribe', topics: [topic] });
    await until(async () => (await who(topic)).join() === 'watcher', 'only the watcher is left', 10_000);
    bob.close();
    watch.close();
  });

  it('leaves no ghosts after a kill', async () => {
    const topic = `presence/${unique()}`;
    const ana = await new WebSocketClient(server, topic, { token: as('ana') }).open();
    await until(async () => (await who(topic)).length === 1, 'ana');
    await server.kill();
    await server.launch();
    assert.deepEqual(await who(topic), []);
    ana.close();
  });

  it('is told only to those who may listen, of topics that keep it', async () => {
    const ask = async (topic, token) =>
      (await server.call('GET', `/v1/presence?topic=${topic}`, undefined, token)).body;
    assert.equal((await ask('presence/1', server.token(['other']))).code, 'forbidden');
    assert.equal((await ask('other', server.token(['other']))).code, 'bad_parameter');
    assert.equal((await ask('presence/+', as('ana'))).code, 'bad_topic');
  });
});
