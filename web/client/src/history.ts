// What lies before: pages of a topic from a cursor up to now. Loaded when somebody subscribes with `since`.
import { BelfryError, failureOfAnswer, failureOfFetch } from './errors.js';
import { isAfter } from './place.js';
import type { Listening, SubscriptionsPort } from './subscriptions.js';
import type { Cursor, Message } from './types.js';

type Give = (event: Message) => void;

/** What lies before a subscription, and then what came live meanwhile. */
export async function catchUp(port: SubscriptionsPort, one: Listening, give: Give): Promise<void> {
  const end = await read(port, one, give);
  const held = one.held ?? [];
  one.held = null;
  for (const event of held) if (!event.id || isAfter(event.id, end)) give(event);
}

/** Gives each event in order; resolves with the place up to which all was given. */
async function read(port: SubscriptionsPort, { topic, since }: Listening, give: Give): Promise<Cursor> {
  for (let at = since; ;) {
    const token = await port.token();
    const query = new URLSearchParams({ topic, since: at });
    const headers = { Accept: 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    const answer = await port
      .fetch(`${port.url}/v1/events?${query}`, { headers, cache: 'no-store' })
      .catch((error) => Promise.reject(new BelfryError(failureOfFetch(error))));
    if (answer.status === 410) {
      const { reason, cursor } = await answer.json();
      port.gap({ reason, cursor });
      at = cursor;
      continue;
    }
    if (!answer.ok) throw new BelfryError(await failureOfAnswer(answer));
    const { events, cursor } = await answer.json();
    for (const event of events) give(event);
    if (!events.length) return cursor;
    at = cursor;
  }
}
