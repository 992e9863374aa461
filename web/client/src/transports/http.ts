// The transports over plain HTTP, loaded when one of them is needed: server-sent events and NDJSON by
// fetch, so that the token goes in a header; long poll and short poll. None can change what it asks for:
// another one is opened from the cursor.
import { createParser } from 'eventsource-parser';
import { errorOf, failureOfAnswer, failureOfFetch, failureOfMessage } from '../errors.js';
import type { Message, Transport, TransportHandlers, TransportOpen } from '../types.js';

const LONG_POLL_S = 25;
/** A page that is as long as it may be: more may follow. */
const FULL_PAGE = 256;

function address(open: TransportOpen, more: Record<string, string>): string {
  const query = new URLSearchParams(more);
  for (const topic of open.topics) query.append('topic', topic);
  if (open.feed) query.set('feed', 'true');
  return `${open.url}/v1/events?${query}`;
}

const request = (
  open: TransportOpen,
  accept: string,
  signal: AbortSignal,
  more: Record<string, string>,
) => {
  open.count(1, 0);
  return open.fetch(address(open, more), {
    signal,
    cache: 'no-store',
    credentials: open.token ? 'omit' : 'include',
    headers: { Accept: accept, ...(open.token ? { Authorization: `Bearer ${open.token}` } : {}) },
  });
};

/** Takes pieces of text; gives messages and ends to the handlers. */
type Reader = (on: TransportHandlers) => (text: string) => void;

const lines: Reader = (on) => {
  let rest = '';
  return (text) => {
    const all = (rest + text).split('\n');
    rest = all.pop() as string;
    for (const line of all) if (line) take(on, JSON.parse(line));
  };
};

// The `connected` and `heartbeat` messages stand in comments, where EventSource does not look.
const events: Reader = (on) => {
  const parser = createParser({
    onEvent: ({ data }) => take(on, JSON.parse(data)),
    onComment: (text) => text.startsWith('{') && take(on, JSON.parse(text)),
  });
  return (text) => parser.feed(text);
};

function take(on: TransportHandlers, message: Message): void {
  if (message.control === 'error') on.down(failureOfMessage(message));
  else on.message(message);
}

function stream(open: TransportOpen, on: TransportHandlers, accept: string, reader: Reader): Transport {
  const abort = new AbortController();
  const quiet: TransportHandlers = {
    message: (message) => abort.signal.aborted || on.message(message),
    down: (failure) => {
      if (abort.signal.aborted) return;
      abort.abort();
      on.down(failure);
    },
  };
  const run = async () => {
    const answer = await request(open, accept, abort.signal, open.since ? { since: open.since } : {});
    if (!answer.ok) return quiet.down(await failureOfAnswer(answer));
    if (!answer.headers.get('content-type')?.startsWith(accept) || !answer.body)
      return quiet.down(errorOf('not_belfry', { kind: 'never' }));
    const feed = reader(quiet);
    const bytes = answer.body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await bytes.read();
      if (done) return quiet.down(errorOf('network'));
      open.count(0, value.length);
      try {
        feed(decoder.decode(value, { stream: true }));
      } catch {
        return quiet.down(errorOf('malformed'));
      }
    }
  };
  run().catch((error) => quiet.down(failureOfFetch(error)));
  return { close: () => abort.abort() };
}

function poll(open: TransportOpen, on: TransportHandlers, wait: boolean): Transport {
  const abort = new AbortController();
  const { signal } = abort;
  let timer: ReturnType<typeof setTimeout>;
  let { since } = open;
  let connected = false;
  // With `connected` the client learns when silence is too long.
  const say = (cursor: string, pause: number) => {
    if (!connected)
      on.message({ control: 'connected', cursor, heartbeat_ms: wait ? LONG_POLL_S * 1000 : pause });
    connected = true;
  };
  const once = async (): Promise<number> => {
    // After a sleep the answer comes before any timer tells that the token is over.
    if (connected && open.expired()) throw errorOf('token_expired', { retryMs: 0 });
    const more = {
      ...(since ? { since } : {}),
      ...(wait && connected ? { wait: String(LONG_POLL_S) } : {}),
    };
    const answer = await request(open, 'application/json', signal, more);
    if (answer.status === 410) {
      const { reason, cursor } = await answer.json();
      since = cursor;
      on.message({ control: 'reset', reason, cursor });
      return 0;
    }
    if (!answer.ok) throw await failureOfAnswer(answer);
    const text = await answer.text();
    open.count(0, text.length);
    let page: { events: Message[]; cursor: string; poll_after_ms: number };
    try {
      page = JSON.parse(text);
    } catch {
      throw errorOf('not_belfry', { kind: 'never' });
    }
    if (signal.aborted) return 0;
    const pause = wait ? 0 : (open.pollIntervalMs ?? page.poll_after_ms);
    say(since ?? page.cursor, pause);
    for (const event of page.events) if (!signal.aborted) on.message(event);
    since = page.cursor;
    on.message({ control: 'heartbeat', cursor: since });
    return page.events.length < FULL_PAGE ? pause : 0;
  };
  const next = () => {
    once().then(
      (pause) => {
        if (!signal.aborted) timer = setTimeout(next, pause);
      },
      (error) => {
        if (signal.aborted) return;
        abort.abort();
        on.down(error?.kind ? error : failureOfFetch(error));
      },
    );
  };
  next();
  return {
    close: () => {
      clearTimeout(timer);
      abort.abort();
    },
  };
}

/** connect() was called and nothing is listened to: over HTTP there is nothing to ask for yet. */
function nothing(on: TransportHandlers): Transport {
  const timer = setTimeout(() => on.message({ control: 'connected', heartbeat_ms: 86_400_000 }));
  return { close: () => clearTimeout(timer) };
}

export function overHttp(open: TransportOpen, on: TransportHandlers): Transport {
  if (!open.topics.length && !open.feed) return nothing(on);
  switch (open.name) {
    case 'sse':
      return stream(open, on, 'text/event-stream', events);
    case 'http-stream':
      return stream(open, on, 'application/x-ndjson', lines);
    default:
      return poll(open, on, open.name === 'long-poll');
  }
}
