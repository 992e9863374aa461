// Three things that are signed with HMAC-SHA-256: who is signed in here, the token for Belfry, and what the
// bank says.
import { createHmac, timingSafeEqual } from 'node:crypto';

const mac = (secret, text) => createHmac('sha256', secret).update(text).digest('base64url');

export function same(a, b) {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

/** The session cookie: `name.signature`. */
export const sessionOf = (secret, user) => `${encodeURIComponent(user)}.${mac(secret, `session ${user}`)}`;
export function userOf(secret, cookie) {
  const [name = '', signature = ''] = cookie.split('.');
  const user = decodeURIComponent(name);
  return user && same(signature, mac(secret, `session ${user}`)) ? user : null;
}

// cut: token
/** A token for Belfry (JWT, RFC 7519): who it is, for how long, and what may be listened to. */
export function belfryToken(secret, user, seconds = 600) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const belfry = { subscribe: [`users/${user}/#`, 'rooms'] };
  const claims = { sub: user, iat: now, exp: now + seconds, belfry };
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${text}.${mac(secret, text)}`;
}
// end

/** What the institution signs: the time and the very bytes of the body. */
export const bankSignature = (secret, time, body) => mac(secret, `${time}.${body}`);
