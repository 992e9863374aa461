import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { EventSource } from 'eventsource';
import WebSocket from 'ws';

import { Server, unique, until } from './server.mjs';

// As a browser's own EventSource: nothing but a URL.
function open(server, ticket, query = '') {
  const source = new EventSource(`${server.url}/v1/events?ticket=${ticket}&event=message${query}`);
  const events = [];
  const closes = [];
  source.onmessage = (event) => events.push(JSON.parse(event.data));
  source.addEventListener('close', (event) => closes.push(JSON.parse(event.data)));
  const opened = new Promise((resolve, reject) => {
    source.onopen = resolve;
    source.onerror = (error) => reject(new Error(`EventSource: ${error.code} ${error.message}`));
  });
  return { source, events, closes, opened };
}

describe('tickets', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  const ticket = async (body, token = server.token()) => {
    const answer = await server.call('POST', '/v1/tickets', body, token);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body.ticket;
  };

  it('open the one stream they were made for, and again after a kill', async () => {
    const topic = `t/${unique()}`;
    const text = await ticket({ topics: [topic], types: ['a.#'] });
    const client = open(server, text);
    await client.opened;
    await server.publish([
      { topic, type: 'a.b' },
      { topic, type: 'c' },
    ]);
    await until(() => client.events.length === 1, 'the event');
    client.source.onerror = () => {};
    await server.kill();
    await server.launch();
    await server.publish({ topic, type: 'a.c' });
    await until(() => client.events.length === 2, 'the event after the kill');
    client.source.close();
    assert.deepEqual(
      client.events.map((event) => event.type),
      ['a.b', 'a.c'],
    );
  });

  // The same ticket as if it had been made earlier: signed with the server's own secret.
  const aged = (text, seconds) => {
    const body = JSON.parse(Buffer.from(text.split('.')[0], 'base64url'));
    body.made -= seconds * 1000;
    const made = Buffer.from(JSON.stringify(body)).toString('base64url');
    const secret = readFileSync(join(server.data, 'ticket_secret'), 'utf8').trim();
    return `${made}.${createHmac('sha256', secret).update(made).digest('base64url')}`;
  };
  const status = async (text, query = '', headers = {}) => {
    const answer = await fetch(`${server.url}/v1/events?ticket=${text}${query}`, {
      headers: { Accept: 'application/json', ...headers },
    });
    return answer.status;
  };

  it('die unused after 30 s, whatever place is named with them', async () => {
    const [placed] = await server.publish({ topic: 'a' });
    const fresh = await ticket({ topics: ['a'] });
    const late = aged(fresh, 31);
    for (const query of ['', '&since=earliest', '&since=now', `&since=${placed.id}`])
      assert.equal(await status(late, query), 401, query);
    assert.equal(await status(late, '', { 'Last-Event-ID': placed.id }), 401);
    const early = aged(fresh, -3600);
    assert.equal(await status(early), 401, 'made while the clock was ahead');
    const looked = await ticket({ topics: ['a'] });
    const head = await fetch(`${server.url}/v1/events?ticket=${looked}`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await status(looked, '', { Accept: 'image/png' }), 406);
    assert.equal(await status(aged(looked, 31)), 401, 'nothing was opened with it');
    assert.equal(await status(aged(fresh, 25)), 200, 'within the time, and used from now on');
    assert.equal(await status(late), 200);
  });

  it('open their stream again without a place, also after a kill, until they end', async () => {
    const text = await ticket({ topics: ['a'] });
    assert.equal(await status(text), 200);
    // The row is written behind the answer.
    await server.publish({ topic: 'b' });
    await server.kill();
    await server.launch();
    assert.equal(await status(aged(text, 3000)), 200);
    const week = 7 * 24 * 3600;
    const eternal = await ticket({ topics: ['a'] }, server.key);
    const body = JSON.parse(Buffer.from(eternal.split('.')[0], 'base64url'));
    assert.ok(Math.abs(body.expires - Date.now() - week * 1000) < 60_000, 'its ticket ends');
  });

  it('are gone with their user', async () => {
    const user = `u-${unique()}`;
    const text = await ticket({ topics: ['a'] }, server.token(['a'], { user }));
    assert.equal(await status(text), 200);
    assert.equal(await status(aged(text, 40)), 200);
    assert.equal((await server.call('DELETE', `/v1/users/${user}`)).status, 200);
    assert.equal(await status(aged(text, 40)), 401);
  });

  it('serve one stream at a time', async () => {
    const text = await ticket({ topics: ['one/#'] });
    const first = open(server, text);
    await first.opened;
    const second = open(server, text);
    await second.opened;
    const closed = await until(() => first.closes[0], 'the end of the first');
    assert.equal(closed.code, 'replaced');
    first.source.close();
    second.source.close();
  });

  it('carry the feed, and are renewed for the stream that is open', async () => {
    const user = `u-${unique()}`;
    const short = server.token(['users/#', 'x/1'], { user, ttl: 2 });
    const text = await ticket({ topics: ['x/1'], feed: true }, short);
    const client = open(server, text);
    await client.opened;
    const longer = server.token([`users/${user}`], { user, ttl: 600 });
    await ticket({ renew: text }, longer);
    await new Promise((resolve) => {
      setTimeout(resolve, 2600); // past the end of the first token: what is tested is that nothing happens
    });
    await server.publish([{ topic: 'x/1' }, { topic: `users/${user}`, notification: { title: 'Hi' } }]);
    await until(() => client.events.length > 0, 'the notification');
    assert.deepEqual(
      client.events.map((event) => event.topic),
      [`users/${user}`],
    );
    assert.deepEqual(client.closes, []);
    client.source.close();
  });

  it('are refused when forged, changed, late, or for more than the token grants', async () => {
    const text = await ticket({ topics: ['a'] });
    const [body, tail] = text.split('.');
    const swapped = Buffer.from(body, 'base64url').toString().replace('"a"', '"b"');
    for (const bad of [
      '',
      'x',
      body,
      `${body}.`,
      `${Buffer.from(swapped).toString('base64url')}.${tail}`,
    ]) {
      const answer = await fetch(`${server.url}/v1/events?ticket=${bad}`);
      assert.equal(answer.status, 401, bad);
    }
    const more = await fetch(`${server.url}/v1/events?ticket=${text}&topic=b`);
    assert.equal((await more.json()).code, 'bad_parameter');
    const wide = await server.call('POST', '/v1/tickets', { topics: ['b'] }, server.token(['a']));
    assert.equal(wide.body.code, 'forbidden');
    const other = server.token(['a'], { user: 'bob' });
    assert.equal((await server.call('POST', '/v1/tickets', { renew: text }, other)).body.code, 'forbidden');
  });
});

