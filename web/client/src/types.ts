// What the package speaks of. Names are those of the protocol: an event is as it goes over the wire.

export type MaybePromise<T> = T | Promise<T>;
export type Unsubscribe = () => void;
/** A place in the log: `epoch.offset`. Applications keep it and send it back; they never read it. */
export type Cursor = string;

// ── Events ──────────────────────────────────────────────────────────────────

/** Augment once per app: `declare module '@belfry/client' { interface Register { events: MyEvents } }` */
export interface Register {}
export type AnyEvents = Record<string, any>;
export type RegisteredEvents = Register extends { events: infer E extends object } ? E : AnyEvents;
export type EventType<E> = Extract<keyof E, string>;

export interface EventBase {
  /** The cursor of its place; absent for events of ephemeral topics. What repeats are known by. */
  readonly id?: Cursor;
  readonly topic: string;
  /** Its number within its topic. For people: it may skip. */
  readonly seq?: number;
  /** When it was stored, RFC 3339, the server's clock. */
  readonly time: string;
  readonly key?: string;
  readonly expires?: string;
  readonly notification?: NotificationContent;
}
/** Discriminated by `type`, so `switch (event.type)` narrows `event.data`. */
export type BelfryEvent<E = RegisteredEvents, K extends EventType<E> = EventType<E>> = {
  [T in K]: EventBase & { readonly type: T; readonly data: E[T] };
}[K];

export type QueryKey = readonly unknown[];
/** "What you hold under these keys is stale": delivered when it is time to GET. */
export interface Refresh {
  readonly topic: string;
  readonly keys: readonly QueryKey[];
  readonly version?: string;
  /** Mark as stale, but do not fetch: the tab is hidden. Another one follows when it is shown. */
  readonly staleOnly: boolean;
}

/** History was lost. What follows the cursor still comes; what lies before it must be loaded anew. */
export interface Gap {
  /** horizon: retention was faster. rewound, lost: the log was replaced. backlog: too slow here. */
  readonly reason: 'horizon' | 'rewound' | 'lost' | 'backlog';
  readonly cursor?: Cursor;
}

// ── Connection ──────────────────────────────────────────────────────────────

export type TransportName = 'websocket' | 'sse' | 'http-stream' | 'long-poll' | 'poll';
export type ClosedReason = 'disposed' | 'logout' | 'unauthorized' | 'forbidden' | 'revoked' | 'refused';

export type ConnectionState =
  /** Nobody is listening yet. */
  | { readonly status: 'idle' }
  | { readonly status: 'connecting'; readonly attempt: number }
  | {
      readonly status: 'live';
      readonly transport: TransportName;
      readonly role: 'solo' | 'leader' | 'follower';
      /** When it began, in milliseconds since 1970. */
      readonly since: number;
      /** Whether everything since the last time was delivered. */
      readonly resumed: boolean;
    }
  | {
      readonly status: 'waiting';
      readonly attempt: number;
      readonly retryAt: number;
      readonly error: BelfryErrorLike;
    }
  /** The browser says so; no timer runs. */
  | { readonly status: 'offline' }
  /** Hidden for long; goes on when the tab is shown. */
  | { readonly status: 'paused' }
  /** For good, until `connect()`. */
  | { readonly status: 'closed'; readonly reason: ClosedReason; readonly error?: BelfryErrorLike };

/** What a `BelfryError` says, as data. */
export interface BelfryErrorLike {
  /** From the closed catalogue `protocol/errors.json`, or one of the client's own: see `errors.ts`. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly status?: number;
  readonly retryMs?: number;
}

export interface ReconnectPolicy {
  /** Least time before a retry, in ms [500]. */
  minDelayMs: number;
  /** Most time [30 000]. */
  maxDelayMs: number;
  /** After so many failures in a row [10] … */
  quietAfter: number;
  /** … at most this seldom [300 000]. */
  quietMaxDelayMs: number;
  /** Failures are forgotten after so long without one [30 000]. */
  stableAfterMs: number;
}

export interface TokenContext {
  readonly reason: 'initial' | 'expiring' | 'rejected';
  readonly attempt: number;
  readonly signal: AbortSignal;
}

export interface ClientOptions {
  /** Address of the server: http or https, with a path if it lies below one. */
  url: string | URL;
  /** null: by cookie. Throw `UnauthorizedError` to stop for good. Never called twice at once. */
  getToken?: (context: TokenContext) => MaybePromise<string | null>;
  /** Who it is, where the token does not tell: tabs of the same user share one connection. */
  user?: string;
  /** In the order in which they are tried [websocket, sse, long-poll, poll]. */
  transports?: readonly TransportName[];
  /** Of short polls, in ms [what the server advises]. */
  pollIntervalMs?: number;
  /** One connection for all tabs of the browser, or one each [shared]. */
  tabs?: 'shared' | 'isolated';
  /** Connect when the first listener comes [true]. */
  autoConnect?: boolean;
  /** How long a connection that nobody needs is kept, in ms [1 000]. */
  lingerMs?: number;
  /** How long a hidden tab stays connected, in ms [300 000]; false: always. */
  pauseWhenHiddenMs?: number | false;
  reconnect?: Partial<ReconnectPolicy>;
  /** Until a connection must be there, in ms [10 000]. */
  connectTimeoutMs?: number;
  /** Of requests for pages and marks, in ms [10 000]. */
  requestTimeoutMs?: number;
  /** Least time between two refreshes of the same key, in ms [300]. */
  refreshThrottleMs?: number;
  fetch?: typeof globalThis.fetch;
  /** In place of all transports: the mock server, React Native. */
  transport?: TransportFactory;
  /** [console.warn, once for each problem] */
  logger?: (entry: LogEntry) => void;
}

