// Who the client is, and what its refresh events do to the cache of queries.
import type { Client, ConnectionState, Refresh } from '@belfry/client';
import { type QueryClient, QueryClientContext, type QueryKey } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useEffect, useSyncExternalStore } from 'react';

export interface RefreshOptions {
  /** To query keys of this application [the keys of the event]. */
  map?: (refresh: Refresh) => readonly QueryKey[];
  /** First elements of keys that events may refresh [all]. */
  allow?: readonly string[];
}

type AnyClient = Client<any>;

/** Refresh events and gaps become invalidations, until the function that it returns is called. */
export function bindQueryClient(
  client: AnyClient,
  queryClient: QueryClient,
  { map = ({ keys }) => keys, allow }: RefreshOptions = {},
): () => void {
  const offRefresh = client.on('refresh', (refresh) => {
    for (const queryKey of map(refresh)) {
      // A key without an element would refetch the whole application.
      if (!queryKey.length || (allow && !allow.includes(String(queryKey[0])))) continue;
      const refetchType = refresh.staleOnly ? 'none' : 'active';
      void queryClient.invalidateQueries({ queryKey, refetchType });
    }
  });
  const offGap = client.on('gap', () => {
    void queryClient.invalidateQueries({
      predicate: ({ meta }) => !!meta?.['live'],
    });
  });
  return () => {
    offRefresh();
    offGap();
  };
}

export const ClientContext = createContext<AnyClient | null>(null);

export interface BelfryProviderProps {
  client: AnyClient;
  /** false: refresh events are the application's own matter. */
  refresh?: RefreshOptions | false;
  children?: ReactNode;
}

/** Does not connect: the first hook that listens does. The client belongs to a module, not to a component. */
export function BelfryProvider({ client, refresh, children }: BelfryProviderProps) {
  const queryClient = useContext(QueryClientContext);
  // Options are usually written in place: what counts is what they say.
  const map = refresh === false ? undefined : refresh?.map;
  const allow = refresh === false ? undefined : refresh?.allow?.join('\n');
  useEffect(() => {
    if (refresh === false || !queryClient) return;
    return bindQueryClient(client, queryClient, {
      ...(map ? { map } : {}),
      ...(allow ? { allow: allow.split('\n') } : {}),
    });
  }, [client, queryClient, map, allow, refresh === false]);
  return <ClientContext.Provider value={client}>{children}</ClientContext.Provider>;
}

export function useBelfry(): AnyClient {
  const client = useContext(ClientContext);
  if (!client) throw new Error('useBelfry: put <BelfryProvider client={…}> above this component.');
  return client;
}

const idle: ConnectionState = { status: 'idle' };
const same = (state: ConnectionState) => state as unknown;

export function useConnectionState(): ConnectionState;
export function useConnectionState<T>(selector: (state: ConnectionState) => T): T;
export function useConnectionState(selector: (state: ConnectionState) => unknown = same): unknown {
  const client = useBelfry();
  return useSyncExternalStore(
    (listener) => client.on('state', listener),
    () => selector(client.state),
    () => selector(idle),
  );
}
