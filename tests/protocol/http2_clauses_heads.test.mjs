// RFC 9113 sections 4.3, 5.5 and 6.10, and RFC 7541: how a head is cut into frames, and how it is packed.
import {
  answers,
  clauses,
  COMPRESSION_ERROR,
  continuation,
  data,
  dies,
  ended,
  event,
  opened,
  ping,
  priority,
  PROTOCOL_ERROR,
  reset,
  settings,
  update,
  upper,
} from './http2_clauses.mjs';
import {
  block,
  endHeaders,
  endStream,
  frame,
  headers,
  literal,
  number,
  request,
  types,
} from './raw_http2.mjs';

const get = request();
const begun = headers(1, get.subarray(0, 20), endStream);
const rest = (flags = endHeaders) => continuation(1, get.subarray(20), flags);
const broken = dies(PROTOCOL_ERROR);

const frames = [
  ['6.10 a head in two frames', [begun, rest()], answers(1, 200)],
  [
    '6.10 a head in three frames',
    [begun, continuation(1, get.subarray(20, 25), 0), continuation(1, get.subarray(25))],
    answers(1, 200),
  ],
  ['6.10 a head with an empty CONTINUATION', [begun, rest(0), continuation(1, '')], answers(1, 200)],
  [
    '6.10 a head whose HEADERS are empty',
    [headers(1, Buffer.alloc(0), endStream), continuation(1, get)],
    answers(1, 200),
  ],
  [
    '6.10 trailers in two frames',
    (server) => [
      opened(server),
      data(1, event),
      headers(1, Buffer.alloc(0), endStream),
      continuation(1, block([['x-sum', '1']])),
      ended(1),
    ],
    answers(1, 201),
  ],
  ['6.10 CONTINUATION on stream 0', [continuation(0, get)], broken],
  ['6.10 CONTINUATION on stream 0 within a head', [begun, continuation(0, get.subarray(20))], broken],
  ['6.10 CONTINUATION without HEADERS', [continuation(1, get)], broken],
  ['6.10 CONTINUATION after END_HEADERS', (server) => [opened(server), continuation(1, get)], broken],
  ['6.10 CONTINUATION after CONTINUATION with END_HEADERS', [begun, rest(), continuation(1, get)], broken],
  ['6.10 CONTINUATION after DATA', (server) => [opened(server), data(1), continuation(1, get)], broken],
  ['6.10 CONTINUATION on another stream', [begun, continuation(3, get.subarray(20))], broken],
  ['6.2 within a head: HEADERS of the same stream', [begun, headers(1), rest()], broken],
  ['6.2 within a head: HEADERS of another stream', [begun, headers(3), rest()], broken],
  ['6.2 within a head: DATA', [begun, data(1), rest()], broken],
  [
    '6.2 within a head: DATA of another stream',
    (server) => [opened(server), headers(3, get, endStream), data(1)],
    broken,
  ],
  ['6.3 within a head: PRIORITY', [begun, priority(1), rest()], broken],
  ['6.2 within a head: RST_STREAM', [begun, reset(1), rest()], broken],
  ['6.2 within a head: SETTINGS', [begun, settings(), rest()], broken],
  ['6.2 within a head: an ack of SETTINGS', [begun, frame(types.settings, 1, 0), rest()], broken],
  ['6.2 within a head: PING', [begun, ping('12345678'), rest()], broken],
  ['6.2 within a head: GOAWAY', [begun, frame(types.goaway, 0, 0, Buffer.alloc(8)), rest()], broken],
  ['6.2 within a head: WINDOW_UPDATE', [begun, update(0, 1), rest()], broken],
  ['6.2 within a head: WINDOW_UPDATE of its stream', [begun, update(1, 1), rest()], broken],
  [
    '6.2 within a head: PUSH_PROMISE',
    [begun, frame(types.push, endHeaders, 1, Buffer.concat([number(2), get])), rest()],
    broken,
  ],
  [
    '6.10 between two CONTINUATION: PING',
    [begun, continuation(1, '', 0), ping('12345678'), rest()],
    broken,
  ],
  ['5.5 within a head: an unknown type', [begun, frame(0xee, 0, 1), rest()], broken],
  ['5.5 within a head: an unknown type on the connection', [begun, frame(0xee, 0, 0), rest()], broken],
  [
    '5.5 between two CONTINUATION: an unknown type',
    [begun, continuation(1, '', 0), frame(0x0a, 0, 1), rest()],
    broken,
  ],
];

