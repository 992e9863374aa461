// The client against the mock server: what is told to whom, and that it rests.
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Client, createClient, matches, UnauthorizedError } from '@belfry/client';
import { createMockServer, type MockServer } from '@belfry/client/testing';
import { failureOfAnswer, failureOfClose, failureOfMessage } from '../src/errors.js';
import { overHttp } from '../src/transports/http.js';

const servers: MockServer[] = [];
function start(options = {}, more = {}): { server: MockServer; client: Client & { running: number } } {
  const server = createMockServer(options);
  servers.push(server);
  return { server, client: server.client({ lingerMs: 0, ...more }) as never };
}
afterEach(() => {
  vi.useRealTimers();
  for (const server of servers.splice(0)) server.dispose();
});

interface Events {
  'payment.confirmed': { endToEndId: string };
  'payment.expired': { at: string };
}
/** Compiled, not run: what the types allow and what they do not. */
export function types(client: Client<Events>): void {
  client.subscribe('p', 'payment.confirmed', (event) => event.data.endToEndId.length);
  client.subscribe('p', ['payment.confirmed', 'payment.expired'], (event) => {
    if (event.type === 'payment.expired') return event.data.at;
    // @ts-expect-error: of the other member
    return event.data.at;
  });
  // @ts-expect-error: no such event
  client.subscribe('p', 'payment.typo', () => {});
  // @ts-expect-error: no such status
  if (client.state.status === 'open') client.connect();
}

