// RFC 9113 section 8 and RFC 8441: requests, whole and malformed.
import {
  answered,
  answers,
  CANCEL,
  clauses,
  CONNECT_ERROR,
  data,
  dies,
  ended,
  event,
  ignored,
  INTERNAL_ERROR,
  malformed,
  NO_ERROR,
  opened,
  priority,
  PROTOCOL_ERROR,
  reset,
  resets,
  sees,
  settled,
  STREAM_CLOSED,
  update,
} from './http2_clauses.mjs';
import { block, endHeaders, endStream, headers, request } from './raw_http2.mjs';

// GET /healthz, with fields behind it.
const ask = (...more) => headers(1, request('/healthz', more));
const get = (...more) => [ask(...more), ended(1)];
const head = (...fields) => [headers(1, block(fields))];
const fine = answers(1, 200);
const wrong = malformed(1);
const [method, scheme, path, authority] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/healthz'],
  [':authority', 'h'],
];
const published = answers(1, 201);
const trailers = (fields, flags = endStream | endHeaders) => headers(1, block(fields), flags);

// An event, and what comes behind its DATA.
const closing =
  (...frames) =>
  (server) => [opened(server), data(1, event), ...frames, answered(1)];
const refused =
  (...frames) =>
  (server) => [opened(server), data(1, event), ...frames];

const framing = [
  ['8.1 DATA before HEADERS', [data(1, event), headers(1)], dies(PROTOCOL_ERROR)],
  ['8.1 trailers end the request', closing(trailers([['x-sum', '1']])), published],
  [
    '8.1 trailers without DATA',
    (server) => [opened(server), trailers([['x-sum', '1']]), answered(1)],
    sees('an answer', (talk) => talk.status(1) >= 200 && talk.resetOf(1) === undefined),
  ],
  ['8.1 empty trailers', closing(trailers([])), published],
  ['8.1 trailers without END_STREAM', refused(trailers([['x-sum', '1']], endHeaders)), wrong],
  [
    '8.1 trailers without END_STREAM, and DATA',
    refused(trailers([['x-sum', '1']], endHeaders), data(1, '', endStream)),
    wrong,
  ],
  ['8.1 a second head without END_STREAM', refused(headers(1, request(), endHeaders)), wrong],
  ['8.1 a second head as trailers', refused(headers(1)), wrong],
  ['8.1 trailers with :path', refused(trailers([path])), wrong],
  ['8.1 trailers with :status', refused(trailers([[':status', '200']])), wrong],
  ['8.1 trailers with :method behind a field', refused(trailers([['x-sum', '1'], method])), wrong],
  ['8.2.1 trailers with a name in upper case', refused(trailers([['X-Sum', '1']])), wrong],
  ['8.2.1 trailers with LF in a value', refused(trailers([['x-sum', '1\n']])), wrong],
  ['8.2.2 trailers with connection', refused(trailers([['connection', 'close']])), wrong],
  [
    '8.1 DATA behind trailers',
    refused(trailers([['x-sum', '1']]), data(1, event)),
    resets(1, STREAM_CLOSED),
    dies(STREAM_CLOSED),
  ],
  [
    '8.1 trailers behind trailers',
    refused(trailers([['x-sum', '1']]), trailers([['x-sum', '1']])),
    resets(1, STREAM_CLOSED),
    dies(STREAM_CLOSED, PROTOCOL_ERROR),
  ],
  [
    '8.1 an interim answer comes before the final one, and does not end the stream',
    (server) => [
      opened(server, 1, [['expect', '100-continue']]),
      (talk) => talk.statuses(1)[0] === 100,
      data(1, event, endStream),
      ended(1),
    ],
    sees('100 and 201', (talk) => talk.statuses(1).join() === '100,201' && talk.done(1)),
  ],
  [
    '8.1 answered before the request has ended: whole, and then RST_STREAM with NO_ERROR at most',
    (server) => [opened(server, 1, Array(120).fill(['x', 'y'])), ended(1)],
    answers(1, 431),
  ],
  [
    '8.1 the answer to HEAD has no DATA',
    head([':method', 'HEAD'], scheme, path, authority),
    sees('HEADERS alone', (talk) => talk.status(1) === 200 && talk.done(1) && talk.of(0, 1).length === 0),
  ],
];

