// Errors are values with a code, a message and a hint; what is thrown is one of these.
import type { BelfryErrorLike, Failure, Message } from './types.js';

/** Codes of the server are those of `protocol/errors.json`; the client's own are network, timeout,
 * not_belfry, malformed, token_source, backlog and disposed. */
export class BelfryError extends Error implements BelfryErrorLike {
  readonly code: string;
  readonly hint?: string;
  readonly status?: number;
  readonly retryMs?: number;
  constructor(from: BelfryErrorLike) {
    super(from.message);
    this.name = 'BelfryError';
    this.code = from.code;
    this.hint = from.hint;
    this.status = from.status;
    this.retryMs = from.retryMs;
  }
  /** Whether the same request may succeed later. */
  get retryable(): boolean {
    return kindOf(this.code, this.status) === 'later';
  }
}

/** Thrown by `getToken`: whoever it is may not come in. The client closes and stays closed. */
export class UnauthorizedError extends Error {
  constructor(message = 'Not signed in.') {
    super(message);
    this.name = 'UnauthorizedError';
  }
}

const own: Record<string, [string, string]> = {
  network: [
    'The server cannot be reached.',
    'Is it running, is the address right, is this origin in http.allowed_origins? diagnose() tells more.',
  ],
  timeout: ['The server did not answer in time.', 'Look for a proxy in between that holds answers back.'],
  not_belfry: [
    'What answers there is not Belfry.',
    'Check `url`: it is the address of the server, without /v1.',
  ],
  malformed: ['The server sent what cannot be read.', 'Is something in between that changes answers?'],
  token_source: ['getToken failed.', 'It must give a token, null, or throw UnauthorizedError.'],
  backlog: ['Events came faster than they were taken.', 'Take them faster, or reload what they are about.'],
  disposed: ['The client was disposed.', 'Make another one with createClient().'],
};

export function errorOf(code: string, more: Partial<Failure> = {}): Failure {
  const [message, hint] = own[code] ?? [code, undefined];
  return { message, hint, kind: 'later', ...more, code };
}

// What the code says counts more than the number that it comes with; the catalogue is protocol/errors.json.
const kinds: Record<string, Failure['kind']> = {
  unauthenticated: 'token',
  token_invalid: 'token',
  token_expired: 'token',
  token_revoked: 'never',
  forbidden: 'never',
  protocol_error: 'never',
  body_too_large: 'never',
  config_invalid: 'never',
  replaced: 'replaced',
  not_belfry: 'never',
  disposed: 'never',
};
// RFC 6455 section 7.4.2 leaves 4000 to 4999 to applications: ours are 4000 and the HTTP status.
function kindOf(code: string | undefined, number = 500): Failure['kind'] {
  const status = number >= 4400 && number < 4500 ? number - 4000 : number;
  const later = status < 400 || status === 408 || status === 429 || status >= 500;
  return kinds[code ?? ''] ?? (status === 401 ? 'token' : later ? 'later' : 'never');
}

/** From an `error` message of a stream, and the close code or status that came with it, if one did. */
export function failureOfMessage(message: Message, number?: number): Failure {
  const { code, message: text, hint, retry_ms } = message;
  return {
    code,
    message: text,
    hint,
    kind: kindOf(code, number),
    ...(retry_ms ? { retryMs: retry_ms } : {}),
  };
}

/** From a close code and the error that came before it, if one did. */
export const failureOfClose = (close: number, said: Message | null): Failure =>
  said
    ? failureOfMessage(said, close)
    : errorOf('network', { kind: kindOf(undefined, close), status: close });

/** From an answer that is not what was asked for. */
export async function failureOfAnswer(answer: Response): Promise<Failure> {
  const { status } = answer;
  const body = (await answer.json().catch(() => null)) as Message | null;
  const after =
    Number(answer.headers.get('x-retry-after-ms')) || Number(answer.headers.get('retry-after')) * 1000;
  const rest = { status, ...(after ? { retryMs: after } : {}) };
  if (typeof body?.code === 'string' && typeof body.message === 'string')
    return { ...failureOfMessage(body, status), ...rest };
  const kind = kindOf(undefined, status);
  return errorOf(kind === 'later' ? 'network' : 'not_belfry', { kind, ...rest });
}

/** What getToken rejected with. */
export function failureOfToken(error: unknown): Failure {
  const unauthorized = (error as Error)?.name === 'UnauthorizedError';
  const message = `getToken: ${(error as Error)?.message ?? error}`;
  return errorOf(unauthorized ? 'unauthenticated' : 'token_source', {
    kind: unauthorized ? 'never' : 'later',
    hint: unauthorized ? 'Sign in, and call connect().' : undefined,
    message,
  });
}

/** What a fetch rejected with. */
export const failureOfFetch = (error: unknown): Failure =>
  errorOf((error as Error)?.name === 'TimeoutError' ? 'timeout' : 'network');
