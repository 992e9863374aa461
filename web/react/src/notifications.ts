// The feed in the cache of queries: history by pages, live changes written into them, marks on top of both
// until they are decided.
import {
  applyToPages,
  type BelfryError,
  type Client,
  type FeedChange,
  type FeedCounts,
  type FeedPage,
  type FeedQuery,
  type Intent,
  isAfter,
  type Mark,
  type MarkTarget,
  type Notification,
  needsCounts,
  needsRefetch,
  viewOf,
} from '@belfry/client';
import {
  type InfiniteData,
  infiniteQueryOptions,
  type QueryClient,
  type UseInfiniteQueryResult,
  useInfiniteQuery,
  useQueryClient,
} from '@tanstack/react-query';
import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { useBelfry, useConnectionState } from './provider.js';

type AnyClient = Client<any>;
type Pages = InfiniteData<FeedPage, string | null>;

export const belfryKeys = {
  all: ['belfry'] as const,
  feed: (query: FeedQuery = {}) => ['belfry', 'feed', query] as const,
};

/** For prefetch, loaders, servers, useSuspenseInfiniteQuery. */
export function notificationsOptions(client: AnyClient, query: FeedQuery = {}) {
  return infiniteQueryOptions<
    FeedPage,
    BelfryError,
    Pages,
    ReturnType<typeof belfryKeys.feed>,
    string | null
  >({
    queryKey: belfryKeys.feed(query),
    queryFn: ({ pageParam, signal }) =>
      client.feed.list({ ...query, ...(pageParam ? { before: pageParam } : {}), signal }),
    initialPageParam: null,
    getNextPageParam: (page) => page.next,
    staleTime: Number.POSITIVE_INFINITY, // the stream keeps it; a gap invalidates it
    retry: (count, error) => count < 2 && error.retryable !== false,
  });
}

/** Live changes into every cached list of the feed; shared by all components of one cache. */
const keepers = new WeakMap<AnyClient, WeakMap<QueryClient, { users: number; stop: () => void }>>();

function keep(client: AnyClient, queryClient: QueryClient): () => void {
  let caches = keepers.get(client);
  if (!caches) keepers.set(client, (caches = new WeakMap()));
  let keeper = caches.get(queryClient);
  if (!keeper) caches.set(queryClient, (keeper = { users: 0, stop: begin(client, queryClient) }));
  keeper.users += 1;
  const mine = keeper;
  return () => {
    mine.users -= 1;
    if (mine.users) return;
    mine.stop();
    caches.delete(queryClient);
  };
}

function begin(client: AnyClient, queryClient: QueryClient): () => void {
  const cache = queryClient.getQueryCache();
  const lists = () => cache.findAll({ queryKey: [...belfryKeys.all, 'feed'] });
  const write = (
    queryKey: readonly unknown[],
    change: (pages: readonly FeedPage[]) => readonly FeedPage[],
  ) => {
    queryClient.setQueryData<Pages>(queryKey, (old) => {
      if (!old) return old;
      const pages = change(old.pages);
      return pages === old.pages ? old : { ...old, pages: [...pages] };
    });
  };
  const stale = (queryKey: readonly unknown[]) => void queryClient.invalidateQueries({ queryKey });
  // The stream began after the page was made (it came from a server, or lay here for long): what came in
  // between is in neither.
  const join = () => {
    for (const { queryKey, state } of lists()) {
      const { pages } = (state.data as Pages | undefined) ?? {};
      if (state.fetchStatus === 'idle' && pages?.some(({ cursor }) => client.feed.joins(cursor) === false))
        stale(queryKey);
    }
  };
  const offFeed = client.feed.listen((change?: FeedChange) => {
    if (!change) return join();
    for (const { queryKey } of lists()) {
      const pages = queryClient.getQueryData<Pages>(queryKey)?.pages ?? [];
      const query = queryKey[2] as FeedQuery;
      const again = needsCounts(pages, change, query) || needsRefetch(pages, change, query);
      write(queryKey, (old) => applyToPages(old, change));
      if (again) stale(queryKey);
    }
  });
  const offGap = client.on('gap', () => {
    for (const { queryKey } of lists()) stale(queryKey);
  });
  // An answer replaces what was there: what came live while it was on its way is applied to it again.
  const offCache = cache.subscribe(({ type, query, ...rest }) => {
    const { action } = rest as { action?: { type: string; manual?: boolean } };
    if (type !== 'updated' || action?.type !== 'success' || action.manual) return;
    if (query.queryKey[0] !== 'belfry' || query.queryKey[1] !== 'feed') return;
    queueMicrotask(() => {
      write(query.queryKey, (pages) => client.feed.reconcile(pages));
      join();
    });
  });
  return () => {
    offFeed();
    offGap();
    offCache();
    // Nobody keeps them from here on.
    for (const { queryKey } of lists())
      void queryClient.invalidateQueries({ queryKey, refetchType: 'none' });
  };
}

const none: readonly Intent[] = [];

function usePending(client: AnyClient): readonly Intent[] {
  return useSyncExternalStore(
    (listener) => client.feed.listen((change) => change ?? listener()),
    () => client.feed.pending(),
    () => none,
  );
}

export type UseNotificationsResult = UseInfiniteQueryResult<Pages, BelfryError> & {
  readonly notifications: readonly Notification[];
  readonly counts: FeedCounts;
  readonly pendingIds: ReadonlySet<string>;
  readonly isLive: boolean;
};

export function useNotifications(query: FeedQuery = {}): UseNotificationsResult {
  const client = useBelfry();
  const queryClient = useQueryClient();
  const isLive = useConnectionState((state) => state.status === 'live');
  useEffect(() => keep(client, queryClient), [client, queryClient]);
  const result = useInfiniteQuery(notificationsOptions(client, query));
  const pending = usePending(client);
  const pages = result.data?.pages;
  const { status } = query;
  const view = useMemo(
    () => viewOf(pages ?? [], pending, status ? { status } : {}),
    [pages, pending, status],
  );
  const { items: notifications, counts, pendingIds } = view;
  return Object.assign(result, { notifications, counts, pendingIds, isLive });
}

export function useUnreadCount(kind: keyof FeedCounts = 'unread'): number {
  return useNotifications().counts[kind];
}

export interface NotificationActions {
  mark(mark: Mark, target: MarkTarget): Promise<void>;
  markRead(target: MarkTarget): Promise<void>;
  markUnread(target: MarkTarget): Promise<void>;
  markSeen(target: MarkTarget): Promise<void>;
  archive(target: MarkTarget): Promise<void>;
  /** Everything that is known of now; what comes later stays unread. */
  markAllRead(): Promise<void>;
}

/** The same functions while the client is the same. A failure undoes its own change only, and rejects. */
export function useNotificationActions(): NotificationActions {
  const client = useBelfry();
  const queryClient = useQueryClient();
  return useMemo(() => {
    const mark = async (name: Mark, target: MarkTarget) => void (await client.feed.mark(name, target));
    const newest = () =>
      queryClient
        .getQueriesData<Pages>({ queryKey: [...belfryKeys.all, 'feed'] })
        .flatMap(([, data]) => data?.pages[0]?.cursor ?? [])
        .reduce<string | undefined>((a, b) => (a && isAfter(a, b) ? a : b), undefined);
    return {
      mark,
      markRead: (target) => mark('read', target),
      markUnread: (target) => mark('unread', target),
      markSeen: (target) => mark('seen', target),
      archive: (target) => mark('archived', target),
      markAllRead: async () =>
        mark('read', { upto: newest() ?? (await client.feed.list({ limit: 0 })).cursor }),
    };
  }, [client, queryClient]);
}
