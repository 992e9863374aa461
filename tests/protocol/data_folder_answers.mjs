// How an answer of an opened data folder is compared with its expected.json: both ways, so that a field that
// has gone is noticed, and so is one that is new. What may be another than the folder tells is listed here.

import assert from 'node:assert/strict';

// Each is looked for in the JSON of a value.
export const id = /^"[0-9a-f]{16}\.\d+"$/;
export const time = /^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"$/;
const count = /^\d+$/;
const text = /^".+"$/;

const reads = (step) => !step.method && step.answer.status !== 401 && step.answer.status !== 410;
const polls = (step) => reads(step) && /^\/v1\/events(\?|$)/.test(step.path);
const pages = (step) => reads(step) && step.path?.startsWith('/v1/feed?');
const called =
  (...names) =>
  (step) =>
    names.includes(step.what);
const events = (...list) => ({ body: { events: list } });

/** Of an answer of today, whatever the folder: `fields` are there, and look so; they are in no folder. */
const differs = [
  {
    why: 'words for people may be put better',
    of: (step) => step.answer.status >= 400,
    fields: { body: { message: text, hint: text } },
  },
  {
    why: 'the server says how far a page goes, and when to ask again; ids of today are of a new epoch',
    of: polls,
    fields: { body: { cursor: id, next: /^"\/v1\/events\?.+"$/, poll_after_ms: count } },
  },
  {
    why: 'the cursor is where the log ends; that of the next page is only for the server to read',
    of: pages,
    fields: { body: { cursor: id, next: /^(null|"[0-9a-f]{16}\.\d+\.[0-9a-f]+")$/ } },
  },
  {
    why: 'the cursor is where the log ends',
    of: called('a cancel', 'a mark'),
    fields: { body: { cursor: id } },
  },
  {
    why: 'it leads behind what was lost; once it was the cursor that was sent, which is lost again',
    of: called('a cursor that retention overtook'),
    fields: { body: { cursor: id } },
  },
  {
    why: 'it is moved with the clock',
    of: called('keys and expiry'),
    fields: events({}, { expires: time }),
  },
  { why: 'it is moved with the clock', of: called('what it replaced'), fields: events({ expires: time }) },
  {
    why: 'they are published today',
    of: called('what was due', 'its number'),
    fields: events({ id, time }),
  },
  { why: 'they are published today', of: called('a new event', 'a key again'), fields: events({ id }) },
  {
    why: 'its origin is away: it is tried again and again',
    of: called('where a source stood'),
    fields: {
      body: {
        sources: [
          {
            state: /^"(starting|waiting)"$/,
            since: time,
            failures: count,
            error: /^(null|\{"code":"source_failed","message":".+","hint":".+"\})$/,
          },
        ],
      },
    },
  },
  {
    why: 'what is published by a clock that was put back leaves a row',
    of: called('the doctor'),
    fields: { rows: { time_steps: /^[12]$/ } },
  },
];

// A message of a stream, beside its id, topic, seq, data, control and reason.
const typesOf = { 'orders/7': /^"order\.made"$/, 'orders/8': /^"order\.paid"$/, short: /^"message"$/ };
function rest(one) {
  if (one.control) return { cursor: id };
  const type = typesOf[one.topic] ?? ('data' in one ? /^"belfry\.\w+"$/ : /^"(news|sale)"$/);
  return 'data' in one ? { type, time } : { type, time, notification: /^\{"title":"(Own \d+|Muted)"\}$/ };
}

