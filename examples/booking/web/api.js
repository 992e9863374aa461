// The booking site's own API.
async function call(method, path, body, headers = {}) {
  const answer = await fetch(path, {
    method,
    headers: { ...(body ? { 'Content-Type': 'application/json' } : {}), ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const result = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(result.message), { status: answer.status });
  return result;
}

export const api = {
  session: () => call('GET', '/session'),
  signIn: (user) => call('POST', '/session', { user }),
  signOut: () => call('DELETE', '/session'),
  rooms: (arrival, nights) => call('GET', `/rooms?${new URLSearchParams({ arrival, nights })}`),
  bookings: () => call('GET', '/bookings'),
  book: (booking) => call('POST', '/bookings', booking),
  modify: (id, change) => call('PATCH', `/bookings/${id}`, change),
  cancel: (id) => call('DELETE', `/bookings/${id}`),
  // A repeat with the same key is the same charge: a double click does not charge twice.
  pay: (bookingId) =>
    call(
      'POST',
      '/payments/pix',
      { bookingId },
      { 'Idempotency-Key': `${bookingId}-${Math.floor(Date.now() / 900_000)}` },
    ),
  payment: (id) => call('GET', `/payments/${id}`),
  charges: () => call('GET', '/bank/charges'),
  settle: (txid) => call('POST', '/bank/pay', { txid }),
  echo: () => call('POST', '/echo'),
};
