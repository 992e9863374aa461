// The connection as a pure machine: step(state, input) gives the next state and what is to be done. Time
// and chance come in as arguments; timers, sockets and tokens are effects. So ten thousand of them can be
// played in a test with a clock of its own.
//
// Always: one transport at most; nothing runs in idle, offline, paused, closed and following but a timer
// that leaves them; every way out of live that was not asked for leads to a delay drawn at random.
import { errorOf } from './errors.js';
import type { Effect, Input, Machine, Phase, Rules, TimerName } from './machine-state.js';
import type { ClosedReason, Failure, TokenContext } from './types.js';

/** A token with less than this left is asked for anew before it is used. */
const TOKEN_SLACK_MS = 10_000;
/** Hidden for longer than this, or a timer late by half of it: the connection may have died in silence. */
const ASLEEP_MS = 10_000;
const PROBE_MS = 3_000;
const BEAT_SLACK_MS = 10_000;
const STRIKES = 2;
const STRIKES_ONCE_WORKED = 4;
const BETTER_MS = 600_000;
const BETTER_AFTER_OUTAGE_MS = 30_000;
/** Where the server draws no time to come back: over this long. */
const RETURN_MS = 5_000;
const TIMERS: readonly TimerName[] = ['retry', 'connect', 'beat', 'renew', 'probe', 'better'];

type Draft = { -readonly [K in keyof Machine]: Machine[K] };
interface Turn {
  readonly s: Draft;
  readonly now: number;
  readonly rules: Rules;
  readonly random: (most: number) => number;
  readonly out: Effect[];
}

export function step(
  machine: Machine,
  input: Input,
  now: number,
  random: () => number,
  rules: Rules,
): [Machine, Effect[]] {
  const turn: Turn = { s: { ...machine }, now, rules, random: (most) => random() * most, out: [] };
  take(turn, input);
  return [turn.s, turn.out];
}

function take(t: Turn, input: Input): void {
  const { s } = t;
  const open = s.phase === 'opening' || s.phase === 'live';
  switch (input.type) {
    case 'want':
      s.wanted = true;
      t.out.push({ do: 'stop', name: 'linger' });
      if (s.phase === 'idle') begin(t);
      return;
    case 'unwant':
      s.wanted = false;
      if (s.phase !== 'closed' && s.phase !== 'idle') timer(t, 'linger', t.rules.lingerMs);
      return;
    case 'connect':
      s.wanted = true;
      if (s.phase === 'closed') Object.assign(s, { attempt: 0, rejections: 0, hasToken: false });
      if (s.phase === 'waiting' || s.phase === 'closed' || s.phase === 'idle') begin(t);
      return;
    case 'disconnect':
      s.wanted = false;
      if (s.phase !== 'closed') rest(t, 'idle');
      return;
    case 'close':
      return end(t, input.reason, null);
    case 'lead':
      s.leader = input.leader;
      if (!input.leader && s.phase !== 'idle' && s.phase !== 'closed') return rest(t, 'following');
      if (input.leader && s.phase === 'following') begin(t);
      return;
    case 'offline':
      s.online = false;
      if (s.phase !== 'idle' && s.phase !== 'closed' && s.phase !== 'following') rest(t, 'offline');
      return;
    case 'online':
      s.online = true;
      if (s.phase === 'offline' || s.phase === 'waiting') wait(t, t.random(1_000));
      return;
    case 'hidden':
      s.hiddenAt = t.now;
      return pauseLater(t);
    case 'visible':
      return shown(t);
    case 'token':
      return haveToken(t, input.ttlMs);
    case 'have-token':
      s.hasToken = true;
      s.expires = input.ttlMs === null ? null : t.now + input.ttlMs;
      return;
    case 'no-token':
      return noToken(t, input.unauthorized, input.error);
    case 'up':
      return up(t, input);
    case 'message':
      if (open) s.lastMessage = t.now;
      t.out.push({ do: 'stop', name: 'probe' });
      return;
    case 'reset':
      s.resumed = false;
      return;
    case 'down':
      if (open) down(t, input.failure);
      return;
    case 'transports':
      Object.assign(s, { at: input.at, strikes: 0, worked: false, allFailed: false });
      t.out.push({ do: 'stop', name: 'better' });
      if (s.phase === 'live') swap(t);
      else if (s.phase === 'waiting' || s.phase === 'opening') begin(t);
      return;
    case 'timer':
      return fired(t, input.name);
  }
}

const timer = (t: Turn, name: TimerName, ms: number): void => {
  t.out.push({ do: 'timer', name, ms: Math.max(0, Math.round(ms)) });
};

