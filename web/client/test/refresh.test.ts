// When to GET: every rule of the refresh scheduler, with a clock of the test's.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Refresher } from '../src/refresh.js';
import type { Refresh } from '../src/types.js';

const bookings = { topic: 'bookings', keys: [['bookings']] };

describe('refresh events', () => {
  let given: Refresh[];
  let refresher: Refresher;
  beforeEach(() => {
    vi.useFakeTimers();
    given = [];
    refresher = new Refresher(300, (refresh) => given.push(refresh));
  });
  afterEach(() => {
    refresher.stop();
    expect(refresher.running).toBe(0);
    vi.useRealTimers();
  });

  it('the first is given at once, then one in 300 ms, and the last is never left out', () => {
    refresher.take(bookings);
    expect(given).toEqual([{ ...bookings, version: undefined, staleOnly: false }]);
    for (let n = 0; n < 10; n++) {
      vi.advanceTimersByTime(20);
      refresher.take({ ...bookings, version: `v${n}` });
    }
    expect(given).toHaveLength(1);
    vi.advanceTimersByTime(100);
    expect(given).toHaveLength(2);
    expect(given[1]?.version).toBe('v9');
    vi.advanceTimersByTime(10_000);
    expect(given).toHaveLength(2);
  });

  it('a stream of them is not put off for ever', () => {
    for (let n = 0; n < 100; n++) {
      refresher.take(bookings);
      vi.advanceTimersByTime(50);
    }
    expect(given.length).toBeGreaterThanOrEqual(16);
    expect(given.length).toBeLessThanOrEqual(18);
  });

  it('other keys do not wait for each other', () => {
    refresher.take(bookings);
    refresher.take({ topic: 'rooms', keys: [['rooms']] });
    expect(given.map(({ topic }) => topic)).toEqual(['bookings', 'rooms']);
  });

  it('are spread over the time that the publisher says', () => {
    const moments: number[] = [];
    const began = Date.now();
    const many = Array.from(
      { length: 200 },
      () => new Refresher(300, () => moments.push(Date.now() - began)),
    );
    for (const one of many) one.take({ ...bookings, spread_ms: 2_000 });
    vi.advanceTimersByTime(2_000);
    expect(moments).toHaveLength(200);
    const early = moments.filter((ms) => ms < 1_000).length;
    expect(early).toBeGreaterThan(60);
    expect(early).toBeLessThan(140);
  });

  it('wait while somebody edits, and come once', () => {
    refresher.hold();
    refresher.hold();
    for (let n = 0; n < 5; n++) {
      refresher.take(bookings);
      vi.advanceTimersByTime(400);
    }
    refresher.release();
    expect(given).toHaveLength(0);
    refresher.release();
    expect(given).toHaveLength(1);
  });

  it('in a hidden tab only mark as stale, and are given when it is shown', () => {
    refresher.hidden(true);
    refresher.take(bookings);
    expect(given).toMatchObject([{ staleOnly: true }]);
    refresher.hidden(false);
    expect(given).toMatchObject([{ staleOnly: true }, { staleOnly: false }]);
    refresher.hidden(false);
    expect(given).toHaveLength(2);
  });

  it('of a version that this tab shows already are not for it, before and after', () => {
    refresher.seen('v1');
    refresher.take({ ...bookings, version: 'v1' });
    expect(given).toHaveLength(0);
    refresher.take({ ...bookings, version: 'v2', spread_ms: 1_000 });
    refresher.seen('v2');
    vi.advanceTimersByTime(2_000);
    expect(given).toHaveLength(0);
  });

  it('of a version that was seen while somebody edited do not come when that is over', () => {
    refresher.hold();
    refresher.take({ ...bookings, version: 'v3' });
    refresher.seen('v3');
    refresher.release();
    expect(given).toHaveLength(0);
  });

  it('are bounded: a flood of keys gives the oldest out', () => {
    for (let n = 0; n < 1_000; n++) refresher.take({ topic: 't', keys: [[n]], spread_ms: 60_000 });
    expect(refresher.running).toBeLessThanOrEqual(256);
    expect(given.length).toBeGreaterThanOrEqual(744);
  });
});
