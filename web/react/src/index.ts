// @belfry/react: live events, refresh events and the notification feed as hooks, on TanStack Query.
//
// Always: importing it touches no global; one connection however often components mount; a handler that
// changes with every render never subscribes again; a failed mark takes back only itself.
export { useEvent, useHold, useRefresh } from './events.js';
export { Bell, Inbox, type InboxProps } from './inbox.js';
export { type LiveOptions, type UseLiveQueryOptions, useLiveQuery } from './live-query.js';
export {
  belfryKeys,
  type NotificationActions,
  notificationsOptions,
  type UseNotificationsResult,
  useNotificationActions,
  useNotifications,
  useUnreadCount,
} from './notifications.js';
export {
  BelfryProvider,
  type BelfryProviderProps,
  bindQueryClient,
  type RefreshOptions,
  useBelfry,
  useConnectionState,
} from './provider.js';