/** Nothing is open. What still runs leads out of the phase. */
function rest(t: Turn, phase: Phase): void {
  Object.assign(t.s, { phase, asking: false, opened: false });
  t.out.push({ do: 'close' });
  for (const name of TIMERS) t.out.push({ do: 'stop', name });
  if (phase !== 'idle' && phase !== 'closed') return;
  t.s.leader = true; // it has left the other tabs
  t.out.push({ do: 'stop', name: 'linger' }, { do: 'stop', name: 'pause' });
}

function pauseLater(t: Turn): void {
  const { pauseWhenHiddenMs } = t.rules;
  if (t.s.hiddenAt !== null && pauseWhenHiddenMs !== false)
    timer(t, 'pause', t.s.hiddenAt + pauseWhenHiddenMs - t.now);
}

function swap(t: Turn): void {
  t.s.opened = false;
  timer(t, 'connect', t.rules.connectTimeoutMs);
  t.out.push({ do: 'swap' });
}

function end(t: Turn, reason: ClosedReason, error: Failure | null): void {
  rest(t, 'closed');
  Object.assign(t.s, { reason, error, hasToken: false, expires: null, wanted: false });
}

/** Towards live, by whatever is missing. With a token just given, even a short one is tried once. */
function begin(t: Turn, given = false): void {
  const { s, rules } = t;
  if (!s.leader) return rest(t, 'following');
  if (!s.online) return rest(t, 'offline');
  const stale = !given && s.expires !== null && s.expires - t.now < TOKEN_SLACK_MS;
  if (rules.hasGetToken && (!s.hasToken || stale)) {
    rest(t, 'token');
    const reason = s.rejections ? 'rejected' : stale ? 'expiring' : 'initial';
    return ask(t, reason);
  }
  rest(t, 'opening');
  pauseLater(t);
  timer(t, 'connect', rules.connectTimeoutMs);
  t.out.push({ do: 'open' });
}

function ask(t: Turn, reason: TokenContext['reason']): void {
  if (t.s.asking) return;
  t.s.asking = true;
  t.out.push({ do: 'token', reason, attempt: t.s.tokenFailures });
}

function wait(t: Turn, ms: number): void {
  rest(t, 'waiting');
  t.s.retryAt = t.now + ms;
  timer(t, 'retry', ms);
  pauseLater(t);
}

/** Full jitter: 500 + rand(0, min(most, max(500·2ⁿ, the time drawn for this one))). */
function backoff(t: Turn): number {
  const { minDelayMs, maxDelayMs, quietAfter, quietMaxDelayMs } = t.rules.reconnect;
  const most = t.s.attempt > quietAfter ? quietMaxDelayMs : maxDelayMs;
  return (
    minDelayMs +
    t.random(Math.min(most, Math.max(t.s.returnMs, minDelayMs * 2 ** Math.min(t.s.attempt, 20))))
  );
}

function haveToken(t: Turn, ttlMs: number | null): void {
  const { s } = t;
  if (!s.asking) return;
  Object.assign(s, { asking: false, hasToken: true, tokenFailures: 0 });
  s.expires = ttlMs === null ? null : t.now + ttlMs;
  if (s.phase === 'token') return begin(t, true);
  if (s.phase === 'live') {
    t.out.push({ do: 'renew' });
    renewLater(t);
  }
}

function noToken(t: Turn, unauthorized: boolean, error: Failure): void {
  const { s } = t;
  if (!s.asking) return;
  s.asking = false;
  if (unauthorized) return end(t, 'unauthorized', error);
  s.tokenFailures += 1;
  s.error = error;
  const ms = 1_000 + t.random(Math.min(30_000, 1_000 * 2 ** Math.min(s.tokenFailures, 10)));
  if (s.phase === 'live') return timer(t, 'renew', ms); // the server ends it when the old one expires
  s.attempt += 1;
  wait(t, ms);
}

function up(t: Turn, input: Extract<Input, { type: 'up' }>): void {
  const { s } = t;
  if (s.phase !== 'opening' && s.phase !== 'live') return;
  const first = s.phase === 'opening';
  Object.assign(s, {
    phase: 'live',
    strikes: 0,
    worked: true,
    opened: true,
    rejections: 0,
    error: null,
    lastMessage: t.now,
  });
  if (first) Object.assign(s, { liveSince: t.now, resumed: input.resumed });
  s.heartbeatMs = input.heartbeatMs;
  s.returnMs = input.retryMs ?? t.random(RETURN_MS);
  if (input.ttlMs !== undefined) s.expires = t.now + input.ttlMs;
  t.out.push({ do: 'stop', name: 'connect' });
  beat(t);
  renewLater(t);
  if (s.at > 0) timer(t, 'better', s.allFailed ? BETTER_AFTER_OUTAGE_MS : BETTER_MS);
  s.allFailed = false;
}

