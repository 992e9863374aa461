// This tab among the others of the browser: alone, or part of those that share one connection. What shares
// is loaded only where there is something to share: a browser with locks and channels, and a user who is
// known.
import type { Link } from './link.js';
import type { Tabs, TabsPort } from './tabs.js';
import type { ConnectionState, Failure, Gap, Intent, Message, Wants } from './types.js';

/** What the client does when another tab says so. */
export interface SharingPort {
  readonly wants: () => Wants;
  readonly state: () => ConnectionState;
  followed(state: ConnectionState): void;
  event(event: Message): void;
  gap(gap: Gap): void;
  intent(intent: Intent, done: boolean): void;
  logout(): void;
  ready(): void;
  refused(topics: readonly string[], failure: Failure): void;
}

export class Sharing {
  #link: Link;
  #port: SharingPort;
  #scope: string;
  #id: string;
  #isolated: boolean;
  #tabs: Tabs | null = null;
  /** no: not tried yet. alone: there are no others to share with. */
  #joined: 'no' | 'joining' | 'joined' | 'alone' = 'no';

  constructor(link: Link, scope: string, id: string, isolated: boolean, port: SharingPort) {
    this.#link = link;
    this.#scope = scope;
    this.#id = id;
    this.#isolated = isolated;
    this.#port = port;
  }

  /** The other tabs, while there may be some. */
  get tabs(): Tabs | null {
    return this.#tabs;
  }

  /** Before a connection is opened: whether it is this tab's to open. If not, it is told when to lead. */
  mayOpen(): boolean {
    if (this.#joined === 'joined' || this.#joined === 'alone') return !this.#tabs || this.#tabs.leading;
    if (this.#joined === 'joining') return false;
    const { user } = this.#link;
    const browser =
      typeof document !== 'undefined' && typeof BroadcastChannel === 'function' && !!navigator.locks;
    if (this.#isolated || user === null || !browser) {
      this.#joined = 'alone';
      return true;
    }
    this.#joined = 'joining';
    queueMicrotask(() => this.#lead(false));
    import('./tabs.js').then(
      ({ Tabs }) => {
        if (this.#joined !== 'joining') return;
        this.#joined = 'joined';
        this.#tabs = new Tabs(`${this.#scope} ${user}`, this.#id, this.#tabsPort());
        this.#tabs.want(this.#port.wants());
      },
      () => {
        this.#joined = 'alone';
        this.#lead(true);
      },
    );
    return false;
  }

  /** Gives the connection to the others. */
  leave(): void {
    this.#tabs?.close();
    this.#tabs = null;
    this.#joined = 'no';
  }

  #lead(leader: boolean): void {
    this.#link.dispatch({ type: 'lead', leader });
  }

  #tabsPort(): TabsPort {
    const link = this.#link;
    const port = this.#port;
    return {
      lead: (leader) => this.#lead(leader),
      state: (state) => port.followed(state),
      event: (event) => {
        if (!(event.id && link.known(event.id))) port.event(event);
      },
      gap: (gap) => port.gap(gap),
      intent: (intent, done) => port.intent(intent, done),
      logout: () => port.logout(),
      wants: (wants) => link.want(wants),
      ready: () => port.ready(),
      refused: (topics, failure) => port.refused(topics, failure),
      place: (cursor) => cursor && link.place(cursor),
      token: (token) => {
        if (!token || token === link.tokens.value) return;
        link.tokens.put(token);
        link.dispatch({ type: 'have-token', ttlMs: link.tokens.ttlMs });
      },
      now: () => ({
        state: port.state(),
        cursor: link.cursor,
        token: link.tokens.value,
        taken: link.confirmed ?? [],
      }),
    };
  }
}
