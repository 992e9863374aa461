// Whatever is taken back - a backend key, a key that signs tokens, a token, a user, a webhook's secret - is
// taken back at every door: open streams, tickets, WebSockets that have not spoken, what is scheduled.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { EventSource } from 'eventsource';
import WebSocket from 'ws';

import { LineClient, SseClient, WebSocketClient } from './clients.mjs';
import { Http2Client } from './http2_client.mjs';
import { Server, binary, unique, until } from './server.mjs';

const base64url = (value) => Buffer.from(value).toString('base64url');
const soon = (ms) => new Date(Date.now() + ms).toISOString();

const mintedBy = (server, claims) => {
  const now = Math.floor(Date.now() / 1000);
  const body = { sub: 'ana', iat: now, exp: now + 600, belfry: { subscribe: ['#'], publish: ['#'] } };
  const text = `${base64url('{"alg":"HS256"}')}.${base64url(JSON.stringify({ ...body, ...claims }))}`;
  return `${text}.${createHmac('sha256', server.secret).update(text).digest('base64url')}`;
};

// The word with which the client's stream ends; an end without one does not count. To be called before.
function over(client) {
  let word;
  client.source?.addEventListener('close', (event) => {
    word = JSON.parse(event.data).code;
  });
  client.closed?.then(({ reason }) => {
    word = reason;
  });
  client.done?.then(() => {
    word = client.controls.at(-1).code;
  });
  return () => until(() => word, 'the end of the stream, and its reason');
}

function keyCommand(server, ...words) {
  const done = spawnSync(binary, ['key', ...words, '--data', server.data], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout.trim();
}

// A key of its own that the running server knows.
async function makeKey(server) {
  const key = keyCommand(server, 'create', 'test');
  await until(
    async () => (await server.call('GET', '/v1/feed?user=x&limit=0', undefined, key)).status === 200,
    'the new key',
  );
  return { key, id: key.split('_')[1] };
}

const dataOf = async (server, topic) => {
  const answer = await server.get(topic, { since: 'earliest' });
  return (await answer.json()).events.map((event) => event.data);
};

describe('a backend key that is revoked', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  for (const Client of [SseClient, LineClient, WebSocketClient])
    it(`ends the streams that it opened, and no other (${Client.name})`, async () => {
      const { key, id } = await makeKey(server);
      const topic = `t/${unique()}`;
      const client = await new Client(server, topic, { token: key }).open();
      const other = await new Client(server, topic, { token: server.key }).open();
      const ended = over(client);
      const began = Date.now();
      keyCommand(server, 'revoke', id);
      assert.equal(await ended(), 'token_revoked');
      assert.ok(Date.now() - began < 4000);
      client.close();
      await server.publish({ topic, data: 1 });
      await until(() => other.events.length === 1, 'the other stream goes on');
      other.close();
    });

  it('opens no ticket, and publishes nothing that it has scheduled, also after a kill', async () => {
    const { key, id } = await makeKey(server);
    const kept = await makeKey(server);
    const topic = `t/${unique()}`;
    const { ticket } = (await server.call('POST', '/v1/tickets', { topics: ['#'] }, key)).body;
    const open = () =>
      fetch(`${server.url}/v1/events?ticket=${ticket}`, { headers: { Accept: 'application/json' } });
    assert.equal((await open()).status, 200);
    const at = soon(3000);
    for (const [by, data] of [
      [key, 'of the revoked one'],
      [kept.key, 'of the retired one'],
      [server.key, 'of another'],
    ])
      await server.publish({ topic, data, deliver_at: at }, server.bearer(by));
    keyCommand(server, 'revoke', id);
    keyCommand(server, 'revoke', kept.id, '--keep-scheduled');
    await until(async () => (await open()).status === 401, 'the ticket is dead');
    await server.kill();
    await server.launch();
    assert.equal((await open()).status, 401);
    await until(async () => (await dataOf(server, topic)).length === 2, 'what is due');
    assert.deepEqual((await dataOf(server, topic)).sort(), ['of another', 'of the retired one']);
    await until(
      async () => (await server.metric('belfry_scheduled_refused_total')) === 1,
      'the one that was refused is counted',
    );
    assert.equal((await server.call('GET', '/v1/feed?user=x', undefined, kept.key)).status, 401);
  });
});

