// A list that is kept: history by HTTP, live changes, marks that are not decided yet, as one snapshot.
import { BelfryError, errorOf } from './errors.js';
import type { Feed } from './feed.js';
import { applyToPages, needsCounts, needsRefetch, viewOf } from './feed-pages.js';
import { isAfter } from './place.js';
import type {
  FeedChange,
  FeedPage,
  FeedQuery,
  InboxSnapshot,
  InboxStore,
  Mark,
  MarkTarget,
  Unsubscribe,
} from './types.js';

const BEFORE_ALL = '.0';
const COUNTS_MS = 1_000;
const RETRY_MAX_MS = 30_000;

const emptySnapshot: InboxSnapshot = {
  status: 'loading',
  items: [],
  counts: { unread: 0, unseen: 0 },
  hasMore: false,
  loadingMore: false,
  pendingIds: new Set(),
  error: null,
};

export class Inbox implements InboxStore {
  #feed: Feed;
  #query: FeedQuery;
  #onGap: (listener: () => void) => Unsubscribe;
  #listeners = new Set<() => void>();
  #pages: readonly FeedPage[] = [];
  #snapshot = emptySnapshot;
  #loading: AbortController | null = null;
  #more: Promise<void> | null = null;
  #countsTimer: ReturnType<typeof setTimeout> | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  /** The last request failed, and no timer asks again. */
  #refused = false;
  #stop: Unsubscribe[] = [];

  constructor(feed: Feed, query: FeedQuery, onGap: (listener: () => void) => Unsubscribe) {
    this.#feed = feed;
    this.#query = query;
    this.#onGap = onGap;
  }

  getSnapshot = (): InboxSnapshot => this.#snapshot;

  subscribe = (listener: () => void): Unsubscribe => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#begin();
    return () => {
      if (this.#listeners.delete(listener) && !this.#listeners.size) this.#end();
    };
  };

  #begin(): void {
    this.#stop = [
      this.#feed.listen((change) => this.#take(change)),
      this.#onGap(() => void this.refetch().catch(() => {})),
    ];
    this.refetch().catch(() => {}); // it stands in the snapshot
  }

  #end(): void {
    for (const stop of this.#stop) stop();
    this.#loading?.abort();
    this.#loading = null;
    clearTimeout(this.#countsTimer);
    clearTimeout(this.#retryTimer);
    this.#countsTimer = undefined;
  }

  #take(change?: FeedChange): void {
    if (change && this.#pages.length) {
      const counts = needsCounts(this.#pages, change, this.#query);
      const refetch = needsRefetch(this.#pages, change, this.#query);
      this.#pages = applyToPages(this.#pages, change);
      if (refetch) this.refetch().catch(() => {});
      else if (counts) this.#countLater();
    }
    // The stream began after the page was made: what came in between is in neither.
    if (!change && this.#left()) this.refetch().catch(() => {});
    this.#show({});
  }

  /** Without a page (somebody else has signed in) everything is left out. */
  #left(): boolean {
    const places = this.#pages.length ? this.#pages.map((page) => page.cursor) : [BEFORE_ALL];
    return !this.#loading && places.some((place) => this.#feed.joins(place) === false);
  }

  #show(more: Partial<InboxSnapshot>): void {
    const view = viewOf(this.#pages, this.#feed.pending(), this.#query);
    this.#snapshot = { ...this.#snapshot, hasMore: !!this.#pages.at(-1)?.next, ...view, ...more };
    for (const listener of [...this.#listeners]) listener();
  }

  /** At most one a second, however many changes ask for it. */
  #countLater(ms = COUNTS_MS): void {
    if (this.#countsTimer || !this.#listeners.size) return;
    this.#countsTimer = setTimeout(async () => {
      this.#countsTimer = undefined;
      const page = await this.#feed.list({ limit: 0 }).catch(() => null);
      const [first, ...rest] = this.#pages;
      if (!page) return this.#countLater(this.#backoff());
      if (!first || !this.#listeners.size) return;
      this.#failures = 0;
      // What came live after the place of the counts is added to them; what is still to come up to it is
      // not.
      const [now] = this.#feed.reconcile([{ ...page, items: first.items }]) as [FeedPage];
      const countsAt = isAfter(first.cursor, now.cursor) ? first.cursor : now.cursor;
      this.#pages = [{ ...first, counts: now.counts, countsAt }, ...rest];
      this.#show({});
    }, ms);
  }

  /** What fails is asked for again by itself: after 1 s, doubling up to 30 s. */
  #backoff(): number {
    return Math.min(RETRY_MAX_MS, COUNTS_MS * 2 ** this.#failures++);
  }

  /** The connection is live again: a list that was refused is asked for once more. */
  live(): void {
    if (this.#refused && this.#listeners.size) this.refetch().catch(() => {});
  }

  async refetch(): Promise<void> {
    this.#loading?.abort();
    clearTimeout(this.#retryTimer);
    const loading = new AbortController();
    this.#loading = loading;
    this.#refused = false;
    this.#show({ status: this.#pages.length ? 'ready' : 'loading' });
    try {
      // As many as were loaded, so that nobody who has scrolled is thrown back.
      const wanted = this.#pages.reduce((sum, page) => sum + page.items.length, 0);
      let pages: FeedPage[] = [];
      do {
        const before = pages.at(-1)?.next ?? undefined;
        const page = await this.#feed.list({ ...this.#query, before, signal: loading.signal });
        if (loading.signal.aborted) return;
        pages = [...pages, page];
      } while (pages.at(-1)?.next && pages.reduce((sum, page) => sum + page.items.length, 0) < wanted);
      this.#loading = null;
      this.#failures = 0;
      this.#pages = this.#feed.reconcile(pages);
      this.#show({ status: 'ready', error: null });
      if (this.#left()) await this.refetch();
    } catch (error) {
      if (loading.signal.aborted) return;
      this.#loading = null;
      const failure = asError(error);
      // A token that ended on the way says nothing of the next one: the connection finds out, and closes.
      this.#refused = !failure.retryable && (failure.code !== 'token_expired' || this.#feed.closed);
      if (!this.#refused && this.#listeners.size)
        this.#retryTimer = setTimeout(() => this.refetch().catch(() => {}), this.#backoff());
      this.#show({ status: 'error', error: failure });
      throw error;
    }
  }

  loadMore(): Promise<void> {
    this.#more ??= this.#loadMore().finally(() => {
      this.#more = null;
    });
    return this.#more;
  }

  async #loadMore(): Promise<void> {
    const last = this.#pages.at(-1);
    if (!last?.next) return;
    this.#show({ loadingMore: true });
    try {
      const page = await this.#feed.list({ ...this.#query, before: last.next });
      // A refetch meanwhile has begun anew: what was asked for does not follow what is there now.
      if (this.#pages.at(-1)?.next !== last.next) return this.#show({ loadingMore: false });
      this.#pages = this.#feed.reconcile([...this.#pages, page]);
      this.#show({ loadingMore: false, error: null });
    } catch (error) {
      this.#show({ loadingMore: false, error: asError(error) });
      throw error;
    }
  }

  /** Another user may come: nothing of this one stays. */
  forget(): void {
    this.#loading?.abort();
    this.#loading = null;
    clearTimeout(this.#retryTimer);
    this.#refused = false;
    this.#pages = [];
    this.#snapshot = emptySnapshot;
    this.#show({});
  }

  async mark(mark: Mark, target: MarkTarget): Promise<void> {
    await this.#feed.mark(mark, target);
  }
}

const asError = (error: unknown): BelfryError =>
  error instanceof BelfryError ? error : new BelfryError(errorOf('network', { message: String(error) }));