/** A server without heartbeats (0) may be silent for as long as it likes. */
function beat(t: Turn): void {
  if (!t.s.heartbeatMs) return;
  t.s.beatDue = t.now + t.s.heartbeatMs;
  timer(t, 'beat', t.s.heartbeatMs);
}

/** At ttl − max(10 s, 20 %), and up to a tenth earlier. */
function renewLater(t: Turn): void {
  if (!t.rules.hasGetToken || t.s.expires === null) return;
  const ttl = t.s.expires - t.now;
  const at = Math.max(ttl / 2, ttl - Math.max(TOKEN_SLACK_MS, ttl / 5));
  timer(t, 'renew', at * (0.9 + t.random(0.1)));
}

function down(t: Turn, failure: Failure): void {
  const { s } = t;
  const wasLive = s.phase === 'live' && s.opened;
  s.error = failure;
  if (failure.kind === 'never') {
    const { code } = failure;
    return end(t, code === 'forbidden' ? code : code === 'token_revoked' ? 'revoked' : 'refused', failure);
  }
  if (failure.kind === 'replaced') return rest(t, 'following');
  if (failure.kind === 'token') {
    s.hasToken = false;
    s.rejections += 1;
    if (!t.rules.hasGetToken || s.rejections > 1) return end(t, 'unauthorized', failure);
    return begin(t);
  }
  if (wasLive && t.now - s.liveSince >= t.rules.reconnect.stableAfterMs) s.attempt = 0;
  if (!s.opened) strike(t);
  // Told when to come back: not a failure. Broken without a word: at the moment that was drawn for this
  // one.
  if (failure.retryMs !== undefined) return wait(t, failure.retryMs * (1 + t.random(0.2)));
  const ms = wasLive && s.attempt === 0 ? s.returnMs : backoff(t);
  s.attempt += 1;
  wait(t, ms);
  if (!wasLive && s.attempt % 10 === 2) t.out.push({ do: 'diagnose' });
}

/** Another transport after two that never opened. */
function strike(t: Turn): void {
  const { s, rules } = t;
  s.strikes += 1;
  if (s.strikes < (s.worked ? STRIKES_ONCE_WORKED : STRIKES)) return;
  if (s.at === rules.transports - 1) s.allFailed = true;
  Object.assign(s, { at: (s.at + 1) % rules.transports, strikes: 0, worked: false });
}

function shown(t: Turn): void {
  const { s } = t;
  const slept = s.hiddenAt !== null && t.now - s.hiddenAt > ASLEEP_MS;
  s.hiddenAt = null;
  t.out.push({ do: 'stop', name: 'pause' });
  if (s.phase === 'paused') return wait(t, t.random(250));
  if (s.phase === 'waiting') return wait(t, Math.min(t.random(250), Math.max(0, s.retryAt - t.now)));
  if (s.phase === 'live' && slept) probe(t);
}

/** After a sleep: with a token that still counts, ask whether somebody is there. */
function probe(t: Turn): void {
  const { s } = t;
  if (s.expires !== null && s.expires - t.now < TOKEN_SLACK_MS) return begin(t);
  t.out.push({ do: 'ping' });
  timer(t, 'probe', PROBE_MS);
}

function fired(t: Turn, name: TimerName): void {
  const { s } = t;
  if (name === 'linger') {
    if (!s.wanted && s.phase !== 'closed') rest(t, 'idle');
  } else if (name === 'retry') {
    if (s.phase === 'waiting') begin(t);
  } else if (name === 'connect') {
    if (!s.opened && (s.phase === 'opening' || s.phase === 'live')) down(t, errorOf('timeout'));
  } else if (name === 'pause') {
    if (s.hiddenAt !== null && s.phase !== 'idle' && s.phase !== 'closed' && s.phase !== 'following')
      rest(t, 'paused');
  } else if (s.phase !== 'live') {
    return;
  } else if (name === 'beat') {
    const late = t.now - s.beatDue > ASLEEP_MS / 2;
    const silent = t.now - s.lastMessage > s.heartbeatMs + BEAT_SLACK_MS;
    beat(t);
    if (late) probe(t);
    else if (silent) down(t, errorOf('timeout'));
  } else if (name === 'renew') {
    ask(t, 'expiring');
  } else if (name === 'probe') {
    down(t, errorOf('timeout'));
  } else if (name === 'better' && s.at > 0) {
    Object.assign(s, { at: 0, strikes: STRIKES - 1, worked: false });
    swap(t);
  }
}