describe('a token or a user that is revoked', () => {
  let server;
  before(async () => {
    server = await Server.start({ config: { auth: 'cookie = "session"\n' } });
  });
  after(() => server.stop());

  const minted = (claims) => mintedBy(server, claims);

  for (const Client of [SseClient, LineClient, WebSocketClient])
    it(`ends the streams of that token, by its id (${Client.name})`, async () => {
      const [one, two] = [unique(), unique()];
      const topic = `t/${unique()}`;
      const client = await new Client(server, topic, { token: minted({ jti: one }) }).open();
      const other = await new Client(server, topic, { token: minted({ jti: two }) }).open();
      const ended = over(client);
      await server.call('POST', '/v1/revocations', { token_id: one });
      assert.equal(await ended(), 'token_revoked');
      client.close();
      await server.publish({ topic, data: 1 });
      await until(() => other.events.length === 1, 'the other stream goes on');
      other.close();
    });

  // The sessions as /metrics tells them, a tick later.
  const listening = (count) =>
    until(async () => (await server.metric('belfry_sessions')) === count, `${count} sessions`);

  it('ends the long poll and the stream over HTTP/2 of that token, by its id', async () => {
    await listening(0);
    const jti = unique();
    const bearer = server.bearer(minted({ jti }));
    const polled = server.get('t', { since: 'now', wait: 25 }, bearer);
    const client = new Http2Client(server);
    const path = new URL(server.address('t', { since: 'now' })).pathname;
    const stream = await client.listen(`${path}?topic=t`, undefined, {
      authorization: bearer.Authorization,
    });
    const other = await client.listen(`${path}?topic=t`);
    await listening(3);
    await server.call('POST', '/v1/revocations', { token_id: jti });
    const answer = await polled;
    assert.deepEqual([answer.status, (await answer.json()).code], [401, 'token_revoked']);
    await until(() => stream.closed, 'the end of the stream');
    assert.match(stream.text, /\nevent: close\ndata: [^\n]*"token_revoked"/);
    await server.publish({ topic: 't', data: 1 });
    await until(() => other.events.length === 1, 'the other stream goes on');
    client.close();
  });

  it('ends a WebSocket that was renewed with that token, and none that has left it', async () => {
    const ids = [unique(), unique(), unique(), unique()];
    const [first, second, kept, left] = ids.map((jti) => minted({ jti }));
    const topic = `t/${unique()}`;
    const client = await new WebSocketClient(server, topic, { token: first }).open();
    const other = await new WebSocketClient(server, topic, { token: left }).open();
    const ended = over(client);
    for (const [socket, token] of [
      [client, second],
      [other, kept],
    ])
      assert.equal((await socket.ask({ action: 'renew', token })).control, 'renewed');
    await server.call('POST', '/v1/revocations', { token_id: ids[3] });
    await server.call('POST', '/v1/revocations', { token_id: ids[1] });
    assert.equal(await ended(), 'token_revoked');
    await server.publish({ topic, data: 1 });
    await until(() => other.events.length === 1, 'the other stream goes on');
    const late = await other.ask({ action: 'renew', token: second });
    assert.equal(late.code, 'token_revoked', 'and it takes no token that counts no more');
    other.close();
  });

  it('ends a stream whose ticket was renewed with that token', async () => {
    const ids = [unique(), unique()];
    const [first, second] = ids.map((jti) => minted({ jti }));
    const topic = `t/${unique()}`;
    const made = await server.call('POST', '/v1/tickets', { topics: [topic] }, first);
    const { ticket } = made.body;
    const source = new EventSource(`${server.url}/v1/events?ticket=${ticket}&event=message`);
    const ended = over({ source });
    const heard = [];
    source.onmessage = (event) => heard.push(event.data);
    await new Promise((resolve) => {
      source.onopen = resolve;
    });
    await server.call('POST', '/v1/tickets', { renew: ticket }, second);
    await server.call('POST', '/v1/revocations', { token_id: ids[0] });
    await server.publish({ topic, data: 1 });
    await until(() => heard.length === 1, 'it goes on without the first token');
    await server.call('POST', '/v1/revocations', { token_id: ids[1] });
    assert.equal(await ended(), 'token_revoked');
    source.close();
  });

  it('is not connected by a cookie that was good when the WebSocket was opened', async () => {
    const user = `u-${unique()}`;
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/events`, {
      headers: { Cookie: `session=${minted({ sub: user })}`, Origin: server.url },
    });
    const messages = [];
    socket.on('message', (text) => messages.push(JSON.parse(text)));
    const closed = new Promise((resolve) => {
      socket.on('close', resolve);
    });
    await new Promise((resolve) => {
      socket.on('open', resolve);
    });
    await server.call('POST', '/v1/revocations', { user });
    socket.send(JSON.stringify({ action: 'connect', topics: ['a'] }));
    assert.equal(await closed, 4410);
    assert.deepEqual(
      messages.map((message) => message.code),
      ['token_revoked'],
    );
  });

  it('publishes nothing that it has scheduled, also after a kill', async () => {
    const topic = `t/${unique()}`;
    const user = `u-${unique()}`;
    const jti = unique();
    const at = soon(3000);
    for (const claims of [{ sub: user }, { jti }, { jti: unique() }])
      await server.publish(
        { topic, data: claims.jti ?? 'of the user', deliver_at: at },
        server.bearer(minted(claims)),
      );
    await server.call('POST', '/v1/revocations', { user });
    await server.call('POST', '/v1/revocations', { token_id: jti });
    await server.kill();
    await server.launch();
    await until(async () => (await dataOf(server, topic)).length > 0, 'what is due');
    const data = await dataOf(server, topic);
    assert.equal(data.length, 1);
    assert.ok(data[0] !== jti && data[0] !== 'of the user');
  });

  it('stays revoked when a weaker revocation follows, also after a kill', async () => {
    const user = `u-${unique()}`;
    const token = minted({ sub: user });
    const code = async () => (await server.call('GET', '/v1/feed', undefined, token)).body.code;
    await server.call('POST', '/v1/revocations', { user });
    await server.call('POST', '/v1/revocations', { user, not_before: soon(-3_600_000) });
    assert.equal(await code(), 'token_revoked');
    await server.kill();
    await server.launch();
    assert.equal(await code(), 'token_revoked');
  });
});

describe('what SIGHUP takes back', () => {
  it('is the streams of users whose tokens name an audience that is not asked for now', async () => {
    const server = await Server.start({ config: { auth: 'audience = "old"\n' } });
    const open = (token) => new SseClient(server, 'a', { token }).open();
    const own = await open(mintedBy(server, { aud: 'old' }));
    const backend = await open(server.key);
    const ended = over(own);
    const file = server.writeConfig();
    writeFileSync(file, readFileSync(file, 'utf8').replace('"old"', '"new"'));
    server.child.kill('SIGHUP');
    assert.equal(await ended(), 'token_revoked');
    own.close();
    const other = await open(mintedBy(server, { aud: ['old', 'new'] }));
    await server.publish({ topic: 'a', data: 1 });
    await until(() => backend.events.length + other.events.length === 2, 'both streams go on');
    backend.close();
    other.close();
    await server.stop();
  });

  it('is the streams of tokens that the old secret signed, and the old secrets of webhooks', async () => {
    const server = new Server({ config: {} });
    const file = join(server.folder, 'hook');
    const [first, second] = [randomBytes(20).toString('hex'), randomBytes(20).toString('hex')];
    writeFileSync(file, first);
    server.options.config = { 'source.hook': `kind = "cloudevents"\nsecret_files = ["${file}"]\n` };
    await server.launch();
    const send = async (secret) => {
      const event = { specversion: '1.0', id: unique(), source: 'x', type: 't', subject: 's', data: 1 };
      const answer = await fetch(`${server.url}/v1/sources/hook`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/cloudevents+json', Authorization: `Bearer ${secret}` },
        body: JSON.stringify(event),
      });
      return answer.status;
    };
    assert.equal(await send(first), 200);
    const own = await new SseClient(server, 'a').open();
    const backend = await new SseClient(server, 'a', { token: server.key }).open();
    const ended = over(own);
    writeFileSync(file, second);
    writeFileSync(join(server.folder, 'jwt_secret'), 'n'.repeat(40));
    server.child.kill('SIGHUP');
    assert.equal(await ended(), 'token_revoked');
    own.close();
    assert.equal(await send(first), 403);
    assert.equal(await send(second), 200);
    await server.publish({ topic: 'a', data: 1 });
    await until(() => backend.events.length === 1, 'the stream of the backend goes on');
    backend.close();
    await server.stop();
  });
});
