import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brCode, crc16, isIntact } from '../server/br_code.mjs';

test('the CRC of the check string is the published one', () => {
  assert.equal(crc16('123456789'), '29B1');
});

test('a known dynamic code is intact, and a changed one is not', () => {
  const known =
    '00020101021226770014BR.GOV.BCB.PIX2555pix.example.com/qr/93598be0-1bd0-4997-8318-81776a1d8a99' +
    '5204000053039865802BR5907EMPRESA6009SAO PAULO62070503***6304EEAB';
  assert.ok(isIntact(known));
  assert.ok(!isIntact(known.replace('EMPRESA', 'EMPRESB')));
});

test('a code is made of fields whose lengths are right', () => {
  const code = brCode({
    url: 'pix.example.com/qr/abc',
    name: 'POUSADA BELFRY',
    city: 'PARATY',
    amount: 48000,
  });
  assert.ok(isIntact(code));
  const fields = {};
  for (let at = 0; at < code.length;) {
    const length = Number(code.slice(at + 2, at + 4));
    fields[code.slice(at, at + 2)] = code.slice(at + 4, at + 4 + length);
    at += 4 + length;
  }
  assert.equal(fields['54'], '480.00');
  assert.equal(fields['59'], 'POUSADA BELFRY');
  assert.match(fields['26'], /^0014BR\.GOV\.BCB\.PIX25/);
});
