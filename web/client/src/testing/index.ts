// @belfry/client/testing: a server without a network, for tests of applications. It keeps a log, a feed and
// its counts as the real one does, and breaks when it is told to. Works with fake timers.

import { errorOf } from '../errors.js';
import { marked } from '../feed-pages.js';
import { BelfryError, createClient } from '../index.js';
import { isAfter, offsetOf } from '../place.js';
import { matches } from '../topics.js';
import type {
  BelfryEvent,
  Client,
  ClientOptions,
  Cursor,
  Failure,
  FeedCounts,
  Mark,
  MarkTarget,
  Message,
  Notification,
  RegisteredEvents,
  TransportFactory,
  TransportHandlers,
  TransportOpen,
  Wants,
} from '../types.js';

export interface MockOptions {
  /** In the feed from the start, newest first. */
  notifications?: readonly (Partial<Notification> & { title: string })[];
  /** Of every answer and delivery, in ms [0]. */
  latencyMs?: number;
  user?: string;
}
export type MockRoute = 'feed.list' | 'feed.mark' | 'connect';
export interface MockConnection {
  readonly topics: readonly string[];
  readonly feed: boolean;
}

interface Connection {
  wants: Wants;
  readonly on: TransportHandlers;
  written: number;
}

export class MockServer {
  readonly url = 'http://mock.belfry.test';
  readonly user: string;
  /** Topics whose notifications are in the feed, beside the user's own. */
  readonly follows = new Set<string>();
  readonly requests: { method: string; path: string; body: unknown }[] = [];
  #log: Message[] = [];
  #states = new Map<Cursor, Pick<Notification, 'seen' | 'read' | 'archived'>>();
  #gone = new Set<Cursor>();
  #offset = 0;
  #epoch = 1;
  #horizon = 0;
  #latencyMs: number;
  #connections = new Set<Connection>();
  #offline = false;
  #fails: { route: MockRoute; failure: Failure }[] = [];
  #tokens = 0;
  #expired = -1;
  #clients: Client[] = [];

  constructor({ notifications = [], latencyMs = 0, user = 'ana' }: MockOptions = {}) {
    this.user = user;
    this.#latencyMs = latencyMs;
    for (const one of [...notifications].reverse()) this.notify(one);
  }

  /** What a client is given in place of the network. */
  readonly transport: TransportFactory = (open, on) => this.#connect(open, on);
  readonly fetch: typeof globalThis.fetch = (input, init) => this.#answer(String(input), init ?? {});
  readonly getToken = (): string => `mock.${(this.#tokens += 1)}`;

  client<E = RegisteredEvents>(options: Partial<ClientOptions> = {}): Client<E> {
    const client = createClient<E>({
      url: this.url,
      user: this.user,
      tabs: 'isolated',
      getToken: this.getToken,
      fetch: this.fetch,
      transport: this.transport,
      logger: () => {},
      ...options,
    });
    this.#clients.push(client as unknown as Client);
    return client;
  }

  get connections(): readonly MockConnection[] {
    return [...this.#connections].map(({ wants }) => ({ topics: wants.topics, feed: wants.feed }));
  }
  get counts(): FeedCounts {
    const all = this.#items().filter((item) => !item.archived);
    return {
      unread: all.filter((item) => !item.read).length,
      unseen: all.filter((item) => !item.seen).length,
    };
  }

  /** All of the feed with this status, newest first. */
  page(status = 'active'): readonly Notification[] {
    return this.#items().filter((item) =>
      status === 'archived'
        ? item.archived
        : !item.archived && (status === 'active' || item.read === (status === 'read')),
    );
  }

