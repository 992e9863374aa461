// The same as store.mjs on PostgreSQL, without a word about publishing: sql/schema.sql tells Belfry what has
// happened, in the same transaction.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { Conflict } from './store.mjs';

const BOOKING = `SELECT b.id, b.username AS user, b.room, b.nights,
  to_char(b.arrival, 'YYYY-MM-DD') AS arrival,
  b.status, b.version, r.name, r.price * b.nights AS amount FROM bookings b JOIN rooms r ON r.id = b.room`;
const PAYMENT = `SELECT id, booking, username AS user, txid, amount, code, status, end_to_end,
  to_char(expires AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS expires FROM payments`;
const TAKEN = '23P01'; // exclusion_violation

export class SqlStore {
  static async open(url) {
    const store = new SqlStore();
    store.pool = new pg.Pool({ connectionString: url, max: 8 });
    store.pool.on('error', () => {}); // an idle connection that broke is made anew when it is needed
    await store.pool.query(readFileSync(new URL('../sql/schema.sql', import.meta.url), 'utf8'));
    return store;
  }
  close() {
    return this.pool.end();
  }

  async all(sql, values = []) {
    return (await this.pool.query(sql, values)).rows;
  }
  async one(sql, values) {
    return (await this.all(sql, values))[0];
  }

  search(arrival, nights) {
    return this.all(
      `SELECT r.*, NOT EXISTS (SELECT 1 FROM bookings b WHERE b.room = r.id AND b.status <> 'cancelled'
         AND daterange(b.arrival, b.arrival + b.nights) && daterange($1::date, $1::date + $2::int)) AS free
       FROM rooms r ORDER BY r.id`,
      [arrival, nights],
    );
  }
  bookings(user) {
    return this.all(`${BOOKING} WHERE b.username = $1 ORDER BY b.arrival, b.id`, [user]);
  }
  booking(id, user) {
    return this.one(`${BOOKING} WHERE b.id = $1 AND b.username = $2`, [id, user]);
  }

  /** Writes, and says in the site's words what the database refuses. */
  async write(sql, values, refusal) {
    const done = await this.pool.query(sql, values).catch((error) => {
      if (error.code === TAKEN) throw new Conflict('That room is taken on these days.');
      throw error;
    });
    if (done.rowCount === 0) throw new Conflict(refusal);
  }

  // cut: book
  async book(user, room, arrival, nights) {
    const id = randomUUID().slice(0, 8);
    await this.write(
      'INSERT INTO bookings(id, username, room, arrival, nights) VALUES($1, $2, $3, $4, $5)',
      [id, user, room, arrival, nights],
    );
    return this.booking(id, user);
  }
  // end
  async modify(id, user, arrival, nights) {
    await this.write(
      `WITH changed AS (UPDATE bookings SET arrival = $3, nights = $4, version = version + 1
         WHERE id = $1 AND username = $2 AND status = 'awaiting payment' RETURNING id),
       old AS (UPDATE payments SET status = 'expired' WHERE booking IN (SELECT id FROM changed)
         AND status = 'pending')
       SELECT * FROM changed`,
      [id, user, arrival, nights],
      'Only a booking that is not paid yet can be changed.',
    );
    return this.booking(id, user);
  }
  async cancel(id, user) {
    await this.write(
      `UPDATE bookings SET status = 'cancelled', version = version + 1
       WHERE id = $1 AND username = $2 AND status <> 'cancelled'`,
      [id, user],
      'There is no such booking.',
    );
    return this.booking(id, user);
  }

  payment(id, user) {
    return this.one(`${PAYMENT} WHERE id = $1 AND username = $2`, [id, user]);
  }
  pending() {
    return this.all(`${PAYMENT} WHERE status = 'pending' ORDER BY made DESC LIMIT 20`);
  }
  async charge(user, bookingId, key, makeCode, seconds) {
    const booking = await this.booking(bookingId, user);
    const txid = randomUUID().replaceAll('-', '').slice(0, 25);
    if (booking?.status === 'awaiting payment')
      await this.pool.query(
        `INSERT INTO payments(id, booking, username, txid, amount, code, expires, idempotency_key)
         VALUES($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 second', $8)
         ON CONFLICT (idempotency_key) DO NOTHING`,
        [
          randomUUID().slice(0, 8),
          bookingId,
          user,
          txid,
          booking.amount,
          makeCode(txid, booking.amount),
          seconds,
          `${user} ${key}`,
        ],
      );
    const payment = await this.one(`${PAYMENT} WHERE idempotency_key = $1`, [`${user} ${key}`]);
    if (!payment) throw new Conflict('There is nothing to pay.');
    return payment;
  }

  /** The institution says that it was paid. A repeat is the same; what comes too late is given back. */
  async confirm({ txid, endToEndId, amount }) {
    const known = await this.one(`${PAYMENT} WHERE txid = $1`, [txid]);
    if (!known) throw new Conflict('There is no such charge.');
    if (known.amount !== amount) throw new Conflict('The amount is not the one that was charged.');
    const done = await this.one(
      `WITH paid AS (UPDATE payments SET end_to_end = $2, status =
           CASE WHEN status = 'pending' AND expires >= now() THEN 'confirmed' ELSE 'refund_required' END
         WHERE txid = $1 AND end_to_end IS DISTINCT FROM $2 RETURNING status, booking),
       booked AS (UPDATE bookings SET status = 'confirmed', version = version + 1
         WHERE id IN (SELECT booking FROM paid WHERE status = 'confirmed'))
       SELECT status FROM paid`,
      [txid, endToEndId],
    );
    return done?.status ?? known.status;
  }

  echo(user) {
    return this.pool.query('INSERT INTO echoes VALUES($1, $2)', [user, Date.now()]);
  }
}
