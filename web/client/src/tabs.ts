// One connection for all tabs of a browser: the holder of a lock (Web Locks) leads, the others follow on a
// BroadcastChannel. The browser frees the lock of a tab that dies; one that is frozen has it stolen.
//
// Always: a leader has an epoch above every one it has seen, and followers drop what comes from a lower
// one; a split costs a repeated event, which is dropped by its id, and never a lost one, because the new
// leader goes on from the cursor that the old one told.
import type { ConnectionState, Cursor, Failure, Gap, Intent, Message, Wants } from './types.js';

const BEAT_MS = 2_000;
const SILENT_MS = 6_000;
const ANSWER_MS = 800;
/** Of several that would take over, the first one's word keeps the others from it. */
const STAGGER_MS = 400;
const TICK_MS = 500;
const HIDDEN_LEADER_MS = 60_000;

interface Now {
  state: ConnectionState;
  cursor: Cursor | null;
  token: string | null;
  /** Topics that the server has said yes to. */
  taken: readonly string[];
}

/** What a tab does when it hears from another. */
export interface TabsPort {
  lead(leader: boolean): void;
  state(state: ConnectionState): void;
  event(event: Message): void;
  gap(gap: Gap): void;
  intent(intent: Intent, done: boolean): void;
  logout(): void;
  /** Of all tabs together changed; only the leader is asked. */
  wants(wants: Wants): void;
  /** The leader has taken up what this tab wants. */
  ready(): void;
  /** The server has refused these to the leader. */
  refused(topics: readonly string[], failure: Failure): void;
  place(cursor: Cursor | null): void;
  token(token: string | null): void;
  now(): Now;
}

type Said =
  | ({ t: 'beat'; epoch: number; hidden: number; has: Wants } & Now)
  | { t: 'event'; epoch: number; event: Message }
  | { t: 'gap'; epoch: number; gap: Gap }
  | { t: 'want'; wants: Wants | null }
  | { t: 'intent'; intent: Intent; done: boolean }
  | { t: 'refused'; topics: readonly string[]; failure: Failure }
  | { t: 'ask' | 'logout' | 'hello' };

export class Tabs {
  #name: string;
  #id: string;
  #port: TabsPort;
  #channel: BroadcastChannel;
  #epoch = 0;
  #leading = false;
  #closed = new AbortController();
  #all = new Map<string, Wants>();
  #mine: Wants = { topics: [], feed: false };
  #ready = false;
  #heard = Date.now();
  #answer: ReturnType<typeof setTimeout> | undefined;
  #hiddenAt: number | null = null;
  #timer: ReturnType<typeof setInterval>;

  constructor(scope: string, id: string, port: TabsPort) {
    this.#name = `belfry:${scope}`;
    this.#id = id;
    this.#port = port;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data.from, data);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.hidden(document.visibilityState === 'hidden');
    // Whoever holds this lives.
    this.#hold(`${this.#name}:${id}`, {}, () => {});
    this.#candidate(false);
    this.#say({ t: 'hello' });
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** What all tabs want together. */
  get all(): Wants {
    return this.#union();
  }

  want(wants: Wants): void {
    this.#mine = wants;
    this.#ready = false;
    this.#all.set(this.#id, wants);
    this.#say({ t: 'want', wants });
    if (this.#leading) this.#port.wants(this.#union());
  }

  hidden(hidden: boolean): void {
    this.#hiddenAt = hidden ? Date.now() : null;
    this.#heard = Date.now();
    if (this.#leading) this.beat();
  }

  /** The leader's word: what it is, where it stands, what it has. */
  beat(): void {
    if (!this.#leading) return;
    const hidden = this.#hiddenAt === null ? 0 : Date.now() - this.#hiddenAt;
    this.#say({ t: 'beat', epoch: this.#epoch, ...this.#port.now(), hidden, has: this.#union() });
  }
  event(event: Message): void {
    this.#say({ t: 'event', epoch: this.#epoch, event });
  }
  gap(gap: Gap): void {
    this.#say({ t: 'gap', epoch: this.#epoch, gap });
  }
  intent(intent: Intent, done: boolean): void {
    this.#say({ t: 'intent', intent, done });
  }
  logout(): void {
    this.#say({ t: 'logout' });
  }
  /** None of the tabs wants these any more: a frozen one learns it when it wakes. */
  refused(topics: readonly string[], failure: Failure): void {
    for (const [id, wants] of this.#all)
      this.#all.set(id, { ...wants, topics: wants.topics.filter((topic) => !topics.includes(topic)) });
    this.#say({ t: 'refused', topics, failure });
  }

  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#say({ t: 'want', wants: null });
    clearInterval(this.#timer);
    this.#answered();
    this.#leading = false;
    this.#closed.abort();
    this.#channel.close();
  }

  #say(said: Said): void {
    if (!this.#closed.signal.aborted) this.#channel.postMessage({ from: this.#id, ...said });
  }

  /** Holds a lock until it is closed; calls when it has it. Resolves when it is lost or given back. */
  #hold(name: string, options: LockOptions, got: () => void): Promise<void> {
    const { signal } = this.#closed;
    return navigator.locks
      .request(name, options.steal ? options : { ...options, signal }, () => {
        if (signal.aborted) return undefined;
        got();
        return new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => resolve(), { once: true }),
        );
      })
      .catch(() => {}) as Promise<void>;
  }

  #candidate(steal: boolean): void {
    this.#hold(this.#name, steal ? { steal } : {}, () => this.#lead()).then(() => {
      if (this.#closed.signal.aborted) return;
      // Stolen: whoever did it leads.
      this.#follow();
      this.#candidate(false);
    });
  }

