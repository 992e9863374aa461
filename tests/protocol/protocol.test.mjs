// The written protocol against the running binary: every resource, every schema, every message, the exact
// bytes of the vectors.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import Ajv from 'ajv/dist/2020.js';
import WebSocket from 'ws';
import { parse } from 'yaml';

import { WebSocketClient } from './clients.mjs';
import { Server, unique, until } from './server.mjs';

const file = (name) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const openapi = parse(file('protocol/openapi.yaml'));
const asyncapi = parse(file('protocol/asyncapi.yaml'));
const vectors = JSON.parse(file('protocol/vectors/events.json')).vectors;
const codes = JSON.parse(file('protocol/errors.json')).codes;

const ajv = new Ajv({ strict: false, allowUnionTypes: true });
ajv.addSchema(openapi, 'openapi');
ajv.addSchema(asyncapi, 'asyncapi');
const check = (where, name, value) => {
  const valid = ajv.getSchema(`${where}#/components/schemas/${name}`);
  assert.ok(valid(value), `${name}: ${ajv.errorsText(valid.errors)}\n${JSON.stringify(value)}`);
};

describe('the written protocol', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  it('names every resource and method of the server, and no other', async () => {
    const table = [...file('src/api/api.cc').matchAll(/\{"([A-Z]+)", "(\/[^"]*)", &Api::/g)];
    const served = table.map(([, method, path]) => `${method} ${path.replace('…', '')}`).sort();
    const written = Object.entries(openapi.paths).flatMap(([path, item]) =>
      Object.keys(item)
        .filter((key) => key !== 'parameters')
        .map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(written.sort(), served);
    for (const [path, item] of Object.entries(openapi.paths)) {
      const answer = await fetch(server.url + path.replace(/\{\w+\}/g, 'x'), { method: 'PATCH' });
      const methods = Object.keys(item).filter((key) => key !== 'parameters');
      assert.equal(answer.status, 405, path);
      assert.deepEqual(answer.headers.get('allow').toLowerCase().split(', ').sort(), methods.sort(), path);
    }
  });

  it('describes the answers that are given', async () => {
    const user = `u-${unique()}`;
    const token = server.token(null, { user });
    const own = `users/${user}`;
    const ask = async (schema, method, path, body, who = server.key, status = 200) => {
      const answer = await server.call(method, path, body, who);
      assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(answer.body)}`);
      check('openapi', schema, answer.body);
      return answer.body;
    };
    const notification = {
      title: 'T',
      body: 'B',
      priority: 'low',
      actions: [{ id: 'a', label: 'A', url: '/' }],
    };
    const event = {
      topic: own,
      type: 'a',
      notification,
      data: [1],
      key: 'k',
      expires: '2031-01-01T00:00:00Z',
    };
    check('openapi', 'Publish', event);
    const { events } = await ask(
      'Published',
      'POST',
      '/v1/events',
      [event, { topic: 'ephemeral/x' }],
      server.key,
      201,
    );
    const later = { topic: own, deliver_at: new Date(Date.now() + 1e7).toISOString() };
    const scheduled = await ask('Published', 'POST', '/v1/events', later, server.key, 201);
    await ask('Changed', 'DELETE', `/v1/scheduled/${scheduled.events[0].scheduled}`);
    const page = await ask('FeedPage', 'GET', '/v1/feed?limit=5', undefined, token);
    assert.equal(page.notifications.length, 1);
    await ask('Marked', 'POST', '/v1/feed/marks', { mark: 'seen', ids: [events[0].id] }, token);
    await ask('Changed', 'PUT', '/v1/feed/mutes', { topics: ['a/#'], types: ['b'] }, token);
    await ask('Mutes', 'GET', '/v1/feed/mutes', undefined, token);
    await ask('Changed', 'PUT', `/v1/users/${user}/follows/t/1`);
    await ask('Follows', 'GET', `/v1/users/${user}/follows`);
    await ask('Changed', 'DELETE', `/v1/users/${user}/follows/t/1`);
    await ask('Ticket', 'POST', '/v1/tickets', { feed: true }, token, 201);
    await ask('Presence', 'GET', '/v1/presence?topic=presence/1');
    await ask('Poll', 'GET', `/v1/events?topic=${own}&since=earliest`);
    await ask('Error', 'GET', '/v1/events?topic=a&since=ffffffffffffffff.9', undefined, server.key, 410);
    await ask('Error', 'GET', '/v1/feed?limit=x', undefined, token, 400);
    await ask('Changed', 'DELETE', `/v1/events/${events[0].id}`);
    await ask('Changed', 'DELETE', `/v1/users/${user}`);
    await ask('Changed', 'POST', '/v1/revocations', { user });
  });

  it('describes the messages of a WebSocket', async () => {
    const token = server.token(['#'], { publish: ['#'] });
    const topic = `t/${unique()}`;
    const client = new WebSocketClient(server, topic, { token, feed: true });
    const sent = client.send.bind(client);
    const said = new Set();
    client.send = (message) => {
      check('asyncapi', message.action, message);
      said.add(message.action);
      sent(message);
    };
    await client.open();
    const [note] = await server.publish({ topic: 'users/ana', notification: { title: 'x' } });
    await client.ask({ action: 'subscribe', topics: ['b'], types: ['x.#'] });
    await client.ask({ action: 'unsubscribe', topics: ['b'], types: ['x.#'] });
    await client.ask({ action: 'mark', mark: 'read', ids: [note.id] });
    const publish = { action: 'publish', events: [{ topic, data: 1 }], idempotency_key: unique() };
    await client.ask(publish);
    await client.ask(publish);
    await client.ask({ action: 'renew', token: server.token(['none']) });
    await client.ask({ action: 'ping' });
    await client.ask({ action: 'subscribe', topics: ['a//b'] });
    const actions = asyncapi.components.messages.action.payload.oneOf.map((each) =>
      each.$ref.split('/').at(-1),
    );
    assert.deepEqual([...said].sort(), actions.sort());
    for (const control of client.controls) check('asyncapi', control.control, control);
    for (const event of client.events) check('openapi', 'Event', event);
    const told = new Set(client.controls.map((each) => each.control));
    for (const name of [
      'connected',
      'subscribed',
      'unsubscribed',
      'marked',
      'published',
      'renewed',
      'pong',
      'error',
    ])
      assert.ok(told.has(name), name);
    client.close();
    const lost = await new WebSocketClient(server, topic, { token, since: 'ffffffffffffffff.9' }).open();
    await until(() => lost.controls.find((each) => each.control === 'reset'), 'the reset');
    for (const control of lost.controls) check('asyncapi', control.control, control);
    lost.close();
  });

  it('lists every code with what clients need', () => {
    for (const code of codes) {
      assert.match(code.code, /^[a-z0-9_]+$/);
      assert.ok(code.http >= 400 && code.http < 600 && code.message && code.hint && code.retry);
    }
  });

  for (const vector of vectors)
    it(`has the exact bytes of "${vector.name}" on each transport`, async () => {
      const topic = `v/${unique()}`;
      const [placed] = await server.publish({ topic, ...vector.publish });
      const poll = await (await server.get(topic, { since: 'earliest' })).json();
      const fill = (text) =>
        text
          .replaceAll('{id}', placed.id)
          .replaceAll('{topic}', topic)
          .replaceAll('{seq}', '1')
          .replaceAll('{time}', poll.events[0].time);
      const json = fill(vector.json);
      const bytes = async (accept, rest) => {
        const stop = new AbortController();
        const answer = await fetch(server.address(topic, { since: 'earliest', ...rest }), {
          headers: { ...server.bearer(), Accept: accept },
          signal: stop.signal,
        });
        let got = '';
        const reading = (async () => {
          for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) got += piece;
        })().catch(() => {});
        const first = accept.endsWith('event-stream') ? '\n\n' : '\n';
        await until(
          () => got.indexOf(first) >= 0 && got.length > got.indexOf(first) + first.length + 20,
          accept,
        );
        stop.abort();
        await reading;
        return got.slice(got.indexOf(first) + first.length);
      };
      assert.equal(await bytes('text/event-stream'), fill(vector.sse).replace('{json}', json));
      assert.equal(
        await bytes('text/event-stream', { event: 'message' }),
        fill(vector.sse_message).replace('{json}', json),
      );
      assert.equal(await bytes('application/x-ndjson'), `${json}\n`);
      assert.equal(
        await bytes('application/x-ndjson', { format: 'cloudevents' }),
        `${fill(vector.cloudevent)}\n`,
      );
      const page = await (await server.get(topic, { since: 'earliest' })).text();
      assert.ok(page.startsWith(`{"events":[${json}],`));
      const message = await new Promise((resolve, reject) => {
        const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/events`);
        const hello = { action: 'connect', token: server.token(), topics: [topic], since: 'earliest' };
        socket.on('open', () => socket.send(JSON.stringify(hello)));
        socket.on('message', (data) => {
          if (String(data).includes('"control"')) return;
          resolve(String(data));
          socket.terminate();
        });
        socket.on('error', reject);
      });
      assert.equal(message, json);
    });
});
