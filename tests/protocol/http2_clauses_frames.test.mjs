// RFC 9113 sections 4.1, 4.2, 5.5, 6.1, 6.2, 6.3, 6.4 and 6.6: the frames of streams, one by one.
import {
  answered,
  answers,
  clauses,
  continuation,
  data,
  dependency,
  dies,
  ended,
  event,
  FRAME_SIZE_ERROR,
  ignored,
  listen,
  opened,
  padded,
  ping,
  priority,
  prioritised,
  PROTOCOL_ERROR,
  publish,
  reset,
  resets,
  sees,
  settings,
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

const unknown = 0xee;
const both = endStream | endHeaders;
const reserved = 0x80000000;
const get = request();
const bytes = (size) => Buffer.alloc(size);
const pad = (size, text, rest = size) =>
  Buffer.concat([Buffer.from([size]), Buffer.from(text), Buffer.alloc(rest)]);

const format = [
  ['4.1 an unknown type on the connection is ignored', [frame(unknown, 0, 0, bytes(4))], ignored],
  ['4.1 an unknown type on an idle stream is ignored', [frame(unknown, 0, 7, bytes(4))], ignored],
  ['4.1 an unknown type with all flags is ignored', [frame(unknown, 255, 0, bytes(4))], ignored],
  ['4.1 an unknown type of the greatest size is ignored', [frame(unknown, 0, 0, bytes(16_384))], ignored],
  [
    '4.1 an unknown type on an open stream is ignored',
    (server) => [opened(server), frame(unknown, 255, 1, bytes(4)), data(1, event, endStream), ended(1)],
    answers(1, 201),
  ],
  [
    '4.1 an unknown type on a closed stream is ignored',
    [headers(1), ended(1), frame(unknown, 0, 1, bytes(4))],
    answers(1, 200),
  ],
  ['4.1 the reserved bit of HEADERS is ignored', [headers(reserved + 1)], answers(1, 200)],
  [
    '4.1 the reserved bit of DATA is ignored',
    (server) => [opened(server), data(reserved + 1, event, endStream), ended(1)],
    answers(1, 201),
  ],
  [
    '4.1 the reserved bit of PING is ignored',
    [ping('reserved', 0, reserved)],
    sees('a PING answered', (talk) => talk.ponged('reserved')),
  ],
  [
    '4.1 the reserved bit of SETTINGS is ignored',
    [frame(types.settings, 0, reserved)],
    sees('two acks', (talk) => talk.acks() === 2),
  ],
  ['4.1 unused flags of HEADERS are ignored', [headers(1, get, both | 0xd2)], answers(1, 200)],
  [
    '4.1 unused flags of DATA are ignored',
    (server) => [opened(server), data(1, event, endStream | 0xf6), ended(1)],
    answers(1, 201),
  ],
  [
    '4.1 unused flags of PRIORITY are ignored',
    [frame(types.priority, 255, 1, dependency(0)), headers(1)],
    answers(1, 200),
  ],
  [
    '4.1 unused flags of RST_STREAM are ignored',
    (server) => [opened(server), frame(types.reset, 255, 1, number(8))],
    ignored,
  ],
  [
    '4.1 unused flags of SETTINGS are ignored',
    [frame(types.settings, 0xfe, 0)],
    sees('two acks', (talk) => talk.acks() === 2),
  ],
  [
    '4.1 unused flags of PING are ignored, and unset in the answer',
    [ping('allflags', 0xfe)],
    sees('one flag', (talk) =>
      talk.of(types.ping, 0).some((one) => one.flags === 1 && one.payload.toString() === 'allflags'),
    ),
  ],
  [
    '4.1 unused flags of WINDOW_UPDATE are ignored',
    [frame(types.windowUpdate, 255, 0, number(1))],
    ignored,
  ],
  [
    '4.1 unused flags of CONTINUATION are ignored',
    [headers(1, get.subarray(0, 9), endStream), continuation(1, get.subarray(9), endHeaders | 0xfb)],
    answers(1, 200),
  ],
];

const tooLarge = dies(FRAME_SIZE_ERROR);
const json = (size) => `{"topic":"t","data":"${'x'.repeat(size - 23)}"}`;

const sizes = [
  [
    '4.2 DATA of 16384 is taken',
    (server) => [opened(server), data(1, json(16_384), endStream), ended(1)],
    answers(1, 201),
  ],
  [
    '4.2 DATA of 16385',
    (server) => [opened(server), data(1, bytes(16_385))],
    resets(1, FRAME_SIZE_ERROR),
    tooLarge,
  ],
  ['4.2 HEADERS of 16385', [headers(1, bytes(16_385))], tooLarge],
  [
    '4.2 CONTINUATION of 16385',
    [headers(1, get, endStream), continuation(1, literal('x', 'y'.repeat(16_379)))],
    tooLarge,
  ],
  ['4.2 SETTINGS of 16386', [frame(types.settings, 0, 0, bytes(16_386))], tooLarge],
  ['4.2 PING of 16385', [frame(types.ping, 0, 0, bytes(16_385))], tooLarge],
  ['4.2 GOAWAY of 16385', [frame(types.goaway, 0, 0, bytes(16_385))], tooLarge],
  [
    '4.2 HEADERS too small for its pad length',
    [headers(1, bytes(0), both | padded)],
    dies(FRAME_SIZE_ERROR, PROTOCOL_ERROR),
  ],
  ['4.2 HEADERS too small for its priority', [headers(1, bytes(4), both | prioritised)], tooLarge],
  [
    '4.2 HEADERS too small for pad length and priority',
    [headers(1, bytes(5), both | prioritised | padded)],
    dies(FRAME_SIZE_ERROR, PROTOCOL_ERROR),
  ],
  [
    '4.2 DATA too small for its pad length',
    (server) => [opened(server), data(1, '', padded)],
    resets(1, FRAME_SIZE_ERROR),
    dies(FRAME_SIZE_ERROR, PROTOCOL_ERROR),
  ],
  [
    '4.2 no DATA of the server is larger than 16384',
    async (server) => {
      await server.publish({ topic: 'large', data: 'x'.repeat(50_000) });
      const more = [
        ['accept', 'application/json'],
        ['authorization', `Bearer ${server.token()}`],
      ];
      return [headers(1, request('/v1/events?topic=large&since=earliest', more)), ended(1)];
    },
    sees('50000 bytes in pieces of 16384 at most', (talk) => {
      const largest = Math.max(...talk.of(types.data, 1).map((one) => one.payload.length));
      return talk.text(1).length > 50_000 && largest <= 16_384;
    }),
  ],
];

const dataFrames = [
  ['6.1 DATA on stream 0', [data(0)], dies(PROTOCOL_ERROR)],
  [
    '6.1 padding is taken off',
    (server) => [opened(server), data(1, pad(5, event), endStream | padded), ended(1)],
    answers(1, 201),
  ],
  [
    '6.1 a pad length of 0 is no padding',
    (server) => [opened(server), data(1, pad(0, event), endStream | padded), ended(1)],
    answers(1, 201),
  ],
  [
    '6.1 nothing but padding',
    (server) => [opened(server), data(1, pad(9, ''), padded), data(1, event, endStream), ended(1)],
    answers(1, 201),
  ],
  [
    '6.1 padding of the length of the payload',
    (server) => [opened(server), data(1, pad(5, 'abcd', 0), padded)],
    dies(PROTOCOL_ERROR),
  ],
  [
    '6.1 padding longer than the payload',
    (server) => [opened(server), data(1, pad(255, 'abcd', 0), padded)],
    dies(PROTOCOL_ERROR),
  ],
  [
    '6.1 empty DATA is nothing',
    (server) => [opened(server), data(1, ''), data(1, event), data(1, '', endStream), ended(1)],
    answers(1, 201),
  ],
];

const headersFrames = [
  ['6.2 HEADERS on stream 0', [headers(0)], dies(PROTOCOL_ERROR)],
  ['6.2 padded', [headers(1, pad(7, get), both | padded)], answers(1, 200)],
  [
    '6.2 prioritised',
    [headers(1, Buffer.concat([dependency(0), get]), both | prioritised)],
    answers(1, 200),
  ],
  [
    '6.2 padded and prioritised, on an idle stream',
    [headers(1, pad(200, Buffer.concat([dependency(reserved + 77), get])), both | prioritised | padded)],
    answers(1, 200),
  ],
  [
    '6.2 padding of the length of the payload',
    [headers(1, pad(9, 'abcdefgh', 0), both | padded)],
    dies(PROTOCOL_ERROR),
  ],
  [
    '6.2 padding longer than the payload',
    [headers(1, pad(255, get, 0), both | padded)],
    dies(PROTOCOL_ERROR),
  ],
  [
    '6.2 padding longer than what priority leaves',
    [headers(1, pad(4, dependency(0), 3), both | padded | prioritised)],
    dies(PROTOCOL_ERROR, FRAME_SIZE_ERROR),
  ],
  [
    '6.2 END_STREAM without END_HEADERS: CONTINUATION is part of it',
    [headers(1, get.subarray(0, 20), endStream), continuation(1, get.subarray(20))],
    answers(1, 200),
  ],
];

const wrongPriority = (stream) => [resets(stream, FRAME_SIZE_ERROR), dies(FRAME_SIZE_ERROR)];
const dependsOnItself = (stream) => [resets(stream, PROTOCOL_ERROR), dies(PROTOCOL_ERROR)];

const priorityFrames = [
  ['6.3 PRIORITY on stream 0', [priority(0)], dies(PROTOCOL_ERROR)],
  ['6.3 PRIORITY on stream 0 that depends on 0 exclusively', [priority(0, reserved)], dies(PROTOCOL_ERROR)],
  [
    '6.3 PRIORITY of 4',
    (server) => [opened(server), frame(types.priority, 0, 1, bytes(4))],
    ...wrongPriority(1),
  ],
  [
    '6.3 PRIORITY of 6',
    (server) => [opened(server), frame(types.priority, 0, 1, bytes(6))],
    ...wrongPriority(1),
  ],
  ['6.3 PRIORITY of 0', (server) => [opened(server), frame(types.priority, 0, 1)], ...wrongPriority(1)],
  ['6.3 PRIORITY of 4 on an idle stream', [frame(types.priority, 0, 3, bytes(4))], ...wrongPriority(3)],
  [
    '6.3 PRIORITY of 6 while the stream is answered',
    (server) => [headers(1, listen(server)), answered(1), frame(types.priority, 0, 1, bytes(6))],
    ...wrongPriority(1),
  ],
  [
    '7540 5.3.1 PRIORITY of an open stream that depends on itself',
    (server) => [opened(server), priority(1, 1)],
    ...dependsOnItself(1),
  ],
  [
    '7540 5.3.1 PRIORITY of a stream that depends on itself exclusively',
    (server) => [opened(server), priority(1, reserved + 1)],
    ...dependsOnItself(1),
  ],
  ['7540 5.3.1 PRIORITY of an idle stream that depends on itself', [priority(3, 3)], ...dependsOnItself(3)],
  [
    '7540 5.3.1 PRIORITY of a stream that is answered and depends on itself',
    (server) => [headers(1, listen(server)), answered(1), priority(1, 1)],
    ...dependsOnItself(1),
  ],
  [
    '7540 5.3.1 HEADERS that depend on their own stream',
    [headers(1, Buffer.concat([dependency(1), get]), both | prioritised)],
    ...dependsOnItself(1),
  ],
  [
    '7540 5.3.1 HEADERS of an open stream that depend on it exclusively',
    (server) => [
      headers(1, Buffer.concat([dependency(reserved + 1), publish(server)]), endHeaders | prioritised),
    ],
    ...dependsOnItself(1),
  ],
  ['7540 5.3.1 a dependency on a stream that is idle', [priority(3, 9), headers(3)], answers(3, 200)],
  [
    '7540 5.3.1 two streams that depend on each other',
    [priority(3, 5), priority(5, 3), headers(3), headers(5)],
    answers(5, 200),
  ],
];

const resetFrames = [
  ['6.4 RST_STREAM on stream 0', [reset(0)], dies(PROTOCOL_ERROR)],
  ['6.4 RST_STREAM on an idle stream', [reset(1)], dies(PROTOCOL_ERROR)],
  [
    '6.4 RST_STREAM of 3',
    (server) => [opened(server), frame(types.reset, 0, 1, bytes(3))],
    dies(FRAME_SIZE_ERROR),
  ],
  [
    '6.4 RST_STREAM of 5',
    (server) => [opened(server), frame(types.reset, 0, 1, bytes(5))],
    dies(FRAME_SIZE_ERROR),
  ],
  ['6.4 RST_STREAM of 0', (server) => [opened(server), frame(types.reset, 0, 1)], dies(FRAME_SIZE_ERROR)],
  [
    '6.4 after RST_STREAM nothing more is sent on the stream',
    [settings([4, 0]), headers(1), answered(1), reset(1), settings([4, 100])],
    sees('no DATA and no RST_STREAM', (talk) => !talk.done(1) && talk.text(1) === '' && !talk.resetOf(1)),
  ],
  ['5.4.2 RST_STREAM is not answered by RST_STREAM', (server) => [opened(server), reset(1)], ignored],
  [
    '7 an error code that nobody knows is nothing special',
    (server) => [opened(server), reset(1, 0xfeed)],
    ignored,
  ],
];

const promise = (stream, promised = 2) =>
  frame(types.push, endHeaders, stream, Buffer.concat([number(promised), block([[':method', 'GET']])]));

const pushFrames = [
  ['6.6 PUSH_PROMISE on stream 0', [promise(0)], dies(PROTOCOL_ERROR)],
  ['6.6 PUSH_PROMISE on an idle stream', [promise(1)], dies(PROTOCOL_ERROR)],
  ['8.4 PUSH_PROMISE of a client', (server) => [opened(server), promise(1)], dies(PROTOCOL_ERROR)],
  [
    '8.4 PUSH_PROMISE of a client that promises its own stream',
    (server) => [opened(server), promise(1, 3)],
    dies(PROTOCOL_ERROR),
  ],
  [
    '8.4 PUSH_PROMISE of a client while the stream is answered',
    (server) => [headers(1, listen(server)), answered(1), promise(1)],
    dies(PROTOCOL_ERROR),
  ],
  [
    '8.4 PUSH_PROMISE of a client after the answer',
    [headers(1), ended(1), promise(1)],
    dies(PROTOCOL_ERROR),
  ],
];

clauses('HTTP/2 clauses: frames', {
  'frame format': format,
  'frame size': sizes,
  DATA: dataFrames,
  HEADERS: headersFrames,
  PRIORITY: priorityFrames,
  RST_STREAM: resetFrames,
  PUSH_PROMISE: pushFrames,
});
