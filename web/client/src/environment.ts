// What the browser tells about the network and the tab. Nothing is touched before watch(), and nothing
// stays after the function that it returns was called.
export interface Weather {
  online(online: boolean): void;
  hidden(hidden: boolean): void;
  /** Into the back/forward cache: sockets and locks must go. */
  stored(stored: boolean): void;
}

export function watch(on: Weather): () => void {
  if (typeof window === 'undefined' || typeof document === 'undefined') return () => {};
  const stop = new AbortController();
  const { signal } = stop;
  const look = () => on.hidden(document.visibilityState === 'hidden');
  window.addEventListener('online', () => on.online(true), { signal });
  window.addEventListener('offline', () => on.online(false), { signal });
  window.addEventListener('pagehide', (event) => event.persisted && on.stored(true), { signal });
  window.addEventListener('pageshow', (event) => event.persisted && on.stored(false), { signal });
  document.addEventListener('visibilitychange', look, { signal });
  document.addEventListener('resume', look, { signal });
  if (navigator.onLine === false) on.online(false);
  if (document.visibilityState === 'hidden') on.hidden(true);
  return () => stop.abort();
}

const KEPT_MS = 3_600_000;

/** The transport that worked, for an hour and this tab. Storage may be off: then nothing is remembered. */
export const memory = {
  read(url: string): string | null {
    try {
      const [name, at] = (sessionStorage.getItem(`belfry:${url}`) ?? '').split(' ');
      return name && Date.now() - Number(at) < KEPT_MS ? name : null;
    } catch {
      return null;
    }
  },
  write(url: string, name: string | null): void {
    try {
      if (name) sessionStorage.setItem(`belfry:${url}`, `${name} ${Date.now()}`);
      else sessionStorage.removeItem(`belfry:${url}`);
    } catch {
      /* off */
    }
  },
};
