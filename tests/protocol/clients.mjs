// Clients of each transport, none of them ours: npm `eventsource` and `ws`, Node's fetch. All tell the same
// story: what came, in order, and the cursor to go on from.
import { EventSource } from 'eventsource';
import WebSocket from 'ws';

import { until } from './server.mjs';

class Client {
  constructor(server, topics, { types = [], since = 'now', token = server.token(), feed = false } = {}) {
    Object.assign(this, {
      server,
      topics: [topics].flat(),
      types: [types].flat(),
      cursor: since,
      token,
      feed,
    });
    this.controls = [];
    this.events = [];
    this.resets = [];
    this.heartbeats = [];
  }

  take(message) {
    if (message.control) {
      if (message.control === 'reset') this.resets.push(message);
      this.controls.push(message);
      if (message.control === 'heartbeat') this.heartbeats.push(message);
      if (message.cursor) this.cursor = message.cursor;
    } else {
      this.events.push(message);
      if (message.id) this.cursor = message.id;
    }
  }

  address(rest = {}) {
    return this.server.address(this.topics, {
      ...(this.types.length ? { type: this.types } : {}),
      ...(this.feed ? { feed: 'true' } : {}),
      ...rest,
    });
  }
  headers(accept) {
    return { Accept: accept, Authorization: `Bearer ${this.token}` };
  }
}

export class SseClient extends Client {
  open() {
    return new Promise((resolve, reject) => {
      this.source = new EventSource(this.address({ event: 'message', since: this.cursor }), {
        fetch: (url, init) =>
          fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${this.token}` } }),
      });
      this.source.onopen = () => resolve(this);
      this.source.onerror = (error) => reject(new Error(`EventSource: ${error.code} ${error.message}`));
      this.source.onmessage = (event) => this.take(JSON.parse(event.data));
      this.source.addEventListener('reset', (event) => this.take(JSON.parse(event.data)));
    });
  }
  close() {
    this.source.close();
  }
}

export class WebSocketClient extends Client {
  open() {
    return new Promise((resolve, reject) => {
      this.socket = new WebSocket(`${this.server.url.replace('http', 'ws')}/v1/events`);
      this.socket.on('open', () =>
        this.send({
          action: 'connect',
          token: this.token,
          since: this.cursor,
          topics: this.topics,
          ...(this.types.length ? { types: this.types } : {}),
          ...(this.feed ? { feed: true } : {}),
        }),
      );
      this.socket.on('message', (text) => {
        const message = JSON.parse(text);
        this.take(message);
        if (message.control === 'connected') resolve(this);
      });
      this.socket.on('error', reject);
      this.closed = new Promise((done) => {
        this.socket.on('close', (code, reason) => done({ code, reason: String(reason) }));
      });
    });
  }
  // Sends an action with an id of its own, and gives the answer.
  async ask(message) {
    const id = String((this.asked = (this.asked ?? 0) + 1));
    this.send({ ...message, id });
    return until(
      () => this.controls.find((control) => control.id === id),
      `an answer to ${message.action}`,
    );
  }
  send(message) {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }
  pause() {
    this.socket.pause();
  }
  resume() {
    this.socket.resume();
  }
  close() {
    this.socket.terminate();
  }
}

export class LineClient extends Client {
  async open() {
    this.abort = new AbortController();
    const answer = await fetch(this.address({ since: this.cursor }), {
      headers: this.headers('application/x-ndjson'),
      signal: this.abort.signal,
    });
    if (answer.status !== 200) throw new Error(`NDJSON: ${answer.status}`);
    this.done = this.read(answer.body).catch(() => {});
    return this;
  }
  async read(body) {
    let text = '';
    for await (const piece of body.pipeThrough(new TextDecoderStream())) {
      text += piece;
      const lines = text.split('\n');
      text = lines.pop();
      for (const line of lines) this.take(JSON.parse(line));
    }
  }
  close() {
    this.abort.abort();
  }
}

export class PollClient extends Client {
  constructor(server, topics, options = {}) {
    super(server, topics, options);
    this.wait = options.wait;
  }
  open() {
    this.stopped = false;
    this.abort = new AbortController();
    this.done = this.loop().catch((error) => {
      if (!this.stopped) throw error;
    });
    return Promise.resolve(this);
  }
  async once() {
    const answer = await fetch(
      this.address({ since: this.cursor, ...(this.wait ? { wait: this.wait } : {}) }),
      { headers: this.headers('application/json'), signal: this.abort?.signal },
    );
    const body = await answer.json();
    if (answer.status !== 200) throw Object.assign(new Error(`poll: ${answer.status}`), { body });
    for (const event of body.events) this.take(event);
    this.cursor = body.cursor;
  }
  async loop() {
    while (!this.stopped) await this.once();
  }
  close() {
    this.stopped = true;
    this.abort.abort();
  }
}

export const ids = (client) => client.events.map((event) => event.id);
export const offsets = (client) => client.events.map((event) => Number(event.id.split('.')[1]));

// Each transport's name, its client, and the options that make it that.
export const kinds = [
  ['server-sent events', SseClient, {}],
  ['WebSocket', WebSocketClient, {}],
  ['HTTP streaming', LineClient, {}],
  ['long poll', PollClient, { wait: 20 }],
  ['short poll', PollClient, {}],
];
