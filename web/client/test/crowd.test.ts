// Ten thousand connections played with a clock of their own: when the server goes, they do not come back
// all at once.
import { describe, expect, it } from 'vitest';
import { step } from '../src/machine.js';
import {
  type Effect,
  type Input,
  type Machine,
  newMachine,
  type Rules,
  reconnectDefaults,
} from '../src/machine-state.js';

const CLIENTS = 10_000;
const KILL = 60_000;
const rules: Rules = {
  hasGetToken: false,
  transports: 4,
  lingerMs: 1_000,
  pauseWhenHiddenMs: 300_000,
  connectTimeoutMs: 10_000,
  reconnect: reconnectDefaults,
};

/** Mulberry32: the same crowd for the same seed. */
function randomOf(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Moments at which each was live again. `outage`: the server refuses for so long. */
function play(seed: number, outage: number, announced: boolean): number[] {
  const random = randomOf(seed);
  const retry = () => 500 + random() * 4_500; // as Admission::retry_ms draws it
  const back: number[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    let machine: Machine = newMachine();
    const timers = new Map<string, number>();
    let inbox: { at: number; input: Input }[] = [];
    const act = (input: Input, now: number) => {
      const [next, effects] = step(machine, input, now, random, rules);
      machine = next;
      for (const effect of effects) run(effect, now);
    };
    const run = (effect: Effect, now: number) => {
      if (effect.do === 'timer') timers.set(effect.name, now + effect.ms);
      if (effect.do === 'stop') timers.delete(effect.name);
      if (effect.do === 'close') inbox = [];
      if (effect.do !== 'open' && effect.do !== 'swap') return;
      const up = now < KILL || now >= KILL + outage;
      const failure = { code: 'network', message: '', kind: 'later' } as const;
      const input: Input = up
        ? { type: 'up', heartbeatMs: 1e8, retryMs: retry(), resumed: true }
        : { type: 'down', failure };
      inbox = [{ at: now + 5 + random() * 20, input }];
    };
    act({ type: 'want' }, random() * 1_000);
    const told = { code: 'shutting_down', message: '', kind: 'later', retryMs: retry() } as const;
    const lost = { code: 'network', message: '', kind: 'later' } as const;
    let killed = false;
    for (let now = 0; now < KILL + 120_000;) {
      const next = Math.min(
        killed ? Number.POSITIVE_INFINITY : KILL,
        ...timers.values(),
        ...inbox.map(({ at }) => at),
      );
      now = next;
      if (now === KILL && !killed) {
        killed = true;
        inbox = [];
        act({ type: 'down', failure: announced ? told : lost }, now);
        continue;
      }
      const first = inbox[0];
      if (first && first.at === now) {
        inbox.shift();
        act(first.input, now);
      } else {
        const due = [...timers].find(([, at]) => at === now);
        if (!due) break;
        timers.delete(due[0]);
        act({ type: 'timer', name: due[0] as never }, now);
      }
      if (killed && machine.phase === 'live') {
        back.push(now - KILL);
        break;
      }
    }
  }
  return back.sort((a, b) => a - b);
}

function spread(back: number[]): { buckets: number[]; worst: number; median: number } {
  const buckets: number[] = [];
  for (const at of back) buckets[Math.floor(at / 1_000)] = (buckets[Math.floor(at / 1_000)] ?? 0) + 1;
  const all = Array.from(buckets, (n) => n ?? 0);
  const first = all.findIndex((n) => n > 0);
  const window = all.slice(first);
  const mean = back.length / Math.max(5, window.length);
  return {
    buckets: all,
    worst: Math.max(...all) / mean,
    median: back[Math.floor(back.length / 2)] as number,
  };
}

describe('a crowd of ten thousand', () => {
  it.each([
    ['killed, and back at once', 0, false],
    ['stopped, and each told when to come back', 0, true],
  ])('%s: no second holds more than twice the mean', (_, outage, announced) => {
    const back = play(7, outage, announced);
    const { buckets, worst, median } = spread(back);
    console.log(
      `back in each second: ${buckets.join(' ')}; worst ${worst.toFixed(2)} × mean`,
      `median ${median.toFixed(0)} ms`,
    );
    expect(back.length).toBe(CLIENTS);
    expect(worst).toBeLessThan(2);
    expect(median).toBeLessThan(4_000);
  });

  // Whoever found nobody meanwhile comes again soon: what a server lets in by default in a second bounds
  // it.
  it('away for three seconds: no second brings more than the 5,000 that a server lets in', () => {
    const back = play(11, 3_000, false);
    const { buckets } = spread(back);
    console.log(`back in each second: ${buckets.join(' ')}`);
    expect(back.length).toBe(CLIENTS);
    expect(Math.max(...buckets)).toBeLessThan(5_000);
  });
});
