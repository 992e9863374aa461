// The client: who listens to what, and one link that brings it.
//
// Owner: the application, usually one in a module. Always: it connects with the first listener and closes a
// second after the last one has gone; after dispose() nothing of it runs.
import { Emitter } from './emitter.js';
import { memory, watch } from './environment.js';
import { BelfryError, errorOf } from './errors.js';
import { Feed } from './feed.js';
import { changeOf } from './feed-pages.js';
import { Inbox } from './inbox.js';
import { Link } from './link.js';
import { type Machine, type Rules, reconnectDefaults, stateOf } from './machine-state.js';
import { Refresher } from './refresh.js';
import { Sharing } from './sharing.js';
import { Subscriptions } from './subscriptions.js';
import { matches } from './topics.js';
import type {
  BelfryEvent,
  Client,
  ClientEvents,
  ClientOptions,
  ConnectionState,
  Cursor,
  Diagnosis,
  Failure,
  FeedQuery,
  Gap,
  InboxStore,
  LogEntry,
  Message,
  RegisteredEvents,
  Stats,
  SubscribeOptions,
  Subscription,
  TransportName,
  Unsubscribe,
} from './types.js';

const TRANSPORTS: readonly TransportName[] = ['websocket', 'sse', 'long-poll', 'poll'];

