// The text of a Pix QR code: EMV TLV fields and a CRC-16/CCITT-FALSE over all of it (Manual do BR Code,
// Banco Central do Brasil; EMVCo Merchant-Presented Mode).

/** Polynomial 0x1021, begun with 0xFFFF. */
export function crc16(text) {
  let crc = 0xffff;
  for (const byte of Buffer.from(text, 'utf8')) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++)
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc.toString(16).toUpperCase().padStart(4, '0');
}

const field = (id, value) => {
  const { length } = Buffer.from(value, 'utf8');
  if (length > 99) throw new RangeError(`field ${id}: ${length} bytes, at most 99`);
  return `${id}${String(length).padStart(2, '0')}${value}`;
};

/** A dynamic code: the address where the payer's bank reads the charge. `amount` in centavos. */
export function brCode({ url, name, city, amount }) {
  const text = [
    field('00', '01'),
    field('01', '12'), // to be paid once
    field('26', field('00', 'BR.GOV.BCB.PIX') + field('25', url)),
    field('52', '0000'),
    field('53', '986'), // BRL
    ...(amount === undefined ? [] : [field('54', (amount / 100).toFixed(2))]),
    field('58', 'BR'),
    field('59', name.slice(0, 25)),
    field('60', city.slice(0, 15)),
    field('62', field('05', '***')),
    '6304',
  ].join('');
  return text + crc16(text);
}

/** Whether the code's last four characters are the CRC of the rest. */
export const isIntact = (code) => crc16(code.slice(0, -4)) === code.slice(-4);
