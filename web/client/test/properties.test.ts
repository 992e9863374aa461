// Whatever the order of pages, live events, marks, failures and gaps: in the end the list is the server's.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MarkTarget, Notification } from '../src/index.js';
import { createMockServer, type MockServer } from '../src/testing/index.js';

const RUNS = Number(process.env.RUNS ?? 1_000);
const marks = ['read', 'unread', 'seen', 'archived', 'unarchived'] as const;
const statuses = ['active', 'unread', 'read', 'archived'] as const;
type Mark = (typeof marks)[number];

type Act =
  | { do: 'notify' | 'more' | 'refetch' | 'drop' | 'gap' | 'expire' | 'settle' }
  | { do: 'replace'; key: string }
  | { do: 'retract' | 'far' | 'near' | 'near-fails'; mark: Mark; which: number; upto: boolean }
  | { do: 'list-fails' };

const plain = fc.constantFrom(
  'notify',
  'more',
  'refetch',
  'drop',
  'gap',
  'expire',
  'settle',
  'list-fails' as const,
);
const aimed = fc.constantFrom('retract', 'far', 'near', 'near-fails' as const);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ do: 'notify' } as Act) },
  { weight: 4, arbitrary: plain.map((one) => ({ do: one }) as Act) },
  { weight: 1, arbitrary: fc.constantFrom('a', 'b').map((key) => ({ do: 'replace', key }) as Act) },
  {
    weight: 6,
    arbitrary: fc
      .record({ do: aimed, mark: fc.constantFrom(...marks), which: fc.nat(30), upto: fc.boolean() })
      .map((one) => one as Act),
  },
);

const tick = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

function play(
  server: MockServer,
  inbox: ReturnType<ReturnType<MockServer['client']>['inbox']>,
  one: Act,
): void {
  const quiet = (promise: Promise<unknown>) => void promise.catch(() => {});
  const all = [...inbox.getSnapshot().items];
  const target = ({ which, upto }: { which: number; upto: boolean }): MarkTarget | null => {
    const item = all[which % Math.max(1, all.length)];
    return item ? (upto ? { upto: item.id } : item.id) : null;
  };
  switch (one.do) {
    case 'notify':
      return void server.notify({ title: 'n' });
    case 'replace':
      return void server.notify({ title: 'k', key: one.key });
    case 'more':
      return quiet(inbox.loadMore());
    case 'refetch':
      return quiet(inbox.refetch());
    case 'drop':
      return server.dropConnections();
    case 'expire':
      return server.expireTokens();
    case 'gap':
      server.loseHistory();
      return server.dropConnections();
    case 'list-fails':
      return server.failNext('feed.list');
    case 'retract': {
      const item = all[one.which % Math.max(1, all.length)];
      return item && server.retract(item.id);
    }
    case 'far': {
      const at = target(one);
      return void (at && server.mark(one.mark, at));
    }
    case 'near':
    case 'near-fails': {
      const at = target(one);
      if (!at) return;
      if (one.do === 'near-fails') server.failNext('feed.mark');
      return quiet(inbox.mark(one.mark, at));
    }
  }
}

const just = (...all: ('notify' | 'refetch' | 'expire' | 'settle')[]) =>
  all.map((one): Act => ({ do: one }));
// Two tokens end during one request.
const examples: [Act[], (typeof statuses)[number], number][] = [
  [just('settle', 'notify', 'expire', 'refetch', 'settle', 'expire'), 'active', 2],
];

describe('the inbox', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it(`is the server's after ${RUNS} interleavings`, async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { minLength: 1, maxLength: 40 }),
        fc.constantFrom(...statuses),
        fc.nat(2),
        async (acts, status, latencyMs) => {
          const server = createMockServer({
            latencyMs,
            notifications: Array.from({ length: 8 }, (_, n) => ({
              title: `old ${n}`,
              read: n % 3 === 0,
              archived: n % 4 === 3,
            })),
          });
          const client = server.client({ reconnect: { minDelayMs: 0, maxDelayMs: 1 }, lingerMs: 0 });
          const inbox = client.inbox({ status, limit: 5 });
          const off = inbox.subscribe(() => {});
          for (const one of acts) {
            play(server, inbox, one);
            if (one.do === 'settle') await tick(2);
          }
          const until = Date.now() + 15_000; // what fails is asked for again after a second
          for (;;) {
            const wanted = server.page(status); // what was asked for may still be on its way there
            const { items, counts, pendingIds, status: state, hasMore } = inbox.getSnapshot();
            const same =
              state === 'ready' &&
              !pendingIds.size &&
              JSON.stringify(items.map(show)) === JSON.stringify(wanted.slice(0, items.length).map(show)) &&
              (items.length === wanted.length || hasMore) &&
              counts.unread === server.counts.unread &&
              counts.unseen === server.counts.unseen;
            if (same) break;
            if (Date.now() > until) {
              expect({ items: items.map(show), counts }).toEqual({
                items: wanted.slice(0, items.length).map(show),
                counts: server.counts,
              });
              const rest = { state, hasMore, pending: [...pendingIds], have: items.length };
              throw new Error(`it does not settle: ${JSON.stringify(rest)}`);
            }
            await tick(50);
          }
          compared++;
          off();
          server.dispose();
        },
      ),
      { numRuns: RUNS, examples },
    );
    expect(compared).toBeGreaterThanOrEqual(RUNS);
  }, 600_000);
});

const show = ({ id, seen, read, archived }: Notification) => `${id} ${seen} ${read} ${archived}`;
