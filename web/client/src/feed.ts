// The feed over HTTP, and what this browser asked for that is not decided yet.
//
// Bound: RECENT_MAX changes are kept to be applied to pages that were on their way meanwhile.
import { BelfryError, errorOf, failureOfAnswer, failureOfFetch, failureOfToken } from './errors.js';
import { applyToPages, itemOf } from './feed-pages.js';
import { isAfter } from './place.js';
import type {
  Cursor,
  FeedApi,
  FeedChange,
  FeedCounts,
  FeedPage,
  FeedQuery,
  Intent,
  Mark,
  MarkAnswer,
  MarkTarget,
  Message,
  Unsubscribe,
} from './types.js';

const RECENT_MAX = 512;

/** What the feed needs of the client. */
export interface FeedPort {
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  readonly timeoutMs: number;
  /** The token that counts now, asked for if there is none. */
  token(): Promise<string | null>;
  /** A request was answered that this token does not count any more. */
  rejected(token: string | null): void;
  /** The stream brings the feed while somebody listens. */
  wanted(wanted: boolean): void;
  /** How far the stream has come. */
  place(): Cursor | null;
  /** A page is true at this place; a stream that has none yet begins there. */
  told(cursor: Cursor): void;
  /** Nobody is let in until the application calls connect(). */
  closed(): boolean;
  /** To the other tabs. */
  share(intent: Intent, done: boolean): void;
}

export class Feed implements FeedApi {
  #port: FeedPort;
  #pending: readonly Intent[] = [];
  #recent: FeedChange[] = [];
  #from: Cursor | null = null;
  #listeners = new Set<(change?: FeedChange) => void>();

  constructor(port: FeedPort) {
    this.#port = port;
  }

  async list({
    status,
    limit,
    before,
    signal,
  }: FeedQuery & { before?: string; signal?: AbortSignal } = {}) {
    const query = new URLSearchParams();
    if (status) query.set('status', status);
    if (limit !== undefined) query.set('limit', String(limit));
    if (before) query.set('before', before);
    const { notifications, counts, cursor, next } = await this.#call(
      'GET',
      `/v1/feed${query.size ? `?${query}` : ''}`,
      {
        signal,
      },
    );
    this.#port.told(cursor);
    return { items: notifications.map(itemOf), counts, cursor, next } as FeedPage;
  }

  async counts(options: { signal?: AbortSignal } = {}): Promise<FeedCounts> {
    return (await this.list({ limit: 0, ...options })).counts;
  }

  async mark(mark: Mark, target: MarkTarget): Promise<MarkAnswer> {
    const intent: Intent = { id: Math.random().toString(36).slice(2), mark, target };
    this.intend(intent);
    this.#port.share(intent, false);
    try {
      const body =
        typeof target !== 'string' && 'upto' in target ? { upto: target.upto } : { ids: [target].flat() };
      const answer = (await this.#call('POST', '/v1/feed/marks', {
        body: { mark, ...body },
      })) as MarkAnswer;
      this.decide(intent.id, answer.cursor);
      this.#port.share({ ...intent, at: answer.cursor }, true);
      return answer;
    } catch (error) {
      this.decide(intent.id, undefined);
      this.#port.share(intent, true);
      throw error;
    }
  }

  get closed(): boolean {
    return this.#port.closed();
  }
  pending(): readonly Intent[] {
    return this.#pending;
  }
  intend(intent: Intent): void {
    this.#pending = [...this.#pending, intent];
    this.#tell();
  }
  /** It is true at a place, up to which it is still shown on top of the pages; or it failed. */
  decide(id: string, at: Cursor | undefined): void {
    const place = this.#port.place();
    const shown = at !== undefined && this.#listeners.size > 0 && !(place && !isAfter(at, place));
    this.#pending = this.#pending.flatMap((one) => (one.id !== id ? [one] : shown ? [{ ...one, at }] : []));
    this.#tell();
  }
  /** The stream has come so far: what was decided up to here stands in the pages. */
  moved(place: Cursor): void {
    const left = this.#pending.filter(({ at }) => at === undefined || isAfter(at, place));
    if (left.length === this.#pending.length) return;
    this.#pending = left;
    this.#tell();
  }

  listen(listener: (change?: FeedChange) => void): Unsubscribe {
    this.#listeners.add(listener);
    this.#port.wanted(true);
    return () => {
      if (this.#listeners.delete(listener) && !this.#listeners.size) this.#port.wanted(false);
    };
  }

  reconcile(pages: readonly FeedPage[]): readonly FeedPage[] {
    return this.#recent.reduce(applyToPages, pages);
  }

  take(change: FeedChange): void {
    this.#recent.push(change);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
    this.#pending = this.#pending.filter(({ at }) => at === undefined || isAfter(at, change.at));
    this.#tell(change);
  }

  /** The stream brings everything of the feed from here on. */
  from(cursor: Cursor): void {
    this.#from = cursor;
    this.#tell();
  }
  /** Whether a page at this place and the stream leave nothing out; null: the stream is not there yet. */
  joins(cursor: Cursor): boolean | null {
    return this.#from === null ? null : !isAfter(this.#from, cursor);
  }

  /** After a gap, or for another user. */
  forget(): void {
    this.#recent = [];
    this.#from = null;
  }

  #tell(change?: FeedChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  async #call(
    method: string,
    path: string,
    { body, signal }: { body?: object; signal?: AbortSignal },
  ): Promise<Message> {
    const { url, fetch, timeoutMs } = this.#port;
    for (let tries = 0; ; tries++) {
      const token = await this.#port.token().catch((error) => {
        throw new BelfryError(failureOfToken(error));
      });
      const timeout = AbortSignal.timeout(timeoutMs);
      let answer: Response;
      try {
        answer = await fetch(url + path, {
          method,
          signal: signal ? (AbortSignal.any?.([signal, timeout]) ?? signal) : timeout,
          credentials: token ? 'omit' : 'include',
          headers: {
            ...(token ? { Authorization: `Bearer ${token}` } : {}),
            ...(body ? { 'Content-Type': 'application/json' } : {}),
          },
          ...(body ? { body: JSON.stringify(body) } : {}),
        });
      } catch (error) {
        if (signal?.aborted) throw error;
        throw new BelfryError(failureOfFetch(error));
      }
      if (answer.ok) {
        return answer.json().catch(() => {
          throw new BelfryError(errorOf('not_belfry'));
        });
      }
      const failure = await failureOfAnswer(answer);
      if (failure.kind !== 'token' || tries) throw new BelfryError(failure);
      this.#port.rejected(token);
    }
  }
}