describe('the client', () => {
  it('does not connect before somebody listens, and rests when nobody does', async () => {
    const { server, client } = start();
    expect(client.state.status).toBe('idle');
    const sub = client.subscribe('a', () => {});
    expect(client.state.status).toBe('connecting');
    await sub.ready;
    expect(server.connections).toHaveLength(1);
    sub[Symbol.dispose]?.() ?? sub.unsubscribe();
    await vi.waitFor(() => expect(client.state.status).toBe('idle'));
    expect(client.running).toBe(0);
  });

  it('connects by hand with autoConnect off', async () => {
    const { server, client } = start({}, { autoConnect: false });
    client.subscribe('a', () => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(server.connections).toHaveLength(0);
    client.connect();
    await client.whenLive({ timeoutMs: 1_000 });
    client.disconnect();
    expect(client.state.status).toBe('idle');
    expect(server.connections).toHaveLength(0);
  });

  it('the state is the same object until it changes', async () => {
    const { client } = start();
    await client.subscribe('a', () => {}).ready;
    const { state } = client;
    client.subscribe('b', () => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(client.state).toBe(state);
  });

  it('events as an iterator, until the client is disposed', async () => {
    const { server, client } = start();
    const got: unknown[] = [];
    const done = (async () => {
      for await (const event of client.events('a/+')) got.push(event.data);
    })();
    await client.whenLive();
    server.publish('a/x', 'made', 1);
    await vi.waitFor(() => expect(got).toEqual([1]));
    client.dispose();
    await done;
  });

  it('events as an iterator, until it is aborted', async () => {
    const { server, client } = start();
    const abort = new AbortController();
    const got: unknown[] = [];
    const done = (async () => {
      for await (const event of client.events('a/+', { signal: abort.signal })) got.push(event.data);
    })();
    await client.whenLive();
    for (const n of [1, 2, 3]) server.publish('a/x', 'made', n);
    await vi.waitFor(() => expect(got).toEqual([1, 2, 3]));
    abort.abort();
    await done;
    await vi.waitFor(() => expect(client.running).toBe(0));
  });

  it('a signal ends subscriptions and listeners', async () => {
    const { server, client } = start();
    const abort = new AbortController();
    const heard = vi.fn();
    await client.subscribe('a', heard, { signal: abort.signal }).ready;
    client.on('event', heard, { signal: abort.signal });
    abort.abort();
    server.publish('a', 'made');
    expect(heard).not.toHaveBeenCalled();
    await vi.waitFor(() => expect(client.state.status).toBe('idle'));
  });

  it('a page of the feed asks for another token when this one counts no more, once', async () => {
    const { server, client } = start({ notifications: [{ title: 'a' }] });
    expect((await client.feed.list()).items).toHaveLength(1);
    server.expireTokens();
    expect((await client.feed.counts()).unread).toBe(1);
    const paths = server.requests.map(({ path }) => path);
    expect(paths).toEqual(['/v1/feed', '/v1/feed?limit=0', '/v1/feed?limit=0']);
  });

  it('a request of the feed that takes too long is given up', async () => {
    const { client } = start({ latencyMs: 200 }, { requestTimeoutMs: 20 });
    await expect(client.feed.list()).rejects.toMatchObject({ code: 'timeout', hint: expect.any(String) });
  });

  it('a notification of a topic that is subscribed to, but not followed, is not in the list', async () => {
    const { server, client } = start({ notifications: [{ title: 'hers' }] });
    const inbox = client.inbox();
    inbox.subscribe(() => {});
    const heard = vi.fn();
    await client.subscribe('teams/+', heard).ready;
    await vi.waitFor(() => expect(inbox.getSnapshot().status).toBe('ready'));
    server.follows.add('teams/ops');
    server.notify({ title: 'of a team of others', topic: 'teams/sales' });
    server.notify({ title: 'of her team', topic: 'teams/ops' });
    await vi.waitFor(() =>
      expect(inbox.getSnapshot().items.map(({ title }) => title)).toEqual(['of her team', 'hers']),
    );
    expect(inbox.getSnapshot().counts).toEqual(server.counts);
    expect(heard).toHaveBeenCalledTimes(2);
  });

  it('a list that was refused is loaded when the connection is live again', async () => {
    const { server, client } = start({ notifications: [{ title: 'hers' }] });
    const inbox = client.inbox();
    inbox.subscribe(() => {});
    await vi.waitFor(() => expect(inbox.getSnapshot().status).toBe('ready'));
    server.failNext('feed.list', 'forbidden');
    await expect(inbox.refetch()).rejects.toMatchObject({ code: 'forbidden' });
    expect(inbox.getSnapshot()).toMatchObject({ status: 'error', items: [{ title: 'hers' }] });
    client.disconnect();
    client.connect();
    await vi.waitFor(() => expect(inbox.getSnapshot()).toMatchObject({ status: 'ready', error: null }));
  });

  it('a list whose token ended twice is asked for again, until the client is closed', async () => {
    vi.useFakeTimers();
    const { server, client } = start({ notifications: [{ title: 'hers' }] });
    const inbox = client.inbox();
    inbox.subscribe(() => {});
    await vi.advanceTimersByTimeAsync(10);
    server.failNext('feed.list', 'token_expired', 2);
    await expect(inbox.refetch()).rejects.toMatchObject({ code: 'token_expired' });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(inbox.getSnapshot()).toMatchObject({ status: 'ready', error: null });
    server.dropConnections({ code: 'token_revoked', message: 'Revoked.', kind: 'never' });
    expect(client.state).toMatchObject({ status: 'closed', reason: 'revoked' });
    server.failNext('feed.list', 'token_expired', 2);
    await expect(inbox.refetch()).rejects.toMatchObject({ code: 'token_expired' });
    const asked = server.requests.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.requests).toHaveLength(asked);
  });

  it('logout ends the next try of a list', async () => {
    vi.useFakeTimers();
    const { server, client } = start({ notifications: [{ title: 'hers' }] });
    const inbox = client.inbox();
    inbox.subscribe(() => {});
    await vi.advanceTimersByTimeAsync(10);
    server.failNext('feed.list');
    await expect(inbox.refetch()).rejects.toMatchObject({ code: 'internal' });
    await client.logout();
    const asked = server.requests.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.requests).toHaveLength(asked);
  });

  it('logout forgets whose it was', async () => {
    const { server, client } = start({ notifications: [{ title: 'hers' }] });
    const inbox = client.inbox();
    inbox.subscribe(() => {});
    await vi.waitFor(() => expect(inbox.getSnapshot().items).toHaveLength(1));
    await client.logout();
    expect(client.state).toMatchObject({ status: 'closed', reason: 'logout' });
    expect(inbox.getSnapshot().items).toHaveLength(0);
    expect(server.connections).toHaveLength(0);
    expect(client.running).toBe(0);
    client.connect();
    await vi.waitFor(() =>
      expect(inbox.getSnapshot()).toMatchObject({ status: 'ready', items: [{ title: 'hers' }] }),
    );
  });

  it('a page of the feed says in its own words that there is no token', async () => {
    const { client } = start({}, { getToken: () => Promise.reject(new UnauthorizedError()) });
    await expect(client.feed.list()).rejects.toMatchObject({
      name: 'BelfryError',
      code: 'unauthenticated',
      hint: expect.any(String),
    });
  });

  it('whenLive says why not', async () => {
    const { client } = start({}, { autoConnect: false });
    await expect(client.whenLive({ timeoutMs: 5 })).rejects.toMatchObject({ code: 'timeout' });
    client.dispose();
    await expect(client.whenLive()).rejects.toMatchObject({ code: 'disposed' });
  });

  it('touches nothing when it is made', () => {
    const fetch = vi.fn();
    createClient({ url: new URL('https://notify.example.com/below/'), fetch }).dispose();
    expect(fetch).not.toHaveBeenCalled();
  });
});