const length = (size) => [['content-length', String(size)]];
const size = event.length;
const body =
  (sizes, ...frames) =>
  (server) => [opened(server, 1, sizes), ...frames];
const allOf = data(1, event, endStream);

const contentLength = [
  ['8.1.1 content-length of the body', body(length(size), allOf, ended(1)), published],
  [
    '8.1.1 content-length of a body in pieces',
    body(length(size), data(1, event.slice(0, 4)), data(1, event.slice(4), endStream), ended(1)),
    published,
  ],
  [
    '8.1.1 padding does not count',
    body(
      length(size),
      data(1, Buffer.concat([Buffer.from([3]), Buffer.from(event), Buffer.alloc(3)]), endStream | 8),
      ended(1),
    ),
    published,
  ],
  ['8.1.1 content-length of 0 without a body', get(['content-length', '0']), fine],
  ['8.1.1 content-length that is more', body(length(size + 1), allOf), wrong],
  ['8.1.1 content-length that is less', body(length(size - 1), allOf), wrong],
  ['8.1.1 content-length that is less than the first DATA', body(length(size - 1), data(1, event)), wrong],
  ['8.1.1 content-length of 0 with a body', body(length(0), allOf), wrong],
  ['8.1.1 content-length without a body', [ask(['content-length', '5'])], wrong],
  [
    '8.1.1 content-length that is more, with trailers',
    body(length(size + 1), data(1, event), trailers([['x-sum', '1']])),
    wrong,
  ],
  [
    '8.1.1 content-length that is more, in pieces',
    body(length(size + 1), data(1, event.slice(0, 4)), data(1, event.slice(4), endStream)),
    wrong,
  ],
  ['9110 8.6 two that differ', body([...length(size), ...length(size + 1)], allOf), wrong],
  ['9110 8.6 a list that differs', body([['content-length', `${size}, ${size + 1}`]], allOf), wrong],
  ['9110 8.6 not a number', body([['content-length', 'x']], allOf), wrong],
  ['9110 8.6 below 0', body([['content-length', '-1']], allOf), wrong],
  ['9110 8.6 a sign', body([['content-length', `+${size}`]], allOf), wrong],
  ['9110 8.6 more than any number', body([['content-length', '9'.repeat(30)]], allOf), wrong],
  ['9110 8.6 empty', body([['content-length', '']], allOf), wrong],
];

const field = (name, ...fields) => [name, [ask(...fields)], wrong];

const fields = [
  field('8.2.1 a name in upper case', ['X-A', 'v']),
  field('8.2.1 a name with one upper case letter', ['x-A', 'v']),
  field('8.2.1 an empty name', ['', 'v']),
  field('8.2.1 a name with NUL', ['x\0a', 'v']),
  field('8.2.1 a name with SP', ['x a', 'v']),
  field('8.2.1 a name with SP behind it', ['x-a ', 'v']),
  field('8.2.1 a name with HTAB', ['x\ta', 'v']),
  field('8.2.1 a name with CR', ['x\ra', 'v']),
  field('8.2.1 a name with LF', ['x\na', 'v']),
  field('8.2.1 a name with DEL', ['x\x7fa', 'v']),
  field('8.2.1 a name with 0x80', ['x\x80a', 'v']),
  field('8.2.1 a name with 0xff', ['x\xffa', 'v']),
  field('8.2.1 a name with a colon', ['x:a', 'v']),
  field('8.2.1 a name with a colon behind it', ['x-a:', 'v']),
  field('8.2.1 a value with NUL', ['x-a', 'v\0w']),
  field('8.2.1 a value with CR', ['x-a', 'v\rw']),
  field('8.2.1 a value with LF', ['x-a', 'v\nw']),
  field('8.2.1 a value with CR LF and a field', ['x-a', 'v\r\nx-b: w']),
  field('8.2.1 a value with LF at its end', ['x-a', 'v\n']),
  field('8.2.1 a value with SP before it', ['x-a', ' v']),
  field('8.2.1 a value with SP behind it', ['x-a', 'v ']),
  field('8.2.1 a value with HTAB before it', ['x-a', '\tv']),
  field('8.2.1 a value with HTAB behind it', ['x-a', 'v\t']),
  field('8.2.1 a value that is SP', ['x-a', ' ']),
  ['8.2.1 a value with SP and HTAB within', get(['x-a', 'v \t w']), fine],
  ['8.2.1 an empty value', get(['x-a', '']), fine],
  ['9110 5.5 a value with bytes above 0x7f', get(['x-a', 'v\x80\xff']), fine],
  field('8.2.2 connection', ['connection', 'close']),
  field('8.2.2 connection that names a field', ['connection', 'x-a'], ['x-a', 'v']),
  field('8.2.2 proxy-connection', ['proxy-connection', 'keep-alive']),
  field('8.2.2 keep-alive', ['keep-alive', 'timeout=5']),
  field('8.2.2 transfer-encoding', ['transfer-encoding', 'chunked']),
  field('8.2.2 upgrade', ['upgrade', 'h2c']),
  field('8.2.2 te that is not trailers', ['te', 'gzip']),
  field('8.2.2 te that is more than trailers', ['te', 'trailers, gzip']),
  ['8.2.2 te that is trailers', get(['te', 'trailers']), fine],
  [
    '8.2.2 transfer-encoding of a request with a body',
    body([['transfer-encoding', 'chunked']], data(1, `d\r\n${event}\r\n0\r\n\r\n`, endStream)),
    wrong,
  ],
  ['8.2.3 a cookie in crumbs', get(['cookie', 'a=b'], ['x-a', 'v'], ['cookie', 'c=d']), fine],
];

