// @belfry/client: live events and a notification feed in the browser. No framework, no globals on import.
//
// A client connects with its first listener, over the first transport that works, and says in `state` what
// it is about. One cursor is valid on all transports, so nothing is lost or doubled when it changes them.
export { createClient } from './client.js';
export { BelfryError, UnauthorizedError } from './errors.js';
export { applyToPages, needsCounts, needsRefetch, viewOf } from './feed-pages.js';
export { isAfter } from './place.js';
export { matches } from './topics.js';
export type * from './types.js';