describe('cookies', () => {
  let server;
  const app = 'https://app.example.com';
  before(async () => {
    server = await Server.start({
      config: { auth: 'cookie = "session"\n', http: `allowed_origins = ["${app}"]\n` },
    });
  });
  after(() => server.stop());

  const ask = (method, path, headers, body) =>
    fetch(server.url + path, {
      method,
      body,
      headers: { Cookie: `a=b; session=${server.token(null)}; c=d`, ...headers },
    });

  it('read with an allowed origin, or from the same one', async () => {
    for (const [headers, status] of [
      [{ Origin: app }, 200],
      [{ Origin: server.url }, 200],
      [{ 'Sec-Fetch-Site': 'same-origin' }, 200],
      [{}, 403],
      [{ 'Sec-Fetch-Site': 'cross-site' }, 403],
      [{ 'Sec-Fetch-Site': 'same-site' }, 403],
      [{ Origin: 'https://evil.example' }, 403],
    ])
      assert.equal((await ask('GET', '/v1/feed', headers)).status, status, JSON.stringify(headers));
    const answer = await ask('GET', '/v1/feed', { Origin: app });
    assert.equal(answer.headers.get('access-control-allow-credentials'), 'true');
    assert.equal(answer.headers.get('access-control-allow-origin'), app);
  });

  it('change something only with an exact origin and a JSON body', async () => {
    const body = JSON.stringify({ topics: [], types: [] });
    const json = { 'Content-Type': 'application/json' };
    for (const [headers, status] of [
      [{ Origin: app, ...json }, 200],
      [{ Origin: app, 'Content-Type': 'text/plain' }, 415],
      [{ ...json }, 403],
      [{ 'Sec-Fetch-Site': 'same-origin', ...json }, 403],
      [{ Origin: 'null', ...json }, 403],
      [{ Origin: 'https://evil.example', ...json }, 403],
    ])
      assert.equal(
        (await ask('PUT', '/v1/feed/mutes', headers, body)).status,
        status,
        JSON.stringify(headers),
      );
  });

  it('accept none of 200 mutants of the allowed origin', async () => {
    const mutants = new Set([
      'null',
      '*',
      '',
      'https://',
      `${app}/`,
      `${app}.`,
      `${app}:443`,
      `${app}:8443`,
    ]);
    for (let i = 0; i < app.length; ++i) {
      mutants.add(app.slice(0, i) + app.slice(i + 1));
      mutants.add(`${app.slice(0, i)}x${app.slice(i)}`);
      mutants.add(app.slice(0, i) + app[i].toUpperCase() + app.slice(i + 1));
      mutants.add(`${app.slice(0, i)}.${app.slice(i + 1)}`);
    }
    for (const tail of [
      'evil.com',
      '.evil.com',
      '@evil.com',
      '#',
      '?',
      '/x',
      '%00',
      '%2e',
      '\\',
      ' x',
      ',https://x',
    ])
      for (const head of ['', 'https://x.', 'http://', 'file://', 'https://app.example.com,'])
        mutants.add(head + app + tail);
    for (let i = 0; mutants.size < 201; ++i) mutants.add(`https://app${i}.example.com`);
    mutants.delete(app);
    assert.ok(mutants.size >= 200);
    for (const origin of mutants) {
      const answer = await ask('GET', '/v1/feed', { Origin: origin });
      assert.notEqual(answer.status, 200, origin);
      assert.equal(answer.headers.get('access-control-allow-origin'), null, origin);
    }
  });

  it('open a WebSocket of an allowed origin without a token', async () => {
    const connect = (origin) =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/events`, {
          headers: { Cookie: `session=${server.token(null)}`, ...(origin ? { Origin: origin } : {}) },
        });
        socket.on('open', () => socket.send(JSON.stringify({ action: 'connect', feed: true })));
        socket.on('message', (message) => {
          resolve(JSON.parse(message).user);
          socket.terminate();
        });
        socket.on('error', (error) => resolve(error.message));
      });
    assert.equal(await connect(app), 'ana');
    assert.match(await connect('https://evil.example'), /403/);
    assert.match(await connect(undefined), /403/);
  });
});
