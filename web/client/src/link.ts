// The connection of one tab: runs the machine's effects with real timers, tokens and transports, keeps the
// cursor, and drops what was delivered before.
import { errorOf, failureOfMessage, failureOfToken } from './errors.js';
import { step } from './machine.js';
import {
  type Effect,
  type Input,
  type Machine,
  newMachine,
  type Rules,
  type TimerName,
} from './machine-state.js';
import { isAfter } from './place.js';
import { claimsOf, TokenSource } from './token.js';
import { websocket } from './transports/websocket.js';
import type {
  ClientOptions,
  Cursor,
  Failure,
  Gap,
  Message,
  Transport,
  TransportFactory,
  TransportHandlers,
  TransportName,
  TransportOpen,
  Wants,
} from './types.js';

/** What the link tells the client. */
export interface LinkEvents {
  /** After each change of the machine. */
  changed(machine: Machine): void;
  event(event: Message): void;
  gap(gap: Gap): void;
  /** The feed comes whole from this place on. */
  fed(from: Cursor): void;
  /** A heartbeat moved the cursor. */
  moved(place: Cursor): void;
  /** The server has said yes to what is in `confirmed`. */
  ready(): void;
  /** These are not, and are wanted no more; what else is taken up goes on. */
  refused(topics: readonly string[], failure: Failure): void;
  diagnose(failure: Failure): void;
  /** Before the first connection: false, another tab may have it, and this one is told when to lead. */
  mayOpen(): boolean;
}

/** Ids that are remembered: as many events may be given again after a heartbeat whose count differs. */
const SEEN_MAX = 4_096;

export class Link {
  machine: Machine;
  cursor: Cursor | null = null;
  readonly tokens: TokenSource;
  /** The topics that the server has said yes to; null: this connection is not up yet. */
  confirmed: readonly string[] | null = null;
  user: string | null = null;
  readonly stats = { requests: 0, bytes: 0, events: 0 };
  transports: readonly TransportName[];
  pollIntervalMs?: number;

  #timers = new Map<TimerName, ReturnType<typeof setTimeout>>();
  #transport: Transport | null = null;
  /** The last question for a token; an answer to an older one is not heard. */
  #asked = 0;
  #seen = new Set<Cursor>();
  /** Where the client's count of events and the server's last agreed. */
  #agreed: Cursor | null = null;
  #written = 0;
  /** Events since then. */
  #since = 0;
  /** Whether this stream goes on from a place, and whether the one before brought the feed. */
  #resumes = false;
  #fed = false;
  #wants: Wants = { topics: [], feed: false };
  #taken: Wants = this.#wants;
  /** What the last connection that was live had. */
  #held: readonly string[] = [];
  #rules: Rules;
  #options: ClientOptions;
  #on: LinkEvents;

  constructor(options: ClientOptions, rules: Rules, transports: readonly TransportName[], on: LinkEvents) {
    this.#options = options;
    this.#rules = rules;
    this.#on = on;
    this.transports = transports;
    this.pollIntervalMs = options.pollIntervalMs;
    this.machine = newMachine();
    this.user = options.user ?? null;
    this.tokens = new TokenSource(options.getToken);
  }

