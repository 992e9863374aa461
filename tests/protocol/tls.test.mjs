// TLS as clients see it: versions, ALPN, tickets, a new certificate without a broken stream, and HTTP/1.1
// over it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect } from 'node:tls';

import { chromium } from 'playwright-core';
import WebSocket from 'ws';

import { certificate, issued } from './certificates.mjs';
import { Http2Client } from './http2_client.mjs';
import { binary, Server, unique, until } from './server.mjs';

const shake = (server, options) =>
  new Promise((resolve, reject) => {
    const socket = connect(
      { host: '127.0.0.1', port: server.port, ca: server.certificate, ...options },
      () => resolve(socket),
    );
    socket.on('error', reject);
    socket.on('session', (session) => {
      socket.ticket = session;
    });
  });

describe('TLS', () => {
  let server;
  before(async () => {
    server = await Server.start({ tls: true });
  });
  after(() => server.stop());

  const get = (path, headers = {}) =>
    new Promise((resolve, reject) => {
      const asked = request(server.url + path, { ca: server.certificate, agent: false, headers }, resolve);
      asked.on('error', reject);
      asked.end();
    });

  it('1.2 and 1.3 are spoken, 1.1 is not', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const socket = await shake(server, { minVersion: version, maxVersion: version });
      assert.equal(socket.getProtocol(), version);
      socket.destroy();
    }
    await assert.rejects(
      shake(server, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    );
  });

  it('ALPN: h2 before http/1.1; something else is refused', async () => {
    for (const [offered, chosen] of [
      [['http/1.1', 'h2'], 'h2'],
      [['http/1.1'], 'http/1.1'],
      [undefined, false],
    ]) {
      const socket = await shake(server, { ALPNProtocols: offered });
      assert.equal(socket.alpnProtocol, chosen);
      socket.destroy();
    }
    await assert.rejects(shake(server, { ALPNProtocols: ['spdy/3'] }));
  });

  it('a session is resumed by its ticket, on whichever thread', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const first = await shake(server, { minVersion: version, maxVersion: version });
      first.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n');
      const session = await until(() => first.ticket, 'a ticket');
      first.destroy();
      for (let i = 0; i < 8; ++i) {
        const again = await shake(server, { session, minVersion: version, maxVersion: version });
        assert.equal(again.isSessionReused(), true, version);
        again.destroy();
      }
    }
  });

  it('HTTP/1.1: keep-alive, a stream that ends properly, a WebSocket', async () => {
    const topic = unique();
    const answer = await get(`/v1/events?topic=${topic}`, {
      Accept: 'text/event-stream',
      ...server.bearer(),
    });
    let text = '';
    answer.on('data', (bytes) => (text += bytes));
    const socket = new WebSocket(`wss://127.0.0.1:${server.port}/v1/events`, { ca: server.certificate });
    const messages = [];
    socket.on('message', (bytes) => messages.push(JSON.parse(bytes)));
    socket.on('open', () =>
      socket.send(JSON.stringify({ action: 'connect', token: server.token(), topics: [topic] })),
    );
    await until(() => messages.length === 1, 'connected');
    const client = new Http2Client(server);
    const data = 'd'.repeat(40_000); // more than two records
    await client.publish([
      { topic, data },
      { topic, data: 2 },
    ]);
    await until(() => messages.length === 3 && text.includes('"data":2'), 'both have both');
    assert.equal(messages[1].data, data);
    assert.ok(text.includes(data));
    client.close();
    socket.terminate();
    answer.destroy();
  });

  it('the command line speaks it, and trusts nobody without a reason', () => {
    const ask = (...words) => spawnSync(binary, words, { encoding: 'utf8' });
    const place = ['--url', server.url, '--data-dir', server.data];
    const sent = ask('publish', 'cli/tls', '--data', '1', ...place);
    assert.equal(sent.status, 0, sent.stderr);
    assert.match(sent.stdout, /"seq":1/);
    assert.equal(ask('doctor', ...place).status, 0);
    const key = ['--key-file', join(server.data, 'backend_key')];
    const stranger = ask('publish', 'cli/tls', '--url', server.url, '--data-dir', '/nowhere', ...key);
    assert.notEqual(stranger.status, 0);
    assert.match(stranger.stderr, /certificate is not trusted/);
    const named = ['--ca-file', join(server.data, 'dev_certificate.pem')];
    assert.equal(ask('publish', 'cli/tls', '--url', server.url, ...key, ...named).status, 0);
  });

  it('plain HTTP on the TLS port is closed, and so is a handshake that never ends', async () => {
    const plain = connectTcp(server.port, '127.0.0.1');
    plain.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await new Promise((resolve) =>
      plain
        .on('close', resolve)
        .resume()
        .on('error', () => {}),
    );
    const silent = connectTcp(server.port, '127.0.0.1');
    silent.write(Buffer.from([22, 3, 1]));
    const began = Date.now();
    await new Promise((resolve) =>
      silent
        .on('close', resolve)
        .resume()
        .on('error', () => {}),
    );
    assert.ok(Date.now() - began < 9000, 'within the five seconds of a handshake, and a look around');
  });
});

