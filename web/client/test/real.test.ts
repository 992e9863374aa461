// The client against the real binary, over each transport. The kernel chooses the port.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
// @ts-expect-error: plain JavaScript
import { Server, unique, until } from '../../../tests/protocol/server.mjs';
import { type Client, type ClientOptions, createClient, type TransportName } from '../src/index.js';

const transports: TransportName[] = ['websocket', 'sse', 'http-stream', 'long-poll', 'poll'];
let server: any;
type Own = Client & { readonly running: number };
const clients: Own[] = [];

function make(options: Partial<ClientOptions> = {}): Own {
  const client = createClient({
    url: server.url,
    getToken: (): string => server.token(['#']),
    lingerMs: 0,
    pollIntervalMs: 30,
    logger: () => {},
    ...options,
  }) as Own;
  clients.push(client);
  return client;
}

beforeAll(async () => {
  globalThis.WebSocket = WebSocket as any;
  server = await Server.start();
});
afterEach(() => {
  for (const client of clients.splice(0)) {
    client.dispose();
    expect(client.running).toBe(0);
  }
});
afterAll(() => server.stop());

describe.each(transports)('over %s', (transport) => {
  it('brings events in order and filtered, and closes when nobody listens', async () => {
    const topic = unique();
    const client = make({ transports: [transport] });
    const got: number[] = [];
    const sub = client.subscribe(`${topic}/+`, ['made'], (event) => got.push(event.data.n));
    await sub.ready;
    expect(client.state).toMatchObject({ status: 'live', transport, role: 'solo' });
    expect(client.user).toBe('ana');
    for (let n = 0; n < 20; n++) {
      await server.publish({ topic: `${topic}/a`, type: 'made', data: { n } });
      await server.publish({ topic: `${topic}/a`, type: 'other', data: { n } });
    }
    await until(() => got.length === 20, 'twenty');
    expect(got).toEqual([...Array(20).keys()]);
    sub.unsubscribe();
    await until(() => client.state.status === 'idle', 'idle');
    expect(client.running).toBe(0);
  });

  it('takes up topics that come later, and drops those that go', async () => {
    const topic = unique();
    const client = make({ transports: [transport] });
    const got: string[] = [];
    const first = client.subscribe(`${topic}/1`, (event) => got.push(event.topic));
    await first.ready;
    const second = client.subscribe(`${topic}/2`, (event) => got.push(event.topic));
    await second.ready;
    first.unsubscribe();
    await server.publish([{ topic: `${topic}/1` }, { topic: `${topic}/2` }]);
    await until(() => got.length > 0, 'one');
    expect(got).toEqual([`${topic}/2`]);
  });

  it('goes on after a break without loss or repeat', async () => {
    const topic = unique();
    const own = await Server.start();
    const client = make({
      url: own.url,
      getToken: () => own.token(['#']),
      transports: [transport],
      reconnect: { minDelayMs: 10 },
    });
    const got: number[] = [];
    await client.subscribe(topic, (event) => got.push(event.data)).ready;
    await own.publish({ topic, data: 1 });
    await until(() => got.length === 1, 'the first');
    await own.kill();
    await until(() => client.state.status === 'waiting', 'it is noticed');
    await own.launch();
    await own.publish({ topic, data: 2 });
    await until(() => got.length === 2, 'the second');
    expect(got).toEqual([1, 2]);
    client.dispose();
    await own.stop();
  });

  it('renews its token before it ends, and loses nothing', async () => {
    const topic = unique();
    const reasons: string[] = [];
    const client = make({
      transports: [transport],
      getToken: ({ reason }) => {
        reasons.push(reason);
        return server.token(['#'], { ttl: 3 });
      },
    });
    const got: number[] = [];
    const states: string[] = [];
    client.on('state', (state) => states.push(state.status));
    await client.subscribe(topic, (event) => got.push(event.data)).ready;
    const end = Date.now() + 5_000;
    let sent = 0;
    while (Date.now() < end) {
      await server.publish({ topic, data: sent++ });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await until(() => got.length === sent, 'all');
    expect(got).toEqual([...Array(sent).keys()]);
    expect(reasons[0]).toBe('initial');
    expect(reasons.slice(1).length).toBeGreaterThanOrEqual(2);
    expect(new Set(reasons.slice(1))).toEqual(new Set(['expiring']));
    expect(states).toEqual(['connecting', 'live']);
  });
});

describe.each(['websocket', 'sse', 'http-stream'] as const)(
  'the count of a heartbeat over %s',
  (transport) => {
    it('agrees, whatever was written, so nothing is opened again', async () => {
      const own = await Server.start({ config: { http: 'heartbeat_s = 1\n' } });
      const client = make({ url: own.url, getToken: () => own.token(['#']), transports: [transport] });
      const got: unknown[] = [];
      client.subscribe('a/#', (event) => got.push(event.data));
      await client.subscribe('ephemeral/x', (event) => got.push(event.data)).ready;
      const gaps: unknown[] = [];
      client.on('gap', (gap) => gaps.push(gap));
      const before = client.stats.requests;
      for (let n = 0; n < 30; n++) {
        await own.publish([
          { topic: 'a/1', data: n },
          { topic: 'ephemeral/x', data: n },
          { topic: 'a/2', type: 'refresh', keys: [['a']] },
        ]);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      await until(() => got.length === 90, 'all of them');
      expect(client.stats.requests).toBe(before);
      expect(gaps).toEqual([]);
      client.dispose();
      await own.stop();
    });
  },
);

it('an event that got lost on the way is noticed by the count, and fetched', async () => {
  const own = await Server.start({ config: { http: 'heartbeat_s = 1\n' } });
  // Something in between that swallows one message.
  let swallow = 0;
  class Lossy extends WebSocket {
    override emit(name: string | symbol, ...rest: unknown[]): boolean {
      if (name === 'message' && String(rest[0]).includes('"swallow me"') && !swallow++) return true;
      return super.emit(name, ...rest);
    }
  }
  globalThis.WebSocket = Lossy as never;
  const client = make({ url: own.url, getToken: () => own.token(['#']), transports: ['websocket'] });
  const got: unknown[] = [];
  await client.subscribe('a', (event) => got.push(event.data)).ready;
  await own.publish({ topic: 'a', data: 1 });
  await own.publish({ topic: 'a', data: 'swallow me' });
  await own.publish({ topic: 'a', data: 3 });
  await until(() => got.length === 3, 'all three', 5_000);
  expect(swallow).toBe(2);
  expect(new Set(got)).toEqual(new Set([1, 'swallow me', 3]));
  client.dispose();
  globalThis.WebSocket = WebSocket as never;
  await own.stop();
});