const lacks = (name, ...fields) => [name, head(...fields), wrong];

const pseudo = [
  lacks('8.3 behind a field', method, scheme, ['x-a', 'v'], path, authority),
  lacks('8.3 all behind a field', ['x-a', 'v'], method, scheme, path, authority),
  lacks('8.3 one that nobody knows', method, scheme, path, authority, [':version', '2']),
  lacks('8.3 one of answers', method, scheme, path, authority, [':status', '200']),
  lacks('8.3 one without a name', method, scheme, path, authority, [':', 'v']),
  lacks('8.3 one in upper case', [':METHOD', 'GET'], scheme, path, authority),
  lacks('8.3 :method twice', method, method, scheme, path, authority),
  lacks('8.3 :method twice, and others', method, [':method', 'POST'], scheme, path, authority),
  lacks('8.3 :scheme twice', method, scheme, scheme, path, authority),
  lacks('8.3 :path twice', method, scheme, path, [':path', '/metrics'], authority),
  lacks('8.3 :authority twice', method, scheme, path, authority, authority),
  lacks('8.3.1 no :method', scheme, path, authority),
  lacks('8.3.1 no :scheme', method, path, authority),
  lacks('8.3.1 no :path', method, scheme, authority),
  lacks('8.3.1 none', ['x-a', 'v']),
  ['8.3.1 nothing at all', [headers(1, Buffer.alloc(0))], wrong],
  lacks('8.3.1 an empty :path', method, scheme, [':path', ''], authority),
  lacks('8.3.1 an empty :method', [':method', ''], scheme, path, authority),
  lacks('8.3.1 an empty :scheme', method, [':scheme', ''], path, authority),
  lacks('8.3.1 a :path without a slash', method, scheme, [':path', 'healthz'], authority),
  lacks('8.3.1 a :path of * that is not for OPTIONS', method, scheme, [':path', '*'], authority),
  lacks('8.3.1 a :path with NUL', method, scheme, [':path', '/healthz\0'], authority),
  lacks('8.3.1 a :path with LF', method, scheme, [':path', '/healthz\n'], authority),
  lacks(
    '8.3.1 a :path with CR LF and a field',
    method,
    scheme,
    [':path', '/healthz HTTP/1.1\r\nx: y'],
    authority,
  ),
  lacks('8.3.1 a :method that is no token', [':method', 'G T'], scheme, path, authority),
  lacks('8.3.1 a :method with CR LF', [':method', 'GET\r\n'], scheme, path, authority),
  lacks('8.3.1 a :scheme that is none', method, [':scheme', '1:'], path, authority),
  lacks('8.3.1 an :authority with LF', method, scheme, path, [':authority', 'h\n']),
  lacks('8.3.1 a host that differs from :authority', method, scheme, path, authority, ['host', 'other']),
  ['8.3.1 a host that is :authority', get(['host', 'h']), fine],
  ['8.3.1 host without :authority', [...head(method, scheme, path, ['host', 'h']), ended(1)], fine],
  ['8.3.1 in any order', [...head(authority, path, scheme, method), ended(1)], fine],
];

