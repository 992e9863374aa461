// When to GET: refresh events become calls that are spread over the audience, throttled by key, held back
// while somebody edits, and only marks while the tab is hidden.
//
// Bound: KEYS_MAX keys wait; beyond that the oldest are given out at once.
import type { Message, QueryKey, Refresh } from './types.js';

const VERSIONS_MAX = 64;
const KEYS_MAX = 256;

interface Waiting {
  readonly topic: string;
  readonly keys: readonly QueryKey[];
  readonly version?: string;
  timer?: ReturnType<typeof setTimeout>;
}

export class Refresher {
  #emit: (refresh: Refresh) => void;
  #throttleMs: number;
  #last = new Map<string, number>();
  /** What waits for its moment, by topic and keys. */
  #waiting = new Map<string, Waiting>();
  #due = new Map<string, Waiting>(); // its moment came while held or hidden
  #versions = new Set<string>();
  #held = 0;
  #hidden = false;

  constructor(throttleMs: number, emit: (refresh: Refresh) => void) {
    this.#throttleMs = throttleMs;
    this.#emit = emit;
  }

  take({ topic, keys = [[topic]], spread_ms = 0, version }: Message): void {
    const name = `${topic} ${JSON.stringify(keys)}`;
    const known = this.#waiting.get(name) ?? this.#due.get(name);
    const waiting: Waiting = { topic, keys, version };
    if (known) return this.#replace(name, known, waiting);
    if (this.#waiting.size >= KEYS_MAX) this.#fire(this.#waiting.keys().next().value as string);
    const since = Date.now() - (this.#last.get(name) ?? Number.NEGATIVE_INFINITY);
    const ms = Math.max(Math.random() * spread_ms, this.#throttleMs - since);
    this.#waiting.set(name, waiting);
    if (ms <= 0) return this.#fire(name);
    waiting.timer = setTimeout(() => this.#fire(name), ms);
  }

  // One that waits already stands for the newer one too, at its own moment.
  #replace(name: string, known: Waiting, next: Waiting): void {
    next.timer = known.timer;
    (this.#due.has(name) ? this.#due : this.#waiting).set(name, next);
  }

  #fire(name: string): void {
    const one = this.#waiting.get(name);
    if (!one) return;
    clearTimeout(one.timer);
    this.#waiting.delete(name);
    this.#last.set(name, Date.now());
    if (this.#last.size > KEYS_MAX) this.#last.delete(this.#last.keys().next().value as string);
    if (this.#held || this.#hidden) this.#due.set(name, one);
    if (!this.#held) this.#give(one);
  }

  #give({ topic, keys, version }: Waiting): void {
    if (version && this.#versions.has(version)) return;
    this.#emit({ topic, keys, version, staleOnly: this.#hidden });
  }

  #flush(): void {
    if (this.#held || this.#hidden) return;
    const due = [...this.#due.values()];
    this.#due.clear();
    for (const one of due) this.#give(one);
  }

  hold(): void {
    this.#held += 1;
  }
  release(): void {
    if (this.#held && !--this.#held) this.#flush();
  }
  hidden(hidden: boolean): void {
    this.#hidden = hidden;
    this.#flush();
  }
  seen(version: string): void {
    this.#versions.add(version);
    if (this.#versions.size > VERSIONS_MAX)
      this.#versions.delete(this.#versions.values().next().value as string);
  }
  stop(): void {
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    this.#due.clear();
  }
  get running(): number {
    return this.#waiting.size;
  }
}
