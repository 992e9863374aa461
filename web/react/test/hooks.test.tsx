// @vitest-environment happy-dom
// The hooks against the mock server, with React 19 or 18 (see vitest.config.ts), in StrictMode.
import { createMockServer, type MockServer } from '@belfry/client/testing';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act, cleanup, render, renderHook, waitFor } from '@testing-library/react';
import { type ReactNode, StrictMode, version } from 'react';
import { renderToString } from 'react-dom/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  BelfryProvider,
  notificationsOptions,
  Bell,
  type RefreshOptions,
  useConnectionState,
  useEvent,
  useHold,
  useLiveQuery,
  useNotificationActions,
  useNotifications,
  useRefresh,
  useUnreadCount,
} from '../src/index.js';

let server: MockServer;
let client: ReturnType<MockServer['client']>;
let queryClient: QueryClient;
const said = vi.fn();

beforeEach(() => {
  server = createMockServer({
    notifications: [{ title: 'Booked', data: { n: 1 } }, { title: 'Paid' }, { title: 'Old', read: true }],
  });
  client = server.client({ lingerMs: 20 });
  queryClient = new QueryClient();
  for (const level of ['error', 'warn'] as const) vi.spyOn(console, level).mockImplementation(said);
});
afterEach(() => {
  cleanup();
  queryClient.clear();
  server.dispose();
  expect(said.mock.calls).toEqual([]);
  said.mockClear();
});

function Wrapper({ children, refresh }: { children: ReactNode; refresh?: RefreshOptions }) {
  return (
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <BelfryProvider client={client} {...(refresh ? { refresh } : {})}>
          {children}
        </BelfryProvider>
      </QueryClientProvider>
    </StrictMode>
  );
}
const hook = <T,>(use: () => T) => renderHook(use, { wrapper: Wrapper });

