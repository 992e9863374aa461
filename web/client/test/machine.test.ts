// Every number of the connection's policy, one input at a time.
import { describe, expect, it } from 'vitest';
import { errorOf } from '../src/errors.js';
import { step } from '../src/machine.js';
import {
  type Effect,
  type Input,
  type Machine,
  newMachine,
  type Rules,
  reconnectDefaults,
  stateOf,
} from '../src/machine-state.js';
import type { Failure, TransportName } from '../src/types.js';

const names: TransportName[] = ['websocket', 'sse', 'poll'];
const lost: Failure = errorOf('network');

/** A machine with a clock and dice of the test's. */
class Played {
  now = 1_000_000;
  dice = 0.5;
  machine: Machine = newMachine();
  effects: Effect[] = [];
  readonly timers = new Map<string, number>();
  readonly rules: Rules;
  constructor(more: Partial<Rules> = {}) {
    this.rules = {
      hasGetToken: true,
      transports: 3,
      lingerMs: 1_000,
      pauseWhenHiddenMs: 300_000,
      connectTimeoutMs: 10_000,
      reconnect: reconnectDefaults,
      ...more,
    };
  }
  give(input: Input): this {
    [this.machine, this.effects] = step(this.machine, input, this.now, () => this.dice, this.rules);
    for (const effect of this.effects) {
      if (effect.do === 'timer') this.timers.set(effect.name, this.now + effect.ms);
      if (effect.do === 'stop') this.timers.delete(effect.name);
    }
    return this;
  }
  /** Lets time pass; timers that come due are given, in order. */
  pass(ms: number): this {
    const end = this.now + ms;
    for (;;) {
      const [name, at] = [...this.timers].sort((a, b) => a[1] - b[1])[0] ?? [];
      if (name === undefined || at === undefined || at > end) break;
      this.now = Math.max(this.now, at);
      this.timers.delete(name);
      this.give({ type: 'timer', name: name as never });
    }
    this.now = end;
    return this;
  }
  live(more: Partial<Extract<Input, { type: 'up' }>> = {}): this {
    this.give({ type: 'want' });
    if (this.machine.phase === 'token') this.give({ type: 'token', ttlMs: 3_600_000 });
    return this.give({ type: 'up', heartbeatMs: 20_000, retryMs: 2_000, resumed: false, ...more });
  }
  get did(): string[] {
    return this.effects.filter((one) => one.do !== 'timer' && one.do !== 'stop').map((one) => one.do);
  }
  left(name: string): number | undefined {
    const at = this.timers.get(name);
    return at === undefined ? undefined : at - this.now;
  }
  get state() {
    return stateOf(this.machine, names, false);
  }
}