export interface LogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly data?: unknown;
}

export interface ClientEvents<E = RegisteredEvents> {
  state: (state: ConnectionState, previous: ConnectionState) => void;
  /** Every event of every subscription. */
  event: (event: BelfryEvent<E>) => void;
  /** One that came live into the feed. */
  notification: (notification: Notification) => void;
  counts: (counts: FeedCounts) => void;
  /** Throttled, spread over time, held back by `hold()`: now is the time to GET. */
  refresh: (refresh: Refresh) => void;
  gap: (gap: Gap) => void;
  error: (error: BelfryErrorLike) => void;
}

export interface SubscribeOptions {
  signal?: AbortSignal;
  /** What follows this place first, then live. */
  since?: Cursor | 'earliest' | 'now';
}
export interface Subscription {
  readonly topic: string;
  /** Resolves when the server has taken it up, or nobody waits for that any more; rejects with a BelfryError
   * when it was refused, which ends this subscription, or the client was closed. */
  readonly ready: Promise<void>;
  unsubscribe(): void;
  [Symbol.dispose](): void;
}

/** What went over the network for live delivery since the client was made. */
export interface Stats {
  readonly requests: number;
  readonly bytes: number;
  readonly events: number;
}

export interface Diagnosis {
  readonly ok: boolean;
  readonly checks: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly value?: string;
    readonly code?: string;
    readonly message?: string;
    readonly hint?: string;
  }[];
}

// ── Feed ────────────────────────────────────────────────────────────────────

export interface NotificationAction {
  readonly id: string;
  readonly label: string;
  readonly url?: string;
}
export interface NotificationContent {
  readonly title: string;
  readonly body?: string;
  readonly url?: string;
  readonly icon?: string;
  readonly tag?: string;
  readonly priority?: 'low' | 'normal' | 'high';
  readonly actions?: readonly NotificationAction[];
}
export interface Notification<D = unknown> extends NotificationContent {
  readonly id: Cursor;
  readonly topic: string;
  readonly type: string;
  readonly time: string;
  readonly key?: string;
  readonly data?: D;
  readonly seen: boolean;
  readonly read: boolean;
  readonly archived: boolean;
}
export interface FeedCounts {
  readonly unread: number;
  readonly unseen: number;
}
export interface FeedQuery {
  /** [active]: everything that is not archived. */
  status?: 'active' | 'unread' | 'read' | 'archived';
  /** Items of a page, at most 100 [20]. */
  limit?: number;
}
/** True at `cursor`. */
export interface FeedPage<D = unknown> {
  readonly items: readonly Notification<D>[];
  readonly counts: FeedCounts;
  readonly cursor: Cursor;
  /** Where the counts are true, if that is a later place. */
  readonly countsAt?: Cursor;
  /** The `before` of the next page. */
  readonly next: string | null;
}
export type Mark = 'read' | 'unread' | 'seen' | 'archived' | 'unarchived';
/** One id, some, or everything up to a place; `upto` never covers what came after it. */
export type MarkTarget = Cursor | readonly Cursor[] | { readonly upto: Cursor };

/** What a change of the feed is, wherever it came from. */
export type FeedChange =
  | { readonly kind: 'added'; readonly at: Cursor; readonly item: Notification }
  | {
      readonly kind: 'marked';
      readonly at: Cursor;
      readonly mark: Mark;
      readonly target: MarkTarget;
      readonly counts: FeedCounts;
    }
  | { readonly kind: 'retracted'; readonly at: Cursor; readonly id: Cursor }
  | { readonly kind: 'erased'; readonly at: Cursor }
  /** A notification came of which it cannot be said whether it is in the feed. */
  | { readonly kind: 'unsure'; readonly at: Cursor };

/** A mark of this browser, until the stream has brought it or it failed. */
export interface Intent {
  readonly id: string;
  readonly mark: Mark;
  readonly target: MarkTarget;
  /** Where it is true; absent: not decided yet. */
  readonly at?: Cursor;
}

export interface MarkAnswer {
  readonly cursor: Cursor;
  readonly changed: boolean;
  readonly counts: FeedCounts;
  readonly absent: readonly Cursor[];
}

