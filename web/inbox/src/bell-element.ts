// <belfry-bell>: a button that says how many, and the list in a panel beside it (popover, not modal).
import type { ConnectionState, FeedQuery, Notification } from '@belfry/client';
import { html, nothing } from 'lit';
import { type Badge, Base } from './base.js';
import './inbox-element.js';
import type { BelfryInbox } from './inbox-element.js';
import { type AnyClient, define } from './shared.js';
import { bell, tokens } from './styles.js';

const DEBOUNCE_MS = 1_000;
const ANNOUNCE_MS = 5_000;
const GAP_PX = 8;
/** Of the list, for whoever styles the bell from outside. */
const PARTS =
  'list, item, unread, read, high, item-title, item-link, item-body, item-time, item-actions, ' +
  'load-more, new-pill, avatar';

export interface Tab {
  readonly id: string;
  readonly label: string;
  readonly query: FeedQuery;
}

export class BelfryBell extends Base {
  static override styles = [tokens, bell];
  static override properties = {
    ...Base.properties,
    badge: {},
    announce: {},
    placement: {},
    tabs: { attribute: false },
    formatTime: { attribute: false },
    renderItem: { attribute: false },
    open: { type: Boolean, reflect: true },
  };

  declare badge: Badge | undefined;
  declare announce: 'latest' | 'count' | 'off' | undefined;
  declare placement: 'bottom-end' | 'bottom-start' | undefined;
  declare tabs: readonly Tab[] | undefined;
  declare formatTime: ((time: Date) => string) | undefined;
  declare renderItem: ((notification: Notification) => Node) | undefined;
  declare open: boolean;

  #tab = 0;
  #state: ConnectionState = { status: 'idle' };
  #second: ReturnType<typeof setInterval> | undefined;
  #waiting: Notification[] = [];
  #announceTimer: ReturnType<typeof setTimeout> | undefined;
  #announcedAt = Number.NEGATIVE_INFINITY;
  #announced = '';

  constructor() {
    super();
    this.open = false;
  }

