// Listeners by name. One that throws does not keep the others from hearing; its error is reported as the
// browser reports any other.
type Listener = (...values: any[]) => void;

export class Emitter {
  #listeners = new Map<string, Set<Listener>>();

  on(name: string, listener: Listener): () => void {
    let all = this.#listeners.get(name);
    if (!all) this.#listeners.set(name, (all = new Set()));
    const one: Listener = (...values) => listener(...values);
    all.add(one);
    return () => void all.delete(one);
  }
  emit(name: string, ...values: unknown[]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) safely(() => listener(...values));
  }
  clear(): void {
    this.#listeners.clear();
  }
}

export function safely(call: () => void): void {
  try {
    call();
  } catch (error) {
    const report = (globalThis as { reportError?: (error: unknown) => void }).reportError;
    if (report) report(error);
    else queueMicrotask(() => Promise.reject(error));
  }
}