it('a poll whose first answer is a reset goes on, and asks as often as it was told', async () => {
  const answers = [
    Response.json({ code: 'cursor_lost', message: '', reason: 'horizon', cursor: 'e.9' }, { status: 410 }),
    ...[1, 2].map(() => Response.json({ events: [], cursor: 'e.9', poll_after_ms: 5_000 })),
  ];
  const asked: string[] = [];
  const heard: Record<string, unknown>[] = [];
  const transport = overHttp(
    {
      name: 'poll',
      url: 'http://x',
      topics: ['a'],
      feed: false,
      token: null,
      since: 'e.1',
      expired: () => false,
      count: () => {},
      fetch: async (input) => {
        asked.push(String(input));
        return answers.shift() ?? new Promise<Response>(() => {});
      },
    },
    { message: (message) => heard.push(message), down: (failure) => heard.push({ ...failure }) },
  );
  await vi.waitFor(() => expect(heard).toHaveLength(3));
  expect(heard).toEqual([
    { control: 'reset', reason: 'horizon', cursor: 'e.9' },
    { control: 'connected', cursor: 'e.9', heartbeat_ms: 5_000 },
    { control: 'heartbeat', cursor: 'e.9' },
  ]);
  expect(asked.map((address) => new URL(address).searchParams.get('since'))).toEqual(['e.1', 'e.9']);
  transport.close();
});

it('topics match patterns as the server has it', () => {
  const yes = ['a/b', '+/b', 'a/+', 'a/#', '#', 'a/b/#'];
  const no = ['a', 'a/b/+', '+', 'b/#', 'a/b/c'];
  for (const pattern of yes) expect(matches(pattern, 'a/b'), pattern).toBe(true);
  for (const pattern of no) expect(matches(pattern, 'a/b'), pattern).toBe(false);
});

it('what to do about an error is what the catalogue says, whichever way it comes', async () => {
  const { codes } = JSON.parse(
    readFileSync(new URL('../../../protocol/errors.json', import.meta.url), 'utf8'),
  );
  expect(codes.length).toBeGreaterThan(40);
  for (const { code, http, close, retry } of codes) {
    const kind = code === 'replaced' ? 'replaced' : retry;
    const body = { code, message: 'm', hint: 'h' };
    expect((await failureOfAnswer(Response.json(body, { status: http }))).kind, `${code} by HTTP`).toBe(
      kind,
    );
    expect(failureOfClose(close, body).kind, `${code} by WebSocket`).toBe(kind);
  }
  expect(failureOfMessage({ code: 'not.known.yet', message: 'm' }).kind).toBe('later');
});