/** Folders that landed before all of an answer was kept tell less. */
const untold = [
  {
    why: 'it was asked before what was due was published',
    of: called('the doctor'),
    fields: { rows: { events: 60, topics: 15, scheduled: 1 } },
  },
  {
    why: 'six fields of each message were kept',
    of: (step) => step.stream,
    fields: (answer) => answer.map(rest),
  },
  {
    why: 'the positions were kept',
    of: called('where a source stood'),
    fields: {
      status: 200,
      body: {
        sources: [
          { name: 'facts', kind: 'postgres-table', records: 0, events: 0, dead_letters: 0, alarm: null },
        ],
      },
    },
  },
  {
    why: 'the status was kept',
    of: called('a good key'),
    fields: { body: { notifications: [], counts: { unread: 0, unseen: 0 } } },
  },
  {
    why: 'the status was kept',
    of: called('that user, with a new token', 'a ticket that was used'),
    fields: events(),
  },
  {
    why: 'the status was kept',
    of: called('a new event'),
    fields: events({ seq: 21, topic: 'orders/7' }),
  },
  {
    why: 'the status was kept',
    of: called('a key again'),
    fields: events({ seq: 5, topic: 'state/x' }),
  },
  {
    why: 'the data was kept',
    of: called('what was due'),
    fields: { status: 200, ...events({ topic: 'later', seq: 1, type: 'message' }) },
  },
  {
    why: 'seq and data were kept',
    of: called('its number'),
    fields: { status: 200, ...events({ topic: 'orders/7', type: 'message' }) },
  },
  {
    why: 'the data was kept',
    of: called('what it replaced'),
    fields: {
      status: 200,
      ...events(
        { id, topic: 'state/x', seq: 3, type: 'state', time },
        {
          id,
          topic: 'state/x',
          seq: 4,
          type: 'refresh',
          time,
          keys: [['orders', 7]],
          spread_ms: 0,
          version: '9',
        },
      ),
    },
  },
  { why: 'the counts were kept', of: called('a mark'), fields: { body: { changed: true, absent: [] } } },
];
const toldLess = [6, 7];

const isTree = (value) => value !== null && typeof value === 'object' && !(value instanceof RegExp);

function laidOver(under, over) {
  if (!isTree(under) || !isTree(over)) return over;
  const made = Array.isArray(under) ? [...under] : { ...under };
  for (const [name, value] of Object.entries(over)) made[name] = laidOver(made[name], value);
  return made;
}

// The tree without what stands at the leaves of `fields`.
function without(tree, fields) {
  const made = Array.isArray(tree) ? [...tree] : { ...tree };
  for (const [name, value] of Object.entries(fields))
    if (!isTree(value)) delete made[name];
    else if (isTree(made[name])) made[name] = without(made[name], value);
  return made;
}

/** What is kept of an answer in a folder's expected.json. */
export const kept = (step) =>
  differs
    .filter((entry) => entry.of(step))
    .reduce((answer, { fields }) => without(answer, fields), step.answer);

/** All that the answer to a step of this folder has to be; a RegExp stands for what it matches. */
export const whole = (step, schema) =>
  [...(toldLess.includes(schema) ? untold : []), ...differs]
    .filter((entry) => entry.of(step))
    .map(({ fields }) => (typeof fields === 'function' ? fields(step.answer) : fields))
    .reduce(laidOver, step.answer);

// As in JSON, what is undefined is not there.
const namesIn = (tree) => Object.keys(tree).filter((name) => tree[name] !== undefined);

/** That it is what is expected, no less and no more. */
export function holds(got, expected, where) {
  if (expected instanceof RegExp) return assert.match(JSON.stringify(got), expected, where);
  if (!isTree(expected)) return assert.equal(got, expected, where);
  assert.ok(
    isTree(got) && Array.isArray(got) === Array.isArray(expected),
    `${where}: ${JSON.stringify(got)}`,
  );
  for (const name of namesIn(expected)) assert.notEqual(got[name], undefined, `${where}/${name} is gone`);
  for (const name of namesIn(got)) {
    const at = `${where}/${name}`;
    const told = `${at} is new: ${JSON.stringify(got[name])}; if it ought to be, list it with its reason`;
    assert.notEqual(expected[name], undefined, told);
    holds(got[name], expected[name], at);
  }
}
