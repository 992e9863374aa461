// RFC 9113 sections 6.5, 6.7, 6.8 and 6.9: the frames that are about the connection, and its windows.
import {
  answered,
  answers,
  clauses,
  dies,
  enablePush,
  ended,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  got,
  ignored,
  initialWindow,
  largest,
  listen,
  maxFrame,
  maxStreams,
  opened,
  ping,
  PROTOCOL_ERROR,
  reset,
  resets,
  sees,
  setting,
  settings,
  tableSize,
  update,
} from './http2_clauses.mjs';
import { frame, headers, number, request, types } from './raw_http2.mjs';

const bytes = (size) => Buffer.alloc(size);
const acked = (count) => sees(`${count} acks`, (talk) => talk.acks() === count);
const taken = (...pairs) => [[settings(...pairs), headers(1), ended(1)], answers(1, 200)];
const connectProtocol = 8;

const settingsFrames = [
  ['6.5 SETTINGS on a stream', [frame(types.settings, 0, 1)], dies(PROTOCOL_ERROR)],
  ['6.5 an ack on a stream', [frame(types.settings, 1, 1)], dies(PROTOCOL_ERROR)],
  [
    '6.5 an ack with a payload',
    [frame(types.settings, 1, 0, setting(initialWindow, 1))],
    dies(FRAME_SIZE_ERROR),
  ],
  ['6.5 an ack of 1', [frame(types.settings, 1, 0, bytes(1))], dies(FRAME_SIZE_ERROR)],
  ['6.5 SETTINGS of 1', [frame(types.settings, 0, 0, bytes(1))], dies(FRAME_SIZE_ERROR)],
  ['6.5 SETTINGS of 5', [frame(types.settings, 0, 0, bytes(5))], dies(FRAME_SIZE_ERROR)],
  ['6.5 SETTINGS of 7', [frame(types.settings, 0, 0, bytes(7))], dies(FRAME_SIZE_ERROR)],
  [
    '6.5 the last value of a setting counts',
    [settings([initialWindow, 0], [initialWindow, 1]), headers(1), got(1, 1)],
    sees('one byte', (talk) => talk.text(1) === 'o'),
  ],
  ['6.5.2 ENABLE_PUSH of 0', ...taken([enablePush, 0])],
  ['6.5.2 ENABLE_PUSH of 1', ...taken([enablePush, 1])],
  ['6.5.2 ENABLE_PUSH of 2', [settings([enablePush, 2])], dies(PROTOCOL_ERROR)],
  ['6.5.2 ENABLE_PUSH of the greatest value', [settings([enablePush, 0xffffffff])], dies(PROTOCOL_ERROR)],
  ['6.5.2 INITIAL_WINDOW_SIZE of 2^31-1', ...taken([initialWindow, largest])],
  ['6.5.2 INITIAL_WINDOW_SIZE of 2^31', [settings([initialWindow, 0x80000000])], dies(FLOW_CONTROL_ERROR)],
  [
    '6.5.2 INITIAL_WINDOW_SIZE of 2^32-1',
    [settings([initialWindow, 0xffffffff])],
    dies(FLOW_CONTROL_ERROR),
  ],
  ['6.5.2 MAX_FRAME_SIZE of 16384', ...taken([maxFrame, 16_384])],
  ['6.5.2 MAX_FRAME_SIZE of 2^24-1', ...taken([maxFrame, 0xffffff])],
  ['6.5.2 MAX_FRAME_SIZE of 16383', [settings([maxFrame, 16_383])], dies(PROTOCOL_ERROR)],
  ['6.5.2 MAX_FRAME_SIZE of 0', [settings([maxFrame, 0])], dies(PROTOCOL_ERROR)],
  ['6.5.2 MAX_FRAME_SIZE of 2^24', [settings([maxFrame, 0x1000000])], dies(PROTOCOL_ERROR)],
  ['6.5.2 HEADER_TABLE_SIZE of 0', ...taken([tableSize, 0])],
  ['6.5.2 HEADER_TABLE_SIZE of 2^32-1', ...taken([tableSize, 0xffffffff])],
  ['6.5.2 MAX_CONCURRENT_STREAMS of 0 is about the server', ...taken([maxStreams, 0])],
  ['6.5.2 a setting that nobody knows is ignored', ...taken([0xfeed, 0xffffffff])],
  ['6.5.2 a setting that nobody knows is acked', [settings([0xfeed, 1])], acked(2)],
  ['8441 3 ENABLE_CONNECT_PROTOCOL of a client has no effect', ...taken([connectProtocol, 1])],
  ['6.5.3 SETTINGS are acked', [settings([maxFrame, 16_384])], acked(2)],
  ['6.5.3 each SETTINGS is acked', [settings(), settings(), settings([tableSize, 0])], acked(4)],
  ['6.5.3 an ack is not acked', [], acked(1)],
];

