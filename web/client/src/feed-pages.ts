// The feed as data: pages that are true at their cursor, changes that follow, marks that are not decided
// yet.
//
// Always: a change is applied to a page at most once, because a page knows the place at which it is true;
// so the same changes may be applied again, in order, and nothing moves. A failed mark is dropped from the
// list of those pending, and everything that came meanwhile stays.
import { isAfter } from './place.js';
import type {
  Cursor,
  FeedChange,
  FeedCounts,
  FeedPage,
  FeedQuery,
  Intent,
  Mark,
  MarkTarget,
  Message,
  Notification,
} from './types.js';

type Item = Notification;

export function itemOf(event: Message): Item {
  const {
    notification,
    seen = false,
    read = false,
    archived = false,
    id,
    topic,
    type,
    time,
    key,
    data,
  } = event;
  return { ...notification, id, topic, type, time, key, data, seen, read, archived };
}

/** What an event means to a feed; undefined: nothing. `subscribed`: is its topic asked for on its own? */
export function changeOf(
  event: Message,
  user: string | null,
  subscribed: (topic: string) => boolean,
): FeedChange | undefined {
  const { id: at, type, data } = event;
  if (!at) return undefined;
  // What is followed is the server's to know: a topic that is subscribed to need not be.
  if (event.notification && event.topic !== `users/${user}` && subscribed(event.topic))
    return { kind: 'unsure', at };
  if (event.notification) return { kind: 'added', at, item: itemOf(event) };
  if (type === 'belfry.retract') return { kind: 'retracted', at, id: data.id };
  if (event.topic !== `users/${user}`) return undefined;
  if (type === 'belfry.mark') {
    const { mark, ids, upto, counts } = data;
    return { kind: 'marked', at, mark, target: ids ?? { upto }, counts };
  }
  if (type === 'belfry.erase') return { kind: 'erased', at };
  return undefined;
}

const covers = (target: MarkTarget, id: Cursor): boolean =>
  typeof target === 'string'
    ? target === id
    : 'upto' in target
      ? !isAfter(id, target.upto)
      : target.includes(id);

/** `read` and `archived` imply seen. */
export function marked(item: Item, mark: Mark): Item {
  const { seen, read, archived } = item;
  const next = {
    seen: seen || mark === 'seen' || mark === 'read' || mark === 'archived',
    read: mark === 'read' || (read && mark !== 'unread'),
    archived: mark === 'archived' || (archived && mark !== 'unarchived'),
  };
  const same = next.seen === seen && next.read === read && next.archived === archived;
  return same ? item : { ...item, ...next };
}

const fits = (item: Item, { status = 'active' }: FeedQuery): boolean =>
  status === 'archived'
    ? item.archived
    : !item.archived && (status === 'active' || item.read === (status === 'read'));

const plus = (counts: FeedCounts, item: Item, by: number): FeedCounts =>
  item.archived
    ? counts
    : { unread: counts.unread + (item.read ? 0 : by), unseen: counts.unseen + (item.seen ? 0 : by) };

function mapItems(page: FeedPage, change: (item: Item) => Item): FeedPage {
  const items = page.items.map(change);
  return items.some((item, i) => item !== page.items[i]) ? { ...page, items } : page;
}

/** One page after the change; the first one takes what is new and carries the counts. */
function changed(page: FeedPage, change: FeedChange, first: boolean): FeedPage {
  const next = changedItems(page, change, first);
  // Counts that were asked for on their own may be true at a later place than the items.
  return page.countsAt && !isAfter(change.at, page.countsAt)
    ? { ...next, counts: page.counts }
    : { ...next, countsAt: undefined };
}

function changedItems(page: FeedPage, change: FeedChange, first: boolean): FeedPage {
  const at = change.at;
  switch (change.kind) {
    case 'added': {
      const { item } = change;
      // A newer one of the same key takes the place of the older.
      const old = page.items.find(
        ({ id, key, topic }) => key && key === item.key && topic === item.topic && id !== item.id,
      );
      const kept = page.items.filter((one) => one !== old && one.id !== item.id);
      const counts = old ? plus(page.counts, old, -1) : page.counts;
      return first
        ? { ...page, items: [item, ...kept], counts: plus(counts, item, 1), cursor: at }
        : { ...page, items: kept, counts, cursor: at };
    }
    case 'marked':
      return {
        ...mapItems(page, (item) => (covers(change.target, item.id) ? marked(item, change.mark) : item)),
        counts: change.counts,
        cursor: at,
      };
    case 'retracted': {
      const gone = page.items.find((item) => item.id === change.id);
      if (!gone) return { ...page, cursor: at };
      const items = page.items.filter((item) => item !== gone);
      return { ...page, items, counts: plus(page.counts, gone, -1), cursor: at };
    }
    case 'unsure':
      return page;
    case 'erased':
      return { ...page, items: [], counts: { unread: 0, unseen: 0 }, next: null, cursor: at };
  }
}