const hex = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex');
// A good head with these bytes behind it, or before it.
const behind = (text) => [headers(1, Buffer.concat([get, hex(text)]))];
const ahead = (text) => [headers(1, Buffer.concat([hex(text), get]))];
const unpackable = dies(COMPRESSION_ERROR);
const authority = literal(':authority', 'h');
const indexed = (...bytes) => Buffer.concat([Buffer.from(bytes), authority]);
const first = 0x80 | 62; // of the dynamic table
const large = (size) => literal('x', 'y'.repeat(size - 33), 0x40); // as the table counts
const path = literal(':path', '/healthz', 0x40); // into it
const added = (stream) => headers(stream, Buffer.concat([hex('8286'), path, authority]));
const byIndex = (stream, at = 62) => headers(stream, indexed(0x82, 0x86, 0x80 | at));
const elsewhere = (stream) =>
  headers(stream, Buffer.concat([hex('8286'), literal(':path', '/nowhere', 0x40), authority]));

const tables = [
  [
    '7541 2.3.1 fields of the static table',
    [headers(1, Buffer.concat([hex('8286'), literal(':path', '/healthz'), authority]))],
    answers(1, 200),
  ],
  ['7541 2.3.2 a field of the dynamic table', [added(1), byIndex(3), ended(3)], answers(3, 200)],
  ['7541 2.3.2 the newest is first', [elsewhere(1), added(3), byIndex(5), ended(5)], answers(5, 200)],
  [
    '7541 2.3.2 an older one is behind it',
    [elsewhere(1), added(3), byIndex(5, 63), ended(5)],
    answers(5, 404),
  ],
  ['7541 2.3.3 an index behind the tables', behind('be'), unpackable],
  [
    '7541 2.3.3 an index behind the dynamic table',
    [added(1), headers(3, Buffer.concat([get, hex('bf')]))],
    unpackable,
  ],
  ['7541 2.3.3 an index far behind', behind('ff ff 7f'), unpackable],
  ['7541 2.3.3 a name behind the tables', behind('7e 01 61'), unpackable],
  ['7541 2.3.3 a name behind the tables, not indexed', behind('0f 2f 01 61'), unpackable],
  ['7541 2.3.3 a name behind the tables, never indexed', behind('1f 2f 01 61'), unpackable],
  ['7541 6.1 index 0', behind('80'), unpackable],
  ['7541 6.1 nothing but index 0', [headers(1, hex('80'))], unpackable],
  [
    '7541 6.2.2 a literal that is not indexed is not in the table',
    [headers(1), headers(3, Buffer.concat([get, hex('be')]))],
    unpackable,
  ],
  [
    '7541 6.2.3 a literal never indexed is taken',
    [headers(1, Buffer.concat([get, literal('x', 'y', 0x10)]))],
    answers(1, 200),
  ],
  ['7541 6.2.3 a literal never indexed is not in the table', behind('10 01 78 01 79 be'), unpackable],
  [
    '7541 4.4 a field larger than the table is taken',
    [headers(1, Buffer.concat([get, large(4133)]))],
    answers(1, 200),
  ],
  [
    '7541 4.4 a field larger than the table empties it',
    [added(1), headers(3, Buffer.concat([get, large(4133)])), byIndex(5)],
    unpackable,
  ],
  [
    '7541 4.4 an old field makes room',
    [added(1), headers(3, Buffer.concat([get, large(4096), hex('bf')]))],
    unpackable,
  ],
  [
    '7541 4.1 fields that just fit are both there',
    [added(1), headers(3, Buffer.concat([get, large(4096 - 45)])), byIndex(5, 63), ended(5)],
    answers(5, 200),
  ],
  [
    '7541 4.1 one byte more, and the older is not',
    [added(1), headers(3, Buffer.concat([get, large(4096 - 44)])), byIndex(5, 63)],
    unpackable,
  ],
  [
    '4.3 a request that is malformed changes the table',
    [headers(1, Buffer.concat([hex('8286'), path, block(upper)])), byIndex(3), ended(3)],
    answers(3, 200),
  ],
  [
    '4.3 a request that is too large changes the table',
    [
      headers(1, Buffer.concat([hex('8286'), path, block(Array(120).fill(['x', 'y']))])),
      byIndex(3),
      ended(3),
    ],
    answers(3, 200),
  ],
  [
    '4.3 trailers change the table',
    (server) => [
      opened(server),
      data(1, event),
      headers(1, literal('x-sum', '1', 0x40)),
      headers(3, Buffer.concat([get, hex('be')])),
      ended(1),
      ended(3),
    ],
    answers(3, 200),
  ],
  [
    '4.3 a head that does not unpack, of a malformed request',
    [headers(1, Buffer.concat([get, block(upper), hex('80')]))],
    unpackable,
  ],
  [
    '4.3 trailers that do not unpack',
    (server) => [opened(server), data(1, event), headers(1, hex('80'))],
    unpackable,
  ],
  [
    '4.3 a head that does not unpack in its CONTINUATION',
    [begun, continuation(1, Buffer.concat([get.subarray(20), hex('80')]))],
    unpackable,
  ],
];

