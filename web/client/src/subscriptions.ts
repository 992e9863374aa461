// Who listens to which topics in this tab: each hears what is for it, from the place it asked for, and
// learns when the server has taken it up or why it did not.
//
// Always: nothing is given to a listener that has left; `ready` is settled once, by the first word.
import { safely } from './emitter.js';
import { BelfryError } from './errors.js';
import { matches } from './topics.js';
import type { BelfryErrorLike, Cursor, Gap, Message, Subscription } from './types.js';

const HELD_MAX = 1_000;

export interface SubscriptionsPort {
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  token(): Promise<string | null>;
  /** Another topic is listened to, or one less. */
  changed(): void;
  gap(gap: Gap): void;
  /** What lies before could not be read. */
  failed(error: BelfryErrorLike): void;
}

export interface Wish {
  readonly topic: string;
  readonly types: readonly string[] | null;
  readonly since: Cursor;
  readonly signal?: AbortSignal;
  readonly listener: (event: Message) => void;
}

export interface Listening extends Wish {
  /** Live events while what lies before is read. */
  held: Message[] | null;
  readonly settle: (why?: BelfryErrorLike) => void;
}

export class Subscriptions {
  #all = new Set<Listening>();
  #port: SubscriptionsPort;

  constructor(port: SubscriptionsPort) {
    this.#port = port;
  }

  get topics(): string[] {
    return [...new Set([...this.#all].map(({ topic }) => topic))];
  }

  add(wish: Wish): Subscription {
    const { topic, since, signal } = wish;
    let settle!: Listening['settle'];
    let ready = new Promise<void>((taken, refused) => {
      settle = (why) => (why ? refused(new BelfryError(why)) : taken());
    });
    const one: Listening = { ...wish, held: since === 'now' ? null : [], settle };
    const off = () => {
      signal?.removeEventListener('abort', off);
      settle();
      if (this.#all.delete(one)) this.#port.changed();
    };
    if (one.held) ready = ready.then(() => this.#catchUp(one));
    ready.catch(() => {}); // `error` tells it too
    signal?.addEventListener('abort', off);
    if (signal?.aborted) {
      settle();
    } else {
      this.#all.add(one);
      this.#port.changed();
    }
    return { topic, ready, unsubscribe: off, [Symbol.dispose]: off };
  }

  /** These topics, or all, are taken up, or why they are not. Whoever listens stays, for a later connect. */
  settle(topics: readonly string[] = this.topics, why?: BelfryErrorLike): Listening[] {
    const those = [...this.#all].filter(({ topic }) => topics.includes(topic));
    for (const one of those) one.settle(why);
    return those;
  }

  /** The server has refused these: whoever listens to them does not any more. */
  drop(topics: readonly string[], why: BelfryErrorLike): void {
    for (const one of this.settle(topics, why)) this.#all.delete(one);
    this.#port.changed();
  }

  clear(): void {
    this.#all.clear();
  }

  deliver(event: Message): void {
    for (const one of [...this.#all]) {
      if (!matches(one.topic, event.topic)) continue;
      if (!one.held) this.#give(one, event);
      else if (one.held.push(event) > HELD_MAX) {
        one.held = [];
        this.#port.gap({ reason: 'backlog' });
      }
    }
  }

  #give(one: Listening, event: Message): void {
    if (this.#all.has(one) && (one.types?.includes(event.type) ?? true)) safely(() => one.listener(event));
  }

  /** What lies before this subscription, and then what came live meanwhile. */
  async #catchUp(one: Listening): Promise<void> {
    if (!this.#all.has(one)) return;
    try {
      const { catchUp } = await import('./history.js');
      await catchUp(this.#port, one, (event) => this.#give(one, event));
    } catch (error) {
      this.#port.failed(error as BelfryErrorLike);
      throw error;
    }
  }
}
