// Events in components: handlers may change with every render, and nothing is subscribed again.
import type { BelfryEvent, EventType, Refresh, RegisteredEvents } from '@belfry/client';
import { useEffect, useInsertionEffect, useRef } from 'react';
import { useBelfry } from './provider.js';

type Types<K> = K | readonly K[];

/** The newest function, behind one that never changes. */
export function useLatest<A extends unknown[]>(call: (...values: A) => void): (...values: A) => void {
  const latest = useRef(call);
  useInsertionEffect(() => {
    latest.current = call;
  });
  return useRef((...values: A) => latest.current(...values)).current;
}

export function useEvent<const K extends EventType<RegisteredEvents>>(
  topic: string,
  type: Types<K>,
  handler: (event: BelfryEvent<RegisteredEvents, K>) => void,
  { enabled = true }: { enabled?: boolean } = {},
): void {
  const client = useBelfry();
  const latest = useLatest(handler);
  const types = [type].flat().join(' ');
  useEffect(() => {
    if (!enabled) return;
    const sub = client.subscribe(topic, types.split(' '), latest as (event: BelfryEvent) => void);
    return () => sub.unsubscribe();
  }, [client, topic, types, enabled, latest]);
}

/** Refresh events of a topic, at the moment at which to GET. The provider refetches queries already. */
export function useRefresh(topic: string | readonly string[], handler?: (refresh: Refresh) => void): void {
  const client = useBelfry();
  const latest = useLatest(handler ?? (() => {}));
  const topics = [topic].flat().join(' ');
  useEffect(() => {
    const all = topics.split(' ');
    const subs = all.map((one) => client.subscribe(one, 'refresh', () => {}));
    const off = client.on('refresh', (refresh) => all.includes(refresh.topic) && latest(refresh));
    return () => {
      off();
      for (const sub of subs) sub.unsubscribe();
    };
  }, [client, topics, latest]);
}

/** While it is true, refresh events wait: somebody is editing what they would replace. */
export function useHold(editing: boolean): void {
  const client = useBelfry();
  useEffect(() => {
    if (!editing) return;
    client.hold();
    return () => client.release();
  }, [client, editing]);
}
