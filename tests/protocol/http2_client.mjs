// HTTP/2 by Node's own client: requests, streams, and a WebSocket by extended CONNECT with the codec of
// npm `ws`.
import { once } from 'node:events';
import { connect } from 'node:http2';

import { Receiver, Sender } from 'ws';

import { until } from './server.mjs';

export class Http2Client {
  constructor(server, options = {}) {
    this.server = server;
    this.session = connect(server.url, { ca: server.certificate, ...options });
    this.session.on('error', () => {});
    this.goaways = [];
    this.session.on('goaway', (code, last) => this.goaways.push({ code, last }));
    this.closed = once(this.session, 'close');
  }

  // The stream, with its headers once they have come.
  async open(path, headers = {}, body) {
    const stream = this.session.request(
      {
        ':path': path,
        authorization: `Bearer ${this.server.token()}`,
        ...headers,
        ...(body === undefined ? {} : { ':method': headers[':method'] ?? 'POST' }),
      },
      { endStream: body === undefined },
    );
    stream.on('error', () => {});
    if (body !== undefined) stream.end(body);
    const [answer] = await Promise.race([
      once(stream, 'response'),
      once(stream, 'close').then(() => [{ ':status': 0, rst: stream.rstCode }]),
    ]);
    stream.answer = answer;
    stream.status = answer[':status'];
    return stream;
  }

  async call(path, headers, body) {
    const stream = await this.open(path, headers, body);
    let text = '';
    stream.setEncoding('utf8');
    for await (const piece of stream) text += piece;
    return { status: stream.status, headers: stream.answer, text, json: () => JSON.parse(text) };
  }

  async publish(events) {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${this.server.key}` };
    const answer = await this.call('/v1/events', headers, JSON.stringify(events));
    if (answer.status !== 201) throw new Error(`publish: ${answer.status} ${answer.text}`);
    return answer.json().events;
  }

  // A stream of server-sent events or lines: what has come so far is in `events`.
  async listen(path, accept = 'text/event-stream', headers = {}) {
    const stream = await this.open(path, { accept, ...headers });
    stream.events = [];
    stream.text = '';
    stream.setEncoding('utf8');
    let rest = '';
    stream.on('data', (piece) => {
      stream.text += piece;
      const lines = (rest + piece).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        const json = accept === 'text/event-stream' ? line.match(/^data: (.*)$/)?.[1] : line;
        if (json) {
          const message = JSON.parse(json);
          if (!message.control) stream.events.push(message);
        }
      }
    });
    return stream;
  }

  // RFC 8441.
  async websocket(path = '/v1/events') {
    if (!this.session.remoteSettings) await once(this.session, 'remoteSettings');
    await until(() => this.session.remoteSettings.enableConnectProtocol, 'enable connect protocol');
    const stream = this.session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': path,
        ':scheme': 'https',
        ':authority': new URL(this.server.url).host,
        'sec-websocket-version': '13',
      },
      { endStream: false },
    );
    stream.on('error', () => {});
    const [answer] = await once(stream, 'response');
    const receiver = new Receiver({ isServer: false, maxPayload: 1 << 20 });
    const sender = new Sender(stream, {});
    const socket = { status: answer[':status'], messages: [], stream, closed: undefined };
    stream.on('data', (bytes) => receiver.write(bytes));
    receiver.on('message', (bytes) => socket.messages.push(JSON.parse(bytes)));
    receiver.on('conclude', (code, reason) => {
      socket.closed = { code, reason: String(reason) };
    });
    socket.send = (message) =>
      sender.send(JSON.stringify(message), { binary: false, mask: true, fin: true, compress: false });
    return socket;
  }

  close() {
    this.session.destroy();
  }
}