const pings = [
  [
    '6.7 PING is answered with the same bytes',
    [ping('12345678')],
    sees('it', (talk) => talk.ponged('12345678')),
  ],
  [
    '6.7 each PING is answered',
    [ping('first...'), ping('second..')],
    sees('both', (talk) => talk.ponged('first...') && talk.ponged('second..')),
  ],
  ['6.7 an ack is not answered', [ping('answered', 1)], sees('no ack', (talk) => !talk.ponged('answered'))],
  ['6.7 PING on a stream', [ping('12345678', 0, 1)], dies(PROTOCOL_ERROR)],
  ['6.7 an ack on a stream', [ping('12345678', 1, 1)], dies(PROTOCOL_ERROR)],
  ['6.7 PING of 0', [ping('')], dies(FRAME_SIZE_ERROR)],
  ['6.7 PING of 7', [ping('1234567')], dies(FRAME_SIZE_ERROR)],
  ['6.7 PING of 9', [ping('123456789')], dies(FRAME_SIZE_ERROR)],
  ['6.7 an ack of 7', [ping('1234567', 1)], dies(FRAME_SIZE_ERROR)],
];

const leave = (stream, last, error, text = '') =>
  frame(types.goaway, 0, stream, Buffer.concat([number(last), number(error), Buffer.from(text)]));
// What was asked before is still answered; then the connection may end.
const finishes = {
  told: 'answer 1 200',
  holds: (talk) => talk.status(1) === 200 && talk.done(1) && talk.text(1) === 'ok\n' && !talk.goaway(),
};

const goaways = [
  ['6.8 GOAWAY on a stream', [leave(1, 0, 0)], dies(PROTOCOL_ERROR)],
  ['6.8 GOAWAY of 0', [frame(types.goaway, 0, 0)], dies(FRAME_SIZE_ERROR)],
  ['6.8 GOAWAY of 7', [frame(types.goaway, 0, 0, bytes(7))], dies(FRAME_SIZE_ERROR)],
  ['6.8 GOAWAY: what was asked before is answered', [headers(1), leave(0, 0, 0), ended(1)], finishes],
  ['6.8 GOAWAY with debug data', [headers(1), leave(0, 0, 0, 'because'), ended(1)], finishes],
  ['7 GOAWAY with an error code that nobody knows', [headers(1), leave(0, 0, 0xfeed), ended(1)], finishes],
  [
    '6.8 GOAWAY: an answer that waits for its window goes on',
    [settings([initialWindow, 0]), headers(1), answered(1), leave(0, 0, 0), update(1, 9), ended(1)],
    finishes,
  ],
];

const wrongIncrement = (stream) => [resets(stream, PROTOCOL_ERROR), dies(PROTOCOL_ERROR)];
const overflow = (stream) => [resets(stream, FLOW_CONTROL_ERROR), dies(FLOW_CONTROL_ERROR)];
const beyond = largest - 65_535;

const windowUpdates = [
  ['6.9 WINDOW_UPDATE of 0 on the connection', [update(0, 0)], dies(PROTOCOL_ERROR)],
  [
    '6.9 WINDOW_UPDATE of 0 on an open stream',
    (server) => [opened(server), update(1, 0)],
    ...wrongIncrement(1),
  ],
  [
    '6.9 WINDOW_UPDATE of 0 while the stream is answered',
    (server) => [headers(1, listen(server)), answered(1), update(1, 0)],
    ...wrongIncrement(1),
  ],
  [
    '6.9 the reserved bit: 0 is 0',
    (server) => [opened(server), update(1, 0x80000000)],
    ...wrongIncrement(1),
  ],
  [
    '6.9 the reserved bit is ignored',
    [settings([initialWindow, 0]), headers(1), answered(1), update(1, 0x80000001), got(1, 1)],
    sees('one byte', (talk) => talk.text(1) === 'o'),
  ],
  ['6.9 WINDOW_UPDATE of 3', [frame(types.windowUpdate, 0, 0, bytes(3))], dies(FRAME_SIZE_ERROR)],
  ['6.9 WINDOW_UPDATE of 5', [frame(types.windowUpdate, 0, 0, bytes(5))], dies(FRAME_SIZE_ERROR)],
  [
    '6.9 WINDOW_UPDATE of 3 on a stream',
    (server) => [opened(server), frame(types.windowUpdate, 0, 1, bytes(3))],
    dies(FRAME_SIZE_ERROR),
  ],
  ['6.9.1 the greatest window of the connection', [update(0, beyond)], ignored],
  [
    '6.9.1 more than the greatest window of the connection',
    [update(0, beyond + 1)],
    dies(FLOW_CONTROL_ERROR),
  ],
  ['6.9.1 in two steps', [update(0, beyond), update(0, 1)], dies(FLOW_CONTROL_ERROR)],
  ['6.9.1 the greatest window of a stream', (server) => [opened(server), update(1, beyond)], ignored],
  [
    '6.9.1 more than the greatest window of a stream',
    (server) => [opened(server), update(1, beyond + 1)],
    ...overflow(1),
  ],
  [
    '6.9.1 more than the greatest window while the stream is answered',
    (server) => [headers(1, listen(server)), answered(1), update(1, largest)],
    ...overflow(1),
  ],
  [
    '6.9.1 a stream that was reset for its window sends no more',
    [settings([initialWindow, 0]), headers(1), answered(1), update(1, largest), update(1, 1)],
    sees('no DATA behind RST_STREAM', (talk) => {
      const at = talk.frames.findIndex((one) => one.type === types.reset);
      return !talk.frames.slice(at + 1).some((one) => one.stream === 1);
    }),
    dies(FLOW_CONTROL_ERROR),
  ],
];