describe('tokens', () => {
  it('is asked for before the first connection, which waits for it', () => {
    const one = new Played().give({ type: 'want' });
    expect(one.effects).toContainEqual({ do: 'token', reason: 'initial', attempt: 0 });
    expect(one.machine.phase).toBe('token');
    expect(one.give({ type: 'token', ttlMs: 60_000 }).did).toContain('open');
  });
  it('is renewed in band at ttl − max(10 s, 20 %), within a tenth', () => {
    const one = new Played().live({ ttlMs: 100_000, heartbeatMs: 1e9 });
    expect(one.left('renew')).toBe(80_000 * 0.95);
    one.pass(80_000 * 0.95);
    expect(one.effects).toContainEqual({ do: 'token', reason: 'expiring', attempt: 0 });
    expect(one.state.status).toBe('live');
    expect(one.give({ type: 'token', ttlMs: 100_000 }).did).toEqual(['renew']);
    expect(one.left('renew')).toBe(76_000);
  });
  it('is asked for before a reconnect when less than 10 s are left', () => {
    const one = new Played().live({ ttlMs: 100_000, heartbeatMs: 1e9 });
    one.timers.delete('renew');
    one.timers.delete('beat');
    one.pass(91_000).give({ type: 'down', failure: lost }).pass(10_000);
    expect(one.machine.phase).toBe('token');
    expect(one.effects).toContainEqual({ do: 'token', reason: 'expiring', attempt: 0 });
  });
  it('that is rejected is asked for once more, and then never', () => {
    const rejected = errorOf('token_expired', { kind: 'token' });
    const one = new Played().give({ type: 'want' }).give({ type: 'token', ttlMs: null });
    one.give({ type: 'down', failure: rejected });
    expect(one.effects).toContainEqual({ do: 'token', reason: 'rejected', attempt: 0 });
    one.give({ type: 'token', ttlMs: null }).give({ type: 'down', failure: rejected });
    expect(one.state).toMatchObject({
      status: 'closed',
      reason: 'unauthorized',
      error: { code: 'token_expired' },
    });
    expect(one.pass(1e7).did).not.toContain('open');
  });
  it('that does not come is asked for again, from 1 s to 30 s apart, while the connection stays', () => {
    const one = new Played().live({ ttlMs: 100_000, heartbeatMs: 1e9 }).pass(76_000);
    one.give({ type: 'no-token', unauthorized: false, error: errorOf('token_source') });
    expect(one.state.status).toBe('live');
    expect(one.left('renew')).toBeGreaterThanOrEqual(1_000);
    expect(one.left('renew')).toBeLessThanOrEqual(31_000);
  });
  it('may be refused for good', () => {
    const one = new Played().give({ type: 'want' });
    one.give({ type: 'no-token', unauthorized: true, error: errorOf('unauthenticated') });
    expect(one.state).toMatchObject({ status: 'closed', reason: 'unauthorized' });
    expect(one.timers.size).toBe(0);
  });
});

describe('coming back', () => {
  it('after a break without a word: at the moment that the server drew', () => {
    const one = new Played().live().pass(1_000).give({ type: 'down', failure: lost });
    expect(one.state).toMatchObject({ status: 'waiting', retryAt: one.now + 2_000 });
  });
  it('when told: then, and up to a fifth later', () => {
    const one = new Played().live().give({ type: 'down', failure: { ...lost, retryMs: 7_000 } });
    expect(one.left('retry')).toBe(7_700);
    expect(one.machine.attempt).toBe(0);
  });
  it('backs off with full jitter, and after ten failures in quiet mode', () => {
    const one = new Played({ transports: 1 }).give({ type: 'want' }).give({ type: 'token', ttlMs: null });
    const delays: number[] = [];
    for (let n = 0; n < 22; n++) {
      one.give({ type: 'down', failure: lost });
      delays.push(one.left('retry') as number);
      one.pass(one.left('retry') as number);
    }
    expect(delays.slice(0, 4)).toEqual([750, 1_000, 1_500, 2_500]);
    expect(delays[10]).toBe(15_500);
    expect(delays[21]).toBe(150_500);
  });
  it('forgets failures only after 30 s of being live', () => {
    const flap = (ms: number) => {
      const one = new Played({ transports: 1 }).give({ type: 'want' }).give({ type: 'token', ttlMs: null });
      one
        .give({ type: 'down', failure: lost })
        .pass(2_000)
        .give({ type: 'up', heartbeatMs: 1e6, resumed: true });
      return one.pass(ms).give({ type: 'down', failure: lost }).machine.attempt;
    };
    expect(flap(29_000)).toBe(2);
    expect(flap(31_000)).toBe(1);
  });
  it.each(['bad_topic', 'forbidden', 'token_revoked'])('never after %s', (code) => {
    const one = new Played().live().give({ type: 'down', failure: errorOf(code, { kind: 'never' }) });
    expect(one.state.status).toBe('closed');
    expect(one.pass(1e7).timers.size).toBe(0);
    expect(one.give({ type: 'connect' }).machine.phase).toBe('token');
  });
  it('times out an opening after 10 s', () => {
    const one = new Played().give({ type: 'want' }).give({ type: 'token', ttlMs: null }).pass(10_000);
    expect(one.state).toMatchObject({ status: 'waiting', error: { code: 'timeout' } });
  });
});

