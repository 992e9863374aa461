// Events as an async iterator. Loaded when somebody asks for one.
import { BelfryError, errorOf } from './errors.js';
import type { BelfryEvent, Client, SubscribeOptions } from './types.js';

/** Events that wait for a slow loop; with one more the iterator throws `backlog`. */
const WAITING_MAX = 10_000;

/** Ends when it is left, when the signal says so, or when the client is disposed. Throws what `subscribe`
 * refuses. */
export async function* iterate(
  client: Pick<Client, 'subscribe' | 'on' | 'state'>,
  topic: string,
  options: SubscribeOptions,
): AsyncGenerator<BelfryEvent, void> {
  const { signal } = options;
  const waiting: BelfryEvent[] = [];
  let wake: () => void = () => {};
  let overrun = false;
  let refused: unknown;
  const look = () => wake();
  const take = (event: BelfryEvent) => {
    overrun ||= waiting.length >= WAITING_MAX;
    if (!overrun) waiting.push(event);
    wake();
  };
  const sub = client.subscribe(topic, take, options);
  sub.ready.catch((error) => {
    refused = error;
    wake();
  });
  const off = client.on('state', look);
  signal?.addEventListener('abort', look);
  try {
    while (!signal?.aborted) {
      const { state } = client;
      if (waiting.length) yield waiting.shift() as BelfryEvent;
      else if (overrun) throw new BelfryError(errorOf('backlog'));
      else if (state.status === 'closed' && state.reason === 'disposed') return;
      else if (refused) throw refused;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal?.removeEventListener('abort', look);
    off();
    sub.unsubscribe();
  }
}
