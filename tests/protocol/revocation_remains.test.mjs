// What was taken back stays so, and nothing else is: after a restore, without the key file, when an issuer
// names a key no more.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { LineClient, WebSocketClient } from './clients.mjs';
import { Server, binary, unique, until } from './server.mjs';

const base64url = (value) => Buffer.from(value).toString('base64url');
const seconds = () => Math.floor(Date.now() / 1000);
const command = (server, ...words) => {
  const done = spawnSync(binary, [...words, '--data', server.data], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout.trim();
};
const works = async (server, key) =>
  (await server.call('GET', '/v1/feed?user=x&limit=0', undefined, key)).status === 200;
// A key of its own that the running server knows.
async function makeKey(server) {
  const key = command(server, 'key', 'create', 'test');
  await until(() => works(server, key), 'the new key');
  return { key, id: key.split('_')[1] };
}

// The server's clock is ours, so that nobody has to wait until something is due.
const folder = mkdtempSync(join(tmpdir(), 'belfry-'));
const time = join(folder, 'time');
const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
const servers = [];
before(() => {
  assert.ok(existsSync(library));
  writeFileSync(time, '+0s\n');
});
after(async () => {
  for (const server of servers) await server.stop();
  rmSync(folder, { recursive: true });
});

const minutes = (count) => new Date(Date.now() + count * 60_000).toISOString();
const start = async () => {
  writeFileSync(time, '+0s\n');
  const environment = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: time,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  servers.push(await Server.start({ environment }));
  return servers.at(-1);
};
const minted = (server, claims) => {
  const body = { sub: 'ana', iat: seconds(), exp: seconds() + 3600, belfry: { publish: ['#'] } };
  const text = `${base64url('{"alg":"HS256"}')}.${base64url(JSON.stringify({ ...body, ...claims }))}`;
  return `${text}.${createHmac('sha256', server.secret).update(text).digest('base64url')}`;
};

describe('what is scheduled', () => {
  const schedule = (server, data, bearer) =>
    server.publish({ topic: 't', data, deliver_at: minutes(10) }, server.bearer(bearer));
  // What is published of it, half an hour later. The last one is due after all others.
  async function heard(server) {
    await server.publish({ topic: 't', data: 'last', deliver_at: minutes(15) });
    writeFileSync(time, '+1800s\n');
    const data = async () => {
      const answer = await server.get('t', { since: 'earliest' });
      return (await answer.json()).events.map((event) => event.data);
    };
    await until(async () => (await data()).includes('last'), 'what is due');
    return (await data()).filter((each) => each !== 'last').sort();
  }

  it('is published though the key file is missing, which opens nothing', async () => {
    const server = await start();
    const { key } = await makeKey(server);
    await schedule(server, 'of a key that nobody revoked', key);
    await server.kill();
    rmSync(join(server.data, 'backend_keys'));
    await server.launch();
    assert.equal(await works(server, key), false);
    assert.deepEqual(await heard(server), ['of a key that nobody revoked']);
  });

  it('is not published after a restore if who scheduled it was revoked since the backup', async () => {
    const server = await start();
    const kept = await makeKey(server);
    const gone = await makeKey(server);
    const retired = await makeKey(server);
    const [user, jti] = [unique(), unique()];
    for (const each of ['kept', 'gone', 'retired'])
      await schedule(server, each, { kept, gone, retired }[each].key);
    await schedule(server, 'user', minted(server, { sub: user }));
    await schedule(server, 'token', minted(server, { jti }));
    await schedule(server, 'ana', minted(server, { jti: unique() }));
    const backup = join(server.folder, 'backup.db');
    command(server, 'backup', backup);
    command(server, 'key', 'revoke', gone.id);
    command(server, 'key', 'revoke', retired.id, '--keep-scheduled');
    await server.call('POST', '/v1/revocations', { user });
    await server.call('POST', '/v1/revocations', { token_id: jti });
    await server.kill('SIGTERM');
    command(server, 'restore', backup);
    await server.launch();
    assert.deepEqual(await heard(server), ['ana', 'kept', 'retired']);
    for (const { key } of [gone, retired]) assert.equal(await works(server, key), false);
    const answer = await server.call('GET', '/v1/feed', undefined, minted(server, { jti }));
    assert.equal(answer.body.code, 'token_revoked');
    await until(
      async () => (await server.metric('belfry_scheduled_refused_total')) === 3,
      'what was refused is counted',
    );
  });

  it('is not published after a restore into an empty folder that got the key file', async () => {
    const server = await start();
    const kept = await makeKey(server);
    const gone = await makeKey(server);
    await schedule(server, 'kept', kept.key);
    await schedule(server, 'gone', gone.key);
    const backup = join(server.folder, 'backup.db');
    command(server, 'backup', backup);
    command(server, 'key', 'revoke', gone.id);
    const keys = readFileSync(join(server.data, 'backend_keys'));
    await server.kill();
    rmSync(server.data, { recursive: true });
    command(server, 'restore', backup);
    writeFileSync(join(server.data, 'backend_keys'), keys, { mode: 0o600 });
    await server.launch();
    assert.deepEqual(await heard(server), ['kept']);
  });
});

describe('what is taken back while a clock is wrong, or after it was', () => {
  const wall = (seconds) => writeFileSync(time, `${seconds < 0 ? '' : '+'}${seconds}s\n`);
  const code = async (server, token) => (await server.call('GET', '/v1/feed', undefined, token)).body.code;

  it('is a token that is dated in the future, on open streams, and its ticket', async () => {
    const server = await start();
    wall(300);
    const belfry = { subscribe: ['t'] };
    const token = minted(server, { iat: seconds() + 300, belfry });
    const lines = await new LineClient(server, 't', { token }).open();
    const bobs = minted(server, { sub: 'bob', belfry });
    const other = await new LineClient(server, 't', { token: bobs }).open();
    const { ticket } = (await server.call('POST', '/v1/tickets', { topics: ['t'] }, token)).body;
    const open = async () => {
      const headers = { Accept: 'application/json' };
      return (await fetch(`${server.url}/v1/events?ticket=${ticket}`, { headers })).status;
    };
    assert.equal(await open(), 200);
    wall(0);
    await server.call('POST', '/v1/revocations', { user: 'ana' });
    await until(() => lines.controls.at(-1)?.code === 'token_revoked', 'the end of the stream');
    assert.equal(await open(), 401);
    await server.publish({ topic: 't', data: 1 });
    await until(() => other.events.length === 1, 'the other stream goes on');
    other.close();
  });

  it('is all that was issued so far, though the clock tells 2020', async () => {
    const server = await start();
    const [user, jti] = [unique(), unique()];
    const tokens = [{ sub: user }, { jti }].map((claims) =>
      minted(server, { iat: seconds() - 60, ...claims }),
    );
    for (const token of tokens) assert.equal(await code(server, token), undefined);
    wall(-200_000_000);
    assert.equal((await server.call('POST', '/v1/revocations', { user })).status, 200);
    assert.equal((await server.call('POST', '/v1/revocations', { token_id: jti })).status, 200);
    wall(0);
    for (const token of tokens) assert.equal(await code(server, token), 'token_revoked');
    await server.kill();
    await server.launch();
    for (const token of tokens) assert.equal(await code(server, token), 'token_revoked');
    const newer = minted(server, { sub: user, iat: seconds() + 5 });
    assert.equal(await code(server, newer), undefined);
  });
});

describe('a key that an issuer names no more', () => {
  const pairs = { one: generateKeyPairSync('ed25519'), two: generateKeyPairSync('ed25519') };
  const iss = 'https://id.example';
  let names = ['one', 'two'];
  let asked = 0;
  let issuer;
  let server;
  before(async () => {
    issuer = createServer((_, answer) => {
      ++asked;
      const keys = names.map((kid) => ({ ...pairs[kid].publicKey.export({ format: 'jwk' }), kid }));
      answer.end(JSON.stringify({ keys }));
    });
    await new Promise((resolve) => {
      issuer.listen(0, '127.0.0.1', resolve);
    });
    server = await Server.start({ config: { auth: `jwks = ["${place()}"]\n` } });
    await until(() => asked === 1, 'the first question');
  });
  after(async () => {
    await server.stop();
    issuer.close();
  });

  const place = () => `${iss} http://127.0.0.1:${issuer.address().port}/${asked}`;
  const token = (kid) => {
    const claims = { sub: 'ana', iss, iat: seconds(), exp: seconds() + 600, belfry: { subscribe: ['#'] } };
    const text = `${base64url(JSON.stringify({ alg: 'EdDSA', kid }))}.${base64url(JSON.stringify(claims))}`;
    return `${text}.${sign(null, Buffer.from(text), pairs[kid].privateKey).toString('base64url')}`;
  };
  // Asked of another place, an issuer is asked at once.
  const askAgain = async () => {
    const file = join(server.folder, 'belfry.toml');
    const before = asked;
    writeFileSync(file, readFileSync(file, 'utf8').replace(/jwks = .*/, `jwks = ["${place()}"]`));
    server.child.kill('SIGHUP');
    await until(() => asked === before + 1, 'the issuer to be asked');
  };

  it('ends the streams of its tokens, and no other', async () => {
    await until(
      async () => (await server.call('GET', '/v1/feed', undefined, token('one'))).status === 200,
      'the keys',
    );
    const lines = await new LineClient(server, 't', { token: token('one') }).open();
    const socket = await new WebSocketClient(server, 't', { token: token('one') }).open();
    const other = await new WebSocketClient(server, 't', { token: token('two') }).open();
    const { ticket } = (await server.call('POST', '/v1/tickets', { topics: ['t'] }, token('one'))).body;
    const open = () =>
      fetch(`${server.url}/v1/events?ticket=${ticket}`, { headers: { Accept: 'application/json' } });
    assert.equal((await open()).status, 200);
    await askAgain();
    // As long as it is named, all goes on: the answer has been taken when the next one is.
    await askAgain();
    await server.publish({ topic: 't', data: 1 });
    for (const client of [lines, socket, other])
      await until(() => client.events.length === 1, 'the event on each stream');
    names = ['two'];
    await askAgain();
    await until(() => lines.controls.at(-1)?.code === 'token_revoked', 'the end of the lines');
    assert.deepEqual(await socket.closed, { code: 4410, reason: 'token_revoked' });
    assert.equal((await server.call('GET', '/v1/feed', undefined, token('one'))).status, 401);
    assert.equal((await open()).status, 401);
    await server.publish({ topic: 't', data: 2 });
    await until(() => other.events.length === 2, 'the other stream goes on');
    other.close();
  });
});