describe('the certificate of the configuration', () => {
  let folder, server;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'belfry-'));
    certificate(folder, 'one');
    certificate(folder, 'two');
    execFileSync('cp', [join(folder, 'one.pem'), join(folder, 'now.pem')]);
    execFileSync('cp', [join(folder, 'one.key'), join(folder, 'now.key')]);
    const http = `tls_certificate_file = "${folder}/now.pem"\ntls_key_file = "${folder}/now.key"\n`;
    server = await Server.start({ config: { http } });
    server.certificate = [readFileSync(join(folder, 'one.pem')), readFileSync(join(folder, 'two.pem'))];
  });
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const name = async () => {
    const socket = await shake(server, {});
    const { subject } = socket.getPeerCertificate();
    socket.destroy();
    return subject.CN;
  };

  it('is taken up on SIGHUP, and streams that are open go on', async () => {
    const topic = unique();
    const client = new Http2Client(server);
    const stream = await client.listen(`/v1/events?topic=${topic}`);
    assert.equal(stream.answer['strict-transport-security'], 'max-age=31536000');
    const before = await shake(server, { maxVersion: 'TLSv1.2' });
    const session = before.getSession();
    assert.equal(await name(), 'one');
    execFileSync('cp', [join(folder, 'two.pem'), join(folder, 'now.pem')]);
    execFileSync('cp', [join(folder, 'two.key'), join(folder, 'now.key')]);
    server.child.kill('SIGHUP');
    await until(async () => (await name()) === 'two', 'the new certificate');
    await client.publish({ topic, data: 1 });
    await until(() => stream.events.length === 1, 'the stream goes on');
    const again = await shake(server, { session, maxVersion: 'TLSv1.2' });
    assert.equal(again.isSessionReused(), true, 'tickets of before are still good');
    again.destroy();
    before.destroy();
    client.close();
  });

  it('of an authority comes with those between', async () => {
    issued(folder, 'shop');
    const http = `tls_certificate_file = "${folder}/shop.pem"\ntls_key_file = "${folder}/shop.key"\n`;
    const shop = await Server.start({ config: { http } });
    shop.certificate = readFileSync(join(folder, 'root.pem'));
    try {
      const socket = await shake(shop, {});
      assert.equal(socket.authorized, true);
      assert.equal(socket.getPeerCertificate().subject.CN, 'shop');
      socket.destroy();
    } finally {
      await shop.stop();
    }
  });

  it('a broken one is refused, and the old one stays', async () => {
    execFileSync('cp', [join(folder, 'one.key'), join(folder, 'now.key')]);
    server.child.kill('SIGHUP');
    await until(() => server.log.includes('was not reloaded'), 'a line that says so');
    writeFileSync(join(folder, 'now.pem'), 'no certificate');
    server.child.kill('SIGHUP');
    await until(() => server.log.includes('is no PEM certificate'), 'what is wrong with it');
    assert.equal(await name(), 'two');
    const config = join(folder, 'bad.toml');
    execFileSync('sh', ['-c', `printf '[http]\ntls_certificate_file = "${folder}/now.pem"\n' > ${config}`]);
    const check = spawnSync(binary, ['config', 'check', '-c', config], { encoding: 'utf8' });
    assert.equal(check.status, 3);
    assert.match(check.stderr + check.stdout, /belong together/);
  });
});

describe('a browser', () => {
  it('holds sixty EventSource streams and a WebSocket over one HTTP/2 connection', async () => {
    const server = await Server.start({ tls: true });
    const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'];
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args });
    try {
      const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
      await page.goto(`${server.url}/#token=${server.token(null)}&key=${server.key}`);
      const tickets = [];
      for (let i = 0; i < 60; ++i) tickets.push((await ticket(server, [`sixty/${i}`])).ticket);
      const before = await connections(server);
      await page.evaluate((all) => {
        window.heard = 0;
        window.open = 0;
        window.sources = all.map((one) => {
          const source = new EventSource(`/v1/events?ticket=${encodeURIComponent(one)}&event=message`);
          source.onopen = () => ++window.open;
          source.onmessage = () => ++window.heard;
          return source;
        });
      }, tickets);
      await page.waitForFunction(() => window.open === 60);
      const client = new Http2Client(server);
      await client.publish([...Array(60).keys()].map((i) => ({ topic: `sixty/${i}`, data: i })));
      client.close();
      await page.waitForFunction(() => window.heard === 60);
      const protocols = await page.evaluate(() => [
        ...new Set(performance.getEntriesByType('navigation').map((entry) => entry.nextHopProtocol)),
      ]);
      assert.deepEqual(protocols, ['h2']);
      assert.ok((await connections(server)) <= before + 1, 'no connection of their own');
    } finally {
      await browser.close();
      await server.stop();
    }
  });
});

async function ticket(server, topics) {
  const client = new Http2Client(server);
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${server.token()}` };
  const answer = await client.call('/v1/tickets', headers, JSON.stringify({ topics }));
  client.close();
  return answer.json();
}

async function connections(server) {
  const client = new Http2Client(server);
  await new Promise((resolve) => {
    setTimeout(resolve, 600); // the gauge is told four times a second
  });
  const { text } = await client.call('/metrics');
  client.close();
  return Number(text.match(/^belfry_connections (\d+)/m)[1]);
}