const shut = settings([initialWindow, 0]);
const whole = sees('all of it', (talk) => talk.text(1) === 'ok\n' && talk.done(1));
const exactly = (text) => sees(`"${text}"`, (talk) => talk.text(1) === text && !talk.done(1));

async function large(server, topic) {
  await server.publish({ topic, data: 'x'.repeat(60_000) });
  const more = [
    ['accept', 'application/json'],
    ['authorization', `Bearer ${server.token()}`],
  ];
  const poll = request(`/v1/events?topic=${topic}&since=earliest`, more);
  return [settings([initialWindow, largest]), headers(1, poll), headers(3, poll)];
}
const both = (talk) => talk.text(1).length + talk.text(3).length;

const windows = [
  ['6.9.1 a window of 0: nothing', [shut, headers(1), answered(1)], exactly('')],
  ['6.9.1 a window of 1: one byte', [shut, headers(1), answered(1), update(1, 1), got(1, 1)], exactly('o')],
  ['6.9.1 a window of 2: two bytes', [settings([initialWindow, 2]), headers(1), got(1, 2)], exactly('ok')],
  [
    '6.9.1 the last byte',
    [settings([initialWindow, 2]), headers(1), got(1, 2), update(1, 1), ended(1)],
    whole,
  ],
  [
    '6.9.1 byte by byte',
    [shut, headers(1), update(1, 1), got(1, 1), update(1, 1), got(1, 2)],
    exactly('ok'),
  ],
  [
    '6.9.1 the window of the connection: not one byte more',
    async (server) => [...(await large(server, 'shut')), (talk) => both(talk) >= 65_535],
    sees('65535 bytes', (talk) => both(talk) === 65_535),
  ],
  [
    '6.9.1 the window of the connection opens again',
    async (server) => [
      ...(await large(server, 'open')),
      (talk) => both(talk) >= 65_535,
      update(0, 100_000),
      ended(1),
      ended(3),
    ],
    sees('both answers', (talk) => talk.done(1) && talk.done(3) && both(talk) > 120_000),
  ],
  [
    '6.9.2 SETTINGS do not change the window of the connection',
    async (server) => [
      ...(await large(server, 'same')),
      (talk) => both(talk) >= 65_535,
      settings([initialWindow, 1]),
      settings([initialWindow, largest]),
    ],
    sees('65535 bytes', (talk) => both(talk) === 65_535),
  ],
  [
    '6.9.2 a new initial window is for a stream that is open, too',
    [shut, headers(1), answered(1), settings([initialWindow, 1]), got(1, 1)],
    exactly('o'),
  ],
  [
    '6.9.2 the difference is added',
    [shut, headers(1), answered(1), update(1, 1), got(1, 1), settings([initialWindow, 1]), got(1, 2)],
    exactly('ok'),
  ],
  [
    '6.9.2 a window below 0 that is filled to 0: nothing more',
    [settings([initialWindow, 2]), headers(1), got(1, 2), shut, update(1, 2)],
    exactly('ok'),
  ],
  [
    '6.9.2 a window below 0 that is filled to 1',
    [settings([initialWindow, 2]), headers(1), got(1, 2), shut, update(1, 3), ended(1)],
    whole,
  ],
  [
    '6.9.2 a window below 0 that SETTINGS bring back',
    [settings([initialWindow, 2]), headers(1), got(1, 2), shut, settings([initialWindow, 3]), ended(1)],
    whole,
  ],
  [
    '6.9.2 a new initial window that is too much for an open stream',
    (server) => [opened(server), update(1, beyond), settings([initialWindow, 65_536])],
    dies(FLOW_CONTROL_ERROR),
  ],
  [
    '6.9.2 a new initial window that is not too much for one that is closed',
    (server) => [opened(server), update(1, beyond), reset(1), settings([initialWindow, 65_536])],
    ignored,
  ],
];

clauses('HTTP/2 clauses: the connection', {
  SETTINGS: settingsFrames,
  PING: pings,
  GOAWAY: goaways,
  WINDOW_UPDATE: windowUpdates,
  windows,
});