  dispatch(input: Input): void {
    const [next, effects] = step(this.machine, input, Date.now(), Math.random, this.#rules);
    const before = this.machine;
    this.machine = next;
    for (const effect of effects) this.#run(effect);
    // An effect may have moved it on already, and said so.
    if (this.machine === next && next !== before) this.#on.changed(next);
  }

  setTransports(transports: readonly TransportName[], pollIntervalMs?: number): void {
    this.transports = transports;
    this.pollIntervalMs = pollIntervalMs;
    this.#rules = { ...this.#rules, transports: transports.length };
    this.dispatch({ type: 'transports', at: 0 });
  }

  /** Begins with the one that worked before. */
  prefer(name: string | null): void {
    const at = this.transports.indexOf(name as TransportName);
    if (at > 0 && !this.machine.opened) this.machine = { ...this.machine, at };
  }

  /** What is wanted from now on; taken up at once where the transport can. */
  want(wants: Wants): void {
    this.#wants = wants;
    if (!wants.topics.length && !wants.feed) return; // it lingers as it is
    if (this.machine.phase !== 'live' && this.machine.phase !== 'opening') return;
    const same = this.#taken.feed === wants.feed;
    if (same && sameTopics(this.#taken.topics, wants.topics)) {
      if (this.confirmed) this.#on.ready();
    } else if (same && this.#transport?.update?.(wants)) {
      this.#taken = wants;
      this.confirmed = this.confirmed?.filter((topic) => wants.topics.includes(topic)) ?? null;
    } else {
      this.#open();
    }
  }

  /** Forgets who it was. */
  forget(): void {
    this.tokens.forget();
    this.cursor = this.#agreed = null;
    this.#fed = false;
    this.user = this.#options.user ?? null;
    this.#seen.clear();
  }

  #run(effect: Effect): void {
    switch (effect.do) {
      case 'open':
      case 'swap':
        return this.#open();
      case 'close':
        this.#asked += 1;
        return this.#close();
      case 'ping':
        if (!this.#transport?.ping?.()) this.#open();
        return;
      case 'renew':
        if (!this.#transport?.renew?.(this.tokens.value ?? '')) this.#open();
        return;
      case 'token':
        return this.#ask(effect);
      case 'diagnose':
        return this.#on.diagnose(this.machine.error ?? errorOf('network'));
      case 'timer':
        clearTimeout(this.#timers.get(effect.name));
        this.#timers.set(
          effect.name,
          setTimeout(() => {
            this.#timers.delete(effect.name);
            this.dispatch({ type: 'timer', name: effect.name });
          }, effect.ms),
        );
        return;
      case 'stop':
        clearTimeout(this.#timers.get(effect.name));
        this.#timers.delete(effect.name);
    }
  }

  /** Timers that run; for tests that nothing is left behind. */
  get running(): number {
    return this.#timers.size + (this.#transport ? 1 : 0);
  }

  #close(): void {
    this.#transport?.close();
    this.#transport = null;
  }

  #open(): void {
    if (!this.#on.mayOpen()) return;
    this.#close();
    this.#taken = this.#wants;
    this.#held = this.confirmed ?? this.#held;
    this.confirmed = null;
    this.#written = 0;
    this.#agreed = this.cursor;
    this.#since = 0;
    const name = this.transports[this.machine.at] as TransportName;
    const link = this;
    this.#resumes = this.cursor !== null;
    const open: TransportOpen = {
      ...this.#wants,
      name,
      url: String(this.#options.url).replace(/\/+$/, ''),
      token: this.tokens.value,
      get since() {
        return link.cursor;
      },
      pollIntervalMs: this.pollIntervalMs,
      fetch: this.#options.fetch ?? globalThis.fetch.bind(globalThis),
      expired: () => this.machine.expires !== null && Date.now() >= this.machine.expires,
      count: (requests, bytes) => {
        this.stats.requests += requests;
        this.stats.bytes += bytes;
      },
    };
    const given = this.#options.transport;
    const own: TransportFactory | null =
      given ?? (name === 'websocket' && 'WebSocket' in globalThis ? websocket : null);
    if (own) {
      this.#transport = this.#start(own, open);
      return;
    }
    // Loaded when it is needed. Closed meanwhile: it is not opened.
    let closed = false;
    let inner: Transport | null = null;
    const pending: Transport = {
      close: () => {
        closed = true;
        inner?.close();
      },
    };
    this.#transport = pending;
    const failed = (error: unknown) =>
      closed || this.dispatch({ type: 'down', failure: errorOf('network', { hint: String(error) }) });
    if (name === 'websocket') {
      queueMicrotask(() => failed('There is no WebSocket here.'));
      return;
    }
    import('./transports/http.js').then(({ overHttp }) => {
      if (!closed) inner = this.#start(overHttp, open, pending);
    }, failed);
  }

  #start(factory: TransportFactory, open: TransportOpen, as?: Transport): Transport {
    let transport: Transport | undefined = as;
    const mine = () => transport === undefined || this.#transport === transport;
    const on: TransportHandlers = {
      message: (message) => mine() && this.#take(message, open),
      down: (failure) => {
        if (!mine()) return;
        this.#transport = null;
        // Over HTTP a topic more is a new request. What was live before it goes on without it.
        const asking = this.machine.phase === 'live' && !this.confirmed;
        const more = this.#taken.topics.filter((topic) => !this.#held.includes(topic));
        if (asking && more.length && refusesTopics.test(failure.code)) {
          this.#refused(more, failure);
          return this.#open();
        }
        this.dispatch({ type: 'down', failure });
      },
    };
    const made = factory(open, on);
    transport ??= made;
    return made;
  }

  #take(message: Message, open: TransportOpen): void {
    if (this.machine.phase === 'live' && message.control !== 'connected')
      this.dispatch({ type: 'message' });
    switch (message.control) {
      case undefined:
        return this.#event(message);
      case 'connected': {
        const resumed = this.#resumes;
        const goesOn = resumed && this.#fed;
        if (message.cursor) this.move(message.cursor);
        this.#agreed ??= message.cursor;
        this.#fed = open.feed;
        if (open.feed && !goesOn) this.#on.fed(message.cursor);
        if (message.user) this.user = message.user;
        this.confirmed = this.#taken.topics;
        this.dispatch({
          type: 'up',
          heartbeatMs: message.heartbeat_ms,
          retryMs: message.retry_ms,
          ttlMs: message.ttl_ms,
          resumed,
        });
        return this.#on.ready();
      }
      case 'heartbeat':
        return this.#heartbeat(message);
      case 'reset':
        this.#seen.clear();
        this.#resumes = false;
        this.cursor = this.#agreed = message.cursor;
        this.dispatch({ type: 'reset' });
        return this.#on.gap({ reason: message.reason, cursor: message.cursor });
      case 'subscribed':
        this.confirmed = [...(this.confirmed ?? []), ...message.topics];
        return this.#on.ready();
      case 'error':
        if (message.id === 'wants') this.#refused(message.topics ?? [], failureOfMessage(message));
        if (message.id === 'renew') this.#on.diagnose(failureOfMessage(message));
    }
  }

  #refused(topics: readonly string[], failure: Failure): void {
    const { feed } = this.#taken;
    this.#taken = { topics: this.#taken.topics.filter((topic) => !topics.includes(topic)), feed };
    this.#on.refused(topics, failure);
  }

  #event(event: Message): void {
    this.#written += 1;
    this.#since += 1;
    if (event.id && this.known(event.id)) return;
    this.stats.events += 1;
    this.#on.event(event);
  }

