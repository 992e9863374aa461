// What lies before: pages of a topic from a cursor up to now. Loaded when somebody subscribes with `since`.
import { BelfryError, failureOfAnswer } from './errors.js';
import type { Cursor, Message } from './types.js';

export interface HistoryPort {
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  token(): Promise<string | null>;
}

/** Gives each event in order; resolves with the place up to which all was given. */
export async function readHistory(
  port: HistoryPort,
  topic: string,
  since: Cursor,
  take: (event: Message) => void,
  lost: (reason: string, cursor: Cursor) => void,
): Promise<Cursor> {
  for (let at = since; ;) {
    const token = await port.token();
    const query = new URLSearchParams({ topic, since: at });
    const headers = { Accept: 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    const answer = await port.fetch(`${port.url}/v1/events?${query}`, { headers, cache: 'no-store' });
    if (answer.status === 410) {
      const { reason, cursor } = await answer.json();
      lost(reason, cursor);
      at = cursor;
      continue;
    }
    if (!answer.ok) throw new BelfryError(await failureOfAnswer(answer));
    const { events, cursor } = await answer.json();
    for (const event of events) take(event);
    if (!events.length) return cursor;
    at = cursor;
  }
}