describe('transports', () => {
  it('falls back after two that never opened, and tries the better one again after 10 minutes', () => {
    const one = new Played().give({ type: 'want' }).give({ type: 'token', ttlMs: null });
    for (const at of [0, 1]) {
      expect(one.machine.at).toBe(0);
      one.give({ type: 'down', failure: lost });
      if (at === 0) one.pass(60_000 - 50_000);
    }
    expect(one.machine.at).toBe(1);
    one.pass(10_000).give({ type: 'up', heartbeatMs: 1e9, resumed: true });
    expect(one.state).toMatchObject({ transport: 'sse' });
    expect(one.left('better')).toBe(600_000);
    one.pass(600_000);
    expect(one.did).toEqual(['swap']);
    expect(one.machine.at).toBe(0);
    one.give({ type: 'down', failure: lost });
    expect(one.machine.at).toBe(1);
  });
  it('keeps one that worked through a short outage', () => {
    const one = new Played().live().give({ type: 'down', failure: lost }).pass(2_000);
    for (let n = 0; n < 3; n++) one.give({ type: 'down', failure: lost }).pass(40_000 - 1);
    expect(one.machine.at).toBe(0);
  });
});

describe('the tab', () => {
  it('lingers a second without listeners, and then nothing runs', () => {
    const one = new Played().live().give({ type: 'unwant' }).pass(999);
    expect(one.state.status).toBe('live');
    one.pass(1);
    expect(one.state.status).toBe('idle');
    expect(one.timers.size).toBe(0);
  });
  it('lets a listener that comes back at once have the same connection', () => {
    const one = new Played().live().give({ type: 'unwant' }).pass(500).give({ type: 'want' }).pass(5_000);
    expect(one.state.status).toBe('live');
  });
  it('pauses when hidden for five minutes, and goes on when shown', () => {
    const one = new Played().live({ heartbeatMs: 1e9 }).give({ type: 'hidden' }).pass(299_999);
    expect(one.state.status).toBe('live');
    expect(one.pass(1).state.status).toBe('paused');
    one.give({ type: 'visible' });
    expect(one.left('retry')).toBeLessThanOrEqual(250);
  });
  it('probes after a sleep, and gives up after 3 s of silence', () => {
    const one = new Played().live({ heartbeatMs: 1e9 }).give({ type: 'hidden' });
    one.now += 20_000;
    expect(one.give({ type: 'visible' }).did).toEqual(['ping']);
    one.pass(2_999);
    expect(one.state.status).toBe('live');
    expect(one.pass(1).state.status).toBe('waiting');
  });
  it('is content with any message', () => {
    const one = new Played().live({ heartbeatMs: 1e9 }).give({ type: 'hidden' });
    one.now += 20_000;
    one.give({ type: 'visible' }).give({ type: 'message' }).pass(10_000);
    expect(one.state.status).toBe('live');
  });
  it('that slept past its token asks for one before anything goes out', () => {
    const one = new Played().live({ ttlMs: 60_000, heartbeatMs: 1e9 }).give({ type: 'hidden' });
    one.timers.clear(); // frozen: no timer runs
    one.now += 600_000;
    one.give({ type: 'visible' });
    expect(one.did).toEqual(['close', 'token']);
  });
  it('notices a sleep by a timer that comes late', () => {
    const one = new Played().live();
    one.now += 60_000;
    expect(one.give({ type: 'timer', name: 'beat' }).did).toEqual(['ping']);
  });
  it('runs no timer while the browser is offline', () => {
    const one = new Played().live().give({ type: 'offline' });
    expect(one.state.status).toBe('offline');
    expect(one.timers.size).toBe(0);
    expect(one.give({ type: 'online' }).left('retry')).toBe(500);
  });
  it('takes silence for what it is where the server has no heartbeats', () => {
    const one = new Played().live({ heartbeatMs: 0 }).pass(3_000_000);
    expect(one.state.status).toBe('live');
    expect(one.left('beat')).toBeUndefined();
  });
  it('ends a connection that went silent: heartbeat and 10 s', () => {
    const one = new Played().live();
    one.pass(20_000);
    expect(one.state.status).toBe('live');
    one.pass(20_000);
    expect(one.state).toMatchObject({ status: 'waiting', error: { code: 'timeout' } });
  });
});
