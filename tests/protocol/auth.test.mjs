import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { LineClient, PollClient, SseClient, WebSocketClient } from './clients.mjs';
import { Server, binary, unique, until } from './server.mjs';

const text = (value) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);

const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  other: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  small: generateKeyPairSync('rsa', { modulusLength: 1024 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ed: generateKeyPairSync('ed25519'),
};
const pem = (pair) => pair.publicKey.export({ type: 'spki', format: 'pem' });
const jwk = (pair, kid, alg) => ({ ...pair.publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' });

function signature(alg, message, key) {
  const bits = alg.slice(2);
  const bytes = Buffer.from(message);
  if (alg.startsWith('HS')) return createHmac(`sha${bits}`, key).update(message).digest();
  if (alg === 'EdDSA') return sign(null, bytes, key.privateKey);
  if (alg.startsWith('RS')) return sign(`sha${bits}`, bytes, key.privateKey);
  if (alg.startsWith('PS'))
    return sign(`sha${bits}`, bytes, { key: key.privateKey, padding: 6, saltLength: -1 });
  return sign(`sha${bits}`, bytes, { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
}

function token(alg, key, claims = {}, header = {}) {
  const body = { sub: 'ana', iat: now(), exp: now() + 600, ...claims };
  const message = `${text({ alg, typ: 'JWT', ...header })}.${text(body)}`;
  return `${message}.${signature(alg, message, key).toString('base64url')}`;
}

describe('tokens', () => {
  const folder = mkdtempSync(join(tmpdir(), 'belfry-keys-'));
  const served = { a: [], b: [] };
  const fetched = { a: 0, b: 0 };
  let issuers;
  let server;
  const ask = async (bearer, path = '/v1/feed?limit=0') => server.call('GET', path, undefined, bearer);
  const accepted = async (bearer) => (await ask(bearer)).status === 200;

  before(async () => {
    issuers = createServer((request, answer) => {
      const which = request.url.slice(1, 2);
      fetched[which] += 1;
      answer.end(JSON.stringify({ keys: served[which] }));
    });
    await new Promise((resolve) => {
      issuers.listen(0, '127.0.0.1', resolve);
    });
    served.a = [jwk(pairs.rsa, 'one', 'RS256'), jwk(pairs.ed, 'two')];
    served.b = [jwk(pairs.p256, 'one')];
    const base = `http://127.0.0.1:${issuers.address().port}`;
    writeFileSync(join(folder, 'p384.pem'), pem(pairs.p384));
    writeFileSync(join(folder, 'rsa.pem'), pem(pairs.rsa));
    writeFileSync(join(folder, 'set.json'), JSON.stringify({ keys: [jwk(pairs.p384, 'f', 'ES384')] }));
    server = await Server.start({
      config: {
        auth: `public_key_files = ["${folder}/p384.pem", "PS256 ${folder}/rsa.pem"]
jwks = ["https://a.example ${base}/a", "https://b.example ${base}/b", "https://c.example ${folder}/set.json"]
audience = "belfry"\n`,
      },
    });
    await until(
      () => accepted(token('RS256', pairs.rsa, { iss: 'https://a.example', aud: 'belfry' })),
      'keys',
    );
  });
  after(async () => {
    await server.stop();
    issuers.close();
    rmSync(folder, { recursive: true });
  });

  const aud = 'belfry';
  const good = {
    'HS256 by the secret': () => token('HS256', server.secret, { aud }),
    'ES384 by PEM': () => token('ES384', pairs.p384, { aud }),
    'PS256 by PEM': () => token('PS256', pairs.rsa, { aud: ['x', 'belfry'] }),
    'RS256 by JWKS URL': () => token('RS256', pairs.rsa, { aud, iss: 'https://a.example' }, { kid: 'one' }),
    'EdDSA by JWKS URL': () => token('EdDSA', pairs.ed, { aud, iss: 'https://a.example' }, { kid: 'two' }),
    'ES256 by JWKS URL, the same kid of another issuer': () =>
      token('ES256', pairs.p256, { aud, iss: 'https://b.example' }, { kid: 'one' }),
    'ES384 by JWKS file': () => token('ES384', pairs.p384, { aud, iss: 'https://c.example' }, { kid: 'f' }),
  };
  for (const [name, make] of Object.entries(good))
    it(`accepts ${name}`, async () => {
      const answer = await ask(make());
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
    });

  it('refuses 150 forged ones', async () => {
    const forged = [];
    const add = (...tokens) => forged.push(...tokens);
    const claims = { aud, sub: 'ana', iat: now(), exp: now() + 600 };
    const of = (header, body = claims, tail = '') => `${text(header)}.${text(body)}.${tail}`;
    // No signature, in every spelling.
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', 'null', null, 0, false, [], {}, ['HS256']])
      add(of({ alg }), of({ alg }, claims, text('x')), of({ alg, kid: 'one' }));
    // The public half of a key used as a secret.
    for (const pair of [pairs.rsa, pairs.p256, pairs.p384, pairs.ed])
      for (const secret of [
        pem(pair),
        pem(pair).trim(),
        pair.publicKey.export({ type: 'spki', format: 'der' }),
      ])
        for (const alg of ['HS256', 'HS384', 'HS512']) add(token(alg, secret, { aud }));
    add(token('HS256', JSON.stringify(served.a[0]), { aud, iss: 'https://a.example' }, { kid: 'one' }));
    // The right key for another algorithm than it is bound to, and the keys of others.
    for (const alg of ['RS256', 'RS384', 'RS512', 'PS384', 'PS512']) add(token(alg, pairs.rsa, { aud }));
    for (const alg of ['RS384', 'RS512', 'PS256', 'PS384', 'PS512'])
      add(token(alg, pairs.rsa, { aud, iss: 'https://a.example' }, { kid: 'one' }));
    for (const alg of ['HS384', 'HS512']) add(token(alg, server.secret, { aud }));
    for (const alg of ['RS256', 'PS256', 'RS512'])
      add(token(alg, pairs.other, { aud }), token(alg, pairs.small, { aud }));
    // Crossed tenants.
    add(token('RS256', pairs.rsa, { aud, iss: 'https://b.example' }, { kid: 'one' }));
    add(token('ES256', pairs.p256, { aud, iss: 'https://a.example' }, { kid: 'one' }));
    add(token('ES256', pairs.p256, { aud }), token('EdDSA', pairs.ed, { aud }));
    add(token('HS256', server.secret, { aud, iss: 'https://a.example' }));
    add(token('PS256', pairs.rsa, { aud, iss: 'https://c.example' }));
    // Keys that the token brings along, and key ids that are paths or queries.
    const mine = jwk(pairs.other, 'mine', 'RS256');
    for (const header of [
      { jwk: mine },
      { jku: 'http://127.0.0.1:1/' },
      { x5u: 'http://127.0.0.1:1/' },
      { x5c: ['x'] },
    ])
      add(token('RS256', pairs.other, { aud, iss: 'https://a.example' }, { kid: 'one', ...header }));
    for (const kid of [
      '../../dev/null',
      "' OR 1=1 --",
      '/etc/passwd',
      'k'.repeat(129),
      '\u0000',
      'one\n',
      '%00',
    ])
      add(token('RS256', pairs.other, { aud, iss: 'https://a.example' }, { kid }));
    // Extensions, doubled names, other parts.
    const right = token('HS256', server.secret, { aud });
    const [head, body, tail] = right.split('.');
    const resign = (h, b) =>
      `${h}.${b}.${signature('HS256', `${h}.${b}`, server.secret).toString('base64url')}`;
    add(resign(text({ alg: 'HS256', crit: ['b64'], b64: false }), body));
    add(resign(text({ alg: 'HS256', crit: [] }), body));
    add(resign(text('{"alg":"none","alg":"HS256"}'), body));
    add(resign(head, text(`{"sub":"bob","sub":"ana","aud":"belfry","exp":${now() + 60}}`)));
    add(
      resign(
        head,
        text(`{"sub":"ana","aud":"belfry","exp":${now() + 60},"belfry":{"publish":[],"publish":["#"]}}`),
      ),
    );
    for (const claim of [
      { exp: now() - 1 },
      { exp: undefined },
      { exp: 'tomorrow' },
      { exp: 1e300 },
      { nbf: now() + 120 },
      { iat: now() + 120 },
      { aud: 'other' },
      { aud: ['other', 'more'] },
      { aud: undefined },
      { aud: { belfry: 1 } },
      { sub: '' },
      { sub: 7 },
      { sub: undefined },
      { jti: 7 },
      { belfry: [] },
      { belfry: { admin: true } },
      { belfry: { subscribe: 'a' } },
      { belfry: { subscribe: ['a//b'] } },
    ])
      add(token('HS256', server.secret, { aud, ...claim }));
    add(
      head,
      `${head}.`,
      `${head}.${body}`,
      `${head}.${body}.`,
      `.${body}.${tail}`,
      `${head}..${tail}`,
      `${right}.`,
    );
    add(
      `${right}=`,
      `${head}.${body}=.${tail}`,
      `${head}.${body}.${tail.slice(0, -1)}`,
      `${right}A`,
      right.toLowerCase(),
    );
    add(
      `${right.slice(0, -1)}${right.at(-1) === 'A' ? 'B' : 'A'}`,
      'a'.repeat(9000),
      '...',
      'Bearer',
      right.replace('.', ' .'),
    );
    for (let i = 0; i < 20; ++i) {
      const at = Math.floor((right.length * i) / 20);
      add(right.slice(0, at) + (right[at] === 'x' ? 'y' : 'x') + right.slice(at + 1));
    }
    assert.ok(forged.length >= 150, `${forged.length} forged tokens`);
    for (const each of forged) {
      const answer = await server.call('GET', '/v1/feed?limit=0', undefined, each.replace(/[\r\n]/g, ''));
      assert.ok([400, 401].includes(answer.status), `${answer.status} for ${each.slice(0, 200)}`);
    }
    assert.ok(await accepted(right));
  });

  it('tells who comes without a good token which kind it wants (RFC 9110, 11.6.1)', async () => {
    for (const headers of [{}, server.bearer('nonsense'), server.bearer(`bk_x_${'0'.repeat(48)}`)]) {
      const answer = await fetch(`${server.url}/v1/feed`, { headers });
      assert.equal(answer.status, 401);
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
    }
  });

  it('threat 16: no token makes the server fetch from where it says', async () => {
    let asked = 0;
    const trap = createServer((_, answer) => {
      ++asked;
      answer.end('{"keys":[]}');
    });
    await new Promise((resolve) => {
      trap.listen(0, '127.0.0.1', resolve);
    });
    const evil = `http://127.0.0.1:${trap.address().port}`;
    const hostile = [
      evil,
      `${evil}/keys`,
      `https://a.example@${evil.slice(7)}`,
      `${evil}#https://a.example`,
    ];
    let sent = 0;
    for (const iss of hostile)
      for (const header of [
        {},
        { jku: evil },
        { x5u: evil },
        { kid: `${evil}/k` },
        { jwk: { kty: 'oct', k: 'AA' } },
      ])
        for (const aud of ['belfry', evil, [evil]]) {
          const one = token('RS256', pairs.other, { aud, iss }, header);
          assert.equal(await accepted(one), false);
          ++sent;
        }
    assert.ok(sent >= 50);
    assert.equal(asked, 0, 'requests to the trap');
    trap.close();
  });

  it('threat 17: a key of one issuer signs nothing for another, whatever the kid', async () => {
    const crossed = [
      token('RS256', pairs.rsa, { aud, iss: 'https://b.example' }, { kid: 'one' }),
      token('ES256', pairs.p256, { aud, iss: 'https://a.example' }, { kid: 'one' }),
      token('ES384', pairs.p384, { aud, iss: 'https://a.example' }, { kid: 'f' }),
      token('EdDSA', pairs.ed, { aud, iss: 'https://c.example' }, { kid: 'two' }),
      token('HS256', server.secret, { aud, iss: 'https://a.example' }, { kid: 'one' }),
    ];
    for (const one of crossed) assert.equal(await accepted(one), false);
  });

  it('asks an issuer for an unknown key once in a while, however many tokens name one', async () => {
    const before = fetched.b;
    for (let i = 0; i < 200; ++i)
      await accepted(token('ES256', pairs.p256, { aud, iss: 'https://b.example' }, { kid: `k${i}` }));
    assert.ok(fetched.b - before <= 1, `${fetched.b - before} fetches`);
    assert.equal(await accepted(token('RS256', pairs.rsa, { aud, iss: 'https://evil.example' })), false);
  });
});

describe('revocation', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  const minted = (claims) => token('HS256', server.secret, claims);

  for (const Client of [SseClient, WebSocketClient, LineClient, PollClient])
    it(`ends what is open within 2 s, and lets nobody in again (${Client.name})`, async () => {
      const user = `u-${unique()}`;
      const own = minted({ sub: user });
      const client = await new Client(server, `users/${user}`, { token: own, wait: 20 }).open();
      const ended = new Promise((resolve) => {
        if (client.socket) client.socket.on('close', (code) => resolve(code));
        else if (client.source) {
          client.source.onerror = () => resolve('error');
          client.source.addEventListener('close', (event) => resolve(JSON.parse(event.data).code));
        } else
          client.done.then(
            () => resolve('done'),
            () => resolve('done'),
          );
      });
      const began = Date.now();
      assert.equal((await server.call('POST', '/v1/revocations', { user })).status, 200);
      const how = await ended;
      assert.ok(Date.now() - began < 2000);
      client.close();
      if (Client === WebSocketClient) assert.equal(how, 4410);
      const again = await server.get(`users/${user}`, {}, server.bearer(own));
      assert.equal((await again.json()).code, 'token_revoked');
      // A token that was issued later counts.
      const fresh = minted({ sub: user, iat: now() + 2 });
      assert.equal((await server.get(`users/${user}`, {}, server.bearer(fresh))).status, 200);
    });

  it('is of one token by its id, and survives a restart', async () => {
    const [one, two] = [minted({ jti: unique() }), minted({ jti: unique() })];
    const id = JSON.parse(Buffer.from(one.split('.')[1], 'base64url')).jti;
    await server.call('POST', '/v1/revocations', { token_id: id });
    await server.kill();
    await server.launch();
    assert.equal((await server.call('GET', '/v1/feed', undefined, one)).body.code, 'token_revoked');
    assert.equal((await server.call('GET', '/v1/feed', undefined, two)).status, 200);
  });

  it('is the backends alone, and well formed', async () => {
    assert.equal(
      (await server.call('POST', '/v1/revocations', { user: 'x' }, minted({}))).body.code,
      'forbidden',
    );
    for (const body of [{}, { user: '' }, { user: 'a', token_id: 'b' }, { user: 'a', x: 1 }])
      assert.equal((await server.call('POST', '/v1/revocations', body)).status, 400);
  });
});

describe('belfry serve', () => {
  // Exit code and words of a server that must not start.
  function refused(listen, auth) {
    const folder = mkdtempSync(join(tmpdir(), 'belfry-serve-'));
    writeFileSync(join(folder, 'short'), 'x'.repeat(31));
    writeFileSync(join(folder, 'nonsense.pem'), 'nonsense');
    writeFileSync(join(folder, 'small.pem'), pem(pairs.small));
    writeFileSync(join(folder, 'p256.pem'), pem(pairs.p256));
    writeFileSync(join(folder, 'set.json'), '[]');
    writeFileSync(join(folder, 'belfry.toml'), `[auth]\n${auth.replaceAll('@', folder)}\n`);
    const done = spawnSync(
      binary,
      ['serve', '-c', join(folder, 'belfry.toml'), '--listen', listen, '--data', join(folder, 'data')],
      { encoding: 'utf8', timeout: 10_000 },
    );
    rmSync(folder, { recursive: true });
    return done;
  }

  for (const listen of ['0.0.0.0:0', '127.0.0.1:0', '[::]:0'])
    for (const [what, auth] of [
      ['without a secret', ''],
      ['with a short secret', 'jwt_secret_file = "@/short"'],
      ['with a secret that is not there', 'jwt_secret_file = "@/none"'],
      ['with nonsense for a key', 'public_key_files = ["@/nonsense.pem"]'],
      ['with a small RSA key', 'public_key_files = ["@/small.pem"]'],
      ['with a key for another algorithm', 'public_key_files = ["RS256 @/p256.pem"]'],
      ['with an unknown algorithm', 'public_key_files = ["HS257 @/p256.pem"]'],
      ['with a broken key set', 'jwks = ["https://a @/set.json"]'],
    ])
      it(`does not start on ${listen} ${what}`, () => {
        const done = refused(listen, auth);
        assert.equal(done.status, 3, done.stderr);
        assert.match(done.stderr, /belfry: config_invalid|belfry: The configuration/);
      });
});
