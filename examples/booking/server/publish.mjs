// Tells Belfry what stands in the outbox, in order, until it is empty; again a second later if Belfry is
// away.

export class Publisher {
  constructor(store, { url, key }) {
    Object.assign(this, { store, url, key });
    this.running = null;
    this.stopped = false;
  }

  /** Something was written to the outbox. */
  wake() {
    this.running ??= this.drain().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  // cut: publish
  async drain() {
    for (;;) {
      const [row] = this.store.told();
      if (!row || this.stopped) return;
      const answer = await fetch(`${this.url}/v1/events`, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${this.key}`,
          'Content-Type': 'application/json',
          'Idempotency-Key': row.key,
        },
        body: row.event,
      }).catch(() => null);
      if (answer?.ok) this.store.forget(row.id);
      else if (answer && answer.status < 500 && answer.status !== 429)
        this.refused(row, await answer.text());
      else await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
  // end

  /** It will never be taken: said aloud, and not in the way of what follows. */
  refused(row, text) {
    console.error(`Belfry refused ${row.event}: ${text}`);
    this.store.forget(row.id);
  }

  stop() {
    this.stopped = true;
  }
}