export interface FeedApi {
  list(query?: FeedQuery & { before?: string; signal?: AbortSignal }): Promise<FeedPage>;
  counts(options?: { signal?: AbortSignal }): Promise<FeedCounts>;
  /** Marks at once in every list of this browser, then on the server; a failure takes back only this. */
  mark(mark: Mark, target: MarkTarget): Promise<MarkAnswer>;
  /** Marks whose outcome is not known yet, oldest first; the same array until it changes. */
  pending(): readonly Intent[];
  /** Called with each live change, and with nothing when `pending()` changes. */
  listen(listener: (change?: FeedChange) => void): Unsubscribe;
  /** Whether a page at this place and the stream leave nothing out; null: the stream is not there yet. */
  joins(cursor: Cursor): boolean | null;
  /** Pages with all recent changes applied that they do not hold yet. */
  reconcile(pages: readonly FeedPage[], query?: FeedQuery): readonly FeedPage[];
}

export interface InboxSnapshot {
  readonly status: 'loading' | 'ready' | 'error';
  readonly items: readonly Notification[];
  readonly counts: FeedCounts;
  readonly hasMore: boolean;
  readonly loadingMore: boolean;
  readonly pendingIds: ReadonlySet<string>;
  readonly error: BelfryErrorLike | null;
}
/** History, live changes and marks in one list. Fits useSyncExternalStore, Vue, Svelte and signals. */
export interface InboxStore {
  getSnapshot(): InboxSnapshot;
  subscribe(listener: () => void): Unsubscribe;
  loadMore(): Promise<void>;
  refetch(): Promise<void>;
  /** Rejects with what went wrong; by then the list is as if nothing had been asked. */
  mark(mark: Mark, target: MarkTarget): Promise<void>;
}

// ── The client ──────────────────────────────────────────────────────────────

export interface Client<E = RegisteredEvents> {
  readonly id: string;
  readonly user: string | null;
  /** The same object until it changes. */
  readonly state: ConnectionState;
  readonly stats: Stats;
  connect(): void;
  disconnect(): void;
  whenLive(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<void>;
  /** Closes in all tabs and forgets what was kept in this browser. */
  logout(): Promise<void>;
  dispose(): void;
  on<K extends keyof ClientEvents<E>>(
    type: K,
    listener: ClientEvents<E>[K],
    options?: { signal?: AbortSignal },
  ): Unsubscribe;
  subscribe(
    topic: string,
    listener: (event: BelfryEvent<E>) => void,
    options?: SubscribeOptions,
  ): Subscription;
  subscribe<const K extends EventType<E>>(
    topic: string,
    type: K | readonly K[],
    listener: (event: BelfryEvent<E, K>) => void,
    options?: SubscribeOptions,
  ): Subscription;
  events(topic: string, options?: SubscribeOptions): AsyncIterableIterator<BelfryEvent<E>>;
  readonly feed: FeedApi;
  inbox(query?: FeedQuery): InboxStore;
  /** Other transports from now on, without losing an event. */
  setTransports(transports: readonly TransportName[], options?: { pollIntervalMs?: number }): void;
  /** No refresh events until `release()` was called as often: somebody is editing. */
  hold(): void;
  release(): void;
  /** What this tab holds shows `version` already: the refresh event of that version is not for it. */
  seen(version: string): void;
  /** Why it does not connect, as data. */
  diagnose(topics?: readonly string[]): Promise<Diagnosis>;
}

// ── Transports ──────────────────────────────────────────────────────────────

/** What goes over a stream: an event, or a message about the stream (`control`). */
export type Message = Record<string, any>;

export interface Wants {
  readonly topics: readonly string[];
  readonly feed: boolean;
}
export interface TransportOpen extends Wants {
  readonly name: TransportName;
  readonly url: string;
  readonly token: string | null;
  /** Read when it is sent: a page of the feed may have told it meanwhile. */
  readonly since: Cursor | null;
  readonly pollIntervalMs?: number;
  readonly fetch: typeof globalThis.fetch;
  /** Whether the token's time is over: nothing is to be sent with it any more. */
  readonly expired: () => boolean;
  /** Counts what goes over the network. */
  readonly count: (requests: number, bytes: number) => void;
}
export interface Failure extends BelfryErrorLike {
  /** later: try again. token: with another one. never: it will not help. replaced: by a newer one. */
  readonly kind: 'later' | 'token' | 'never' | 'replaced';
}
export interface TransportHandlers {
  message(message: Message): void;
  down(failure: Failure): void;
}
export interface Transport {
  /** Takes up other wants; false: it cannot, open another. The answer is a message `subscribed`, or `error`
   * with the id `wants`, and has the `topics` that were new. */
  update?(wants: Wants): boolean;
  /** Goes on under another token; false: it cannot, open another. */
  renew?(token: string): boolean;
  /** Asks for a sign of life; false: it cannot. */
  ping?(): boolean;
  /** Closes without a word to the handlers. */
  close(): void;
}
export type TransportFactory = (open: TransportOpen, on: TransportHandlers) => Transport;
