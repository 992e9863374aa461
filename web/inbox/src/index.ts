// @belfry/inbox: <belfry-bell> and <belfry-inbox>. Importing it defines both; where there are no custom
// elements, as on a server, it does nothing.

export { createClient, UnauthorizedError } from '@belfry/client';
export { BelfryBell, type Tab } from './bell-element.js';
export { BelfryInbox, type NotificationDetail } from './inbox-element.js';
export { languages, type Messages } from './messages.js';

import type { BelfryBell } from './bell-element.js';
import type { BelfryInbox } from './inbox-element.js';

declare global {
  interface HTMLElementTagNameMap {
    'belfry-bell': BelfryBell;
    'belfry-inbox': BelfryInbox;
  }
}
