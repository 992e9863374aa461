// Typed wrappers over the custom elements of @belfry/inbox: properties and events set by hand, so that
// React 18 and 19 do the same. The elements load when the first of them is mounted.
import type { Client, FeedQuery, Notification } from '@belfry/client';
import { type CSSProperties, createElement, type ReactElement, useContext, useEffect, useRef } from 'react';
import { useLatest } from './events.js';
import { ClientContext } from './provider.js';

export interface InboxProps {
  /** [the provider's] */
  client?: Client<any>;
  query?: FeedQuery;
  locale?: string;
  messages?: Readonly<Record<string, string>>;
  tabs?: readonly { readonly id: string; readonly label: string; readonly query: FeedQuery }[];
  theme?: 'auto' | 'light' | 'dark';
  density?: 'comfortable' | 'compact';
  badge?: 'unseen' | 'unread' | 'dot' | 'none';
  announce?: 'latest' | 'count' | 'off';
  markReadOn?: 'click' | 'visible' | 'never';
  placement?: 'bottom-end' | 'bottom-start';
  shortcuts?: 'all' | 'none';
  open?: boolean;
  onOpenChange?: (open: boolean) => void;
  onNotificationClick?: (notification: Notification, event: { preventDefault(): void }) => void;
  onActionClick?: (notification: Notification, action: string, event: { preventDefault(): void }) => void;
  className?: string;
  style?: CSSProperties;
}

type Detail = { notification: Notification; action?: string; open?: boolean };

function useElement(tag: string, props: InboxProps): ReactElement {
  const {
    className,
    style,
    onOpenChange,
    onNotificationClick,
    onActionClick,
    client: own,
    ...rest
  } = props;
  const provided = useContext(ClientContext);
  const ref = useRef<HTMLElement & Record<string, unknown>>(null);
  const tell = useLatest((event: CustomEvent<Detail>) => {
    const { notification, action } = event.detail ?? {};
    if (event.type === 'belfry-click') onNotificationClick?.(notification, event);
    if (event.type === 'belfry-action') onActionClick?.(notification, action ?? '', event);
    if (event.type === 'belfry-open') onOpenChange?.(true);
    if (event.type === 'belfry-close') onOpenChange?.(false);
  });
  useEffect(() => {
    void import('@belfry/inbox');
    const element = ref.current;
    const names = ['belfry-click', 'belfry-action', 'belfry-open', 'belfry-close'];
    for (const name of names) element?.addEventListener(name, tell as EventListener);
    return () => {
      for (const name of names) element?.removeEventListener(name, tell as EventListener);
    };
  }, [tell]);
  const client = own ?? provided;
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    for (const [name, value] of Object.entries({ ...rest, client }))
      if (value !== undefined) element[name] = value;
  });
  return createElement(tag, { ref, class: className, style });
}

/** `<belfry-bell>`: a button with a badge, and the list in a panel. */
export const Bell = (props: InboxProps): ReactElement => useElement('belfry-bell', props);
/** `<belfry-inbox>`: the list alone, where it stands. */
export const Inbox = (props: InboxProps): ReactElement => useElement('belfry-inbox', props);
