// What both elements need: a client from attributes, one tick a minute for all lists, addresses that are
// harmless.
import { BelfryError, type Client, createClient, UnauthorizedError } from '@belfry/client';

export type AnyClient = Client<any>;

const clients = new Map<string, AnyClient>();

/** The same client for the same two addresses, however many elements name them. */
export function clientOf(url: string, tokenUrl: string | null): AnyClient {
  const name = `${url} ${tokenUrl ?? ''}`;
  let client = clients.get(name);
  if (!client) {
    const base = new URL(url, document.baseURI);
    clients.set(
      name,
      (client = createClient({ url: base, ...(tokenUrl ? { getToken: tokenFrom(tokenUrl) } : {}) })),
    );
  }
  return client;
}

/** The endpoint answers the token as text, or as JSON with a member `token`. */
function tokenFrom(address: string) {
  return async ({ signal }: { signal: AbortSignal }): Promise<string> => {
    const answer = await fetch(address, { signal, headers: { Accept: 'application/json, text/plain' } });
    if (answer.status === 401 || answer.status === 403) throw new UnauthorizedError();
    const text = await answer.text();
    if (!answer.ok)
      throw new BelfryError({
        code: 'token_source',
        message: `${address} answered ${answer.status}`,
        status: answer.status,
      });
    return text.trimStart().startsWith('{') ? JSON.parse(text).token : text.trim();
  };
}

const HARMLESS = /^(https?|mailto):$/;

/** http, https, mailto and what is relative; undefined for anything else, `javascript:` above all. */
export function safeUrl(url: string | undefined): string | undefined {
  if (!url) return undefined;
  try {
    return HARMLESS.test(new URL(url, document.baseURI).protocol) ? url : undefined;
  } catch {
    return undefined;
  }
}

const ticking = new Set<() => void>();
let tick: ReturnType<typeof setInterval> | undefined;

/** Once a minute, one timer for everybody. */
export function everyMinute(call: () => void): () => void {
  ticking.add(call);
  tick ??= setInterval(() => {
    for (const one of ticking) one();
  }, 60_000);
  return () => {
    ticking.delete(call);
    if (ticking.size) return;
    clearInterval(tick);
    tick = undefined;
  };
}

/** A name that an application may have defined before stays its own. */
export function define(name: string, element: CustomElementConstructor): void {
  const registry = globalThis.customElements;
  if (registry && !registry.get(name)) registry.define(name, element);
}