/** The pages after a change; the very same where they held it already. Pure. */
export function applyToPages(pages: readonly FeedPage[], change: FeedChange): readonly FeedPage[] {
  let moved = false;
  let counts: FeedCounts | undefined;
  const out = pages.map((page, i) => {
    if (change.kind === 'unsure' || !isAfter(change.at, page.cursor)) return page;
    moved = true;
    const next = changed(page, change, i === 0);
    // What left another page counts on the first, which carries the counts.
    if (i > 0 && change.kind !== 'marked') {
      const by = {
        unread: next.counts.unread - page.counts.unread,
        unseen: next.counts.unseen - page.counts.unseen,
      };
      if (by.unread || by.unseen) counts = by;
    }
    return next;
  });
  const head = out[0];
  if (counts && head && pages[0] && isAfter(change.at, pages[0].cursor))
    out[0] = {
      ...head,
      counts: { unread: head.counts.unread + counts.unread, unseen: head.counts.unseen + counts.unseen },
    };
  return moved ? out : pages;
}

/** Whether the counts after this change cannot be told from the pages: it concerns what is not loaded. */
export function needsCounts(
  pages: readonly FeedPage[],
  change: FeedChange,
  { status = 'active' }: FeedQuery,
): boolean {
  const has = (test: (item: Item) => boolean): boolean => pages.some((page) => page.items.some(test));
  if (change.kind === 'retracted') return !has((item) => item.id === change.id);
  if (change.kind !== 'added' || !change.item.key) return false;
  const { id, key, topic } = change.item;
  const whole = status === 'active' && !pages.at(-1)?.next;
  return !whole && !has((item) => item.id !== id && item.key === key && item.topic === topic);
}

const bringsIn: Record<NonNullable<FeedQuery['status']>, readonly Mark[]> = {
  active: ['unarchived'],
  unread: ['unread', 'unarchived'],
  read: ['read', 'unarchived'],
  archived: ['archived'],
};

/** Whether the change brings in what is not loaded, so that the pages have to be fetched again. */
export function needsRefetch(
  pages: readonly FeedPage[],
  change: FeedChange,
  { status = 'active' }: FeedQuery,
): boolean {
  if (change.kind === 'unsure') return true;
  if (change.kind !== 'marked' || !bringsIn[status].includes(change.mark)) return false;
  const { target } = change;
  if (typeof target !== 'string' && 'upto' in target) return true;
  return [target].flat().some((id) => !pages.some((page) => page.items.some((item) => item.id === id)));
}

export interface FeedView {
  readonly items: readonly Item[];
  readonly counts: FeedCounts;
  readonly pendingIds: ReadonlySet<string>;
}

/** What is shown: the pages with the pending marks on top. Pure. */
export function viewOf(
  pages: readonly FeedPage[],
  intents: readonly Intent[],
  query: FeedQuery = {},
): FeedView {
  let counts = pages[0]?.counts ?? { unread: 0, unseen: 0 };
  const pendingIds = new Set<string>();
  const shown: Item[] = [];
  const ids = new Set<string>();
  for (const page of pages) {
    for (const before of page.items) {
      if (ids.has(before.id)) continue;
      ids.add(before.id);
      let item = before;
      for (const { mark, target, at } of intents) {
        if (!covers(target, item.id) || (at && !isAfter(at, page.cursor))) continue;
        if (!at) pendingIds.add(item.id);
        const next = marked(item, mark);
        counts = plus(plus(counts, item, -1), next, 1);
        item = next;
      }
      if (fits(item, query)) shown.push(item);
    }
  }
  // "All of it" concerns what is not loaded too.
  const newest = pages[0]?.items[0]?.id;
  for (const { mark, target, at } of intents) {
    if (at && pages[0] && !isAfter(at, pages[0].cursor)) continue;
    if (typeof target === 'string' || !('upto' in target) || (newest && isAfter(newest, target.upto)))
      continue;
    if (mark === 'read' || mark === 'archived') counts = { unread: 0, unseen: 0 };
    if (mark === 'seen') counts = { ...counts, unseen: 0 };
  }
  return {
    items: shown,
    counts: { unread: Math.max(0, counts.unread), unseen: Math.max(0, counts.unseen) },
    pendingIds,
  };
}
