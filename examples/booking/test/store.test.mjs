// What a payment may and may not become, and that what is told is told once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Conflict, Store } from '../server/store.mjs';

const ENDS = { endToEndId: 'E1' };
function charged(seconds = 900) {
  const store = new Store(':memory:');
  const { id } = store.book('ana', 1, '2030-01-01', 2);
  const payment = store.charge('ana', id, 'key', () => 'code', seconds);
  return {
    store,
    booking: id,
    payment,
    told: () => store.told().map(({ event }) => JSON.parse(event).type),
  };
}
const status = ({ store, booking }) => store.booking(booking, 'ana').status;

test('another amount is refused, and nothing is told', () => {
  const one = charged();
  const before = one.told().length;
  assert.throws(() => one.store.confirm({ ...ENDS, txid: one.payment.txid, amount: 1 }), Conflict);
  assert.equal(status(one), 'awaiting payment');
  assert.equal(one.told().length, before);
});

test('a confirmation that is repeated is one', () => {
  const one = charged();
  const said = { ...ENDS, txid: one.payment.txid, amount: one.payment.amount };
  assert.equal(one.store.confirm(said), 'confirmed');
  assert.equal(one.store.confirm(said), 'confirmed');
  assert.equal(status(one), 'confirmed');
  assert.equal(
    one.told().filter((type) => type === 'payment.confirmed').length,
    2,
    'the page and the bell, once',
  );
});

test('what comes too late is to be given back, never confirmed', () => {
  const one = charged(-1);
  const said = { ...ENDS, txid: one.payment.txid, amount: one.payment.amount };
  assert.equal(one.store.confirm(said), 'refund_required');
  assert.equal(status(one), 'awaiting payment');
});

test('the same key is the same charge', () => {
  const { store, booking, payment } = charged();
  assert.equal(store.charge('ana', booking, 'key', () => 'other', 900).id, payment.id);
});

test('a room is one guest’s on a day', () => {
  const { store } = charged();
  assert.throws(() => store.book('bia', 1, '2030-01-02', 1), Conflict);
  assert.equal(store.book('bia', 1, '2030-01-03', 1).status, 'awaiting payment');
});
