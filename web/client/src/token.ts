// The token: where it comes from, and what it says about itself without being trusted.
import type { ClientOptions, TokenContext } from './types.js';

interface Claims {
  sub?: string;
  iat?: number;
  exp?: number;
}

export function claimsOf(token: string): Claims {
  try {
    const part = token.split('.')[1] as string;
    const bytes = Uint8Array.from(atob(part.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

/** In ms from now. By its own two times, so that a wrong clock here does no harm; null: unknown. */
export function lifetimeOf(token: string): number | null {
  const { iat, exp } = claimsOf(token);
  if (typeof exp !== 'number') return null;
  return typeof iat === 'number' ? (exp - iat) * 1000 : exp * 1000 - Date.now();
}

type Reason = TokenContext['reason'];

/** The token of this tab. One call of getToken at a time, whoever asks. */
export class TokenSource {
  value: string | null = null;
  #expires: number | null = null;
  #getToken: ClientOptions['getToken'];
  #flight: Promise<string | null> | null = null;
  #abort = new AbortController();
  #rejected = false;

  constructor(getToken: ClientOptions['getToken']) {
    this.#getToken = getToken;
  }

  /** In ms from now; null: unknown. */
  get ttlMs(): number | null {
    return this.#expires === null ? null : this.#expires - Date.now();
  }

  put(token: string | null): void {
    this.value = token;
    const ttl = token ? lifetimeOf(token) : null;
    this.#expires = ttl === null ? null : Date.now() + ttl;
    this.#rejected = false;
  }

  /** One that still counts as far as is known, asked for if need be. */
  async current(): Promise<string | null> {
    if (!this.#getToken) return null;
    const fresh = this.value !== null && !this.#rejected && (this.ttlMs ?? 1) > 0;
    return fresh
      ? this.value
      : this.get(this.#rejected ? 'rejected' : this.value ? 'expiring' : 'initial', 0);
  }

  /** The server does not take it. */
  reject(token: string | null): void {
    if (token === this.value) this.#rejected = true;
  }

  get(reason: Reason, attempt: number): Promise<string | null> {
    const { signal } = this.#abort;
    this.#flight ??= Promise.resolve()
      .then(() => this.#getToken?.({ reason, attempt, signal }) ?? null)
      .then((token) => {
        if (!signal.aborted) this.put(token);
        return token;
      })
      .finally(() => {
        if (this.#abort.signal === signal) this.#flight = null;
      });
    return this.#flight;
  }

  forget(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#flight = null;
    this.put(null);
  }
}
