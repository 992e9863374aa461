// What the booking site can be asked. Routes are named as teams write them: one resource for each way to
// pay.
import { randomUUID } from 'node:crypto';
import { brCode } from './br_code.mjs';
import { bankSignature, belfryToken, same, sessionOf } from './signatures.mjs';

const CHARGE_SECONDS = 900;
const BANK_CLOCK_MS = 300_000;

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function dates({ arrival, nights }) {
  const length = Number(nights);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(arrival ?? '') || Number.isNaN(Date.parse(arrival)))
    throw new Refusal(400, 'arrival must be a day such as 2027-01-31.');
  if (!Number.isInteger(length) || length < 1 || length > 30)
    throw new Refusal(400, 'nights must be from 1 to 30.');
  return [arrival, length];
}

const paymentOf = ({ id, txid, booking, amount, code, status, expires }) => ({
  id,
  txid,
  booking,
  amount,
  brCode: code,
  expiresAt: expires,
  status: status === 'pending' && Date.parse(expires) < Date.now() ? 'expired' : status,
});

/** `[method, path, needs a user, (context) => [status, body, headers]]` */
export const routes = ({ store, publisher, secrets, origin }) => {
  const changed = async (result, status = 200) => {
    const body = await result;
    publisher.wake();
    return [status, body];
  };
  return [
    [
      'POST',
      '/session',
      false,
      ({ body }) => {
        const user = String(body.user ?? '')
          .trim()
          .toLowerCase();
        if (!/^[a-z0-9_-]{1,32}$/.test(user)) throw new Refusal(400, 'A name: letters and digits.');
        const cookie = `session=${sessionOf(secrets.session, user)}; Path=/; HttpOnly; SameSite=Strict`;
        return [200, { user }, { 'Set-Cookie': cookie }];
      },
    ],
    ['DELETE', '/session', false, () => [200, {}, { 'Set-Cookie': 'session=; Path=/; Max-Age=0' }]],
    ['GET', '/session', false, ({ user }) => [200, { user, belfry: publisher.url }]],
    // Asked by the SDK's getToken.
    ['GET', '/belfry-token', true, ({ user }) => [200, { token: belfryToken(secrets.belfry, user) }]],

    [
      'GET',
      '/rooms',
      false,
      async ({ query }) => [200, await store.search(...dates(Object.fromEntries(query)))],
    ],
    ['GET', '/bookings', true, async ({ user }) => [200, await store.bookings(user)]],
    [
      'POST',
      '/bookings',
      true,
      ({ user, body }) => changed(store.book(user, Number(body.room), ...dates(body)), 201),
    ],
    [
      'PATCH',
      '/bookings/:id',
      true,
      ({ user, body, id }) => changed(store.modify(id, user, ...dates(body))),
    ],
    ['DELETE', '/bookings/:id', true, ({ user, id }) => changed(store.cancel(id, user))],

    [
      'POST',
      '/payments/pix',
      true,
      async ({ user, body, headers }) => {
        const code = (txid, amount) =>
          brCode({ url: `pix.example.com/qr/${txid}`, name: 'POUSADA BELFRY', city: 'PARATY', amount });
        const key = headers['idempotency-key'] ?? randomUUID();
        return [
          201,
          paymentOf(
            await store.charge(
              user,
              String(body.bookingId),
              key,
              code,
              secrets.chargeSeconds ?? CHARGE_SECONDS,
            ),
          ),
        ];
      },
    ],
    // Called by the institution. Signed over the time and the raw body; repeated calls are one.
    [
      'POST',
      '/payments/pix/confirmation',
      false,
      async ({ raw, body, headers }) => {
        const time = headers['x-pix-time'] ?? '';
        if (!(Math.abs(Date.now() - Number(time)) < BANK_CLOCK_MS))
          throw new Refusal(401, 'The signature is too old.');
        if (!same(headers['x-pix-signature'] ?? '', bankSignature(secrets.bank, time, raw)))
          throw new Refusal(401, 'The signature is wrong.');
        return changed({ status: await store.confirm(body) });
      },
    ],
    [
      'GET',
      '/payments/:id',
      true,
      async ({ user, id }) => {
        const payment = await store.payment(id, user);
        if (!payment) throw new Refusal(404, 'There is no such payment.');
        return [200, paymentOf(payment)];
      },
    ],

    // The bank of the demo: what is to be paid, and paying it, which calls the route above over HTTP.
    [
      'GET',
      '/bank/charges',
      false,
      async () => [200, (await store.pending()).map(({ txid, amount, user }) => ({ txid, amount, user }))],
    ],
    [
      'POST',
      '/bank/pay',
      false,
      async ({ body }) => {
        const charge = (await store.pending()).find(({ txid }) => txid === body.txid);
        if (!charge) throw new Refusal(404, 'There is no such charge.');
        const raw = JSON.stringify({
          txid: charge.txid,
          endToEndId: `E${randomUUID()}`,
          amount: charge.amount,
        });
        const time = String(Date.now());
        const answer = await fetch(`${origin()}/payments/pix/confirmation`, {
          method: 'POST',
          headers: {
            'Content-Type': 'application/json',
            'X-Pix-Time': time,
            'X-Pix-Signature': bankSignature(secrets.bank, time, raw),
          },
          body: raw,
        });
        return [answer.status, await answer.json()];
      },
    ],
    // For the panel: an event of no meaning, to see how long it takes.
    [
      'POST',
      '/echo',
      true,
      async ({ user }) => {
        await store.echo(user);
        return changed({});
      },
    ],
  ];
};