describe(`React ${version}`, () => {
  it('one connection however often it mounts, none when nothing is left', async () => {
    const seen = vi.fn();
    const one = hook(() => useEvent('a', 'made', () => seen()));
    await waitFor(() => expect(server.connections.length).toBe(1));
    one.rerender();
    one.unmount();
    const two = hook(() => useEvent('a', 'made', () => seen()));
    await waitFor(() => expect(client.state.status).toBe('live'));
    expect(server.connections).toEqual([{ topics: ['a'], feed: false }]);
    act(() => void server.publish('a', 'made'));
    expect(seen).toHaveBeenCalledTimes(1);
    two.unmount();
    await waitFor(() => expect(server.connections.length).toBe(0));
    expect(client.state.status).toBe('idle');
  });

  it('a handler that changes with every render is heard, and never subscribes again', async () => {
    const heard: number[] = [];
    const { rerender } = renderHook(({ n }) => useEvent('a', 'made', () => heard.push(n)), {
      wrapper: Wrapper,
      initialProps: { n: 1 },
    });
    await waitFor(() => expect(client.state.status).toBe('live'));
    for (let n = 2; n <= 10; n++) rerender({ n });
    act(() => void server.publish('a', 'made'));
    expect(heard).toEqual([10]);
  });

  it('the connection state, and a part of it', async () => {
    const { result } = hook(() => {
      useEvent('a', 'x', () => {});
      return [useConnectionState().status, useConnectionState((state) => state.status === 'live')];
    });
    await waitFor(() => expect(result.current).toEqual(['live', true]));
    act(() => server.dropConnections());
    expect(result.current).toEqual(['waiting', false]);
  });

  it('notifications: history, then live, counted', async () => {
    const { result } = hook(() => ({ ...useNotifications({ limit: 2 }), unread: useUnreadCount() }));
    await waitFor(() => expect(result.current.isLive && result.current.isSuccess).toBe(true));
    expect(result.current.notifications.map(({ title }) => title)).toEqual(['Booked', 'Paid']);
    expect(result.current.counts).toEqual({ unread: 2, unseen: 2 });
    await act(() => result.current.fetchNextPage());
    await waitFor(() => expect(result.current.notifications.length).toBe(3));
    expect(result.current.hasNextPage).toBe(false);
    act(() => void server.notify({ title: 'New' }));
    await waitFor(() =>
      expect(result.current.notifications.map(({ title }) => title)).toEqual([
        'New',
        'Booked',
        'Paid',
        'Old',
      ]),
    );
    expect(result.current.counts.unread).toBe(3);
    await waitFor(() => expect(result.current.unread).toBe(3));
  });

  it('marks: at once, and a failure takes back only itself', async () => {
    const { result } = hook(() => ({ ...useNotifications(), actions: useNotificationActions() }));
    await waitFor(() => expect(result.current.isLive && result.current.isSuccess).toBe(true));
    const [first, second] = result.current.notifications.map(({ id }) => id) as [string, string];
    const { actions } = result.current;
    server.failNext('feed.mark');
    let failing: Promise<void> = Promise.resolve();
    act(() => {
      failing = actions.markRead(first);
    });
    expect(result.current.notifications[0]?.read).toBe(true);
    expect(result.current.pendingIds.has(first)).toBe(true);
    act(() => void server.notify({ title: 'Meanwhile' }));
    await act(() => expect(failing).rejects.toMatchObject({ code: 'internal' }));
    expect(result.current.notifications.map(({ title, read }) => [title, read])).toEqual([
      ['Meanwhile', false],
      ['Booked', false],
      ['Paid', false],
      ['Old', true],
    ]);
    await act(() => actions.markRead(second));
    expect(server.counts.unread).toBe(2);
    await act(() => actions.markAllRead());
    await waitFor(() => expect(result.current.counts).toEqual({ unread: 0, unseen: 0 }));
    expect(server.counts.unread).toBe(0);
    expect(result.current.actions).toBe(actions);
  });

  it('a live query: events with data, polled only while not live, and over when it is over', async () => {
    let status = 'pending';
    const queryFn = vi.fn(async () => ({ status }));
    const { result } = hook(() =>
      useLiveQuery({
        queryKey: ['payment', '1'],
        queryFn,
        live: {
          topic: 'payments/1',
          on: ['payment.confirmed'],
          apply: (old, event) => ({ ...old, status: event.data.status }),
          fallbackPollMs: 20,
          until: (data) => data.status !== 'pending',
        },
      }),
    );
    await waitFor(() => expect(result.current.isLive && result.current.isSuccess).toBe(true));
    const before = queryFn.mock.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(queryFn.mock.calls.length - before).toBeLessThanOrEqual(1);
    act(() => server.goOffline());
    const offline = queryFn.mock.calls.length;
    await waitFor(() => expect(queryFn.mock.calls.length).toBeGreaterThan(offline + 2));
    status = 'confirmed';
    await waitFor(() => expect(result.current.data).toEqual({ status: 'confirmed' }));
    const end = queryFn.mock.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(queryFn.mock.calls.length).toBe(end);
    expect(server.connections).toEqual([]);
  });

  it('a live query: what comes while it is fetched is applied to the answer', async () => {
    let answer: (value: { n: number }) => void = () => {};
    const { result } = hook(() =>
      useLiveQuery({
        queryKey: ['n'],
        queryFn: () => new Promise<{ n: number }>((resolve) => (answer = resolve)),
        live: { topic: 'n', on: ['added'], apply: (old, event) => ({ n: old.n + event.data.by }) },
      }),
    );
    await waitFor(() => expect(server.connections.length).toBe(1));
    act(() => void server.publish('n', 'added', { by: 2 }));
    act(() => answer({ n: 1 }));
    await waitFor(() => expect(result.current.data).toEqual({ n: 3 }));
  });

  it('refresh events refetch what they name, and nothing that is not allowed', async () => {
    const fetched: string[] = [];
    function List({ name }: { name: string }) {
      useRefresh('bookings');
      const { data } = useLiveQuery({
        queryKey: [name, 'list'],
        queryFn: async () => fetched.push(name),
        live: { topic: 'nothing' },
      });
      return <p>{data}</p>;
    }
    render(
      <Wrapper refresh={{ allow: ['bookings'] }}>
        <List name="bookings" />
        <List name="secrets" />
      </Wrapper>,
    );
    await waitFor(() => expect(client.state.status).toBe('live'));
    await waitFor(() => expect(queryClient.isFetching()).toBe(0));
    fetched.length = 0;
    act(() => server.refresh('bookings', [['bookings'], ['secrets'], []]));
    await waitFor(() => expect(fetched).toEqual(['bookings']));
  });

  it('refresh events wait while somebody edits', async () => {
    const heard = vi.fn();
    const { rerender } = renderHook(
      ({ editing }) => {
        useHold(editing);
        useRefresh('bookings', heard);
      },
      { wrapper: Wrapper, initialProps: { editing: true } },
    );
    await waitFor(() => expect(client.state.status).toBe('live'));
    act(() => server.refresh('bookings', [['bookings']]));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(heard).not.toHaveBeenCalled();
    rerender({ editing: false });
    expect(heard).toHaveBeenCalledTimes(1);
  });

  it('pages that came from elsewhere and are older than the stream are fetched again', async () => {
    // Another part of the page listens already, and has come further than the page of the feed.
    const heard = vi.fn();
    const early = renderHook(() => useEvent('a', 'x', heard), { wrapper: Wrapper });
    await waitFor(() => expect(client.state.status).toBe('live'));
    await queryClient.prefetchInfiniteQuery(notificationsOptions(client));
    server.notify({ title: 'In between' });
    act(() => void server.publish('a', 'x'));
    expect(heard).toHaveBeenCalledTimes(1);
    const { result } = hook(() => useNotifications());
    await waitFor(() => expect(result.current.notifications[0]?.title).toBe('In between'));
    expect(result.current.counts.unread).toBe(3);
    early.unmount();
  });

  it('a gap loads the list anew, with refresh events switched off too', async () => {
    const bare = ({ children }: { children: ReactNode }) => (
      <QueryClientProvider client={queryClient}>
        <BelfryProvider client={client} refresh={false}>
          {children}
        </BelfryProvider>
      </QueryClientProvider>
    );
    const { result } = renderHook(() => useNotifications(), { wrapper: bare });
    await waitFor(() => expect(result.current.isLive && result.current.isSuccess).toBe(true));
    act(() => server.goOffline());
    server.notify({ title: 'Missed' });
    server.loseHistory();
    act(() => server.goOnline());
    await waitFor(() => expect(result.current.notifications[0]?.title).toBe('Missed'), { timeout: 15_000 });
  });

  it('renders on a server', () => {
    function Page() {
      const { notifications, counts } = useNotifications();
      return (
        <p>
          {`${notifications.length} ${counts.unread} ${useConnectionState().status}`}
          <Bell />
        </p>
      );
    }
    const html = renderToString(
      <Wrapper>
        <Page />
      </Wrapper>,
    );
    expect(html).toContain('0 0 idle');
    expect(html).toContain('belfry-bell');
    expect(server.connections).toEqual([]);
  });
});