  protected override follow(client: AnyClient): (() => void)[] {
    this.#state = client.state;
    return [
      client.on('state', (state) => {
        this.#state = state;
        this.requestUpdate();
      }),
      client.on('notification', (notification) => this.#came(notification)),
      () => {
        clearTimeout(this.#announceTimer);
        clearInterval(this.#second);
      },
    ];
  }

  // ── What is shown ──

  protected override render() {
    const { words, snapshot } = this;
    const counts = snapshot?.counts ?? { unread: 0, unseen: 0 };
    const kind = this.badge ?? 'unseen';
    const n = kind === 'unread' ? counts.unread : counts.unseen;
    const text = kind === 'dot' ? nothing : n > 99 ? '99+' : n;
    const label = counts.unread
      ? `${words.notifications}, ${this.count(words.unread, counts.unread)}`
      : words.notifications;
    return html`
      <button
        part="trigger"
        id="trigger"
        popovertarget="panel"
        aria-label=${label}
        aria-haspopup="dialog"
        aria-expanded=${this.open}
      >
        <svg
          part="icon"
          aria-hidden="true"
          viewBox="0 0 24 24"
          fill="none"
          stroke="currentColor"
          stroke-width="1.8"
          stroke-linecap="round"
          stroke-linejoin="round"
        >
          <path d="M6 9a6 6 0 0 1 12 0c0 6 2.5 7.5 2.5 7.5h-17S6 15 6 9" />
          <path d="M10 20a2.2 2.2 0 0 0 4 0" />
        </svg>
        ${
          n > 0 && kind !== 'none'
            ? html`<span part="badge" class=${kind} aria-hidden="true">${text}</span>`
            : nothing
        }
      </button>
      <div
        part="panel"
        id="panel"
        popover="auto"
        role="dialog"
        aria-labelledby="h"
        @toggle=${this.#toggled}
        @belfry-before=${this.#before}
        @belfry-after=${this.#after}
      >
        ${this.open ? this.#panel() : nothing}
      </div>
      <span part="announcer" class="sr" role="status">${this.#announced}</span>
    `;
  }

  #panel() {
    const { words, snapshot } = this;
    const banner = this.#banner();
    const query = this.tabs?.[this.#tab]?.query ?? this.query;
    return html`
      <header part="header">
        <h2 part="title" id="h" tabindex="-1">${words.notifications}</h2>
        ${
          snapshot?.counts.unread
            ? html`<button part="mark-all" @click=${this.#markAll}>${words.markAll}</button>`
            : nothing
        }
        <slot name="header-actions"></slot>
      </header>
      ${this.tabs?.length ? this.#tabList(this.tabs) : nothing}
      ${banner ? html`<p part="banner">${banner}</p>` : nothing}
      <belfry-inbox
        .client=${this.used}
        .query=${query}
        .limit=${this.limit}
        .locale=${this.locale ?? this.language}
        .messages=${this.messages}
        .formatTime=${this.formatTime}
        .renderItem=${this.renderItem}
        .markReadOn=${this.markReadOn}
        .shortcuts=${this.shortcuts}
        .density=${this.density}
        .theme=${this.theme}
        exportparts=${PARTS}
      ></belfry-inbox>
      <footer part="footer"><slot name="footer" @slotchange=${this.#footer}></slot></footer>
    `;
  }

  #tabList(tabs: readonly Tab[]) {
    return html`<div part="tabs" role="tablist" @keydown=${this.#tabKey}>
      ${tabs.map(
        ({ label }, at) =>
          html`<button
            role="tab"
            aria-selected=${at === this.#tab}
            tabindex=${at === this.#tab ? 0 : -1}
            @click=${() => this.#select(at)}
          >
            ${label}
          </button>`,
      )}
    </div>`;
  }

  #banner(): string {
    const { words } = this;
    const state = this.#state;
    if (state.status === 'offline') return words.offline;
    if (state.status === 'closed')
      return state.error?.hint ? `${words.closed} ${state.error.hint}` : words.closed;
    if (state.status !== 'waiting') return '';
    const n = Math.max(0, Math.ceil((state.retryAt - Date.now()) / 1000));
    return this.say(words.reconnecting, { n });
  }

  #footer = (event: Event): void => {
    const slot = event.target as HTMLSlotElement;
    slot.parentElement?.classList.toggle('used', slot.assignedNodes().length > 0);
  };

  // ── Open and closed ──

  show(): void {
    this.#popover?.showPopover();
  }
  hide(): void {
    this.#popover?.hidePopover();
  }
  /** Opens, and puts the focus on an item if it is loaded. */
  async focusItem(id: string): Promise<boolean> {
    this.show();
    await this.updateComplete;
    const inbox = this.renderRoot.querySelector<BelfryInbox>('belfry-inbox');
    await inbox?.updateComplete;
    return inbox?.focusItem(id) ?? false;
  }
  get #popover(): HTMLElement | null {
    return this.renderRoot.querySelector('#panel');
  }

  protected override updated(changed: Map<string, unknown>): void {
    if (!changed.has('open') || !this.#popover) return;
    const shown = this.#popover.matches(':popover-open');
    if (this.open && !shown) this.show();
    if (!this.open && shown) this.hide();
  }

  #toggled = async (event: ToggleEvent): Promise<void> => {
    if (event.target !== this.#popover) return;
    this.open = event.newState === 'open';
    clearInterval(this.#second);
    this.tell(this.open ? 'belfry-open' : 'belfry-close');
    if (!this.open) {
      const at = document.activeElement;
      if (!at || at === document.body || at === this)
        this.renderRoot.querySelector<HTMLElement>('#trigger')?.focus();
      return;
    }
    // The countdown of the banner, while somebody looks.
    this.#second = setInterval(() => this.#state.status === 'waiting' && this.requestUpdate(), 1_000);
    await this.updateComplete;
    this.#place();
    this.#title();
  };

  #title(): void {
    this.renderRoot.querySelector<HTMLElement>('#h')?.focus();
  }

  /** Below the button, inside the window. */
  #place(): void {
    const panel = this.#popover;
    const trigger = this.renderRoot.querySelector('#trigger');
    if (!panel || !trigger) return;
    const at = trigger.getBoundingClientRect();
    const width = panel.offsetWidth;
    const ltr = getComputedStyle(this).direction !== 'rtl';
    const atEnd = (this.placement ?? 'bottom-end') === 'bottom-end';
    const wish = atEnd === ltr ? at.right - width : at.left;
    const left = Math.max(GAP_PX, Math.min(wish, innerWidth - width - GAP_PX));
    const below = innerHeight - at.bottom - GAP_PX;
    const top =
      below >= Math.min(panel.offsetHeight, 320)
        ? at.bottom + 4
        : Math.max(GAP_PX, at.top - panel.offsetHeight - 4);
    Object.assign(panel.style, {
      left: `${left}px`,
      top: `${top}px`,
      maxHeight: `min(var(--_height), ${innerHeight - top - GAP_PX}px)`,
    });
  }

  #before = (): void => {
    const button = this.renderRoot.querySelector<HTMLElement>('[part=mark-all]');
    if (button) button.focus();
    else this.#title();
  };
  #after = (): void => {
    const foot = this.querySelector<HTMLElement>(
      '[slot=footer] a, [slot=footer] button, a[slot=footer], button[slot=footer]',
    );
    if (foot) foot.focus();
    else this.#title();
  };

  #select(at: number): void {
    this.#tab = at;
    this.requestUpdate();
  }
  #tabKey = (event: KeyboardEvent): void => {
    const n = this.tabs?.length ?? 0;
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const ltr = getComputedStyle(this).direction !== 'rtl';
    this.#select((this.#tab + (ltr ? by : -by) + n) % n);
    void this.updateComplete.then(() =>
      this.renderRoot.querySelector<HTMLElement>('[aria-selected=true]')?.focus(),
    );
  };

  // ── What comes and what is done ──

  #markAll = (): void => {
    const newest = this.snapshot?.items[0];
    if (newest) this.store?.mark('read', { upto: newest.id }).catch((error) => this.failed(error));
    this.#title();
  };
  protected override failed(error: unknown): void {
    super.failed(error);
    this.#say(this.words.restored);
  }

  /** One message for what came within a second, one every five at most. */
  #came(notification: Notification): void {
    if (this.announce === 'off') return;
    this.#waiting.push(notification);
    if (this.#announceTimer) return;
    const wait = Math.max(DEBOUNCE_MS, this.#announcedAt + ANNOUNCE_MS - Date.now());
    this.#announceTimer = setTimeout(() => {
      this.#announceTimer = undefined;
      const all = this.#waiting.splice(0);
      const latest = this.announce === 'count' ? '' : ` ${all.at(-1)?.title ?? ''}.`;
      this.#announcedAt = Date.now();
      this.#say(`${this.count(this.words.fresh, all.length)}.${latest}`);
    }, wait);
  }
  #say(text: string): void {
    this.#announced = text;
    this.requestUpdate();
  }
}

define('belfry-bell', BelfryBell);