const [connect, websocket, outlet] = [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
  [':path', '/v1/events'],
];
const version = ['sec-websocket-version', '13'];
const tunnel = (...fields) => [headers(1, block(fields), endHeaders)];
const joined = [...tunnel(connect, websocket, scheme, outlet, authority, version), answered(1)];
const goesOn = sees(
  '200, and the stream is open',
  (talk) => talk.status(1) === 200 && !talk.done(1) && talk.resetOf(1) === undefined,
);
// A request that is not served: no success, whatever else is said.
const denied = sees('no success', (talk) => {
  const status = talk.status(1);
  return status >= 400 || (status === undefined && ![undefined, NO_ERROR].includes(talk.resetOf(1)));
});
// RFC 9113 section 8.5 asks for a stream error, and does not say of which type.
const types = [PROTOCOL_ERROR, STREAM_CLOSED, INTERNAL_ERROR, CONNECT_ERROR];
const streamError = [resets(1, ...types), dies(...types)];

const connects = [
  ['8.5 CONNECT with :scheme', tunnel(connect, scheme, authority), wrong],
  ['8.5 CONNECT with :path', tunnel(connect, path, authority), wrong],
  ['8.5 CONNECT with :scheme and :path', tunnel(connect, scheme, path, authority), wrong],
  ['8.5 CONNECT without :authority', tunnel(connect), wrong],
  [
    '8.5 CONNECT to another host is not served',
    [...tunnel(connect, [':authority', 'h:443']), data(1, '', endStream), settled(1)],
    denied,
  ],
  ['8441 4 extended CONNECT', joined, goesOn],
  ['8441 4 without :scheme', tunnel(connect, websocket, outlet, authority, version), wrong],
  ['8441 4 without :path', tunnel(connect, websocket, scheme, authority, version), wrong],
  ['8441 4 without :scheme and :path', tunnel(connect, websocket, authority, version), wrong],
  ['8441 4 without :authority', tunnel(connect, websocket, scheme, outlet, version), wrong],
  ['8441 4 an empty :path', tunnel(connect, websocket, scheme, [':path', ''], authority, version), wrong],
  [
    '8441 4 :protocol twice',
    tunnel(connect, websocket, websocket, scheme, outlet, authority, version),
    wrong,
  ],
  [
    '8441 4 :protocol behind a field',
    tunnel(connect, scheme, outlet, authority, version, websocket),
    wrong,
  ],
  [
    '8441 4 :protocol without CONNECT',
    tunnel(method, websocket, scheme, outlet, authority, version),
    wrong,
  ],
  [
    '8441 4 a protocol that nobody knows is not served',
    tunnel(connect, [':protocol', 'other'], scheme, outlet, authority, version),
    denied,
  ],
  [
    '8441 4 an empty :protocol is not served',
    tunnel(connect, [':protocol', ''], scheme, outlet, authority, version),
    denied,
  ],
  [
    '8441 5 with connection',
    tunnel(connect, websocket, scheme, outlet, authority, version, ['connection', 'upgrade']),
    wrong,
  ],
  [
    '8441 5 with upgrade',
    tunnel(connect, websocket, scheme, outlet, authority, version, ['upgrade', 'websocket']),
    wrong,
  ],
  [
    '8441 5 END_STREAM is the end of the tunnel',
    [...joined, data(1, '', endStream), ended(1)],
    sees('200, and its end behind it', (talk) => talk.status(1) === 200 && talk.of(0, 1).length > 0),
  ],
  ['8441 5 RST_STREAM with CANCEL is its end', [...joined, reset(1, CANCEL)], ignored],
  ['8.5 a tunnel: WINDOW_UPDATE and PRIORITY are fine', [...joined, update(1, 9), priority(1)], goesOn],
  ['8.5 a tunnel: HEADERS', [...joined, headers(1, request(), endHeaders)], ...streamError],
  ['8.5 a tunnel: trailers', [...joined, trailers([['x-sum', '1']])], ...streamError],
];

clauses('HTTP/2 clauses: messages', {
  framing,
  'content-length': contentLength,
  fields,
  'pseudo-header fields': pseudo,
  CONNECT: connects,
});
