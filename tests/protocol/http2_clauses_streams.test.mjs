// RFC 9113 section 5.1: each state of a stream and what it makes of each frame, and RFC 7540 section 5.1
// where it says more. Sections 5.1.1 and 5.1.2: which streams may be opened.
import {
  answered,
  answers,
  clauses,
  COMPRESSION_ERROR,
  continuation,
  data,
  dies,
  discarded,
  ended,
  event,
  ignored,
  initialWindow,
  listen,
  NO_ERROR,
  opened,
  priority,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  reset,
  resets,
  sees,
  settings,
  settled,
  STREAM_CLOSED,
  update,
  upper,
  wasReset,
} from './http2_clauses.mjs';
import { block, endHeaders, endStream, headers, literal, request } from './raw_http2.mjs';

const trailers = (stream, flags = endStream | endHeaders) =>
  headers(stream, block([['x-sum', '1']]), flags);
const get = request();

// Every frame but PRIORITY and HEADERS is a connection error on a stream that is idle.
const idle = [
  ['5.1 idle: DATA', [data(1)], dies(PROTOCOL_ERROR)],
  ['5.1 idle: DATA with END_STREAM', [data(1, 'x', endStream)], dies(PROTOCOL_ERROR)],
  ['5.1 idle: RST_STREAM', [reset(1)], dies(PROTOCOL_ERROR)],
  ['5.1 idle: WINDOW_UPDATE', [update(1, 1)], dies(PROTOCOL_ERROR)],
  ['5.1 idle: CONTINUATION', [continuation(1, get)], dies(PROTOCOL_ERROR)],
  ['5.1 idle: PRIORITY is fine', [priority(1)], ignored],
  ['5.1 idle: PRIORITY, and then HEADERS', [priority(1), headers(1)], answers(1, 200)],
  ['5.1 idle: PRIORITY on a stream of the server is fine', [priority(2)], ignored],
  [
    '5.1 idle: DATA above a stream that is open',
    (server) => [opened(server), data(3)],
    dies(PROTOCOL_ERROR),
  ],
  [
    '5.1 idle: RST_STREAM above a stream that was answered',
    [headers(1), ended(1), reset(3)],
    dies(PROTOCOL_ERROR),
  ],
  [
    '5.1 idle: WINDOW_UPDATE above a stream that was answered',
    [headers(1), ended(1), update(3, 1)],
    dies(PROTOCOL_ERROR),
  ],
  ['5.1 idle: DATA on a stream of the server', [data(2)], dies(PROTOCOL_ERROR)],
  ['5.1 idle: RST_STREAM on a stream of the server', [reset(2)], dies(PROTOCOL_ERROR)],
  ['5.1 idle: WINDOW_UPDATE on a stream of the server', [update(2, 1)], dies(PROTOCOL_ERROR)],
];

const open = [
  [
    '5.1 open: DATA, and END_STREAM with it',
    (server) => [opened(server), data(1, event, endStream), ended(1)],
    answers(1, 201),
  ],
  [
    '5.1 open: PRIORITY and WINDOW_UPDATE are fine',
    (server) => [opened(server), priority(1), update(1, 9), data(1, event, endStream), ended(1)],
    answers(1, 201),
  ],
  [
    '5.1 open: HEADERS with END_STREAM close it',
    (server) => [opened(server), data(1, event), trailers(1), ended(1)],
    answers(1, 201),
  ],
  ['5.1 open: RST_STREAM closes it', (server) => [opened(server), reset(1)], ignored],
  ['5.1 open: CONTINUATION', (server) => [opened(server), continuation(1, get)], dies(PROTOCOL_ERROR)],
];

// What is met in a state in which the client has ended the stream. RFC 9113 section 5.1 asks for a stream
// error, section 5.4.1 lets it be one of the connection; for CONTINUATION section 6.10 asks for another.
const closed = [resets(1, STREAM_CLOSED), dies(STREAM_CLOSED)];
const strayed = [resets(1, STREAM_CLOSED), dies(STREAM_CLOSED, PROTOCOL_ERROR)];

