// Why it does not connect: the server is asked where every origin may ask, because a browser hides the
// rest.
import { errorOf, failureOfAnswer } from './errors.js';
import type { Diagnosis } from './types.js';

type Check = Diagnosis['checks'][number];

export async function diagnose(
  url: string,
  fetch: typeof globalThis.fetch,
  token: string | null,
  topics: readonly string[],
): Promise<Diagnosis> {
  const query = new URLSearchParams(topics.map((topic) => ['topic', topic]));
  const checks = await ask(`${url}/v1/diagnose?${query}`, fetch, token);
  const origin = globalThis.location?.origin;
  const fixed = checks.map((check) =>
    check.code === 'origin_not_allowed' && origin
      ? {
          ...check,
          hint: `Add "${origin}" to http.allowed_origins of the server, or start it with \`belfry dev\`.`,
        }
      : check,
  );
  return { ok: fixed.every((check) => check.ok), checks: fixed };
}

async function ask(
  url: string,
  fetch: typeof globalThis.fetch,
  token: string | null,
): Promise<readonly Check[]> {
  const failed = (code: string): Check[] => {
    const { message, hint } = errorOf(code);
    return [{ name: 'server', ok: false, value: url, code, message, hint }];
  };
  try {
    const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
    const answer = await fetch(url, { headers, cache: 'no-store', signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) {
      const { code, message, hint } = await failureOfAnswer(answer);
      return code === 'not_found'
        ? failed('not_belfry')
        : [{ name: 'server', ok: false, code, message, hint }];
    }
    const { checks } = await answer.json();
    return Array.isArray(checks) ? checks : failed('not_belfry');
  } catch (error) {
    return failed(
      (error as Error)?.name === 'TimeoutError'
        ? 'timeout'
        : (error as Error)?.name === 'SyntaxError'
          ? 'not_belfry'
          : 'network',
    );
  }
}
