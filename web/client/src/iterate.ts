// Events as an async iterator. Loaded when somebody asks for one.
import { BelfryError, errorOf } from './errors.js';
import type { BelfryEvent, Subscription, Unsubscribe } from './types.js';

/** Events that wait for a slow loop; with one more the iterator throws `backlog`. */
const WAITING_MAX = 10_000;

/** Ends when it is left, when the signal says so, or when the client is disposed, which `changed` wakes it
 * to see. Throws what `subscribe` refuses. */
export async function* iterate(
  subscribe: (listener: (event: BelfryEvent) => void) => Subscription,
  disposed: () => boolean,
  changed: (wake: () => void) => Unsubscribe,
  signal?: AbortSignal,
): AsyncGenerator<BelfryEvent, void> {
  const waiting: BelfryEvent[] = [];
  let wake: () => void = () => {};
  let overrun = false;
  let refused: unknown;
  const sub = subscribe((event) => {
    overrun ||= waiting.length >= WAITING_MAX;
    if (!overrun) waiting.push(event);
    wake();
  });
  sub.ready.catch((error) => {
    refused = error;
    wake();
  });
  const look = () => wake();
  const off = changed(look);
  signal?.addEventListener('abort', look);
  try {
    while (!signal?.aborted) {
      if (waiting.length) yield waiting.shift() as BelfryEvent;
      else if (overrun) throw new BelfryError(errorOf('backlog'));
      else if (disposed()) return;
      else if (refused) throw refused;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal?.removeEventListener('abort', look);
    off();
    sub.unsubscribe();
  }
}
