// HTTP/2 clause by clause: what a table of tests is made of. A row is the clause, what is sent after the
// preface, and everything that the RFC allows to come of it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import {
  block,
  endHeaders,
  endStream,
  frame,
  headers,
  number,
  RawHttp2,
  request,
  types,
} from './raw_http2.mjs';
import { Server, until } from './server.mjs';

export const errors = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
];
export const [
  NO_ERROR,
  PROTOCOL_ERROR,
  INTERNAL_ERROR,
  FLOW_CONTROL_ERROR,
  ,
  STREAM_CLOSED,
  FRAME_SIZE_ERROR,
  REFUSED_STREAM,
  CANCEL,
  COMPRESSION_ERROR,
  CONNECT_ERROR,
] = errors.keys();

export const padded = 8;
export const prioritised = 0x20;
export const largest = 0x7fffffff;

// Frames.
export const data = (stream, bytes = 'x', flags = 0) =>
  frame(types.data, flags, stream, Buffer.from(bytes));
export const continuation = (stream, bytes, flags = endHeaders) =>
  frame(types.continuation, flags, stream, Buffer.from(bytes));
export const reset = (stream, error = CANCEL) => frame(types.reset, 0, stream, number(error));
export const update = (stream, more) => frame(types.windowUpdate, 0, stream, number(more));
export const dependency = (on, weight = 15) => Buffer.concat([number(on), Buffer.from([weight])]);
export const priority = (stream, on = 0) => frame(types.priority, 0, stream, dependency(on));
export const ping = (text, flags = 0, stream = 0) => frame(types.ping, flags, stream, Buffer.from(text));
export const setting = (name, value) =>
  Buffer.concat([Buffer.from([name >> 8, name & 255]), number(value)]);
export const settings = (...pairs) =>
  frame(types.settings, 0, 0, Buffer.concat(pairs.map(([name, value]) => setting(name, value))));
export const [tableSize, enablePush, maxStreams, initialWindow, maxFrame] = [1, 2, 3, 4, 5];

// Heads. That of an event that is published waits for its body.
export const event = '{"topic":"t"}';
export const publish = (server, more = []) =>
  block([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/v1/events'],
    [':authority', 'h'],
    ['content-type', 'application/json'],
    ['authorization', `Bearer ${server.key}`],
    ...more,
  ]);
export const opened = (server, stream = 1, more = []) => headers(stream, publish(server, more), endHeaders);
export const listen = (server) =>
  request('/v1/events?topic=t', [
    ['accept', 'text/event-stream'],
    ['authorization', `Bearer ${server.token()}`],
  ]);
export const upper = [['X-Upper', 'v']];

// The digits of the Huffman code (RFC 7541 appendix B): 0 to 2 in five bits, the others in six.
function digits(bytes) {
  let bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let text = '';
  while (bits.length >= 5) {
    const short = parseInt(bits.slice(0, 5), 2);
    const size = short < 3 ? 5 : 6;
    if (bits.length < size) break;
    const value = size === 5 ? short : parseInt(bits.slice(0, 6), 2) - 22;
    if (value > 9) break;
    text += value;
    bits = bits.slice(size);
  }
  return text;
}

// The server says :status first, and uses no dynamic table, whose size it sets to nothing before.
export function statusOf(bytes) {
  let at = 0;
  while ((bytes[at] & 0xe0) === 0x20) ++at;
  const indexed = { 8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500 };
  if (bytes[at] & 0x80) return indexed[bytes[at] & 0x7f];
  assert.ok([0x08, 0x18, 0x48].includes(bytes[at]), `no :status in ${bytes.toString('hex')}`);
  const text = bytes.subarray(at + 2, at + 2 + (bytes[at + 1] & 0x7f));
  return Number(bytes[at + 1] & 0x80 ? digits(text) : text);
}

const probe = 999_999;
const patience = 10_000; // milliseconds
const success = (status) => status >= 200 && status < 300;

// A connection that has said hello, and was heard.
class Talk extends RawHttp2 {
  of(type, stream) {
    return this.frames.filter((one) => one.type === type && one.stream === stream);
  }
  resetOf(stream) {
    return this.of(types.reset, stream)[0]?.payload.readUInt32BE();
  }
  statuses(stream) {
    return this.of(types.headers, stream).map((one) => statusOf(one.payload));
  }
  // The final one.
  status(stream) {
    return this.statuses(stream).find((one) => one >= 200);
  }
  done(stream) {
    return [types.data, types.headers].some((type) =>
      this.of(type, stream).some((one) => one.flags & endStream),
    );
  }
  text(stream) {
    return Buffer.concat(this.of(types.data, stream).map((one) => one.payload)).toString();
  }
  acks() {
    return this.of(types.settings, 0).filter((one) => one.flags & 1).length;
  }
  ponged(text) {
    return this.of(types.ping, 0).some((one) => one.flags & 1 && one.payload.toString() === text);
  }
  // Bytes that may be sent on the whole connection, before any is.
  credit() {
    return this.of(types.windowUpdate, 0).reduce((sum, one) => sum + one.payload.readUInt32BE(), 65_535);
  }

