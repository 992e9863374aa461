// What the how-to pages show, run as it stands: the blocks between the marks are cut into them.
import { expect, it, vi } from 'vitest';
import { createClient, UnauthorizedError } from '@belfry/client';
import { createMockServer } from '@belfry/client/testing';
import WebSocket from 'ws';
// @ts-expect-error: plain JavaScript
import { Server, until } from '../../../tests/protocol/server.mjs';

interface Booking {
  id: string;
  status: string;
}

it('vanilla', async () => {
  globalThis.WebSocket = WebSocket as never;
  const server = await Server.start();
  const url: string = server.url;
  const render = vi.fn();
  const countdown = vi.fn();
  const real = globalThis.fetch;
  vi.stubGlobal('fetch', (input: string, init?: RequestInit) =>
    input === '/api/belfry-token' ? Response.json({ token: server.token(['#']) }) : real(input, init),
  );
  // cut: vanilla
  const client = createClient<{ 'booking.updated': Booking }>({
    url,
    getToken: async ({ signal }) => {
      const answer = await fetch('/api/belfry-token', { signal });
      if (answer.status === 401) throw new UnauthorizedError();
      return (await answer.json()).token;
    },
  });
  client.subscribe('bookings/42', 'booking.updated', (event) => render(event.data.status));
  client.on('state', (state) => {
    if (state.status === 'waiting') countdown(state.retryAt, state.error.hint);
  });
  // end
  await client.whenLive();
  await server.publish({
    topic: 'bookings/42',
    type: 'booking.updated',
    data: { id: '42', status: 'confirmed' },
  });
  await until(() => render.mock.calls.length === 1, 'rendered');
  expect(render).toHaveBeenCalledWith('confirmed');
  await server.stop();
  await until(() => countdown.mock.calls.length === 1, 'told');
  client.dispose();
  vi.unstubAllGlobals();
});

// cut: mock
it('a mark that fails is taken back', async () => {
  const server = createMockServer({ notifications: [{ title: 'Booking confirmed' }] });
  const inbox = server.client().inbox();
  inbox.subscribe(() => {});
  await vi.waitFor(() => expect(inbox.getSnapshot().status).toBe('ready'));

  server.failNext('feed.mark');
  const [first] = inbox.getSnapshot().items;
  await expect(inbox.mark('read', first?.id ?? '')).rejects.toThrow();
  expect(inbox.getSnapshot().counts.unread).toBe(1);
  server.dispose();
});
// end

// cut: mock_breaks
it('nothing is lost when the connection breaks', async () => {
  const server = createMockServer();
  const client = server.client();
  const got: number[] = [];
  await client.subscribe('rooms', 'booked', (event) => got.push(event.data.room)).ready;

  server.publish('rooms', 'booked', { room: 1 });
  server.dropConnections();
  server.publish('rooms', 'booked', { room: 2 });
  await vi.waitFor(() => expect(got).toEqual([1, 2]), { timeout: 10_000 });
  server.dispose();
});
// end

// cut: mock_gap
it('a gap is told: what lies before must be loaded anew', async () => {
  const server = createMockServer();
  const client = server.client();
  const reload = vi.fn();
  client.on('gap', reload);
  await client.subscribe('rooms', () => {}).ready;

  server.loseHistory();
  server.dropConnections();
  await vi.waitFor(() => expect(reload).toHaveBeenCalled(), { timeout: 10_000 });
  server.dispose();
});
// end

// cut: since
it('what lies before comes first', async () => {
  const server = createMockServer();
  const client = server.client();
  for (const n of [1, 2, 3]) server.publish('rooms', 'booked', n);
  const got: number[] = [];
  await client.subscribe('rooms', 'booked', (event) => got.push(event.data), { since: 'earliest' }).ready;
  server.publish('rooms', 'booked', 4);
  expect(got).toEqual([1, 2, 3, 4]);
  server.dispose();
});
// end
