// An Azure function on Cosmos DB's change feed: a CloudEvent for each document that changed. Its id makes a
// repeat the same event, so the function may be run again after an error.
export async function changed(documents, { url, key, send = fetch }) {
  const events = documents.map((document) => ({
    specversion: '1.0',
    id: `${document.id}#${document._ts}`,
    source: 'cosmos',
    type: 'item.changed',
    subject: `items/${encodeURIComponent(document.id)}`,
    data: { id: document.id },
  }));
  const answer = await send(`${url}/v1/sources/items`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/cloudevents-batch+json',
      Authorization: `Bearer ${key}`,
    },
    body: JSON.stringify(events),
  });
  if (!answer.ok) throw new Error(await answer.text()); // the change feed gives the batch again
}
