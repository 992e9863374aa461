// What the connection's machine holds, takes and asks for.
import { errorOf } from './errors.js';
import type {
  ClosedReason,
  ConnectionState,
  Failure,
  ReconnectPolicy,
  TokenContext,
  TransportName,
} from './types.js';

export type Phase =
  | 'idle'
  | 'token' // waits for getToken
  | 'opening'
  | 'live'
  | 'waiting'
  | 'offline'
  | 'paused'
  | 'following' // another tab has the connection
  | 'closed';

export type TimerName = 'retry' | 'connect' | 'beat' | 'renew' | 'probe' | 'pause' | 'linger' | 'better';

export interface Machine {
  readonly phase: Phase;
  /** Somebody listens, or connect() was called. */
  readonly wanted: boolean;
  readonly leader: boolean;
  readonly online: boolean;
  readonly hiddenAt: number | null;
  /** Failures in a row. */
  readonly attempt: number;
  /** The transport that is used or tried: an index. */
  readonly at: number;
  /** Failures of it before it opened. */
  readonly strikes: number;
  /** The last of the list failed too: it is the server, not the transport. */
  readonly allFailed: boolean;
  /** It opened once. */
  readonly worked: boolean;
  /** The transport that is there has spoken. */
  readonly opened: boolean;
  readonly hasToken: boolean;
  /** When the token ends, or null: never or unknown. */
  readonly expires: number | null;
  readonly rejections: number;
  readonly tokenFailures: number;
  readonly asking: boolean;
  readonly liveSince: number;
  readonly lastMessage: number;
  readonly beatDue: number;
  readonly heartbeatMs: number;
  /** When this client comes back if the connection breaks without a word; drawn by the server. */
  readonly returnMs: number;
  readonly retryAt: number;
  readonly resumed: boolean;
  readonly error: Failure | null;
  readonly reason: ClosedReason;
}

export type Input =
  | {
      type:
        | 'want'
        | 'unwant'
        | 'connect'
        | 'disconnect'
        | 'offline'
        | 'online'
        | 'hidden'
        | 'visible'
        | 'reset';
    }
  | { type: 'close'; reason: ClosedReason }
  | { type: 'lead'; leader: boolean }
  /** The answer to the effect `token`. */
  | { type: 'token'; ttlMs: number | null }
  /** One came without being asked for: from another tab, or for a request. */
  | { type: 'have-token'; ttlMs: number | null }
  | { type: 'no-token'; unauthorized: boolean; error: Failure }
  | { type: 'up'; heartbeatMs: number; retryMs?: number; ttlMs?: number; resumed: boolean }
  | { type: 'message' }
  | { type: 'down'; failure: Failure }
  | { type: 'transports'; at: number }
  | { type: 'timer'; name: TimerName };

export type Effect =
  | { do: 'open' | 'close' | 'ping' | 'renew' | 'diagnose' }
  /** Open another transport in place of this one, without leaving live. */
  | { do: 'swap' }
  | { do: 'token'; reason: TokenContext['reason']; attempt: number }
  | { do: 'timer'; name: TimerName; ms: number }
  | { do: 'stop'; name: TimerName };

export interface Rules {
  readonly hasGetToken: boolean;
  readonly transports: number;
  readonly lingerMs: number;
  readonly pauseWhenHiddenMs: number | false;
  readonly connectTimeoutMs: number;
  readonly reconnect: ReconnectPolicy;
}

export const reconnectDefaults: ReconnectPolicy = {
  minDelayMs: 500,
  maxDelayMs: 30_000,
  quietAfter: 10,
  quietMaxDelayMs: 300_000,
  stableAfterMs: 30_000,
};

export const newMachine = (): Machine => ({
  phase: 'idle',
  wanted: false,
  leader: true,
  online: true,
  hiddenAt: null,
  attempt: 0,
  at: 0,
  strikes: 0,
  allFailed: false,
  worked: false,
  opened: false,
  hasToken: false,
  expires: null,
  rejections: 0,
  tokenFailures: 0,
  asking: false,
  liveSince: 0,
  lastMessage: 0,
  beatDue: 0,
  heartbeatMs: 25_000,
  returnMs: 0,
  retryAt: 0,
  resumed: false,
  error: null,
  reason: 'disposed',
});

/** What applications see. */
export function stateOf(
  m: Machine,
  transports: readonly TransportName[],
  shared: boolean,
): ConnectionState {
  switch (m.phase) {
    case 'token':
    case 'opening':
    case 'following':
      return { status: 'connecting', attempt: m.attempt };
    case 'live':
      return {
        status: 'live',
        transport: transports[m.at] as TransportName,
        role: shared ? 'leader' : 'solo',
        since: m.liveSince,
        resumed: m.resumed,
      };
    case 'waiting':
      return {
        status: 'waiting',
        attempt: m.attempt,
        retryAt: m.retryAt,
        error: m.error ?? errorOf('network'),
      };
    case 'closed':
      return { status: 'closed', reason: m.reason, ...(m.error ? { error: m.error } : {}) };
    default:
      return { status: m.phase };
  }
}