  async play(steps) {
    await until(() => this.closed || this.of(types.settings, 0).length > 0, 'the SETTINGS of the server');
    let rest = [frame(types.settings, 1, 0)];
    for (const step of steps) {
      if (typeof step !== 'function') {
        rest.push(step);
        continue;
      }
      await this.send(...rest);
      rest = [];
      await this.wait(() => step(this));
    }
    // In one write with what comes before: a stream is still in the state in which it was met.
    const path = [':path', '/healthz'];
    const head = block([[':method', 'HEAD'], [':scheme', 'http'], path, [':authority', 'h']]);
    await this.send(...rest, headers(probe, head), ping('the end?'));
    await this.wait(() => this.ponged('the end?') && this.done(probe));
    // What was to be sent behind the answer is here before that of another PING.
    await this.send(ping('the end.'));
    await this.wait(() => this.ponged('the end.'));
  }

  // What never comes is told by the row: nothing that is allowed has come.
  async wait(condition) {
    const end = Date.now() + patience;
    await until(() => this.closed || condition() || Date.now() > end, 'a step', 2 * patience);
  }

  goesOn() {
    return (
      !this.closed && this.goaway() === undefined && this.ponged('the end.') && this.status(probe) === 200
    );
  }

  // What has come, in words.
  story() {
    const names = Object.keys(types);
    const told = this.frames.map((one) => {
      const name = names[one.type] ?? `type ${one.type}`;
      const error = (at) => errors[one.payload.readUInt32BE(at)] ?? one.payload.readUInt32BE(at);
      if (one.type === types.reset) return `reset ${one.stream} ${error(0)}`;
      if (one.type === types.goaway) return `GOAWAY ${error(4)}`;
      if (one.type === types.headers) return `headers ${one.stream} ${statusOf(one.payload)}`;
      return `${name} ${one.stream} (${one.payload.length}, flags ${one.flags})`;
    });
    return `came: ${told.join(', ')}; ${this.closed ? 'closed' : 'not closed'}`;
  }
}

// Steps that wait.
export const answered = (stream) => (talk) => talk.status(stream) !== undefined;
export const ended = (stream) => (talk) => talk.done(stream);
export const wasReset = (stream) => (talk) => talk.resetOf(stream) !== undefined;
// It has an answer, or never will.
export const settled = (stream) => (talk) => wasReset(stream)(talk) || answered(stream)(talk);
export const got = (stream, bytes) => (talk) => talk.text(stream).length >= bytes;

// What may come of it.
const named = (list) => list.map((one) => errors[one]).join(' or ');
// A connection error: GOAWAY, and then the end of the connection.
export const dies = (...allowed) => ({
  told: `GOAWAY ${named(allowed)} and closed`,
  holds: (talk) => talk.closed && allowed.includes(talk.goaway()),
});
// A stream error: this stream is reset, the connection goes on.
export const resets = (stream, ...allowed) => ({
  told: `RST_STREAM ${stream} ${named(allowed)}`,
  holds: (talk) => talk.goesOn() && allowed.includes(talk.resetOf(stream)),
});
export const sees = (told, holds) => ({ told, holds: (talk) => talk.goesOn() && holds(talk) });
// A whole answer, after which only RST_STREAM with NO_ERROR may come (RFC 9113 section 8.1).
export const answers = (stream, ...allowed) =>
  sees(
    `answer ${stream} ${allowed.join(' or ')}`,
    (talk) =>
      allowed.includes(talk.status(stream)) &&
      talk.done(stream) &&
      [undefined, NO_ERROR].includes(talk.resetOf(stream)),
  );
// The frame has no effect.
export const ignored = sees('nothing', (talk) => !talk.frames.some((one) => one.type === types.reset));
// RFC 9113 section 8.1.1: a stream error PROTOCOL_ERROR, or an answer before it, which is 400.
export const malformed = (stream) =>
  sees(
    `RST_STREAM ${stream} PROTOCOL_ERROR or answer 400`,
    (talk) =>
      !success(talk.status(stream)) &&
      (talk.resetOf(stream) === PROTOCOL_ERROR ||
        (talk.status(stream) === 400 && [undefined, NO_ERROR].includes(talk.resetOf(stream)))),
  );
// RFC 9113 section 5.1: in flight when the server reset the stream. It may say so again.
export const discarded = (stream) =>
  sees('discarded', (talk) => {
    const resets = talk.frames.filter((one) => one.type === types.reset);
    const once = resets.length > 0 || talk.status(stream) === 400;
    const again = resets.slice(1).every((one) => one.payload.readUInt32BE() === STREAM_CLOSED);
    return once && again && resets.every((one) => one.stream === stream) && !success(talk.status(stream));
  });

async function play(server, [, frames, ...allowed]) {
  const talk = new Talk(server);
  try {
    await talk.play(typeof frames === 'function' ? await frames(server) : frames);
    const told = allowed.map((one) => one.told).join(', or ');
    assert.ok(
      allowed.some((one) => one.holds(talk)),
      `${talk.story()}; allowed: ${told}`,
    );
  } finally {
    talk.close();
  }
}

// One server for all tables of a file. What a row sends may be made from the server.
export function clauses(title, tables) {
  describe(title, () => {
    let server;
    before(async () => {
      server = await Server.start();
    });
    after(() => server.stop());
    for (const [name, rows] of Object.entries(tables))
      describe(name, () => {
        for (const row of rows) it(row[0], () => play(server, row));
      });
  });
}
