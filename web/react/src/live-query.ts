// Any REST resource, kept live: fetched, then changed or fetched again by events, and polled while there is
// no connection.
//
// Always: an event between the fetch and the subscription is not missed. What comes while a fetch is under
// way is applied to its result; if the subscription was taken up after the answer, it is fetched once more.
import type { BelfryEvent, EventType, RegisteredEvents } from '@belfry/client';
import {
  type QueryKey,
  type UseQueryOptions,
  type UseQueryResult,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { useLatest } from './events.js';
import { useBelfry, useConnectionState } from './provider.js';

export interface LiveOptions<TData, K extends EventType<RegisteredEvents>> {
  topic: string;
  /** [every event of the topic] */
  on?: K | readonly K[];
  /** The data after the event; undefined, or no function: fetch it. */
  apply?: (old: TData, event: BelfryEvent<RegisteredEvents, K>) => TData | undefined;
  /** How often to fetch while not live, in ms [10 000]; false: not at all. */
  fallbackPollMs?: number | false;
  /** Once true, nothing more is listened to or polled. */
  until?: (data: TData) => boolean;
}

export type UseLiveQueryOptions<TData, K extends EventType<RegisteredEvents>, TKey extends QueryKey> = Omit<
  UseQueryOptions<TData, Error, TData, TKey>,
  'refetchInterval' | 'select'
> & { live: LiveOptions<TData, K> };

export function useLiveQuery<
  TData,
  const K extends EventType<RegisteredEvents> = EventType<RegisteredEvents>,
  TKey extends QueryKey = QueryKey,
>({
  live,
  ...options
}: UseLiveQueryOptions<TData, K, TKey>): UseQueryResult<TData, Error> & { readonly isLive: boolean } {
  const client = useBelfry();
  const queryClient = useQueryClient();
  const isLive = useConnectionState((state) => state.status === 'live');
  const { topic, on, apply, fallbackPollMs = 10_000, until } = live;
  const over = (data: TData | undefined) => data !== undefined && !!until?.(data);

  const query = useQuery({
    ...options,
    meta: { ...options.meta, live: true },
    refetchInterval: ({ state }) =>
      isLive || over(state.data as TData | undefined) ? false : fallbackPollMs,
  } as UseQueryOptions<TData, Error, TData, TKey>);
  const done = over(query.data);

  const key = JSON.stringify(options.queryKey);
  const newest = useRef(options.queryKey);
  newest.current = options.queryKey;
  /** Those that came while a fetch was under way. */
  const missed = useRef<BelfryEvent<RegisteredEvents, K>[]>([]);
  const fetching = query.fetchStatus === 'fetching';

  const refetch = () => void queryClient.invalidateQueries({ queryKey: newest.current });
  const take = useLatest((event: BelfryEvent<RegisteredEvents, K>) => {
    if (queryClient.isFetching({ queryKey: newest.current })) missed.current.push(event);
    if (!apply) return refetch();
    let known = true;
    queryClient.setQueryData<TData>(newest.current, (old) => {
      const next = old === undefined ? undefined : apply(old, event);
      known = next !== undefined;
      return next ?? old;
    });
    if (!known) refetch();
  });

  useEffect(() => {
    if (fetching) return;
    const events = missed.current.splice(0);
    for (const event of events) take(event);
  }, [fetching, take]);

  const types = on === undefined ? '' : [on].flat().join(' ');
  const enabled = options.enabled !== false && !done;
  useEffect(() => {
    if (!enabled || key === undefined) return;
    const sub = types
      ? client.subscribe(topic, types.split(' '), take as (event: BelfryEvent) => void)
      : client.subscribe(topic, take as (event: BelfryEvent) => void);
    let left = false;
    const taken = () => {
      const { dataUpdatedAt = 0 } = queryClient.getQueryState(newest.current) ?? {};
      // Answered before this was taken up: what happened in between is in neither.
      if (left || !dataUpdatedAt || queryClient.isFetching({ queryKey: newest.current })) return;
      void queryClient.invalidateQueries({ queryKey: newest.current });
    };
    sub.ready.then(taken, () => {}); // refused: the client's `error` tells
    return () => {
      left = true;
      sub.unsubscribe();
    };
  }, [client, queryClient, topic, types, enabled, key, take]);

  return Object.assign(query, { isLive });
}