  /** Whether it was delivered before, from this tab's transport or by the leader; from now on it was. */
  known(id: Cursor): boolean {
    if (this.#seen.has(id)) return true;
    this.#seen.add(id);
    if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.values().next().value as Cursor);
    this.move(id);
    return false;
  }

  // Whoever counted other than the server goes back to where both agreed; repeats are dropped.
  #heartbeat({ cursor, written }: Message): void {
    if (written !== undefined && written !== this.#written) {
      if (this.#since <= SEEN_MAX) {
        this.cursor = this.#agreed;
        return this.#open();
      }
      // Too many to tell apart: what was missed must be loaded.
      this.#written = written;
      this.#on.gap({ reason: 'backlog', cursor });
    }
    this.move(cursor);
    this.#agreed = cursor;
    this.#since = 0;
    this.#on.moved(cursor);
  }

  /** The leader stands here. */
  place(cursor: Cursor): void {
    this.move(cursor);
    this.#on.moved(cursor);
  }

  move(cursor: Cursor): void {
    if (!this.cursor || isAfter(cursor, this.cursor)) this.cursor = cursor;
  }

  #ask({ reason, attempt }: Extract<Effect, { do: 'token' }>): void {
    const asked = (this.#asked += 1);
    this.tokens.get(reason, attempt).then(
      (token) => {
        if (asked !== this.#asked) return;
        const { sub } = token ? claimsOf(token) : {};
        if (sub) this.user = sub;
        this.dispatch({ type: 'token', ttlMs: this.tokens.ttlMs });
      },
      (error) => {
        if (asked !== this.#asked) return;
        const failure = failureOfToken(error);
        this.dispatch({ type: 'no-token', unauthorized: failure.kind === 'never', error: failure });
      },
    );
  }
}

/** Codes that are about one of the topics. */
const refusesTopics = /^(forbidden|bad_pattern|too_many_topics)$/;

const sameTopics = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((topic) => b.includes(topic));