  publish<T extends string>(topic: string, type: T, data?: unknown, more: Message = {}): BelfryEvent {
    return this.#append({
      topic,
      type,
      ...(data === undefined ? {} : { data }),
      ...more,
    }) as unknown as BelfryEvent;
  }
  notify({
    title,
    body,
    url,
    icon,
    tag,
    priority,
    actions,
    ...rest
  }: Partial<Notification> & { title: string }): Notification {
    const notification = JSON.parse(JSON.stringify({ title, body, url, icon, tag, priority, actions }));
    const {
      topic = `users/${this.user}`,
      type = 'notified',
      data,
      key,
      read = false,
      seen = read,
      archived = false,
    } = rest;
    const event = this.#append({ topic, type, data, key, notification });
    this.#states.set(event.id, { read, seen, archived });
    return {
      ...notification,
      id: event.id,
      topic,
      type,
      time: event.time,
      data,
      key,
      read,
      seen,
      archived,
    };
  }
  refresh(
    topic: string,
    keys: readonly (readonly unknown[])[] = [[topic]],
    more: { spread_ms?: number; version?: string } = {},
  ): void {
    this.#append({ topic, type: 'refresh', keys, spread_ms: 0, ...more });
  }
  retract(id: Cursor): void {
    this.#gone.add(id);
    this.#append({ topic: `users/${this.user}`, type: 'belfry.retract', data: { id } });
  }
  /** As another device of the user does. */
  mark(
    mark: Mark,
    target: MarkTarget,
  ): { cursor: Cursor; changed: boolean; counts: FeedCounts; absent: Cursor[] } {
    const known = this.#items();
    const ids = typeof target === 'string' ? [target] : 'upto' in target ? null : target;
    const wanted = known.filter(({ id }) =>
      ids ? ids.includes(id) : !isAfter(id, (target as { upto: Cursor }).upto),
    );
    let changed = false;
    for (const item of wanted) {
      const { seen, read, archived } = marked(item, mark);
      changed ||= seen !== item.seen || read !== item.read || archived !== item.archived;
      this.#states.set(item.id, { seen, read, archived });
    }
    const { counts } = this;
    if (changed)
      this.#append({
        topic: `users/${this.user}`,
        type: 'belfry.mark',
        data: { mark, ...(ids ? { ids } : (target as object)), counts },
      });
    const absent = (ids ?? []).filter((id) => !known.some((item) => item.id === id));
    return { cursor: this.#cursor(), changed, counts, absent };
  }

  /** All of them, as when the server is killed. */
  dropConnections(failure: Failure = errorOf('network')): void {
    for (const one of [...this.#connections]) {
      this.#connections.delete(one);
      one.on.down(failure);
    }
  }
  goOffline(): void {
    this.#offline = true;
    this.dropConnections();
  }
  goOnline(): void {
    this.#offline = false;
  }
  /** Tokens that were given out count no more. */
  expireTokens(): void {
    this.#expired = this.#tokens;
    this.dropConnections(errorOf('token_expired', { kind: 'token', message: 'The token has expired.' }));
  }
  /** Whoever comes back is told that there is a gap. */
  loseHistory(): void {
    this.#horizon = this.#offset + 1;
    this.#append({ topic: 'mock/history', type: 'lost' });
  }
  failNext(route: MockRoute, code = 'internal', times = 1): void {
    for (let i = 0; i < times; i++)
      this.#fails.push({
        route,
        failure: errorOf(code, { message: `The mock was told to fail: ${code}`, status: 500 }),
      });
  }
  dispose(): void {
    for (const client of this.#clients) client.dispose();
  }

  #cursor(): Cursor {
    return `${this.#epoch}.${this.#offset}`;
  }

  #append(event: Message): Message {
    this.#offset += 1;
    const full = { ...event, id: this.#cursor(), time: new Date().toISOString() };
    if (event.key) this.#replace(event);
    this.#log.push(full);
    for (const one of this.#connections) this.#write(one, full);
    return full;
  }
  #replace({ topic, key }: Message): void {
    for (const old of this.#log) if (old.topic === topic && old.key === key) this.#gone.add(old.id);
  }

  #items(): Notification[] {
    return this.#log
      .filter((event) => event.notification && !this.#gone.has(event.id) && this.#follows(event))
      .map(({ notification, id, topic, type, time, data, key }) => {
        const state = this.#states.get(id) ?? { seen: false, read: false, archived: false };
        return { ...notification, id, topic, type, time, data, key, ...state };
      })
      .reverse();
  }

  #follows({ topic }: Message): boolean {
    return topic === `users/${this.user}` || this.follows.has(topic);
  }
  #wanted({ topics, feed }: Wants, { topic }: Message): boolean {
    return topics.some((pattern) => matches(pattern, topic)) || (feed && this.#follows({ topic }));
  }

  #write(one: Connection, event: Message): void {
    if (!this.#wanted(one.wants, event)) return;
    this.#later(() => {
      if (!this.#connections.has(one)) return;
      one.written += 1;
      one.on.message(JSON.parse(JSON.stringify(event)));
    });
  }

  #later(call: () => void): void {
    if (this.#latencyMs) setTimeout(call, this.#latencyMs);
    else call();
  }

  #failure(route: MockRoute): Failure | undefined {
    const at = this.#fails.findIndex((one) => one.route === route);
    return at < 0 ? undefined : this.#fails.splice(at, 1)[0]?.failure;
  }
  #isExpired(token: string | null): boolean {
    return !!token && Number(token.slice(5)) <= this.#expired;
  }

  #connect(open: TransportOpen, on: TransportHandlers) {
    open.count(1, 0);
    const one: Connection = { wants: { topics: open.topics, feed: open.feed }, on, written: 0 };
    const begin = setTimeout(() => {
      const failure = this.#offline ? errorOf('network') : this.#failure('connect');
      if (failure) return on.down(failure);
      if (this.#isExpired(open.token)) return on.down(errorOf('token_expired', { kind: 'token' }));
      this.#connections.add(one);
      const since = open.since ?? this.#cursor();
      on.message({
        control: 'connected',
        cursor: since,
        user: this.user,
        heartbeat_ms: 20_000,
        retry_ms: 1_000,
      });
      if (offsetOf(since) < this.#horizon) {
        on.message({ control: 'reset', reason: 'horizon', cursor: this.#cursor() });
      } else {
        for (const event of this.#log) if (isAfter(event.id, since)) this.#write(one, event);
      }
    }, this.#latencyMs);
    return {
      update: (wants: Wants) => {
        if (!this.#connections.has(one) || wants.feed !== one.wants.feed) return false;
        one.wants = wants;
        this.#later(() =>
          on.message({ control: 'subscribed', topics: wants.topics, cursor: this.#cursor() }),
        );
        return true;
      },
      renew: () => this.#connections.has(one),
      ping: () => {
        this.#later(() => this.#connections.has(one) && on.message({ control: 'pong' }));
        return true;
      },
      close: () => {
        clearTimeout(begin);
        this.#connections.delete(one);
      },
    };
  }

  async #answer(url: string, init: RequestInit): Promise<Response> {
    const { pathname, searchParams } = new URL(url);
    const method = init.method ?? 'GET';
    const body = typeof init.body === 'string' ? JSON.parse(init.body) : undefined;
    this.requests.push({ method, path: pathname + (searchParams.size ? `?${searchParams}` : ''), body });
    if (this.#latencyMs) await new Promise((resolve) => setTimeout(resolve, this.#latencyMs));
    init.signal?.throwIfAborted();
    if (this.#offline) throw new TypeError('Failed to fetch');
    const token = new Headers(init.headers).get('authorization')?.slice(7) ?? null;
    if (this.#isExpired(token)) return refusal(errorOf('token_expired', { status: 401 }));
    if (pathname === '/v1/diagnose') return Response.json({ checks: [{ name: 'server', ok: true }] });
    if (pathname === '/v1/events') return this.#poll(searchParams);
    const route: MockRoute | null =
      pathname === '/v1/feed' ? 'feed.list' : pathname === '/v1/feed/marks' ? 'feed.mark' : null;
    if (!route) return refusal(errorOf('not_found', { status: 404 }));
    const failure = this.#failure(route);
    if (failure) return refusal(failure);
    if (route === 'feed.list') return this.#page(searchParams);
    const { mark, ids, upto } = body as { mark: Mark; ids?: Cursor[]; upto?: Cursor };
    return Response.json(this.mark(mark, ids ?? { upto: upto as Cursor }));
  }

  #poll(query: URLSearchParams): Response {
    const since = query.get('since') ?? this.#cursor();
    const wants: Wants = { topics: query.getAll('topic'), feed: query.has('feed') };
    const after = since === 'earliest' ? 0 : offsetOf(since);
    const events = this.#log.filter((event) => offsetOf(event.id) > after && this.#wanted(wants, event));
    return Response.json({ events, cursor: this.#cursor(), poll_after_ms: 1_000 });
  }

  #page(query: URLSearchParams): Response {
    const limit = Number(query.get('limit') ?? 20);
    const before = query.get('before');
    const all = this.page(query.get('status') ?? 'active');
    const rest = before ? all.filter((item) => isAfter(before, item.id)) : all;
    const items = rest.slice(0, limit);
    const next = limit && rest.length > limit ? (items.at(-1)?.id ?? null) : null;
    const notifications = items.map(
      ({ id, topic, type, time, data, key, seen, read, archived, ...notification }) => ({
        id,
        topic,
        type,
        time,
        data,
        key,
        notification,
        seen,
        read,
        archived,
      }),
    );
    return Response.json({ notifications, counts: this.counts, cursor: this.#cursor(), next });
  }
}

const refusal = ({ code, message, hint, status = 500 }: Failure): Response =>
  Response.json({ code, message, hint }, { status });

export function createMockServer(options: MockOptions = {}): MockServer {
  return new MockServer(options);
}
export { BelfryError };
