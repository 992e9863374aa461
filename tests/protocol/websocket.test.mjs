import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';

import WebSocket from 'ws';

import { WebSocketClient } from './clients.mjs';
import { Server, unique, until } from './server.mjs';

// A frame by hand, so that it can be wrong.
function frame(first, payload, { masked = true, length = payload.length } = {}) {
  const head = [first];
  if (length < 126) head.push((masked ? 0x80 : 0) | length);
  else if (length < 65536) head.push((masked ? 0x80 : 0) | 126, length >> 8, length & 255);
  else
    head.push(
      (masked ? 0x80 : 0) | 127,
      0,
      0,
      0,
      0,
      length >>> 24,
      (length >> 16) & 255,
      (length >> 8) & 255,
      length & 255,
    );
  const key = randomBytes(4);
  const body = Buffer.from(payload).map((byte, i) => (masked ? byte ^ key[i % 4] : byte));
  return Buffer.concat([Buffer.from(head), masked ? key : Buffer.alloc(0), body]);
}

describe('WebSocket', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  // Upgrades on a bare socket, sends the bytes, and gives the close code that comes back.
  async function closeCodeFor(...parts) {
    const socket = connect(server.port, '127.0.0.1');
    socket.write(
      'GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    let got = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      got = Buffer.concat([got, bytes]);
    });
    socket.on('error', () => {});
    await until(() => got.includes('\r\n\r\n'), 'the upgrade');
    assert.match(
      got.toString('latin1'),
      /^HTTP\/1\.1 101 [\s\S]*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/,
    );
    for (const part of parts) socket.write(part);
    await new Promise((resolve) => {
      socket.on('end', resolve);
      socket.on('close', resolve);
    });
    const at = got.lastIndexOf(0x88);
    return got.readUInt16BE(at + 2);
  }
  const hello = (token = server.token()) =>
    frame(0x81, Buffer.from(JSON.stringify({ action: 'connect', token, topics: ['a'] })));

  it('broken framing closes with the code of RFC 6455', async () => {
    const table = [
      [1002, [frame(0x81, Buffer.from('x'), { masked: false })]],
      [1002, [frame(0xc1, Buffer.from('x'))]],
      [1002, [frame(0x83, Buffer.from('x'))]],
      [1002, [frame(0x80, Buffer.from('x'))]],
      [1002, [frame(0x09, Buffer.from('x'))]],
      [1009, [frame(0x81, Buffer.alloc(10), { length: 70_000 })]],
      [1007, [frame(0x81, Buffer.from([0xff]))]],
      [
        1008,
        [
          frame(0x01, Buffer.from('{')),
          Buffer.concat(Array.from({ length: 300 }, () => frame(0x00, Buffer.alloc(0)))),
        ],
      ],
      [1003, [hello(), frame(0x82, Buffer.from('x'))]],
      [1000, [hello(), frame(0x88, Buffer.from([0x03, 0xe8]))]],
    ];
    for (const [code, parts] of table) assert.equal(await closeCodeFor(...parts), code);
  });

  it('the token travels in the first message, and a refused one closes after the upgrade', async () => {
    const table = [
      [4401, hello('nonsense')],
      [4401, hello(server.token(['#'], { ttl: -5 }))],
      [4403, hello(server.token(['b']))],
      [4400, frame(0x81, Buffer.from('{'))],
      [4401, frame(0x81, Buffer.from('{"action":"ping"}'))],
    ];
    for (const [code, bytes] of table) assert.equal(await closeCodeFor(bytes), code);
  });

  it('whoever says nothing is closed with 4408', async () => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/events`);
    const began = Date.now();
    const code = await new Promise((resolve) => {
      socket.on('close', resolve);
    });
    assert.equal(code, 4408);
    assert.ok(Date.now() - began >= 9_000);
  });

  it('the wrong version is told the right one', async () => {
    const answer = await new Promise((resolve) => {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('data', (bytes) => {
        resolve(String(bytes));
        socket.destroy();
      });
      socket.write(
        'GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
    });
    assert.match(answer, /^HTTP\/1\.1 426 [\s\S]*Sec-WebSocket-Version: 13\r\n/);
  });

  it('fragments, pings and a fragmented ping in between', async () => {
    const topic = unique();
    const client = await new WebSocketClient(server, topic).open();
    const pong = new Promise((resolve) => {
      client.socket.on('pong', (bytes) => resolve(String(bytes)));
    });
    client.socket.send('{"action":"sub', { fin: false });
    const replies = [];
    client.socket.on('message', (text) => replies.push(JSON.parse(text)));
    client.socket.ping('in between');
    client.socket.send('scribe","topics":["', { fin: false });
    client.socket.send(`${topic}/+"]}`, { fin: true });
    assert.equal(await pong, 'in between');
    await until(() => replies.some((reply) => reply.control === 'subscribed'), 'the answer');
    await server.publish({ topic: `${topic}/x`, data: 1 });
    await until(() => client.events.length === 1, 'the event');
    client.close();
  });

  it('subscribes and unsubscribes in band; errors are answered and the connection goes on', async () => {
    const topic = unique();
    const client = await new WebSocketClient(server, `${topic}/1`, {
      token: server.token([`${topic}/#`]),
    }).open();
    const replies = [];
    client.socket.on('message', (text) => {
      const reply = JSON.parse(text);
      if (reply.control) replies.push(reply);
    });
    const ask = async (message) => {
      client.send(message);
      return until(() => replies.find((reply) => reply.id === message.id), 'a reply');
    };
    const subscribed = await ask({ action: 'subscribe', topics: [`${topic}/2`], id: '1' });
    assert.equal(subscribed.control, 'subscribed');
    await server.publish([
      { topic: `${topic}/1`, data: 1 },
      { topic: `${topic}/2`, data: 2 },
      { topic: `${topic}/3`, data: 3 },
    ]);
    await until(() => client.events.length === 2, 'two events');
    assert.equal(
      (await ask({ action: 'unsubscribe', topics: [`${topic}/1`], id: '2' })).control,
      'unsubscribed',
    );
    await server.publish([
      { topic: `${topic}/1`, data: 4 },
      { topic: `${topic}/2`, data: 5 },
    ]);
    await until(() => client.events.length === 3, 'the third event');
    assert.deepEqual(
      client.events.map((event) => event.data),
      [1, 2, 5],
    );
    assert.equal((await ask({ action: 'subscribe', topics: ['other'], id: '3' })).code, 'forbidden');
    assert.equal((await ask({ action: 'subscribe', topics: ['a//b'], id: '4' })).code, 'bad_pattern');
    const many = Array.from({ length: 128 }, (_, i) => `${topic}/n${i}`);
    assert.equal((await ask({ action: 'subscribe', topics: many, id: '5' })).code, 'too_many_topics');
    client.send('{"action":"dance"}');
    await until(() => replies.some((reply) => reply.code === 'bad_parameter'), 'the refusal');
    assert.equal((await ask({ action: 'ping', id: '6' })).control, 'pong');
    client.close();
  });

  it('a heartbeat every 20 s tells the position and the number of events written', async () => {
    const topic = unique();
    const socket = await new WebSocketClient(server, topic).open();
    await server.publish([{ topic }, { topic }]);
    const [elsewhere] = await server.publish({ topic: 'elsewhere' });
    await until(() => socket.heartbeats.length === 1, 'a heartbeat', 25_000);
    assert.equal(socket.heartbeats[0].written, 2);
    assert.equal(
      socket.heartbeats[0].cursor,
      elsewhere.id,
      'it has caught up, also past what it did not ask for',
    );
    socket.close();
  });
});