// Each frame after `first`; `heads` is allowed for HEADERS.
const tooLate = (state, first, heads, more = []) =>
  [
    ['DATA', data(1), ...closed],
    ['empty DATA', data(1, ''), ...closed],
    ['DATA with END_STREAM', data(1, 'x', endStream), ...closed],
    ['HEADERS', headers(1, get, endHeaders), ...heads],
    ['HEADERS with END_STREAM', headers(1), ...heads],
    ['trailers', trailers(1), ...heads],
    ['CONTINUATION', continuation(1, get), ...strayed],
    ['PRIORITY is fine', priority(1), ignored],
    ...more,
  ].map(([what, frame, ...allowed]) => [
    `5.1 ${state}: ${what}`,
    (server) => [...first(server), frame],
    ...allowed,
  ]);

const afterEnd = (name, first) =>
  tooLate(`half-closed (remote), ${name}`, first, closed, [
    ['WINDOW_UPDATE is fine', update(1, 9), ignored],
    ['RST_STREAM is fine', reset(1), ignored],
  ]);
const shut = settings([initialWindow, 0]);

const halfClosed = [
  ...afterEnd('just asked', () => [headers(1)]),
  ...afterEnd('answer begun', (server) => [headers(1, listen(server)), answered(1)]),
  ...afterEnd('answer waits for a window', () => [shut, headers(1), answered(1)]),
  ...afterEnd('ended by DATA', (server) => [shut, opened(server), data(1, event, endStream), answered(1)]),
  ...afterEnd('ended by trailers', (server) => [
    shut,
    opened(server),
    data(1, event),
    trailers(1),
    answered(1),
  ]),
  [
    '5.1 half-closed (remote): WINDOW_UPDATE lets the answer out',
    [shut, headers(1), answered(1), update(1, 3), ended(1)],
    answers(1, 200),
  ],
  [
    '5.1 half-closed (remote): RST_STREAM stops the answer',
    [shut, headers(1), answered(1), reset(1), settings([initialWindow, 9])],
    sees('no DATA', (talk) => talk.text(1) === '' && !talk.done(1) && talk.resetOf(1) === undefined),
  ],
];

// Section 6.1 asks for STREAM_CLOSED on DATA, RFC 7540 section 5.1 on every frame but PRIORITY. HEADERS are
// also an identifier that is not expected: section 5.1.1 asks for PROTOCOL_ERROR.
const again = [resets(1, STREAM_CLOSED), dies(STREAM_CLOSED, PROTOCOL_ERROR)];

const afterClose = (name, first) => tooLate(`closed, ${name}`, first, again);
const cancelled = (server) => [opened(server), reset(1)];
const unheard = (server) => [headers(1, listen(server)), answered(1), reset(1)];
const complete = () => [headers(1), ended(1)];

const closedStreams = [
  ...afterClose('reset while it was open', cancelled),
  ...afterClose('reset while it was answered', unheard),
  ...afterClose('both ended', complete),
  ...afterClose('both ended, others after it', () => [
    headers(1),
    headers(3),
    headers(5),
    ended(1),
    ended(5),
  ]),
  ...afterClose('both ended, with a body', (server) => [
    opened(server),
    data(1, event, endStream),
    ended(1),
  ]),
  ['5.1 closed, both ended: WINDOW_UPDATE is no error', [...complete(), update(1, 9)], answers(1, 200)],
  ['5.1 closed, both ended: RST_STREAM is no error', [...complete(), reset(1)], ignored],
  ['5.1 closed, both ended: RST_STREAM with NO_ERROR', [...complete(), reset(1, NO_ERROR)], ignored],
  // 5.4.2: never RST_STREAM because of RST_STREAM.
  [
    '5.4.2 closed by RST_STREAM: another one',
    (server) => [...cancelled(server), reset(1)],
    ignored,
    dies(STREAM_CLOSED),
  ],
];

// The server resets a stream that is open: whatever was sent before that is known is taken and thrown away.
function inFlight(what, ...frames) {
  return [
    `5.1 closed, reset by the server: ${what} in flight`,
    (server) => [opened(server, 1, upper), ...frames],
    discarded(1),
  ];
}
const path = literal(':path', '/healthz', 0x40); // into the dynamic table, where it is 62
const byIndex = Buffer.concat([Buffer.from([0x82, 0x86, 0x80 | 62]), literal(':authority', 'h')]);

