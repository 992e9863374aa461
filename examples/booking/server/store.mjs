// Rooms, bookings, payments, and what is still to be told to Belfry: one SQLite file.
//
// Always: what is told is written in the transaction of what happened (the outbox), so the two cannot
// disagree.
import { randomUUID } from 'node:crypto';
import sqlite from 'node-sqlite3-wasm';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS rooms(id INTEGER PRIMARY KEY, name TEXT, price INTEGER);
CREATE TABLE IF NOT EXISTS bookings(id TEXT PRIMARY KEY, user TEXT, room INTEGER, arrival TEXT,
  nights INTEGER, status TEXT, version INTEGER);
CREATE TABLE IF NOT EXISTS payments(id TEXT PRIMARY KEY, booking TEXT, user TEXT, txid TEXT UNIQUE,
  amount INTEGER,
  code TEXT, status TEXT, expires TEXT, end_to_end TEXT UNIQUE, idempotency_key TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, event TEXT);`;

const ROOMS = [
  ['Garden room', 24000],
  ['Room with a sea view', 38000],
  ['Attic', 18000],
  ['Family suite', 52000],
];
const DAY = 86_400_000;
const reais = new Intl.NumberFormat('pt-BR', { style: 'currency', currency: 'BRL' });
const datesOf = (arrival, nights) => [Date.parse(arrival), Date.parse(arrival) + nights * DAY];

export class Conflict extends Error {}

export class Store {
  constructor(file) {
    this.db = new sqlite.Database(file);
    this.db.exec(SCHEMA);
    if (!this.db.get('SELECT 1 FROM rooms'))
      ROOMS.forEach(([name, price], at) =>
        this.db.run('INSERT INTO rooms VALUES(?, ?, ?)', [at + 1, name, price]),
      );
  }
  close() {
    this.db.close();
  }

  /** All of it, or nothing. */
  transaction(work) {
    this.db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.db.exec('COMMIT');
      return result;
    } catch (error) {
      this.db.exec('ROLLBACK');
      throw error;
    }
  }

  // cut: outbox
  /** What Belfry is to be told. Part of the transaction; the key makes a repeat the same event. */
  tell(event) {
    this.db.run('INSERT INTO outbox(key, event) VALUES(?, ?)', [randomUUID(), JSON.stringify(event)]);
  }
  told() {
    return this.db.all('SELECT id, key, event FROM outbox ORDER BY id LIMIT 100');
  }
  forget(id) {
    this.db.run('DELETE FROM outbox WHERE id = ?', [id]);
  }
  // end

  isFree(room, arrival, nights, except = '') {
    const [from, to] = datesOf(arrival, nights);
    const others = this.db.all(
      "SELECT * FROM bookings WHERE room = ? AND status <> 'cancelled' AND id <> ?",
      [room, except],
    );
    return others.every((one) => {
      const [begin, end] = datesOf(one.arrival, one.nights);
      return to <= begin || from >= end;
    });
  }
  search(arrival, nights) {
    return this.db
      .all('SELECT * FROM rooms ORDER BY id')
      .map((room) => ({ ...room, free: this.isFree(room.id, arrival, nights) }));
  }

  bookings(user) {
    return this.db.all(
      `SELECT b.*, r.name, r.price * b.nights AS amount FROM bookings b JOIN rooms r ON r.id = b.room
       WHERE b.user = ? ORDER BY b.arrival, b.id`,
      [user],
    );
  }
  booking(id, user) {
    return this.bookings(user).find((one) => one.id === id);
  }

  book(user, room, arrival, nights) {
    return this.transaction(() => {
      if (!this.isFree(room, arrival, nights)) throw new Conflict('That room is taken on these days.');
      const id = randomUUID().slice(0, 8);
      this.db.run("INSERT INTO bookings VALUES(?, ?, ?, ?, ?, 'awaiting payment', 1)", [
        id,
        user,
        room,
        arrival,
        nights,
      ]);
      this.changed(user, id);
      return this.booking(id, user);
    });
  }
  modify(id, user, arrival, nights) {
    return this.transaction(() => {
      const old = this.booking(id, user);
      if (!old || old.status !== 'awaiting payment')
        throw new Conflict('Only a booking that is not paid yet can be changed.');
      if (!this.isFree(old.room, arrival, nights, id))
        throw new Conflict('That room is taken on these days.');
      this.db.run('UPDATE bookings SET arrival = ?, nights = ?, version = version + 1 WHERE id = ?', [
        arrival,
        nights,
        id,
      ]);
      this.db.run("UPDATE payments SET status = 'expired' WHERE booking = ? AND status = 'pending'", [id]);
      this.changed(user, id);
      return this.booking(id, user);
    });
  }
  cancel(id, user) {
    return this.transaction(() => {
      const old = this.booking(id, user);
      if (!old || old.status === 'cancelled') throw new Conflict('There is no such booking.');
      this.db.run("UPDATE bookings SET status = 'cancelled', version = version + 1 WHERE id = ?", [id]);
      this.changed(user, id);
      this.tell({
        topic: `users/${user}`,
        type: 'booking.cancelled',
        data: { id },
        notification: {
          title: 'Booking cancelled',
          body: `${old.name}, ${old.arrival}`,
          url: '#/bookings',
        },
      });
      return this.booking(id, user);
    });
  }

  // cut: refresh
  /** Thin events: "what you hold under these keys is stale". For who looks at rooms, and for the guest. */
  changed(user, id) {
    const { version } = this.booking(id, user);
    this.tell({ topic: 'rooms', type: 'refresh', keys: [['rooms']], spread_ms: 500 });
    this.tell({
      topic: `users/${user}/bookings`,
      type: 'refresh',
      keys: [['bookings'], ['booking', id]],
      version: `${id}-${version}`,
    });
  }
  // end

  /** An event of no meaning. */
  echo(user) {
    this.tell({ topic: `users/${user}/echo`, type: 'echo', data: { at: Date.now() } });
  }

  payment(id, user) {
    return this.db.get('SELECT * FROM payments WHERE id = ? AND user = ?', [id, user]);
  }
  pending() {
    return this.db.all("SELECT * FROM payments WHERE status = 'pending' ORDER BY rowid DESC LIMIT 20");
  }
  charge(user, bookingId, key, makeCode, seconds) {
    return this.transaction(() => {
      const known = this.db.get('SELECT * FROM payments WHERE idempotency_key = ?', [`${user} ${key}`]);
      if (known) return known;
      const booking = this.booking(bookingId, user);
      if (!booking || booking.status !== 'awaiting payment') throw new Conflict('There is nothing to pay.');
      const id = randomUUID().slice(0, 8);
      const txid = randomUUID().replaceAll('-', '').slice(0, 25);
      const expires = new Date(Date.now() + seconds * 1000).toISOString();
      this.db.run("INSERT INTO payments VALUES(?, ?, ?, ?, ?, ?, 'pending', ?, NULL, ?)", [
        id,
        bookingId,
        user,
        txid,
        booking.amount,
        makeCode(txid, booking.amount),
        expires,
        `${user} ${key}`,
      ]);
      return this.payment(id, user);
    });
  }

  // cut: payment
  /** The institution says that it was paid. A repeat is the same; what comes too late is given back. */
  confirm({ txid, endToEndId, amount }) {
    return this.transaction(() => {
      const payment = this.db.get('SELECT * FROM payments WHERE txid = ?', [txid]);
      if (!payment) throw new Conflict('There is no such charge.');
      if (payment.end_to_end === endToEndId) return payment.status;
      if (payment.amount !== amount) throw new Conflict('The amount is not the one that was charged.');
      const late = payment.status !== 'pending' || Date.parse(payment.expires) < Date.now();
      const status = late ? 'refund_required' : 'confirmed';
      this.db.run('UPDATE payments SET status = ?, end_to_end = ? WHERE id = ?', [
        status,
        endToEndId,
        payment.id,
      ]);
      if (!late)
        this.db.run("UPDATE bookings SET status = 'confirmed', version = version + 1 WHERE id = ?", [
          payment.booking,
        ]);
      // An event with data: the page need not ask.
      this.tell({
        topic: `users/${payment.user}/payments/${payment.id}`,
        type: `payment.${status}`,
        data: { id: payment.id, endToEndId },
      });
      this.tell({
        topic: `users/${payment.user}`,
        type: `payment.${status}`,
        data: { id: payment.id },
        notification: late
          ? { title: 'Payment came too late', body: 'It will be given back.', url: `#/pay/${payment.id}` }
          : {
              title: 'Payment confirmed',
              body: `${reais.format(amount / 100)} by Pix`,
              url: `#/pay/${payment.id}`,
            },
      });
      this.changed(payment.user, payment.booking);
      return status;
    });
  }
  // end
}
