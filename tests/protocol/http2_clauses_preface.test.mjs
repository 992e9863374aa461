// RFC 9113 section 3.4: how a connection begins, in clear text and over TLS.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';

import {
  data,
  errors,
  ping,
  PROTOCOL_ERROR,
  priority,
  reset,
  settings,
  statusOf,
  update,
} from './http2_clauses.mjs';
import { frame, headers, preface, RawHttp2, types } from './raw_http2.mjs';
import { Server, until } from './server.mjs';

// A connection on which nothing was said yet.
class Silent {
  constructor(server) {
    const secure = { port: server.port, host: '127.0.0.1', ca: server.certificate, ALPNProtocols: ['h2'] };
    this.socket = server.certificate ? connectTls(secure) : connect(server.port, '127.0.0.1');
    this.frames = [];
    this.rest = Buffer.alloc(0);
    this.all = Buffer.alloc(0);
    this.closed = false;
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('data', (bytes) => {
      this.all = Buffer.concat([this.all, bytes]);
      RawHttp2.prototype.take.call(this, bytes);
    });
  }
  of(type) {
    return this.frames.filter((one) => one.type === type);
  }
  succeeded() {
    return this.of(types.headers).some((one) => statusOf(one.payload) < 300);
  }
}

const hello = settings();
const answer = (talk) => talk.of(types.data).length > 0;
// What is sent in place of preface and SETTINGS. A GOAWAY may be left out.
const wrong = {
  'no preface': [hello, headers(1)],
  'a preface in lower case': [String(preface).toLowerCase(), hello, headers(1)],
  'a preface whose last byte is wrong': [preface.subarray(0, 23), 'x', hello, headers(1)],
  'a preface whose second half is wrong': ['PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n', hello, headers(1)],
  'a preface of another version': ['PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n', hello, headers(1)],
  'HEADERS first': [preface, headers(1), hello],
  'DATA first': [preface, data(1), hello, headers(1)],
  'PING first': [preface, ping('12345678'), hello, headers(1)],
  'WINDOW_UPDATE first': [preface, update(0, 1), hello, headers(1)],
  'PRIORITY first': [preface, priority(1), hello, headers(1)],
  'RST_STREAM first': [preface, reset(1), hello, headers(1)],
  'GOAWAY first': [preface, frame(types.goaway, 0, 0, Buffer.alloc(8)), hello, headers(1)],
  'an unknown type first': [preface, frame(0xee, 0, 0), hello, headers(1)],
};

for (const tls of [false, true]) {
  describe(`HTTP/2 clauses: the preface ${tls ? 'over TLS' : 'in clear text'}`, () => {
    let server;
    before(async () => {
      server = await Server.start({ tls });
    });
    after(() => server.stop());

    // Over TLS the server speaks first.
    async function play(pieces, condition, check) {
      const talk = new Silent(server);
      try {
        if (tls) await until(() => talk.closed || talk.frames.length > 0, 'the SETTINGS of the server');
        for (const piece of pieces) talk.socket.write(piece);
        await until(() => talk.closed || condition(talk), 'an answer or the end');
        await check(talk);
      } finally {
        talk.socket.destroy();
      }
    }

    // Whoever does not speak HTTP/2 may be answered in HTTP/1.1, in clear text.
    function checkRefused(talk) {
      assert.ok(talk.closed && !talk.succeeded(), 'it goes on');
      const text = String(talk.all);
      if (!tls && text.startsWith('HTTP/1.1')) return assert.match(text, /^HTTP\/1.1 [45]/);
      for (const one of talk.of(types.goaway))
        assert.equal(errors[one.payload.readUInt32BE(4)], errors[PROTOCOL_ERROR]);
    }

    for (const [name, pieces] of Object.entries(wrong))
      it(`3.4 ${name}`, () => play(pieces, (talk) => talk.succeeded(), checkRefused));

    it('3.4 the first frame of the server is SETTINGS', () =>
      play([preface, hello, headers(1)], answer, (talk) => {
        const [{ type, flags, stream }] = talk.frames;
        assert.deepEqual({ type, flags, stream }, { type: types.settings, flags: 0, stream: 0 });
      }));

    it('3.4 the SETTINGS of the preface are acked, after those of the server', () =>
      play([preface, hello, headers(1)], answer, (talk) =>
        assert.deepEqual(
          talk.of(types.settings).map((one) => one.flags),
          [0, 1],
        ),
      ));

    it('3.4 a client may go on at once', () =>
      play([Buffer.concat([preface, hello, headers(1)])], answer, (talk) => assert.ok(talk.succeeded())));

    it('3.4 a preface byte by byte', () =>
      play(
        [...Buffer.concat([preface, hello, headers(1)])].map((byte) => Buffer.from([byte])),
        answer,
        (talk) => assert.ok(talk.succeeded()),
      ));

    if (tls)
      it('3.3 HTTP/1.1 where HTTP/2 was chosen', () =>
        play(
          ['GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n'],
          (talk) => talk.succeeded(),
          (talk) => {
            checkRefused(talk);
            assert.doesNotMatch(String(talk.all), /HTTP\/1.1/);
          },
        ));
  });
}