const resetByServer = [
  inFlight('DATA', data(1), data(1)),
  inFlight('DATA with END_STREAM', data(1, event, endStream)),
  inFlight('trailers', data(1, event), trailers(1)),
  inFlight('WINDOW_UPDATE', update(1, 9)),
  inFlight('RST_STREAM', reset(1)),
  inFlight('PRIORITY', priority(1)),
  [
    '5.1 closed, reset by the server: PRIORITY is fine',
    (server) => [opened(server, 1, upper), settled(1), priority(1)],
    discarded(1),
  ],
  [
    '4.3 closed, reset by the server: trailers in flight change the table',
    (server) => [
      opened(server, 1, upper),
      headers(1, path, endStream | endHeaders),
      headers(3, byIndex),
      ended(3),
    ],
    answers(3, 200),
  ],
  [
    '4.3 closed, reset by the server: trailers in flight that do not unpack',
    (server) => [opened(server, 1, upper), headers(1, Buffer.from([0x80]))],
    dies(COMPRESSION_ERROR),
  ],
  [
    '6.9 DATA in flight counts, and its window is given back',
    (server) => {
      const steps = [];
      for (let stream = 1, sent = 0; stream < 60; stream += 2) {
        const after = (sent += 60_000);
        steps.push((talk) => talk.credit() >= after, opened(server, stream, upper));
        for (let i = 0; i < 4; ++i) steps.push(data(stream, Buffer.alloc(15_000)));
      }
      return [...steps, settled(59)];
    },
    sees('a window for all', (talk) => talk.credit() >= 30 * 60_000),
  ],
  [
    '8.1 answered before the request has ended: the rest is discarded',
    (server) => [
      opened(server, 1, Array(101).fill(['x', 'y'])),
      data(1, event),
      data(1, event, endStream),
      ended(1),
    ],
    answers(1, 431),
  ],
];

const identifiers = [
  ['5.1.1 even', [headers(2)], dies(PROTOCOL_ERROR)],
  ['5.1.1 even, after others', [headers(1), ended(1), headers(4)], dies(PROTOCOL_ERROR)],
  ['5.1.1 zero', [headers(0)], dies(PROTOCOL_ERROR)],
  // A stream below the highest is closed: STREAM_CLOSED is right too.
  [
    '5.1.1 lower than one that is open',
    (server) => [opened(server, 5), headers(3)],
    dies(PROTOCOL_ERROR, STREAM_CLOSED),
  ],
  [
    '5.1.1 lower than one that was answered',
    [headers(5), ended(5), headers(3)],
    dies(PROTOCOL_ERROR, STREAM_CLOSED),
  ],
  [
    '5.1.1 skipped: the next may be any that is higher',
    [headers(1), headers(77), ended(77)],
    answers(77, 200),
  ],
  // Section 6.1 wants STREAM_CLOSED; nghttp2 ignores DATA of a stream of which it knows nothing.
  ['5.1.1 skipped: DATA', [headers(5), data(3)], answers(5, 200), dies(STREAM_CLOSED)],
  ['5.1.1 skipped: PRIORITY is fine', [headers(5), priority(3), ended(5)], answers(5, 200)],
];

const hundred = (server) => Array.from({ length: 100 }, (_, i) => opened(server, 2 * i + 1));
const released = (all) => all.map((_, i) => reset(2 * i + 1));
const tooMany = [REFUSED_STREAM, PROTOCOL_ERROR];

const concurrency = [
  [
    '5.1.2 one more than SETTINGS_MAX_CONCURRENT_STREAMS',
    (server) => {
      const all = hundred(server);
      return [...all, headers(201), wasReset(201), ...released(all)];
    },
    resets(201, ...tooMany),
    dies(...tooMany),
  ],
  [
    '5.1.2 one more, which is open',
    (server) => {
      const all = hundred(server);
      return [...all, opened(server, 201), wasReset(201), ...released(all)];
    },
    resets(201, ...tooMany),
    dies(...tooMany),
  ],
  [
    '5.1.2 a stream that is closed does not count',
    (server) => [...hundred(server), reset(1), headers(201), ended(201), reset(3)],
    answers(201, 200),
  ],
  [
    '5.1.2 a stream that is idle does not count',
    (server) => [...hundred(server).slice(1), priority(501), headers(201), ended(201)],
    answers(201, 200),
  ],
];

clauses('HTTP/2 clauses: streams', {
  idle,
  open,
  'half-closed (remote)': halfClosed,
  closed: closedStreams,
  'closed, reset by the server': resetByServer,
  identifiers,
  concurrency,
});