  #lead(): void {
    this.#leading = true;
    this.#epoch += 1;
    this.#all.set(this.#id, this.#mine);
    for (const id of this.#all.keys()) this.#watch(id);
    this.#port.wants(this.#union());
    this.#port.lead(true);
    this.beat();
  }

  #follow(): void {
    if (!this.#leading) return;
    this.#leading = false;
    this.#heard = Date.now();
    this.#port.lead(false);
  }

  /** Its lock comes free when the tab has gone. */
  #watch(id: string): void {
    if (id === this.#id || this.#closed.signal.aborted) return;
    const { signal } = this.#closed;
    navigator.locks.request(`${this.#name}:${id}`, { signal }, () => this.#drop(id)).catch(() => {});
  }

  #drop(id: string): void {
    if (this.#all.delete(id) && this.#leading) this.#port.wants(this.#union());
  }

  #union(): Wants {
    const all = [...this.#all.values()];
    return {
      topics: [...new Set(all.flatMap((wants) => wants.topics))],
      feed: all.some((wants) => wants.feed),
    };
  }

  #hear(from: string, said: Said): void {
    switch (said.t) {
      case 'beat':
        return this.#hearBeat(said);
      case 'event':
        if (said.epoch >= this.#epoch && !this.#leading) this.#port.event(said.event);
        return;
      case 'gap':
        if (said.epoch >= this.#epoch && !this.#leading) this.#port.gap(said.gap);
        return;
      case 'want':
        if (!said.wants) return this.#drop(from);
        if (!this.#all.has(from) && this.#leading) this.#watch(from);
        this.#all.set(from, said.wants);
        if (this.#leading) {
          this.#port.wants(this.#union());
          this.beat();
        }
        return;
      case 'intent':
        return this.#port.intent(said.intent, said.done);
      case 'refused':
        return this.#port.refused(said.topics, said.failure);
      case 'logout':
        return this.#port.logout();
      case 'hello':
        this.#say({ t: 'want', wants: this.#mine });
        return this.beat();
      case 'ask':
        return this.beat();
    }
  }

  #hearBeat(said: Extract<Said, { t: 'beat' }>): void {
    if (said.epoch < this.#epoch) return;
    if (this.#leading) {
      // Two lead: the lock was stolen and nobody told this one yet.
      if (said.epoch > this.#epoch) this.#follow();
      return;
    }
    this.#epoch = said.epoch;
    this.#heard = Date.now();
    this.#answered();
    this.#port.token(said.token);
    this.#port.place(said.cursor);
    this.#port.state(said.state);
    const { topics, feed } = this.#mine;
    if (!topics.every((topic) => said.has.topics.includes(topic)) || (feed && !said.has.feed)) {
      this.#say({ t: 'want', wants: this.#mine });
    } else if (
      !this.#ready &&
      said.state.status === 'live' &&
      topics.every((topic) => said.taken.includes(topic))
    ) {
      this.#ready = true;
      this.#port.ready();
    }
    const away = said.hidden > HIDDEN_LEADER_MS || (said.hidden && said.state.status === 'paused');
    if (away && this.#hiddenAt === null) this.#takeOver(0);
  }

  /** A visible follower of a silent leader asks once, then takes over. */
  #tick(): void {
    if (this.#leading) {
      if (Date.now() - this.#heard >= BEAT_MS) {
        this.#heard = Date.now();
        this.beat();
      }
      return;
    }
    if (this.#hiddenAt !== null || this.#answer || Date.now() - this.#heard < SILENT_MS) return;
    this.#say({ t: 'ask' });
    this.#takeOver(ANSWER_MS);
  }

  /** Unless a leader is heard of until then. */
  #takeOver(ms: number): void {
    this.#answer = setTimeout(
      () => {
        this.#answered();
        this.#heard = Date.now();
        if (this.#hiddenAt === null && !this.#leading) this.#candidate(true);
      },
      ms + Math.random() * STAGGER_MS,
    );
  }

  #answered(): void {
    clearTimeout(this.#answer);
    this.#answer = undefined;
  }
}