const tableSizes = [
  ['7541 6.3 a new size of 0', ahead('20'), answers(1, 200)],
  ['7541 6.3 a new size of 4096', ahead('3f e1 1f'), answers(1, 200)],
  ['7541 6.3 a new size of 4097', ahead('3f e2 1f'), unpackable],
  ['7541 6.3 a new size that is far too large', ahead('3f ff ff ff 07'), unpackable],
  ['7541 6.3 nothing but a new size that is too large', [headers(1, hex('3f e2 1f'))], unpackable],
  ['7541 4.2 two new sizes', ahead('20 3f e1 1f'), answers(1, 200)],
  ['7541 4.2 a new size behind a field', behind('20'), unpackable],
  [
    '7541 4.2 a new size between fields',
    [headers(1, Buffer.concat([hex('8220'), get.subarray(13)]))],
    unpackable,
  ],
  [
    '7541 4.3 a new size of 0 empties the table',
    [added(1), headers(3, indexed(0x20, 0x82, 0x86, first))],
    unpackable,
  ],
  [
    '7541 4.3 a new size that is enough keeps the field',
    [added(1), headers(3, indexed(0x3f, 0x1f, 0x82, 0x86, first)), ended(3)],
    answers(3, 200),
  ],
  [
    '7541 4.2 a size of 0 lasts',
    [headers(1, Buffer.concat([hex('20'), get])), added(3), byIndex(5)],
    unpackable,
  ],
  [
    '7541 4.2 a size that is restored',
    [headers(1, Buffer.concat([hex('20 3f e1 1f'), get])), added(3), byIndex(5), ended(5)],
    answers(5, 200),
  ],
  [
    '7541 4.2 a new size at the head of trailers',
    (server) => [
      opened(server),
      data(1, event),
      headers(1, Buffer.concat([hex('20'), block([['x-sum', '1']])])),
      ended(1),
    ],
    answers(1, 201),
  ],
];

// The code of "/healthz", and then whatever is to stand behind it.
const huffman = (tail) => {
  const bits = '011000 100111 00101 00011 101000 01001 100111 1111011'.replaceAll(' ', '') + tail;
  const bytes = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  return Buffer.concat([hex('8286 04'), Buffer.from([0x80 | bytes.length]), bytes, authority]);
};

const primitives = [
  ['7541 5.1 an index of more than one byte', behind('0f 00 01 61'), answers(1, 200)],
  ['7541 5.1 an index that never ends', behind(`ff ${'ff'.repeat(40)}`), unpackable],
  ['7541 5.1 an index that is too large', behind('ff ff ff ff ff ff ff ff ff 7f'), unpackable],
  ['7541 5.1 a length that is too large', behind('00 7f ff ff ff ff ff ff ff ff 7f'), unpackable],
  ['7541 5.1 a size that is too large', ahead('3f ff ff ff ff ff ff ff ff 7f'), unpackable],
  ['7541 5.1 an index that is cut off', behind('ff'), unpackable],
  ['7541 5.1 a length that is cut off', behind('00 01 78 7f'), unpackable],
  ['7541 5.2 a name longer than the head', behind('00 05 78'), unpackable],
  ['7541 5.2 a value longer than the head', behind('00 01 78 05 79'), unpackable],
  ['7541 5.2 no value', behind('00 01 78'), unpackable],
  ['7541 5.2 no name', behind('00'), unpackable],
  ['7541 5.2 no value for a name by index', behind('41'), unpackable],
  ['7541 5.2 an empty value', behind('00 01 78 00'), answers(1, 200)],
  ['7541 5.2 an empty value in the Huffman code', behind('00 01 78 80'), answers(1, 200)],
  ['7541 5.2 the Huffman code', [headers(1, huffman('11'))], answers(1, 200)],
  ['7541 5.2 padding with zeros', [headers(1, huffman('00'))], unpackable],
  ['7541 5.2 padding with a one and a zero', [headers(1, huffman('10'))], unpackable],
  ['7541 5.2 padding of more than 7 bits', [headers(1, huffman('1111111111'))], unpackable],
  ['7541 5.2 nothing but 8 bits of padding', behind('00 01 78 81 ff'), unpackable],
  ['7541 5.2 the end of the string as a symbol', [headers(1, huffman('1'.repeat(34)))], unpackable],
  ['7541 5.2 the end of the string as a symbol, alone', behind('00 01 78 84 ff ff ff ff'), unpackable],
  ['7541 5.2 the end of the string within it', behind('00 01 78 85 1f ff ff ff ff'), unpackable],
];

clauses('HTTP/2 clauses: heads', {
  frames,
  tables,
  'table sizes': tableSizes,
  'numbers and strings': primitives,
});
