// <belfry-inbox>: the list. role=feed with its keys (WAI-ARIA APG), and headings for whoever does not know
// feeds.
//
// Always: text nodes only; what comes live moves neither focus nor scroll; one item is the list's stop for
// Tab.
import type { Notification } from '@belfry/client';
import { html, nothing, type PropertyValues } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { Base } from './base.js';
import { relativeTime } from './messages.js';
import { type AnyClient, define, everyMinute, safeUrl } from './shared.js';
import { inbox, tokens } from './styles.js';

const SEEN_MS = 1_000;
const VISIBLE = 0.6;

export interface NotificationDetail {
  readonly notification: Notification;
  readonly action?: string;
}

export class BelfryInbox extends Base {
  static override styles = [tokens, inbox];
  static override properties = {
    ...Base.properties,
    formatTime: { attribute: false },
    renderItem: { attribute: false },
    label: {},
  };

  declare formatTime: ((time: Date) => string) | undefined;
  declare renderItem: ((notification: Notification) => Node) | undefined;
  /** Its name for screen readers [Notifications]. */
  declare label: string | undefined;

  #current: string | null = null;
  #fresh = 0;
  #seenTimers = new Map<string, ReturnType<typeof setTimeout>>();
  #seen = new Set<string>();
  #observer: IntersectionObserver | undefined;
  #offTick: (() => void) | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#offTick = everyMinute(() => this.requestUpdate());
    this.#observer = new IntersectionObserver((all) => this.#visible(all), { threshold: VISIBLE });
  }
  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#offTick?.();
    this.#observer?.disconnect();
    for (const timer of this.#seenTimers.values()) clearTimeout(timer);
    this.#seenTimers.clear();
  }
  protected override follow(client: AnyClient): (() => void)[] {
    return [client.on('notification', () => this.#came())];
  }

  // ── What is shown ──

  get #items(): readonly Notification[] {
    return this.snapshot?.items ?? [];
  }

  protected override render() {
    const { snapshot, words } = this;
    const items = this.#items;
    if (!items.some(({ id }) => id === this.#current)) this.#current = items[0]?.id ?? null;
    const loading = !snapshot || snapshot.status === 'loading';
    return html`
      ${
        this.#fresh
          ? html`<button part="new-pill" @click=${this.#toTop}>
              ${this.count(words.fresh, this.#fresh)}
            </button>`
          : nothing
      }
      <div
        part="list"
        role=${items.length ? 'feed' : nothing}
        aria-busy=${loading || !!snapshot?.loadingMore}
        aria-label=${items.length ? (this.label ?? words.notifications) : nothing}
        @keydown=${this.#key}
        @focusin=${this.#focused}
      >
        ${repeat(
          items,
          ({ id }) => id,
          (item, at) => this.#item(item, at),
        )}
      </div>
      ${this.#note(loading)}
      ${
        snapshot?.hasMore
          ? html`<button part="load-more" ?disabled=${snapshot.loadingMore} @click=${this.#more}>
              ${snapshot.loadingMore ? words.loading : words.loadMore}
            </button>`
          : nothing
      }
    `;
  }

  #note(loading: boolean) {
    const { snapshot, words } = this;
    if (loading) return html`<slot name="loading"><p class="note">${words.loading}</p></slot>`;
    if (snapshot?.status === 'error')
      return html`<slot name="error"
        ><div class="note bad">
          <p>${words.failed}</p>
          ${snapshot.error?.hint ? html`<p>${snapshot.error.hint}</p>` : nothing}
          <button part="retry" @click=${() => this.store?.refetch().catch((error) => this.failed(error))}>
            ${words.retry}
          </button>
        </div></slot
      >`;
    return this.#items.length
      ? nothing
      : html`<slot name="empty"><p class="note">${words.empty}</p></slot>`;
  }

  #item(item: Notification, at: number) {
    const { words } = this;
    const stop = item.id === this.#current ? 0 : -1;
    const title = item.title ?? '';
    const time =
      this.formatTime?.(new Date(item.time)) ?? relativeTime(this.language, item.time, Date.now());
    const name = `item ${item.read ? 'read' : 'unread'}${item.priority === 'high' ? ' high' : ''}`;
    const url = safeUrl(item.url);
    const icon = safeUrl(item.icon);
    const body = item.body ? html`<p part="item-body">${item.body}</p>` : nothing;
    const toggle = item.read ? words.unreadAction : words.read;
    return html`<article
      part=${name}
      class=${item.read ? '' : 'unread'}
      data-id=${item.id}
      tabindex=${stop}
      aria-posinset=${at + 1}
      aria-setsize=${this.snapshot?.hasMore ? -1 : this.#items.length}
      aria-labelledby="t${at}"
      aria-describedby="d${at}"
      @click=${(event: MouseEvent) => this.#click(event, item)}
    >
      ${icon ? html`<img part="avatar" alt="" src=${icon} loading="lazy" />` : nothing}
      <div class="text">
        <h3 part="item-title" id="t${at}">
          ${item.read ? nothing : html`<span class="sr">${words.unreadItem} </span>`}${
            url ? html`<a part="item-link" href=${url} tabindex="-1" rel="noopener">${title}</a>` : title
          }
        </h3>
        <div id="d${at}">
          ${this.renderItem ? this.renderItem(item) : body}
          <time
            part="item-time"
            datetime=${item.time}
            title=${new Date(item.time).toLocaleString(this.language)}
            >${time}</time
          >
        </div>
      </div>
      ${
        item.actions?.length
          ? html`<div part="item-actions" class="offered">
              ${item.actions.map(
                ({ id, label }) =>
                  html`<button tabindex=${stop} @click=${() => this.#action(item, id)}>${label}</button>`,
              )}
            </div>`
          : nothing
      }
      <div class="own">
        <button
          part="item-read"
          tabindex=${stop}
          aria-label="${toggle}: ${title}"
          @click=${() => this.#mark(item.read ? 'unread' : 'read', item.id)}
        >
          ${toggle}
        </button>
        <button
          part="item-archive"
          tabindex=${stop}
          aria-label="${words.archive}: ${title}"
          @click=${() => this.#archive(item.id)}
        >
          ${words.archive}
        </button>
      </div>
    </article>`;
  }

  protected override updated(_changed: PropertyValues): void {
    for (const article of this.#articles) this.#observer?.observe(article);
    const { counts } = this.snapshot ?? {};
    const text = JSON.stringify(counts);
    if (counts && text !== this.#told) {
      this.#told = text;
      this.tell('belfry-change', { counts });
    }
  }
  #told = '';

  get #articles(): readonly HTMLElement[] {
    return [...this.renderRoot.querySelectorAll<HTMLElement>('article')];
  }

  // ── What comes ──

  /** The list grows above what is read: the pill says so. */
  #came(): void {
    if (this.scrollTop > 0 || (this.renderRoot instanceof ShadowRoot && this.renderRoot.activeElement))
      this.#fresh += 1;
    this.requestUpdate();
  }
  #toTop = (): void => {
    this.#fresh = 0;
    this.scrollTop = 0;
    this.#go(0);
  };

  /** Seen: more than half of it shown for a second. */
  #visible(all: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of all) {
      const id = (target as HTMLElement).dataset['id'] as string;
      const timer = this.#seenTimers.get(id);
      if (isIntersecting && !timer && !this.#seen.has(id))
        this.#seenTimers.set(
          id,
          setTimeout(() => this.#saw(id), SEEN_MS),
        );
      if (!isIntersecting && timer) {
        clearTimeout(timer);
        this.#seenTimers.delete(id);
      }
    }
  }
  #batch: string[] = [];
  #saw(id: string): void {
    this.#seenTimers.delete(id);
    const item = this.#items.find((one) => one.id === id);
    if (!item) return;
    this.#seen.add(id);
    const done = this.markReadOn === 'visible' ? item.read : item.seen;
    if (done) return;
    if (!this.#batch.length)
      setTimeout(
        () => this.#mark(this.markReadOn === 'visible' ? 'read' : 'seen', this.#batch.splice(0)),
        50,
      );
    this.#batch.push(id);
  }

  // ── What is done ──

  #mark(mark: 'read' | 'unread' | 'seen' | 'archived', target: string | readonly string[]): void {
    this.store?.mark(mark, target).catch((error) => this.failed(error));
  }
  #more = (): void => {
    this.store?.loadMore().catch((error) => this.failed(error));
  };

  #action(notification: Notification, action: string): void {
    const { url } = notification.actions?.find(({ id }) => id === action) ?? {};
    if (!this.tell('belfry-action', { notification, action }, true)) return;
    const safe = safeUrl(url);
    if (safe) location.assign(safe);
  }

  #click(event: MouseEvent, notification: Notification): void {
    const path = event.composedPath();
    if (path.some((node) => node instanceof HTMLButtonElement)) return;
    this.#current = notification.id;
    if (this.markReadOn !== 'never' && !notification.read) this.#mark('read', notification.id);
    if (!this.tell('belfry-click', { notification }, true)) event.preventDefault();
    this.requestUpdate();
  }

  /** Focus goes to the next, else the one before, else to whoever is above. */
  #archive(id: string): void {
    const items = this.#items;
    const at = items.findIndex((item) => item.id === id);
    const next = items[at + 1] ?? items[at - 1];
    this.#current = next?.id ?? null;
    this.#mark('archived', id);
    void this.updateComplete.then(() => {
      if (next) this.#go(this.#items.findIndex((item) => item.id === next.id));
      else this.tell('belfry-before');
    });
  }

  /** Shows an item and puts the focus on it; false: it is not loaded. */
  focusItem(id: string): boolean {
    const at = this.#items.findIndex((item) => item.id === id);
    if (at >= 0) this.#go(at);
    return at >= 0;
  }

  #go(at: number): void {
    const item = this.#items[Math.max(0, Math.min(at, this.#items.length - 1))];
    if (!item) return;
    this.#current = item.id;
    this.requestUpdate();
    void this.updateComplete.then(() =>
      this.#articles.find(({ dataset }) => dataset['id'] === item.id)?.focus(),
    );
  }

  #focused = (event: FocusEvent): void => {
    const article = (event.target as HTMLElement).closest<HTMLElement>('article');
    if (!article || article.dataset['id'] === this.#current) return;
    this.#current = article.dataset['id'] ?? null;
    this.requestUpdate();
  };

  #key = (event: KeyboardEvent): void => {
    const items = this.#items;
    const at = items.findIndex(({ id }) => id === this.#current);
    const item = items[at];
    const onItem = (event.target as HTMLElement).tagName === 'ARTICLE';
    if (!item || event.altKey || event.metaKey) return;
    const acts: Record<string, () => void> = {
      PageDown: () => this.#go(at + 1),
      PageUp: () => this.#go(at - 1),
      ArrowDown: () => this.#go(at + 1),
      ArrowUp: () => this.#go(at - 1),
      Home: () => (event.ctrlKey ? void this.tell('belfry-before') : this.#go(0)),
      End: () => (event.ctrlKey ? this.#after() : this.#go(items.length - 1)),
    };
    const letters: Record<string, () => void> = {
      j: () => this.#go(at + 1),
      k: () => this.#go(at - 1),
      r: () => this.#mark('read', item.id),
      u: () => this.#mark('unread', item.id),
      e: () => this.#archive(item.id),
    };
    if (onItem) acts['Enter'] = () => this.#enter(item);
    const act =
      acts[event.key] ?? (this.shortcuts === 'none' || event.ctrlKey ? undefined : letters[event.key]);
    if (!act) return;
    event.preventDefault();
    act();
  };

  /** As a click does. */
  #enter(item: Notification): void {
    const article = this.#articles.find(({ dataset }) => dataset['id'] === item.id);
    (article?.querySelector<HTMLElement>('a') ?? article)?.click();
  }

  #after(): void {
    const more = this.renderRoot.querySelector<HTMLElement>('[part=load-more]');
    if (more) more.focus();
    else this.tell('belfry-after');
  }
}

define('belfry-inbox', BelfryInbox);
