// HTTP/2 frames made by hand (RFC 9113 section 4), for what no decent client would send.
import { connect } from 'node:net';

export const types = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
};
export const endStream = 1;
export const endHeaders = 4;
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const number = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

// RFC 7541 section 6.2.2: a literal, not indexed, its name too; neither in Huffman code.
export function literal(name, value, first = 0) {
  const text = (bytes) => {
    const raw = Buffer.from(bytes, 'latin1');
    if (raw.length < 127) return Buffer.concat([Buffer.from([raw.length]), raw]);
    const rest = raw.length - 127;
    const length = rest < 128 ? [127, rest] : [127, 128 | (rest & 127), rest >> 7];
    return Buffer.concat([Buffer.from(length), raw]);
  };
  return Buffer.concat([Buffer.from([first]), text(name), text(value)]);
}

export const block = (fields) => Buffer.concat(fields.map(([name, value]) => literal(name, value)));

export const request = (path = '/healthz', more = []) =>
  block([[':method', 'GET'], [':scheme', 'http'], [':path', path], [':authority', 'h'], ...more]);

export const headers = (stream, fields = request(), flags = endStream | endHeaders) =>
  frame(types.headers, flags, stream, fields);

// A connection that has said hello. `frames` is what has come back so far.
export class RawHttp2 {
  constructor(server, settings = Buffer.alloc(0)) {
    this.socket = connect(server.port, '127.0.0.1');
    this.socket.setNoDelay(true);
    this.frames = [];
    this.closed = false;
    this.rest = Buffer.alloc(0);
    this.socket.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.closed = true;
        resolve();
      });
    });
    this.socket.on('data', (bytes) => this.take(bytes));
    this.socket.write(Buffer.concat([preface, frame(types.settings, 0, 0, settings)]));
  }

  take(bytes) {
    this.rest = Buffer.concat([this.rest, bytes]);
    while (this.rest.length >= 9) {
      const length = this.rest.readUIntBE(0, 3);
      if (this.rest.length < 9 + length) return;
      this.frames.push({
        type: this.rest[3],
        flags: this.rest[4],
        stream: this.rest.readUInt32BE(5) & 0x7fffffff,
        payload: this.rest.subarray(9, 9 + length),
      });
      this.rest = this.rest.subarray(9 + length);
    }
  }

  // Resolves once it was taken by the kernel, or the connection is gone.
  send(...frames) {
    if (this.closed) return Promise.resolve();
    return Promise.race([
      new Promise((resolve) => {
        this.socket.write(Buffer.concat(frames), resolve);
      }),
      this.ended,
    ]);
  }

  // The error code of the GOAWAY, if one came.
  goaway() {
    return this.frames.find((one) => one.type === types.goaway)?.payload.readUInt32BE(4);
  }
  answers() {
    return this.frames.filter((one) => one.type === types.headers).length;
  }
  pongs() {
    return this.frames.filter((one) => one.type === types.ping && one.flags === 1).length;
  }
  close() {
    this.socket.destroy();
  }
}
