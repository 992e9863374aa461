// What goes wrong gives a typed error with a hint, and nothing else: no unhandled rejection (vitest fails
// on one), no loop that does not wait.
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import {
  BelfryError,
  type Client,
  type ClientOptions,
  createClient,
  UnauthorizedError,
} from '@belfry/client';
// @ts-expect-error: plain JavaScript
import { Server, until } from '../../../tests/protocol/server.mjs';

let server: { url: string; stop(): Promise<void>; token(topics: string[], options?: object): string };
const clients: Client[] = [];
const closing: (() => void)[] = [];
const said = vi.fn();

function make(options: Partial<ClientOptions>): Client {
  const client = createClient({
    url: server.url,
    getToken: () => server.token(['#']),
    reconnect: { minDelayMs: 5, maxDelayMs: 10 },
    logger: (entry) => said(entry.message),
    ...options,
  });
  clients.push(client);
  return client;
}

/** An HTTP server that is not Belfry. */
async function other(
  answer: HttpServer['listeners'] extends never ? never : (path: string) => [number, string],
) {
  const http = createServer((request, response) => {
    const [status, text] = answer(request.url ?? '');
    response.writeHead(status, { 'Content-Type': 'text/html' });
    response.end(text);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  closing.push(() => void http.close());
  return { http, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

const closed = (client: Client) =>
  until(() => client.state.status === 'closed' && client.state, 'it is closed') as Promise<{
    reason: string;
    error: BelfryError;
  }>;

beforeAll(async () => {
  globalThis.WebSocket = WebSocket as never;
  server = await Server.start();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.dispose();
  for (const close of closing.splice(0)) close();
  said.mockClear();
});
afterAll(() => server.stop());

describe('bad input', () => {
  it('an address that is none', () => {
    for (const url of ['notify.example.com', '', 'ftp://x', '/v1'])
      expect(() => createClient({ url }), url).toThrow(
        expect.objectContaining({ code: 'not_belfry', hint: expect.any(String) }),
      );
  });

  it('an address where something else answers', async () => {
    const { url } = await other(() => [404, '<h1>Not found</h1>']);
    const client = make({ url });
    client.subscribe('a', () => {});
    const { reason, error } = await closed(client);
    expect(reason).toBe('refused');
    expect(error).toMatchObject({ code: 'not_belfry', hint: expect.stringMatching(/without \/v1/) });
    expect(said.mock.calls.filter(([text]) => /not Belfry/.test(text))).toHaveLength(1);
  });

  it('an address where nobody is: it waits, says why once, and goes on trying', async () => {
    const { http, url } = await other(() => [200, '']);
    await new Promise((resolve) => http.close(resolve));
    const client = make({ url });
    client.subscribe('a', () => {});
    await until(() => client.state.status === 'waiting' && client.state.attempt > 8, 'several tries');
    expect(client.state).toMatchObject({
      error: { code: 'network', hint: expect.stringMatching(/diagnose/) },
    });
    await until(() => said.mock.calls.length > 0, 'it is said');
    expect(said).toHaveBeenCalledTimes(1);
    expect(await client.diagnose()).toMatchObject({
      ok: false,
      checks: [{ name: 'server', code: 'network' }],
    });
  });

  it.each(['websocket', 'sse', 'long-poll'] as const)('a token that is over: %s', async (transport) => {
    const reasons: string[] = [];
    const client = make({
      transports: [transport],
      getToken: ({ reason }) => {
        reasons.push(reason);
        return server.token(['#'], { ttl: -60 });
      },
    });
    client.subscribe('a', () => {});
    const { reason, error } = await closed(client);
    expect(reason).toBe('unauthorized');
    expect(error.code).toBe('token_expired');
    expect(error.hint).toBeTruthy();
    expect(reasons).toEqual(['initial', 'rejected']);
  });

  it('a token endpoint that answers 401: closed, until connect()', async () => {
    let signedIn = false;
    const client = make({
      getToken: () => {
        if (!signedIn) throw new UnauthorizedError();
        return server.token(['#']);
      },
    });
    client.subscribe('a', () => {});
    expect(await closed(client)).toMatchObject({
      reason: 'unauthorized',
      error: { code: 'unauthenticated' },
    });
    signedIn = true;
    client.connect();
    await client.whenLive({ timeoutMs: 5_000 });
  });

  it('a token endpoint that fails for a while', async () => {
    let tries = 0;
    const client = make({
      getToken: () => {
        if (++tries < 2) throw new Error('backend is down');
        return server.token(['#']);
      },
    });
    client.subscribe('a', () => {});
    await until(() => client.state.status === 'waiting', 'it waits');
    expect(client.state).toMatchObject({
      error: { code: 'token_source', message: expect.stringMatching(/backend is down/) },
    });
    await client.whenLive({ timeoutMs: 10_000 });
  });

  it('a topic that is not granted', async () => {
    const client = make({ getToken: () => server.token(['a']) });
    const { ready } = client.subscribe('b', () => {});
    expect(await closed(client)).toMatchObject({
      reason: 'forbidden',
      error: { code: 'forbidden', hint: expect.any(String) },
    });
    await expect(ready).rejects.toMatchObject({ code: 'forbidden' });
    expect((await client.diagnose(['b'])).checks.find(({ name }) => name === 'topic')).toMatchObject({
      ok: false,
    });
  });

  it('frames that cannot be read, and some that are not known', async () => {
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    closing.push(() => sockets.close());
    await new Promise((resolve) => sockets.once('listening', resolve));
    let connections = 0;
    sockets.on('connection', (socket) => {
      connections += 1;
      socket.on('message', () => {
        if (connections === 1) return socket.send('{"control":');
        socket.send('{"control":"connected","cursor":"e.1","heartbeat_ms":20000,"later":1}');
        socket.send('{"control":"something-new"}');
        socket.send(
          '{"id":"e.2","topic":"a","type":"never.heard.of","time":"2026-01-01T00:00:00Z","data":7}',
        );
      });
    });
    const { port } = sockets.address() as AddressInfo;
    const client = make({ url: `http://127.0.0.1:${port}`, transports: ['websocket'] });
    const got: unknown[] = [];
    client.subscribe('a', (event) => got.push(event.data));
    await until(() => got.length === 1, 'what can be read is read');
    expect(connections).toBe(2);
    expect(got).toEqual([7]);
  });

  it.each(['websocket', 'sse', 'http-stream', 'long-poll', 'poll'] as const)(
    'a topic that is not granted later, and the others go on: %s',
    async (transport) => {
      const client = make({
        transports: [transport],
        pollIntervalMs: 20,
        getToken: () => server.token(['a', 'c']),
      });
      const states: string[] = [];
      const heard = vi.fn();
      await client.subscribe('a', heard).ready;
      client.on('state', ({ status }) => states.push(status));
      const refused = client.subscribe('b', () => {}).ready;
      await expect(refused).rejects.toMatchObject({ code: 'forbidden', hint: expect.any(String) });
      await expect(refused).rejects.toBeInstanceOf(BelfryError);
      await client.subscribe('c', () => {}).ready;
      await (server as unknown as { publish(event: object): Promise<void> }).publish({ topic: 'a' });
      await until(() => heard.mock.calls.length === 1, 'heard');
      expect(states).toEqual([]);
    },
  );

  it('… which go on over a new connection too', async () => {
    const errors: string[] = [];
    const client = make({ transports: ['websocket'], getToken: () => server.token(['a', 'c']) });
    client.on('error', ({ code }) => errors.push(code));
    await client.subscribe('a', () => {}).ready;
    const heard = vi.fn();
    const [b, c] = [client.subscribe('b', () => {}), client.subscribe('c', heard)];
    const again = client.subscribe('b', () => {}, { since: 'earliest' });
    await expect(b.ready).rejects.toMatchObject({ code: 'forbidden' });
    await expect(again.ready).rejects.toMatchObject({ code: 'forbidden' });
    await c.ready;
    await until(() => errors.length > 0, 'it is told');
    expect(errors).toEqual(['forbidden']);
    client.disconnect();
    client.connect();
    await client.whenLive({ timeoutMs: 10_000 });
    await (server as unknown as { publish(event: object): Promise<void> }).publish({ topic: 'c' });
    await until(() => heard.mock.calls.length === 1, 'heard');
    expect(client.state.status).toBe('live');
  });

  it.each(['websocket', 'sse', 'long-poll'] as const)('… and so does a feed: %s', async (transport) => {
    const client = make({ transports: [transport], getToken: () => server.token(['c']) });
    const added = vi.fn();
    client.on('notification', added);
    await client.whenLive({ timeoutMs: 10_000 });
    await expect(client.subscribe('b', () => {}).ready).rejects.toMatchObject({ code: 'forbidden' });
    await (server as unknown as { publish(event: object): Promise<void> }).publish({
      topic: 'users/ana',
      notification: { title: 'Paid' },
    });
    await until(() => added.mock.calls.length === 1, 'the notification');
  });

  it('an iterator over a topic that is not granted', async () => {
    const client = make({ transports: ['websocket'], getToken: () => server.token(['a']) });
    await client.subscribe('a', () => {}).ready;
    await expect(client.events('b').next()).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('history that cannot be read', async () => {
    const fails: typeof fetch = (input, init) =>
      /since=earliest/.test(String(input)) ? Promise.reject(new TypeError('no')) : fetch(input, init);
    const client = make({ transports: ['websocket'], getToken: () => server.token(['a']), fetch: fails });
    const told = vi.fn();
    client.on('error', told);
    const { ready } = client.subscribe('a', () => {}, { since: 'earliest' });
    await expect(ready).rejects.toMatchObject({ code: 'network', hint: expect.any(String) });
    expect(told).toHaveBeenCalledWith(expect.objectContaining({ code: 'network' }));
  });

  it('a listener that throws keeps nobody else from hearing', async () => {
    const reported = vi.fn();
    vi.stubGlobal('reportError', reported);
    const client = make({ transports: ['websocket'] });
    const heard = vi.fn();
    client.subscribe('c', () => {
      throw new Error('mine');
    });
    await client.subscribe('c', heard).ready;
    await (server as unknown as { publish(event: object): Promise<void> }).publish({ topic: 'c' });
    await until(() => heard.mock.calls.length === 1, 'heard');
    expect(reported).toHaveBeenCalledWith(expect.objectContaining({ message: 'mine' }));
    vi.unstubAllGlobals();
  });

  it('a client that was disposed', () => {
    const client = make({});
    client.dispose();
    expect(() => client.connect()).toThrow(BelfryError);
    expect(client.state).toMatchObject({ status: 'closed', reason: 'disposed' });
    client.subscribe('a', () => {}).unsubscribe();
  });

  it('whoever waits for a client that is closed, or has left, does not wait for ever', async () => {
    const client = make({ transports: ['websocket'], autoConnect: false });
    const left = client.subscribe('a', () => {});
    left.unsubscribe();
    await left.ready;
    const { ready } = client.subscribe('a', () => {});
    client.dispose();
    await expect(ready).rejects.toMatchObject({ code: 'disposed' });
    await client.subscribe('a', () => {}).ready;
  });
});
