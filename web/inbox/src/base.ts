// What the bell and the inbox have in common: a client, a language, a store whose every change renders.
import type { FeedQuery, InboxSnapshot, InboxStore } from '@belfry/client';
import { LitElement, type PropertyValues } from 'lit';
import { fill, type Messages, messagesOf, plural } from './messages.js';
import { type AnyClient, clientOf } from './shared.js';

export type Badge = 'unseen' | 'unread' | 'dot' | 'none';

export abstract class Base extends LitElement {
  static override properties = {
    client: { attribute: false },
    query: { attribute: false },
    messages: { attribute: false },
    url: {},
    tokenUrl: { attribute: 'token-url' },
    locale: {},
    limit: { type: Number },
    theme: { reflect: true },
    density: { reflect: true },
    shortcuts: {},
    markReadOn: { attribute: 'mark-read-on' },
  };

  declare client: AnyClient | undefined;
  declare query: FeedQuery;
  declare messages: Partial<Messages>;
  declare url: string | undefined;
  declare tokenUrl: string | undefined;
  declare locale: string | undefined;
  declare limit: number | undefined;
  declare theme: 'auto' | 'light' | 'dark' | undefined;
  declare density: 'comfortable' | 'compact' | undefined;
  declare shortcuts: 'all' | 'none' | undefined;
  declare markReadOn: 'click' | 'visible' | 'never' | undefined;

  protected store: InboxStore | undefined;
  #listened: AnyClient | undefined;
  #listenedQuery: FeedQuery | undefined;
  #stop: (() => void)[] = [];

  constructor() {
    super();
    this.query = {};
    this.messages = {};
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#listen();
  }
  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#unlisten();
  }
  protected override willUpdate(changed: PropertyValues): void {
    if (['client', 'query', 'url', 'tokenUrl', 'limit'].some((name) => changed.has(name))) this.#listen();
  }

  /** Follows the client that is meant now. */
  #listen(): void {
    const client = this.client ?? (this.url ? clientOf(this.url, this.tokenUrl ?? null) : undefined);
    const query = this.limit ? { ...this.query, limit: this.limit } : this.query;
    const same = client === this.#listened && JSON.stringify(query) === JSON.stringify(this.#listenedQuery);
    if (!this.isConnected || (same && this.#stop.length)) return;
    this.#unlisten();
    if (!client) return;
    this.#listened = client;
    this.#listenedQuery = query;
    this.store = client.inbox(query);
    this.#stop = [this.store.subscribe(() => this.requestUpdate()), ...this.follow(client)];
  }
  #unlisten(): void {
    for (const stop of this.#stop.splice(0)) stop();
    this.#listened = undefined;
  }

  /** What else of the client is listened to. */
  protected abstract follow(client: AnyClient): (() => void)[];

  protected get used(): AnyClient | undefined {
    return this.#listened;
  }
  protected get snapshot(): InboxSnapshot | undefined {
    return this.store?.getSnapshot();
  }
  get language(): string {
    return (
      this.locale ||
      this.closest('[lang]')?.getAttribute('lang') ||
      document.documentElement.lang ||
      navigator.language
    );
  }
  protected get words(): Messages {
    return { ...messagesOf(this.language), ...this.messages };
  }
  protected say(text: string, values: Readonly<Record<string, string | number>>): string {
    return fill(text, values);
  }
  protected count(forms: Messages['unread'], n: number): string {
    return plural(this.language, forms, n);
  }

  /** True unless a listener prevented it. */
  protected tell(name: string, detail: object = {}, cancelable = false): boolean {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable }));
  }
  protected failed(error: unknown): void {
    this.tell('belfry-error', { error });
  }
}
