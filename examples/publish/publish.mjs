import { randomUUID } from 'node:crypto';

const answer = await fetch(`${process.env.BELFRY_URL}/v1/events`, {
  method: 'POST',
  headers: {
    Authorization: `Bearer ${process.env.BELFRY_KEY}`,
    'Content-Type': 'application/json',
    'Idempotency-Key': randomUUID(), // keep it for a retry: the same key is the same event
  },
  body: JSON.stringify({ topic: 'users/ana', type: 'booking.confirmed', data: { booking: 7 } }),
  signal: AbortSignal.timeout(5000),
});
if (!answer.ok) throw new Error(await answer.text());
console.log(await answer.text());