export class BelfryClient implements Client {
  readonly id = `c_${Math.random().toString(36).slice(2, 10)}`;
  readonly feed: Feed;
  #options: ClientOptions;
  #url: string;
  #fetch: typeof globalThis.fetch;
  #link: Link;
  #emitter = new Emitter();
  #refresher: Refresher;
  #subscriptions: Subscriptions;
  #feedWanted = false;
  #held = false; // connect() was called
  #inboxes = new Map<string, Inbox>();
  #state: ConnectionState = { status: 'idle' };
  #followed: ConnectionState = { status: 'connecting', attempt: 0 };
  #unwatch: Unsubscribe | null = null;
  #logged = new Set<string>();
  #disposed = false;
  #sharing: Sharing;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#url = String(options.url).replace(/\/+$/, '');
    if (!/^https?:\/\/[^/]/.test(this.#url))
      throw new BelfryError(
        errorOf('not_belfry', { message: `The url must begin with http:// or https://: ${this.#url}` }),
      );
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    const transports = options.transports?.length ? options.transports : TRANSPORTS;
    const rules: Rules = {
      hasGetToken: !!options.getToken,
      transports: transports.length,
      lingerMs: options.lingerMs ?? 1_000,
      pauseWhenHiddenMs: options.pauseWhenHiddenMs ?? 300_000,
      connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
      reconnect: { ...reconnectDefaults, ...options.reconnect },
    };
    this.#link = new Link(options, rules, transports, {
      changed: (machine) => this.#changed(machine),
      event: (event) => {
        this.#sharing.tabs?.event(event);
        this.#deliver(event);
      },
      gap: (gap) => {
        this.#sharing.tabs?.gap(gap);
        this.#gap(gap);
      },
      moved: (place) => this.feed.moved(place),
      fed: (from) => this.feed.from(from),
      ready: () => {
        this.#sharing.tabs?.beat();
        this.#subscriptions.settle(this.#link.confirmed ?? []);
      },
      refused: (topics, failure) => {
        void this.#explain(failure);
        this.#sharing.tabs?.refused(topics, failure);
        this.#subscriptions.drop(topics, failure);
      },
      diagnose: (failure) => void this.#explain(failure),
      mayOpen: () => this.#sharing.mayOpen(),
    });
    this.#sharing = new Sharing(this.#link, this.#url, this.id, options.tabs === 'isolated', {
      wants: () => this.#wants(),
      state: () => this.#state,
      followed: (state) => {
        this.#followed = state;
        this.#changed(this.#link.machine);
      },
      event: (event) => this.#deliver(event),
      gap: (gap) => this.#gap(gap),
      intent: (intent, done) => (done ? this.feed.decide(intent.id, intent.at) : this.feed.intend(intent)),
      logout: () => this.#logout(),
      ready: () => {
        const { cursor } = this.#link;
        if (this.#feedWanted && cursor) this.feed.from(cursor);
        this.#subscriptions.settle();
      },
      refused: (topics, failure) => {
        this.#report(failure);
        this.#subscriptions.drop(topics, failure);
      },
    });
    this.#refresher = new Refresher(options.refreshThrottleMs ?? 300, (refresh) =>
      this.#emitter.emit('refresh', refresh),
    );
    const { tokens } = this.#link;
    this.#subscriptions = new Subscriptions({
      url: this.#url,
      fetch: this.#fetch,
      token: () => tokens.current(),
      changed: () => this.#want(),
      gap: (gap) => this.#emitter.emit('gap', gap),
      failed: (error) => this.#emitter.emit('error', error),
    });
    this.feed = new Feed({
      url: this.#url,
      fetch: this.#fetch,
      timeoutMs: options.requestTimeoutMs ?? 10_000,
      token: () => tokens.current(),
      rejected: (token) => tokens.reject(token),
      wanted: (wanted) => {
        this.#feedWanted = wanted;
        this.#want();
      },
      place: () => this.#link.cursor,
      closed: () => this.#state.status === 'closed',
      told: (cursor) => this.#link.cursor ?? this.#link.move(cursor),
      share: (intent, done) => this.#sharing.tabs?.intent(intent, done),
    });
  }

  get user(): string | null {
    return this.#link.user;
  }
  get state(): ConnectionState {
    return this.#state;
  }
  get stats(): Stats {
    return this.#link.stats;
  }

  connect(): void {
    if (this.#disposed) throw new BelfryError(errorOf('disposed'));
    this.#held = true;
    this.#open('connect');
  }
  disconnect(): void {
    this.#held = false;
    this.#link.dispatch({ type: 'disconnect' });
  }

  async logout(): Promise<void> {
    this.#sharing.tabs?.logout();
    this.#logout();
  }
  #logout(): void {
    this.#held = false;
    this.#link.dispatch({ type: 'close', reason: 'logout' });
    this.#settle();
    this.#link.forget();
    this.feed.forget();
    memory.write(this.#url, null);
    for (const inbox of this.#inboxes.values()) inbox.forget();
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#link.dispatch({ type: 'close', reason: 'disposed' });
    this.#settle();
    this.#link.tokens.forget();
    this.#refresher.stop();
    this.#subscriptions.settle(undefined, errorOf('disposed'));
    this.#subscriptions.clear();
    this.#emitter.clear();
  }

  whenLive({ timeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs === undefined ? undefined : setTimeout(() => done(errorOf('timeout')), timeoutMs);
      const done = (failure?: Failure) => {
        clearTimeout(timer);
        off();
        signal?.removeEventListener('abort', aborted);
        failure ? reject(new BelfryError(failure)) : resolve();
      };
      const look = () => {
        const state = this.#state;
        if (state.status === 'live') done();
        if (state.status === 'closed') done(errorOf(state.error?.code ?? 'disposed', state.error));
      };
      const off = this.on('state', look);
      const aborted = () => done(errorOf('timeout'));
      signal?.addEventListener('abort', aborted);
      look();
    });
  }

  on<K extends keyof ClientEvents>(
    type: K,
    listener: ClientEvents[K],
    { signal }: { signal?: AbortSignal } = {},
  ): Unsubscribe {
    if (signal?.aborted) return () => {};
    const offs = [this.#emitter.on(type, listener)];
    if (type === 'notification') offs.push(this.feed.listen(() => {}));
    const off = () => {
      for (const one of offs.splice(0)) one();
    };
    signal?.addEventListener('abort', off, { once: true });
    return off;
  }

  subscribe(
    topic: string,
    ...rest:
      | [listener: (event: BelfryEvent) => void, options?: SubscribeOptions]
      | [type: string | readonly string[], listener: (event: never) => void, options?: SubscribeOptions]
  ): Subscription {
    const typed = typeof rest[0] !== 'function';
    const listener = rest[typed ? 1 : 0] as (event: Message) => void;
    const { since = 'now', signal } = (rest[typed ? 2 : 1] as SubscribeOptions | undefined) ?? {};
    return this.#subscriptions.add({
      topic,
      types: typed ? [rest[0] as string | readonly string[]].flat() : null,
      since,
      signal: this.#disposed ? AbortSignal.abort() : signal,
      listener,
    });
  }

  async *events(topic: string, options: SubscribeOptions = {}): AsyncIterableIterator<BelfryEvent> {
    const { iterate } = await import('./iterate.js');
    yield* iterate(this, topic, options);
  }

  inbox(query: FeedQuery = {}): InboxStore {
    const name = JSON.stringify([query.status ?? 'active', query.limit ?? 20]);
    let inbox = this.#inboxes.get(name);
    if (!inbox) {
      inbox = new Inbox(this.feed, query, (listener) => this.#emitter.on('gap', listener));
      this.#inboxes.set(name, inbox);
    }
    return inbox;
  }

  setTransports(
    transports: readonly TransportName[],
    { pollIntervalMs }: { pollIntervalMs?: number } = {},
  ): void {
    memory.write(this.#url, null);
    this.#link.setTransports(transports.length ? transports : TRANSPORTS, pollIntervalMs);
  }

  hold(): void {
    this.#refresher.hold();
  }
  release(): void {
    this.#refresher.release();
  }
  seen(version: string): void {
    this.#refresher.seen(version);
  }

  async diagnose(topics: readonly string[] = []): Promise<Diagnosis> {
    const { diagnose } = await import('./diagnose.js');
    return diagnose(this.#url, this.#fetch, this.#link.tokens.value, topics);
  }

  // ── What is wanted ──

  #wants() {
    return { topics: this.#subscriptions.topics, feed: this.#feedWanted };
  }

  #want(): void {
    const wants = this.#wants();
    const { tabs } = this.#sharing;
    if (tabs) tabs.want(wants);
    else this.#link.want(wants);
    if (wants.topics.length || wants.feed) {
      if (this.#options.autoConnect !== false) this.#open('want');
    } else if (!this.#held) {
      this.#link.dispatch({ type: 'unwant' });
    }
  }

  #open(how: 'want' | 'connect'): void {
    if (this.#disposed) return;
    if (how === 'want' && this.#link.machine.phase === 'closed') return;
    if (!this.#unwatch) this.#link.prefer(memory.read(this.#url));
    this.#unwatch ??= watch({
      online: (online) => this.#link.dispatch({ type: online ? 'online' : 'offline' }),
      hidden: (hidden) => this.#hidden(hidden),
      stored: (stored) => this.#stored(stored),
    });
    this.#link.dispatch({ type: how });
  }

  #hidden(hidden: boolean): void {
    this.#sharing.tabs?.hidden(hidden);
    this.#refresher.hidden(hidden);
    this.#link.dispatch({ type: hidden ? 'hidden' : 'visible' });
  }

  /** A page in the back/forward cache holds no socket and no lock. */
  #stored(stored: boolean): void {
    if (stored) {
      this.#link.dispatch({ type: 'hidden' });
      this.#link.dispatch({ type: 'lead', leader: true });
      this.#link.dispatch({ type: 'timer', name: 'pause' });
      this.#sharing.leave();
    } else {
      this.#hidden(false);
    }
  }

  // ── What the link brings ──

  #deliver(event: Message): void {
    const { type, topic } = event;
    this.#subscriptions.deliver(event);
    this.#emitter.emit('event', event);
    if (type === 'refresh') this.#refresher.take(event);
    if (!this.#feedWanted) return;
    const change = changeOf(event, this.user, (one) =>
      (this.#sharing.tabs?.all ?? this.#wants()).topics.some((pattern) => matches(pattern, one)),
    );
    if (!change) return;
    this.feed.take(change);
    if (change.kind === 'added') this.#emitter.emit('notification', change.item);
    if (change.kind === 'marked') this.#emitter.emit('counts', change.counts);
  }

  #gap(gap: Gap): void {
    this.feed.forget();
    if (gap.cursor) this.feed.from(gap.cursor);
    this.#emitter.emit('gap', gap);
  }

  #changed(machine: Machine): void {
    const { transports } = this.#link;
    const followed =
      this.#followed.status === 'live' ? { ...this.#followed, role: 'follower' as const } : this.#followed;
    const next =
      machine.phase === 'following' ? followed : stateOf(machine, transports, !!this.#sharing.tabs);
    const before = this.#state;
    if (sameState(before, next)) return;
    this.#state = next;
    if (next.status === 'live' && machine.phase === 'live')
      memory.write(this.#url, machine.at > 0 ? next.transport : null);
    this.#sharing.tabs?.beat();
    if (next.status === 'closed') {
      if (next.error) this.#report(next.error);
      this.#subscriptions.settle(undefined, next.error ?? errorOf('disposed'));
    }
    if (next.status === 'idle' || machine.phase === 'closed') this.#settle();
    if (next.status === 'live') for (const inbox of this.#inboxes.values()) inbox.live();
    this.#emitter.emit('state', next, before);
  }

  /** Nobody needs anything any more. */
  #settle(): void {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#sharing.leave();
  }

  // ── What went wrong ──

  async #explain(failure: Failure): Promise<void> {
    const { checks } = await this.diagnose(this.#wants().topics);
    const bad = checks.find((check) => !check.ok);
    this.#report(bad ? { ...failure, ...bad, message: bad.message ?? failure.message } : failure);
  }

  #report(error: Pick<Failure, 'code' | 'message' | 'hint'>): void {
    this.#emitter.emit('error', error);
    if (this.#logged.has(error.code)) return;
    this.#logged.add(error.code);
    const fix = error.hint ? `\n         Fix: ${error.hint}` : '';
    const message = `[belfry] ${this.#url}: ${error.message}${fix}`;
    const entry: LogEntry = { level: 'warn', message, data: error };
    this.#options.logger ? this.#options.logger(entry) : console.warn(message);
  }

  /** Timers, transports and questions that are open; 0 when it rests. For tests. */
  get running(): number {
    return (
      this.#link.running + this.#refresher.running + (this.#unwatch ? 1 : 0) + (this.#sharing.tabs ? 1 : 0)
    );
  }
}

function sameState(a: ConnectionState, b: ConnectionState): boolean {
  const keys = Object.keys(b) as (keyof ConnectionState)[];
  return (
    a.status === b.status && keys.length === Object.keys(a).length && keys.every((key) => a[key] === b[key])
  );
}

/** Touches no global: may be called in a module, on a server too. */
export function createClient<E = RegisteredEvents>(options: ClientOptions): Client<E> {
  return new BelfryClient(options) as unknown as Client<E>;
}
